"""Make and read HTTP answers, and listen for requests."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final, Self

import aiohttp
import attrs
from aiohttp import web

from matrix_membership import InvalidJson
from matrix_membership.server import MatrixError, decode, encode

__all__ = ["Answer", "Respond", "listening", "read_within", "serving"]

LINGER_SECONDS: Final = 1
"""How long to read and discard the rest of a body, so that the other side gets our refusal."""


@attrs.frozen
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, body: Any) -> Self:
        """Make an answer with status 200."""
        return cls(HTTPStatus.OK, encode(body, strict=False))

    @classmethod
    def refusing(cls, error: MatrixError) -> Self:
        """Make an answer from an error."""
        return cls(error.status, encode(error.to_json(), strict=False), error.headers)

    @property
    def content(self) -> Any:
        """The parsed body; None if it is not JSON."""
        try:
            return decode(self.body, strict=False)
        except InvalidJson:
            return None

    @classmethod
    def unreachable(cls, destination: str, why: object) -> Self:
        """Make a 502 in place of the answer that did not come."""
        said = f"{destination} cannot be reached: {why}"
        return cls.refusing(MatrixError("M_UNKNOWN", said, HTTPStatus.BAD_GATEWAY))

    def read(self, message: Callable[[Any], Any]) -> Any:
        """Read a message from the parsed body, or the error that came instead.

        Raises:
            InvalidMessage: the body is neither.
        """
        if self.status == HTTPStatus.OK:
            return message(self.content)
        return MatrixError.from_json(self.content, status=self.status)


async def read_within(stream: aiohttp.StreamReader, most: int) -> bytes | None:
    """Read a body; None if it is longer than `most` bytes: then the rest is left unread."""
    found = bytearray()
    async for chunk in stream.iter_any():
        found += chunk
        if len(found) > most:
            return None
    return bytes(found)


Respond = Callable[[web.Request], Coroutine[Any, Any, Answer]]


def serving(respond: Respond) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
    """Wrap a responder as a handler of aiohttp."""

    async def serve(request: web.Request) -> web.Response:
        answer = await respond(request)
        return web.Response(
            status=answer.status,
            body=answer.body,
            headers=dict(answer.headers),
            content_type="application/json",
        )

    return serve


@contextlib.asynccontextmanager
async def listening(
    application: web.Application, listener: socket.socket, context: ssl.SSLContext | None = None
) -> AsyncIterator[web.AppRunner]:
    """Answer requests for as long as a `with` block lasts."""
    # Do not decompress: a small body could grow past every limit before its size is known.
    runner = web.AppRunner(application, auto_decompress=False, lingering_time=LINGER_SECONDS)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=context).start()
        yield runner
    finally:
        await runner.cleanup()
