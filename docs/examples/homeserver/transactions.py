"""Take the events that other servers send, one transaction after the other, each once.

The cost of a transaction is bounded: its size, its PDUs, its EDUs, and the servers that are asked for keys
because of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from homeserver.answers import Answer
from homeserver.asked import LARGEST_EVENT, Asked
from homeserver.bounded import Bounded
from homeserver.gaps import Gaps
from homeserver.inviting import Inviting
from homeserver.policing import MOST_ASKED_FOR
from homeserver.server import Homeserver
from matrix_membership import InvalidEvent, Membership
from matrix_membership.server import (
    EventID,
    JsonObject,
    MatrixError,
    PolicyServer,
    ReadPdu,
    Receipt,
    ServerName,
    Transaction,
    key_ids_of,
    needed_keys,
    read_pdu,
    read_transaction,
    server_of,
    verify,
)

__all__ = ["LARGEST_TRANSACTION", "Transactions"]

LARGEST_TRANSACTION: Final = (Transaction.MOST_PDUS + Transaction.MOST_EDUS) * LARGEST_EVENT

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
        transaction = read_transaction(asked.content, asked.origin, self.server.state_of)
        if isinstance(transaction, MatrixError):
            return Answer.refusing(transaction)
        held = [read for pdu in transaction.elsewhere for read in self._read_held(pdu)]
        keys = await self.server.keys_for(_together([*transaction.pdus, *held]))
        for read in held:
            self.inviting.take(verify(read, keys))
        results: dict[EventID, Receipt | None] = {}
        gaps = Gaps(self.server, asked.origin)
        left = MOST_ASKED_FOR
        for read in transaction.pdus:
            room = self.server.rooms[read.event.room_id]
            await gaps.fill(room, read)
            event_id = read.event.event_id
            if left and PolicyServer.lacking(read.event, room.state) and not room.knows(event_id):
                left -= 1
                read = await self.server.policing.complete(room, read, keys)  # noqa: PLW2901 - the same event
            results[event_id] = None if room.knows(event_id) else room.take(read, keys)
            await asyncio.sleep(0)  # fifty events take a while: let other requests run
        return Answer.of(transaction.answer(results))

    def _read_held(self, pdu: JsonObject) -> Iterator[ReadPdu]:
        """Read a PDU that may end an invite which we hold, by each version that the room may have."""
        for version in self.inviting.versions_of(pdu):
            with suppress(InvalidEvent):
                yield read_pdu(pdu, version)


def _together(reads: Iterable[ReadPdu]) -> dict[ServerName, frozenset[str]]:
    """Return the keys that some PDUs need together, only of servers whose signatures count."""
    needs: dict[ServerName, frozenset[str]] = {}
    for read in reads:
        of_one = dict(needed_keys(read))
        if read.event.membership is Membership.INVITE:
            # An invite by address may be signed by the invited user's server.
            server = server_of(read.event.state_key or "")
            of_one[server] = of_one.get(server, frozenset()) | key_ids_of(read.document, server)
        for server, key_ids in of_one.items():
            needs[server] = needs.get(server, frozenset()) | key_ids
    return needs
