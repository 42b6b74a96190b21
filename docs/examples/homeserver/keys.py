"""The keys of other servers: fetched when they are needed, and again when they run out.

Anybody can name any server and any key ID, in a header or in a PDU. So naming them costs little:
a server is asked once a minute at most, and one request of others makes us ask few servers.
A signature that is wrong makes us ask nobody: only a key that we lack does.
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
"""For how long a server that was asked is not asked again, whatever it answered."""

MOST_SERVERS: Final = 1000
"""Servers whose keys are remembered, or that they could not be had."""

MOST_ASKED: Final = 10
"""Servers that are asked for the sake of one request by others."""

MOST_OF_A_ROOM: Final = 1000
"""Servers that are asked when a user of ours joins a room: those whose users sent its state."""

MOST_AT_ONCE: Final = 20
MOST_UNDER_WAY: Final = 1000
"""Servers that are asked at the same time, and those that are being asked or wait for it."""


@attrs.frozen
class Published:
    """What a server published, as far as it could be had, and when it was asked."""

    keys: KeyRing
    asked_at: int


class Keys:
    """The keys of servers, as far as they can be had.

    Args:
        transport: how to ask for them.
        now: gives the time, in milliseconds since 1970.
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
        """The keys of some servers, ours among them; those that ran out too.

        Args:
            needs: for each server, the IDs of the keys that are needed. A server is asked if
                we lack one of its keys, or one ran out.
            most: how many servers to ask, the first ones.
        """
        lacking = [server for server, key_ids in needs.items() if self._lacks(server, key_ids)]
        await asyncio.gather(*map(self._ask_once, lacking[:most]))
        known = {server: self.published.get(server) for server in needs}
        servers = dict(self._own.servers)
        for what in known.values():
            servers |= what.keys.servers if what is not None else {}
        return KeyRing(servers)

    def _lacks(self, server: ServerName, key_ids: Iterable[str]) -> bool:
        """Whether a server is to be asked."""
        if server in self._own or not is_server_name(server):
            return False
        known, now = self.published.get(server), self.now()
        if known is None:
            return True
        if now - known.asked_at < WAIT_MS:
            return False
        return bool(known.keys.missing({server: key_ids}, at=now))

    async def _ask_once(self, server: ServerName) -> None:
        """Ask a server for its keys, or wait for the answer if it is being asked."""
        task = self._under_way.get(server)
        if task is None:
            if len(self._under_way) >= MOST_UNDER_WAY:
                return
            task = self._under_way[server] = asyncio.create_task(self._ask(server))
            task.add_done_callback(lambda _: self._under_way.pop(server))
        # One of those who wait may go away; the others still want to know.
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
        # A document lists the keys that its server used before, so the newest is enough.
        self.published[server] = Published(keys, at)
