"""HTTP to other servers and from them, with TLS or without."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Self

import aiohttp
import attrs
from aiohttp import web
from yarl import URL

from homeserver.x_matrix import authorize
from matrix_membership import Signer
from matrix_membership.canonical_json import decode, encode
from matrix_membership.errors import InvalidJson
from matrix_membership.federation import MatrixError, Request

SECONDS = aiohttp.ClientTimeout(total=30)


@attrs.frozen
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, body: Any) -> Self:
        """A good answer."""
        return cls(HTTPStatus.OK, encode(body, strict=False))

    @classmethod
    def refusing(cls, error: MatrixError) -> Self:
        """An answer that says no."""
        return cls(error.status, encode(error.to_json(), strict=False), error.headers)

    @property
    def content(self) -> Any:
        """The body parsed; None when it is no JSON."""
        try:
            return decode(self.body, strict=False)
        except InvalidJson:
            return None

    def read(self, message: Callable[[Any], Any]) -> Any:
        """A message read from the parsed body, or the error that came instead of one.

        Raises:
            InvalidMessage: it is neither.
        """
        if self.status == HTTPStatus.OK:
            return message(self.content)
        return MatrixError.from_json(self.content, status=self.status)


Witness = Callable[[str, str, Request, Answer | None], None]
"""Is told of origin, destination and request; and again with the answer."""


class Transport:
    """Sends requests to other servers.

    Args:
        signer: who signs them.
        scheme: `http` on loopback, `https` everywhere else.
        addresses: where servers listen that are not where their names say.
        context: which certificates of others are good.
        witness: is told of every request, and of its answer.
    """

    def __init__(
        self,
        signer: Signer,
        *,
        scheme: str = "https",
        addresses: Mapping[str, str] = MappingProxyType({}),
        context: ssl.SSLContext | None = None,
        witness: Witness = lambda *_: None,
    ) -> None:
        self.signer = signer
        self.scheme = scheme
        self.addresses = addresses
        self.context = context
        self.witness = witness
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, destination: str, request: Request) -> Answer:
        """Send a request; whoever cannot be reached counts as a gateway that failed."""
        self.witness(self.signer.server_name, destination, request, None)
        answer = await self.call(
            destination,
            request.method,
            request.uri,
            body=request.body,
            authorization=str(authorize(self.signer, destination, request)),
        )
        self.witness(self.signer.server_name, destination, request, answer)
        return answer

    async def call(
        self,
        destination: str,
        method: str,
        uri: str,
        *,
        body: bytes | None = None,
        authorization: str = "",
    ) -> Answer:
        """Send a request that is not signed, as identity servers get them; follow no redirect."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=SECONDS)
        address = self.addresses.get(destination, destination)
        try:
            async with self._session.request(
                method,
                # What was signed is sent as it is, not encoded a second time.
                URL(f"{self.scheme}://{address}{uri}", encoded=True),
                data=body,
                headers={"Content-Type": "application/json"}
                | ({"Authorization": authorization} if authorization else {}),
                ssl=self.context or True,
                allow_redirects=False,
            ) as response:
                return Answer(response.status, await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            said = f"{destination} cannot be reached: {error}"
            return Answer.refusing(MatrixError("M_UNKNOWN", said, HTTPStatus.BAD_GATEWAY))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


Respond = Callable[[web.Request], Coroutine[Any, Any, Answer]]


def serving(respond: Respond) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
    """What answers, as aiohttp takes it."""

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
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=context).start()
        yield runner
    finally:
        await runner.cleanup()
