"""Find out which server asks, then read its request within limits.

The checks run in this order, the cheap ones first:

1. the header: is it well-formed, and meant for us?
2. the key of the server that it names, which may have to be fetched: is it still valid?
3. the body: is it within the limit of its endpoint, and does it come in time?
4. its JSON, which the signature covers: is the signature good?

Nothing else in the request is looked at before that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
from aiohttp import web

from homeserver.answers import Answer, Respond, read_within
from homeserver.server import Homeserver
from matrix_membership import InvalidJson, InvalidMessage
from matrix_membership.server import Authorization, MatrixError, ServerName, decode

__all__ = ["LARGEST_BODY", "LARGEST_EVENT", "Asked", "Authenticated", "authenticated", "read_body"]

LARGEST_EVENT: Final = 65_536
"""Bytes of an event in canonical JSON."""

LARGEST_BODY: Final = 8 * LARGEST_EVENT
"""Bytes of a request: an event with any escapes, or an invite with the events that describe its room."""

SECONDS: Final = 20
"""How long reading a body may take."""

TIMED_OUT: Final = MatrixError("M_UNKNOWN", f"the body took more than {SECONDS} seconds", 408)


@attrs.frozen
class Asked:
    """A request of a server that has proved its name.

    Attributes:
        origin: that server.
        path: the variables of the path, such as `room_id`.
        query: the query parameters, in order; a name may come more than once.
        body: the body, as it came.
        content: the parsed body; None if it is empty.
    """

    origin: ServerName
    path: dict[str, str]
    query: tuple[tuple[str, str], ...]
    body: bytes
    content: Any

    def all(self, name: str) -> list[str]:
        """Return all values of a query parameter."""
        return [value for found, value in self.query if found == name]

    def first(self, name: str) -> str:
        """Return the first value of a query parameter; empty if it is missing."""
        return next(iter(self.all(name)), "")


Authenticated = Callable[[Asked], Awaitable[Answer]]
"""A function that answers a request of another server."""


def authenticated(
    server: Homeserver, respond: Authenticated, *, most_bytes: int = LARGEST_BODY
) -> Respond:
    """Find out who asks before anything is answered."""

    async def checked(request: web.Request) -> Answer:
        try:
            claim = Authorization.read(request.headers.getall("Authorization", ()))
        except InvalidMessage as problem:
            return Answer.refusing(MatrixError.of("M_UNAUTHORIZED", str(problem)))
        keys = await server.keys_for(claim.needs)
        refusal = claim.refusal(server_name=server.name, keys=keys, at=server.now())
        if refusal is not None:
            return Answer.refusing(refusal)
        body = await read_body(request, most_bytes)
        if isinstance(body, MatrixError):
            return Answer.refusing(body)
        try:
            content = decode(body, strict=False) if body else None
        except InvalidJson as problem:
            return Answer.refusing(MatrixError.of("M_NOT_JSON", str(problem)))
        refusal = claim.verify(
            request.method,
            request.raw_path,
            content,
            server_name=server.name,
            keys=keys,
            at=server.now(),
        )
        if refusal is not None:
            return Answer.refusing(refusal)
        server.outbox.heard_from(claim.origin)
        path, query = dict(request.match_info), tuple(request.query.items())
        return await respond(Asked(claim.origin, path, query, body, content))

    return checked


async def read_body(request: web.Request, most: int) -> bytes | MatrixError:
    """Read a body; refuse one that is too long or takes too long."""
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
