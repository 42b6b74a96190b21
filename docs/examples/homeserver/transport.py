"""HTTP to other servers, with TLS or without: few connections, none of them for long.

The other side is a stranger too. It gets a limited time and may answer a limited number of bytes; it
cannot send us elsewhere, nor leave a cookie.
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
from homeserver.x_matrix import authorize
from matrix_membership import Signer
from matrix_membership.server import Request

__all__ = ["LARGEST_STATE", "Transport", "Witness", "on_loopback"]

SECONDS: Final = aiohttp.ClientTimeout(total=30)
MOST_CONNECTIONS: Final = 100
MOST_CONNECTIONS_TO_ONE: Final = 10
"""To other servers at the same time, and to one of them. Who must wait longer gives up."""

LARGEST_ANSWER: Final = 1024 * 1024
LARGEST_STATE: Final = 64 * 1024 * 1024
"""Bytes of an answer: of most, and of those that hold the state of a room."""

LARGEST_ERROR: Final = 16 * 1024
"""Bytes of an answer that tells of an error, which is kept in the log."""


def on_loopback(address: str) -> bool:
    """Whether an address is of this machine.

    Others say whom we ask: a header names its origin, an event its sender, a request to join its
    servers. Without this, they would have us ask what only we can reach. A server for the
    Internet looks up the name and asks if the *address found* is a public one, then connects to
    that very address.
    """
    try:
        host = urlsplit(f"//{address}").hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


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
        reaches: whether an address may be asked: by default those of this machine alone.
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
        """Send a signed request; a server that cannot be reached counts as a gateway that failed.

        Args:
            destination: the server's name.
            request: the request.
            most_bytes: how long the answer may be. A longer one counts as none.
        """
        self.witness(self.signer.server_name, destination, request, None)
        answer = await self.call(
            destination,
            request.method,
            request.uri,
            body=request.body,
            authorization=str(authorize(self.signer, destination, request)),
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
        """Send a request that is not signed, as identity servers get them; follow no redirect."""
        address = self.addresses.get(destination, destination)
        if not self.reaches(address):
            return Answer.unreachable(destination, "it is not among those that may be asked")
        if self._session is None:
            self._session = _new_session()
        try:
            async with self._session.request(
                method,
                # What was signed is sent as it is, not encoded a second time.
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
            # A ValueError: the name has a port above 65535, a token would break the header.
            return Answer.unreachable(destination, error)
        if found is None:
            return Answer.unreachable(destination, f"it answers more than {most} bytes")
        return Answer(response.status, found)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


def _new_session() -> aiohttp.ClientSession:
    """Connections that remember nothing of what others say: no cookies, nothing unpacked."""
    return aiohttp.ClientSession(
        timeout=SECONDS,
        connector=aiohttp.TCPConnector(
            limit=MOST_CONNECTIONS, limit_per_host=MOST_CONNECTIONS_TO_ONE
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
