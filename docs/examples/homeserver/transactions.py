"""Take the events that other servers send, one transaction after the other, each once.

The cost of a transaction is bounded: its size, its PDUs, its EDUs, and the servers that are asked for keys
because of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import attrs

from homeserver.answers import Answer
from homeserver.asked import LARGEST_EVENT, Asked
from homeserver.bounded import Bounded
from homeserver.gaps import Gaps
from homeserver.inviting import Inviting
from homeserver.rooms import Room
from homeserver.server import Homeserver
from matrix_membership import InvalidEvent, KeyRing, Membership
from matrix_membership.server import (
    Disposition,
    JsonObject,
    MatrixError,
    ReadPdu,
    ServerName,
    key_ids_of,
    needed_keys,
    permits,
    read_pdu,
    server_of,
    verify,
)

__all__ = ["LARGEST_TRANSACTION", "Transactions"]

MOST_PDUS: Final = 50
MOST_EDUS: Final = 100
LARGEST_TRANSACTION: Final = (MOST_PDUS + MOST_EDUS) * LARGEST_EVENT

MOST_ORIGINS: Final = 1000
MOST_REMEMBERED: Final = 4
"""Servers whose transactions are remembered, and how many of each; a server repeats only its newest."""

MOST_WAITING: Final = 20
"""Transactions of one server that may wait for their turn."""

TOO_MANY: Final = MatrixError.of("M_LIMIT_EXCEEDED", "one at a time", retry_after_ms=1000)


class Line:
    """The transactions of one server, taken in the order in which they come."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.waiting = 0
        self.answers: Bounded[str, Answer] = Bounded(MOST_REMEMBERED)


@attrs.frozen
class Arrived:
    """A PDU that could be read.

    Attributes:
        room: its room; None if we are not in it, but a user of ours holds an invite.
        reads: the PDU, read by the version of its room. The servers that sent invites to one room may
            name different versions; then it is read by each.
    """

    room: Room | None
    reads: tuple[ReadPdu, ...]

    @property
    def needs(self) -> list[tuple[ServerName, frozenset[str]]]:
        """The keys to fetch, only of the servers whose signatures count."""
        needs = [need for read in self.reads for need in needed_keys(read).items()]
        for read in self.reads:
            if (
                read.event.membership is Membership.INVITE
            ):  # an invite by address may be signed by the invited user's server
                server = server_of(read.event.state_key or "")
                needs.append((server, key_ids_of(read.document, server)))
        return needs


class Transactions:
    """Takes the events that other servers send to one server."""

    def __init__(self, server: Homeserver, inviting: Inviting) -> None:
        self.server = server
        self.inviting = inviting
        self.lines: Bounded[ServerName, Line] = Bounded(MOST_ORIGINS)

    async def respond(self, asked: Asked) -> Answer:
        """Answer send: take a transaction, or repeat the answer to a repeated one."""
        self.lines[asked.origin] = line = self.lines.get(asked.origin) or Line()
        if line.waiting >= MOST_WAITING:
            return Answer.refusing(TOO_MANY)
        line.waiting += 1
        try:
            async with line.turn:
                transaction = asked.path["transaction"]
                answer = line.answers.get(transaction)
                if answer is None:
                    answer = await self.take_all(asked)
                    line.answers[transaction] = answer
                return answer
        finally:
            line.waiting -= 1

    async def take_all(self, asked: Asked) -> Answer:
        """Take the PDUs of a transaction, one after the other; ignore its EDUs."""
        content: Any = asked.content if isinstance(asked.content, JsonObject) else {}
        pdus, edus = content.get("pdus"), content.get("edus", ())
        for name, found, most in (("pdus", pdus, MOST_PDUS), ("edus", edus, MOST_EDUS)):
            if not isinstance(found, tuple) or len(found) > most:
                sentence = f"{name}: expected a list of at most {most}"
                return Answer.refusing(MatrixError.of("M_BAD_JSON", sentence))
        arrived = [self.read(pdu, asked.origin) for pdu in pdus]
        keys = await self.server.keys_for(_together(arrived))
        results = {}
        gaps = Gaps(self.server, asked.origin)
        for found in arrived:
            if isinstance(found, Arrived) and found.room is not None:
                await gaps.fill(found.room, found.reads[0])
            event_id, error = self.take(found, keys) if isinstance(found, Arrived) else ("", found)
            results[event_id] = {"error": error} if error else {}
            await asyncio.sleep(0)  # fifty events take a while: let other requests run
        return Answer.of({"pdus": results})

    def read(self, pdu: Any, origin: ServerName) -> Arrived | str:
        """Read a PDU by the version of its room, or return why it is refused."""
        if not isinstance(pdu, JsonObject):
            return "a PDU is an object"
        room_id: Any = pdu.get("room_id")
        server = self.server
        room = server.rooms[room_id] if server.takes_part_in(room_id) else None
        if room is not None and not permits(room.state, origin):
            return f"the room denies {origin}"
        versions = self.inviting.versions_of(pdu) if room is None else (room.version,)
        reads, wrong = [], "this server is not in the room"
        for version in versions:
            try:
                reads.append(read_pdu(pdu, version))
            except InvalidEvent as error:
                wrong = str(error)
        return Arrived(room, tuple(reads)) if reads else wrong

    def take(self, arrived: Arrived, keys: KeyRing) -> tuple[str, str]:
        """Take one event; return its ID, and an error sentence or nothing."""
        room, (read, *_) = arrived.room, arrived.reads
        event_id = read.event.event_id
        if room is None:
            for found in arrived.reads:
                self.inviting.take(verify(found, keys))
        elif not room.knows(event_id):
            receipt = room.take(read, keys)
            if receipt.disposition in (Disposition.DROPPED, Disposition.REJECTED):
                return event_id, str(receipt)
        return event_id, ""


def _together(arrived: Iterable[Arrived | str]) -> dict[ServerName, frozenset[str]]:
    """Return the keys that some PDUs need together."""
    needs: dict[ServerName, frozenset[str]] = {}
    for found in arrived:
        for server, key_ids in found.needs if isinstance(found, Arrived) else ():
            needs[server] = needs.get(server, frozenset()) | key_ids
    return needs
