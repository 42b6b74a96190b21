"""Fetch the keys of other servers when they are needed, and again when they expire.

Anybody can name any server and any key ID, in a header or in a PDU. So naming them must be cheap for us: we
ask a server once a minute at most, and few servers for one request. Only a missing key makes us ask; a bad
signature does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs

from homeserver.bounded import Bounded
from homeserver.transport import Transport
from matrix_membership import KeyRing
from matrix_membership.server import InvalidKey, Request, ServerName, is_server_name

__all__ = ["MOST_ASKED", "MOST_OF_A_ROOM", "Keys"]

KEY_PATH: Final = "/_matrix/key/v2/server"
LARGEST_DOCUMENT: Final = 65_536
"""Bytes of a key document: several hundred keys."""

WAIT_MS: Final = 60_000
"""How long to wait before asking a server again, whatever it answered."""

MOST_SERVERS: Final = 1000
"""Servers whose answers, or failures to answer, are remembered."""

MOST_ASKED: Final = 10
"""Servers to ask because of one request of a stranger."""

MOST_OF_A_ROOM: Final = 1000
"""Servers to ask when a user of ours joins a room: those whose users sent its state."""

MOST_AT_ONCE: Final = 20
MOST_UNDER_WAY: Final = 1000
"""Servers being asked at the same time, and servers being asked or waiting for their turn."""


@attrs.frozen
class Published:
    """The keys that a server published, and when it was asked."""

    keys: KeyRing
    asked_at: int


class Keys:
    """Fetches and remembers the keys of servers.

    Args:
        transport: sends the requests.
        now: returns the time, in milliseconds since 1970.
    """

    def __init__(self, transport: Transport, now: Callable[[], int]) -> None:
        self.transport = transport
        self.now = now
        self.published: Bounded[ServerName, Published] = Bounded(MOST_SERVERS)
        self._own = transport.signer.key_ring
        self._under_way: dict[ServerName, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(MOST_AT_ONCE)

    async def get(
        self, needs: Mapping[ServerName, Iterable[str]], *, most: int = MOST_ASKED
    ) -> KeyRing:
        """Return the keys of some servers and our own, expired ones included.

        Args:
            needs: for each server, the IDs of the keys to get. A server is asked if one of its keys is
                missing or has expired.
            most: ask at most so many servers, the first ones.
        """
        lacking = [server for server, key_ids in needs.items() if self._lacks(server, key_ids)]
        await asyncio.gather(*map(self._ask_once, lacking[:most]))
        known = {server: self.published.get(server) for server in needs}
        servers = dict(self._own.servers)
        for what in known.values():
            servers |= {} if what is None else what.keys.servers
        return KeyRing(servers)

    def _lacks(self, server: ServerName, key_ids: Iterable[str]) -> bool:
        """Return whether to ask a server."""
        if server in self._own or not is_server_name(server):
            return False
        known, now = self.published.get(server), self.now()
        if known is None:
            return True
        if now - known.asked_at < WAIT_MS:
            return False
        return bool(known.keys.missing({server: key_ids}, at=now))

    async def _ask_once(self, server: ServerName) -> None:
        """Ask a server for its keys; if it is being asked already, wait for that answer."""
        task = self._under_way.get(server)
        if task is None:
            if len(self._under_way) >= MOST_UNDER_WAY:
                return
            task = self._under_way[server] = asyncio.create_task(self._ask(server))
            task.add_done_callback(lambda _: self._under_way.pop(server))
        # Shield it: one caller may be cancelled while others still wait for the same answer.
        await asyncio.shield(task)

    async def _ask(self, server: ServerName) -> None:
        async with self._turn:
            request = Request("GET", KEY_PATH)
            answer = await self.transport.ask(server, request, most_bytes=LARGEST_DOCUMENT)
        at = self.now()
        try:
            keys = KeyRing.from_documents([answer.content], expected=server, at=at)
        except InvalidKey:
            known = self.published.get(server)
            keys = KeyRing.of({}) if known is None else known.keys
        # The newest document is enough, because it lists old keys too.
        self.published[server] = Published(keys, at)
