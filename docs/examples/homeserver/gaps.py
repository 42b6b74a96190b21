"""Fetch the events to which an event refers and that are not here, from the server that sent it.

Previous events are fetched because they may change the state before the event. Auth events are fetched
because without them the event cannot be judged. What cannot be had is left out: then the event is judged
by today's state, or waits until the auth events come, see `rooms.Room.judge_waiting`.

Strangers cause these requests. So one transaction causes few of them, and an answer may hold few events.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from homeserver.rooms import MOST_PREV_EVENTS, Room
from homeserver.server import Homeserver
from matrix_membership import InvalidEvent, KeyRing
from matrix_membership.server import (
    JsonObject,
    ReadPdu,
    Request,
    ServerName,
    encode,
    needed_keys,
    path_of,
    read_pdu,
)

__all__ = ["Gaps"]

MOST_REQUESTS: Final = 5
"""Requests because of one transaction."""

MOST_MISSING: Final = 20
MOST_OF_CHAIN: Final = 200
"""Events that are taken from an answer: previous ones, and those of an auth chain."""


class Gaps:
    """Fills the gaps before the events of one transaction.

    Args:
        server: the server that took the transaction.
        origin: the server that sent it, and that is asked.
    """

    def __init__(self, server: Homeserver, origin: ServerName) -> None:
        self.server = server
        self.origin = origin
        self.left = MOST_REQUESTS

    async def fill(self, room: Room, read: ReadPdu) -> None:
        """Fetch what comes before an event, the oldest first, then what authorises it."""
        if room.knows(read.event.event_id):
            return
        if room.after(read.event.prev_events) is None:
            for found, keys in await self.previous(room, read):
                await self.authorise(room, found)
                room.take(found, keys)
        await self.authorise(room, read)

    async def previous(self, room: Room, read: ReadPdu) -> list[tuple[ReadPdu, KeyRing]]:
        """Return the events before an event that are not here, with their keys."""
        content = {
            "earliest_events": list(room.prev_events[:MOST_PREV_EVENTS]),
            "latest_events": [read.event.event_id],
            "limit": MOST_MISSING,
        }
        path = path_of("v1", "get_missing_events", room.room_id)
        answer = await self.ask(Request("POST", path, (), encode(content)))
        return await self.read(room, answer.get("events"), MOST_MISSING)

    async def authorise(self, room: Room, read: ReadPdu) -> None:
        """Fetch the auth chain of an event, unless its auth events are here."""
        if all(event_id in room.events for event_id in read.auth_events):
            return
        path = path_of("v1", "event_auth", room.room_id, read.event.event_id)
        answer = await self.ask(Request("GET", path))
        for found, keys in await self.read(room, answer.get("auth_chain"), MOST_OF_CHAIN):
            room.learn(found, keys)

    async def ask(self, request: Request) -> JsonObject:
        """Ask the server that sent the event; return an empty object in place of an error."""
        if self.left == 0:
            return JsonObject()
        self.left -= 1
        answer = await self.server.transport.ask(self.origin, request)
        content = answer.content if answer.status == HTTPStatus.OK else None
        return content if isinstance(content, JsonObject) else JsonObject()

    async def read(self, room: Room, pdus: Any, most: int) -> list[tuple[ReadPdu, KeyRing]]:
        """Read the events of an answer, those of the least depth first, and fetch their keys."""
        reads = []
        for pdu in pdus[:most] if isinstance(pdus, tuple) else ():
            try:
                read = read_pdu(pdu, room.version)
            except InvalidEvent:
                continue
            if read.event.room_id == room.room_id and not room.knows(read.event.event_id):
                reads.append(read)
        keys = await self.server.keys_for(_together(reads))
        return [(read, keys) for read in sorted(reads, key=lambda read: read.event.depth)]


def _together(reads: Iterable[ReadPdu]) -> dict[ServerName, frozenset[str]]:
    """Return the keys that some events need together."""
    needs: dict[ServerName, frozenset[str]] = {}
    for read in reads:
        for server, key_ids in needed_keys(read).items():
            needs[server] = needs.get(server, frozenset()) | key_ids
    return needs
