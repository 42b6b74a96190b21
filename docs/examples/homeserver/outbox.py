"""Send events to other servers: one transaction after the other to each, until it takes them.

A server that is down or overloaded gets the same transaction again, after longer and longer pauses, or as
soon as it is heard from. The transaction keeps its ID, so that a server whose answer was lost can tell that
it has taken it.

The events wait in memory, so they are lost when this server stops. A server with a database would store
them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Final

from homeserver.answers import Answer
from homeserver.transport import Transport
from matrix_membership import Event
from matrix_membership.server import JsonObject, MatrixError, Request, decode, encode, path_of

__all__ = ["Outbox", "growing"]

MOST_PDUS: Final = 50
"""Events of one transaction: the specification's limit."""

MOST_WAITING: Final = 1000
"""Events that wait for one server. The oldest are forgotten: it can ask for what it missed."""

MOST_LINES: Final = 1000
"""Servers for which events wait. If there are more, a new one gets nothing."""

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 3600.0
"""Seconds."""


def growing(failures: int) -> float:
    """Return the seconds to wait after some failures: twice as long after each, up to an hour."""
    doubled: float = FIRST_PAUSE * 2 ** min(failures - 1, 12)
    return min(doubled, LONGEST_PAUSE)


class Line:
    """The events that wait for one server, in order."""

    def __init__(self) -> None:
        self.waiting: deque[Event] = deque(maxlen=MOST_WAITING)
        self.tried = asyncio.Event()
        self.heard_from = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Outbox:
    """The events that this server still has to send.

    Args:
        transport: sends the transactions.
        now: returns the time, in milliseconds since 1970.
        refused: called with the error of a server that will not take a transaction.
        pause: returns the seconds to wait after so many failures in a row.

    Attributes:
        lines: the events that wait, by server.
    """

    def __init__(
        self,
        transport: Transport,
        now: Callable[[], int],
        refused: Callable[[MatrixError], None],
        *,
        pause: Callable[[int], float] = growing,
    ) -> None:
        self.transport = transport
        self.now = now
        self.refused = refused
        self.pause = pause
        self.lines: dict[str, Line] = {}
        self._number = 0
        self._closing = False

    def put(self, servers: Iterable[str], *events: Event) -> None:
        """Have events sent to some servers."""
        for server in servers:
            line = self.lines.get(server)
            if line is None and len(self.lines) >= MOST_LINES:
                self.refused(MatrixError.of("M_LIMIT_EXCEEDED", f"too many wait before {server}"))
                continue
            if line is None:
                line = self.lines[server] = Line()
            line.waiting.extend(events)
            if line.task is None:
                line.task = asyncio.create_task(self._send_all(server, line))

    async def tried(self, servers: Iterable[str]) -> None:
        """Wait until each of these servers has taken its events, or could not take them at once."""
        for server in servers:
            if server in self.lines:
                await self.lines[server].tried.wait()

    def heard_from(self, server: str) -> None:
        """End the pause of a server: it has asked us something, so it is there again."""
        if server in self.lines:
            self.lines[server].heard_from.set()

    async def close(self) -> None:
        """Try once more to send what waits, then forget it."""
        self._closing = True
        for server in self.lines:
            self.heard_from(server)
        await asyncio.gather(*(line.task for line in self.lines.values() if line.task))

    async def _send_all(self, server: str, line: Line) -> None:
        """Send the events of a line, one transaction after the other."""
        try:
            while line.waiting:
                events = [line.waiting.popleft() for _ in range(min(MOST_PDUS, len(line.waiting)))]
                if not await self._send(server, line, events):
                    return
        finally:
            # No await since the line was empty, so nothing was put into it meanwhile.
            self.lines.pop(server, None)
            line.tried.set()

    async def _send(self, server: str, line: Line, events: list[Event]) -> bool:
        """Send a transaction until the server takes or refuses it; return false on closing."""
        request = self._transaction(events)
        failures = 0
        while True:
            line.heard_from.clear()
            answer = await self.transport.ask(server, request)
            if not _is_to_be_repeated(answer):
                break
            failures += 1
            line.tried.set()
            if self._closing:
                return False
            with contextlib.suppress(TimeoutError):
                seconds = max(self.pause(failures), _asked_to_wait(answer))
                await asyncio.wait_for(line.heard_from.wait(), seconds)
        if answer.status != HTTPStatus.OK:
            # It would refuse the same transaction again, and with it all that waits behind.
            self.refused(MatrixError.from_json(answer.content, status=answer.status))
        return True

    def _transaction(self, events: list[Event]) -> Request:
        self._number += 1
        body = {
            "origin": self.transport.signer.server_name,
            "origin_server_ts": self.now(),
            "pdus": [decode(event.pdu, strict=False) for event in events],
        }
        # With the time, the ID is new after a restart too.
        path = path_of("v1", "send", f"{self.now()}-{self._number}")
        return Request("PUT", path, (), encode(body, strict=False))


def _is_to_be_repeated(answer: Answer) -> bool:
    """Return whether a server may take the same transaction later."""
    overloaded = answer.status == HTTPStatus.TOO_MANY_REQUESTS
    return overloaded or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _asked_to_wait(answer: Answer) -> float:
    """Return the seconds that an overloaded server asks for, an hour at most."""
    content = answer.content if isinstance(answer.content, JsonObject) else {}
    match content.get("retry_after_ms"):
        case int() as wait if not isinstance(wait, bool):
            return min(max(wait, 0) / 1000, LONGEST_PAUSE)
    return 0.0
