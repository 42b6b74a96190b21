"""What others ask of us: their bodies are read within limits, once we know who asks.

In this order, so that the cheap questions come first:

1. what the header says, and whether it is meant for us;
2. the key of the server that it names, which may have to be fetched, and must not have run out;
3. the body, as far as its endpoint allows, within a time;
4. its JSON, over which the signature goes, and the signature.

Only then is anything looked at that the request says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
from aiohttp import web

from homeserver.answers import Answer, Respond, read_within
from homeserver.server import Homeserver
from homeserver.x_matrix import Authorization
from matrix_membership import InvalidJson
from matrix_membership.server import MatrixError, ServerName, decode

__all__ = ["LARGEST_BODY", "LARGEST_EVENT", "Asked", "Authenticated", "authenticated", "read_body"]

LARGEST_EVENT: Final = 65_536
"""Bytes of an event in canonical JSON."""

LARGEST_BODY: Final = 8 * LARGEST_EVENT
"""Bytes of a request: an event however it is spelled, or an invite and what tells of its room."""

SECONDS: Final = 20
"""How long a body may take to come."""

TIMED_OUT: Final = MatrixError("M_UNKNOWN", f"the body took more than {SECONDS} seconds", 408)


@attrs.frozen
class Asked:
    """A request of a server that has proved its name.

    Attributes:
        origin: that server.
        path: what the path names, such as `room_id`.
        query: the parameters behind the path, in order; a name may come more than once.
        body: the body, as it came.
        content: the parsed body; None without one.
    """

    origin: ServerName
    path: dict[str, str]
    query: tuple[tuple[str, str], ...]
    body: bytes
    content: Any

    def all(self, name: str) -> list[str]:
        """All values of a parameter."""
        return [value for found, value in self.query if found == name]

    def first(self, name: str) -> str:
        """The first value of a parameter; empty when it is not given."""
        return next(iter(self.all(name)), "")


Authenticated = Callable[[Asked], Awaitable[Answer]]
"""What answers a request of another server."""


def authenticated(
    server: Homeserver, respond: Authenticated, *, most_bytes: int = LARGEST_BODY
) -> Respond:
    """Find out who asks before anything is answered."""

    async def checked(request: web.Request) -> Answer:
        claim = Authorization.parse(request.headers.get("Authorization", ""))
        if claim is None:
            return _unauthorized("expected an X-Matrix header, as it is specified")
        origin = ServerName(claim.origin)
        keys = await server.keys_for({origin: [claim.key_id]})
        if claim.key(keys, server.name, at=server.now()) is None:
            return _unauthorized(
                f"no key of {origin} that is good now could be had, or it is not for us"
            )
        body = await read_body(request, most_bytes)
        if isinstance(body, MatrixError):
            return Answer.refusing(body)
        try:
            content = decode(body, strict=False) if body else None
        except InvalidJson as problem:
            return Answer.refusing(MatrixError.of("M_NOT_JSON", str(problem)))
        method, uri = request.method, request.raw_path
        if not claim.proves(keys, server.name, method, uri, content, at=server.now()):
            return _unauthorized(f"this was not signed by {origin}")
        path, query = dict(request.match_info), tuple(request.query.items())
        return await respond(Asked(origin, path, query, body, content))

    return checked


async def read_body(request: web.Request, most: int) -> bytes | MatrixError:
    """Read a body, and refuse one that is longer than it may be or takes too long."""
    too_large = MatrixError("M_TOO_LARGE", f"the body must have at most {most} bytes", 413)
    if (request.content_length or 0) > most:
        return too_large
    try:
        async with asyncio.timeout(SECONDS):
            body = await read_within(request.content, most)
    except TimeoutError:
        return TIMED_OUT
    except web.RequestPayloadError as error:
        return MatrixError.of("M_NOT_JSON", f"the body cannot be read: {error}")
    return too_large if body is None else body


def _unauthorized(why: str) -> Answer:
    return Answer.refusing(MatrixError.of("M_UNAUTHORIZED", why))
