"""Send HTTP requests to other servers, with TLS or without, over few and short connections.

The other side is a stranger too. Its time and the bytes of its answer are limited. Redirects and cookies are
ignored.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from homeserver.answers import Answer, read_within
from matrix_membership import Signer
from matrix_membership.server import Authorization, Request, is_server_name

__all__ = ["LARGEST_STATE", "Transport", "Witness", "on_loopback"]

SECONDS: Final = aiohttp.ClientTimeout(total=30)
MOST_CONNECTIONS: Final = 100
MOST_CONNECTIONS_TO_ONE: Final = 10
"""Connections at the same time, to all servers and to one. Waiting for one counts into the timeout."""

LARGEST_ANSWER: Final = 1024 * 1024
LARGEST_STATE: Final = 64 * 1024 * 1024
"""Bytes of an answer: usually, and if it holds the state of a room."""

LARGEST_ERROR: Final = 16 * 1024
"""Bytes of an error answer, which is kept in the log."""


def on_loopback(address: str) -> bool:
    """Return whether an address is of this machine.

    Strangers choose which servers we ask: a header names its origin, an event its sender, a request to join
    its servers. Without this check they could have us send requests inside our own network. A server on the
    Internet looks up the name, checks that the *address found* is public, and connects to that very
    address.
    """
    try:
        host = urlsplit(f"//{address}").hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


Witness = Callable[[str, str, Request, Answer | None], None]
"""Called with origin, destination and request, then again with the answer."""


class Transport:
    """Sends requests to other servers.

    Args:
        signer: signs them.
        scheme: `http` on loopback, `https` everywhere else.
        addresses: addresses of servers that do not listen where their names say.
        context: decides which certificates are good.
        witness: called for every request and its answer.
        reaches: returns whether an address may be asked; by default only this machine.
    """

    def __init__(
        self,
        signer: Signer,
        *,
        scheme: str = "https",
        addresses: Mapping[str, str] = MappingProxyType({}),
        context: ssl.SSLContext | None = None,
        witness: Witness = lambda *_: None,
        reaches: Callable[[str], bool] = on_loopback,
    ) -> None:
        self.signer = signer
        self.scheme = scheme
        self.addresses = addresses
        self.context = context
        self.witness = witness
        self.reaches = reaches
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self, destination: str, request: Request, *, most_bytes: int = LARGEST_ANSWER
    ) -> Answer:
        """Send a signed request; if the server cannot be reached, return a 502.

        Args:
            destination: the server's name.
            request: the request.
            most_bytes: how long the answer may be; a longer one gives a 502.
        """
        if not is_server_name(destination):
            return Answer.unreachable(destination, "it is not a server name")
        self.witness(self.signer.server_name, destination, request, None)
        answer = await self.call(
            destination,
            request.method,
            request.uri,
            body=request.body,
            authorization=Authorization.of(request, destination, self.signer).headers[0],
            most_bytes=most_bytes,
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
        most_bytes: int = LARGEST_ANSWER,
    ) -> Answer:
        """Send a request without signing it, as to identity servers; follow no redirect."""
        address = self.addresses.get(destination, destination)
        if not self.reaches(address):
            return Answer.unreachable(destination, "it is not among those that may be asked")
        if self._session is None:
            self._session = _new_session()
        try:
            async with self._session.request(
                method,
                # The signature covers the encoded URI, so it must not be encoded a second time.
                URL(f"{self.scheme}://{address}{uri}", encoded=True),
                data=body,
                headers={"Content-Type": "application/json", "Accept-Encoding": "identity"}
                | ({"Authorization": authorization} if authorization else {}),
                ssl=self.context or True,
                allow_redirects=False,
            ) as response:
                most = most_bytes if response.status == HTTPStatus.OK else LARGEST_ERROR
                found = await read_within(response.content, most)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            # ValueError: a port above 65535, or a token that would break the header.
            return Answer.unreachable(destination, error)
        if found is None:
            return Answer.unreachable(destination, f"it answers more than {most} bytes")
        return Answer(response.status, found)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


def _new_session() -> aiohttp.ClientSession:
    """Make connections without cookies and without decompression."""
    return aiohttp.ClientSession(
        timeout=SECONDS,
        connector=aiohttp.TCPConnector(
            limit=MOST_CONNECTIONS, limit_per_host=MOST_CONNECTIONS_TO_ONE
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
