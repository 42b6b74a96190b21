"""Answer servers that ask for events and state."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from homeserver.answers import Answer
from homeserver.asked import Asked
from homeserver.rooms import Room
from homeserver.server import Homeserver
from matrix_membership import Event, auth
from matrix_membership.server import EventID, JsonObject, MatrixError, ServerName, decode, permits

MOST_EVENTS: Final = 100
MOST_NAMED: Final = 100
"""Events in an answer, and events that a request may name."""


class History:
    """The endpoints with which servers in a room fill gaps in their history."""

    def __init__(self, server: Homeserver) -> None:
        self.server = server
        self.endpoints = (
            ("GET", "/v1/state_ids/{room_id}", self.state_ids),
            ("GET", "/v1/state/{room_id}", self.state),
            ("GET", "/v1/event/{event_id}", self.event),
            ("GET", "/v1/event_auth/{room_id}/{event_id}", self.event_auth),
            ("GET", "/v1/backfill/{room_id}", self.backfill),
            ("POST", "/v1/get_missing_events/{room_id}", self.missing),
        )

    async def state_ids(self, asked: Asked) -> Answer:
        """Answer with the state before an event, as event IDs."""
        found = self._state(asked)
        if isinstance(found, MatrixError):
            return Answer.refusing(found)
        state, chain = found
        return Answer.of(
            {
                "pdu_ids": [event.event_id for event in state],
                "auth_chain_ids": [event.event_id for event in chain],
            }
        )

    async def state(self, asked: Asked) -> Answer:
        """Answer with the state before an event."""
        found = self._state(asked)
        if isinstance(found, MatrixError):
            return Answer.refusing(found)
        state, chain = found
        return Answer.of({"pdus": _pdus(state), "auth_chain": _pdus(chain)})

    async def event(self, asked: Asked) -> Answer:
        """Answer with one event."""
        event_id = EventID(asked.path["event_id"])
        for room in self.server.rooms.values():
            if event_id in room.events and self._refusal(room, asked.origin) is None:
                return self._transaction([room.events[event_id]])
        return Answer.refusing(_no_such_event(event_id))

    async def event_auth(self, asked: Asked) -> Answer:
        """Answer with the auth chain of an event."""
        room = self._room(asked)
        if isinstance(room, MatrixError):
            return Answer.refusing(room)
        event_id = EventID(asked.path["event_id"])
        if event_id not in room.events:
            return Answer.refusing(_no_such_event(event_id))
        chain = auth.auth_chain([room.events[event_id]], room.events.get)
        return Answer.of({"auth_chain": _pdus(chain.values())})

    async def backfill(self, asked: Asked) -> Answer:
        """Answer with the events up to some events, newest first."""
        room = self._room(asked)
        if isinstance(room, MatrixError):
            return Answer.refusing(room)
        limit = asked.first("limit")
        if not re.fullmatch("[0-9]{0,9}", limit):
            return Answer.refusing(MatrixError.of("M_INVALID_PARAM", "limit is a number"))
        line, upto = list(room.before), _newest(room, asked.all("v"))
        most = min(int(limit or MOST_EVENTS), MOST_EVENTS)
        events = line[max(upto - most, 0) : upto]
        return self._transaction([room.events[found] for found in reversed(events)])

    async def missing(self, asked: Asked) -> Answer:
        """Answer with the events between those that the other server has and its newest ones."""
        room = self._room(asked)
        if isinstance(room, MatrixError):
            return Answer.refusing(room)
        content = asked.content if isinstance(asked.content, JsonObject) else {}
        named: list[tuple[Any, ...]] = []
        for found in (content.get("earliest_events"), content.get("latest_events")):
            if not isinstance(found, tuple) or len(found) > MOST_NAMED:
                sentence = f"expected earliest_events and latest_events, {MOST_NAMED} at most"
                return Answer.refusing(MatrixError.of("M_BAD_JSON", sentence))
            named.append(found)
        limit = content.get("limit")
        most = min(limit, MOST_EVENTS) if isinstance(limit, int) and limit > 0 else MOST_EVENTS
        return Answer.of({"events": _pdus(_between(room, *named, most=most))})

    def _room(self, asked: Asked) -> Room | MatrixError:
        """Return the room of a request, if the asking server may read it."""
        room = self.server.rooms.get(asked.path["room_id"])
        if room is None:
            return MatrixError.of("M_NOT_FOUND", "this server is not in the room")
        return self._refusal(room, asked.origin) or room

    def _refusal(self, room: Room, origin: ServerName) -> MatrixError | None:
        """Return why a server may not read a room; None if it may."""
        if not self.server.takes_part_in(room.room_id):
            return MatrixError.of("M_NOT_FOUND", "this server is not in the room")
        if origin not in room.state.servers_in_room:
            return MatrixError.of("M_FORBIDDEN", f"{origin} is not in the room")
        if not permits(room.state, origin):
            return MatrixError.of("M_FORBIDDEN", f"the room denies {origin}")
        return None

    def _state(self, asked: Asked) -> tuple[list[Event], list[Event]] | MatrixError:
        """Return the state before the event of a request, and its auth chain."""
        room = self._room(asked)
        if isinstance(room, MatrixError):
            return room
        event_id = EventID(asked.first("event_id"))
        before = room.before.get(event_id)
        if before is None or before.is_partial:
            return _no_such_event(event_id)
        state = list(before.events)
        return state, list(auth.auth_chain(state, room.events.get).values())

    def _transaction(self, events: Iterable[Event]) -> Answer:
        return Answer.of(
            {
                "origin": self.server.name,
                "origin_server_ts": self.server.now(),
                "pdus": _pdus(events),
            }
        )


def _between(room: Room, known: Iterable[Any], heard: Iterable[Any], *, most: int) -> list[Event]:
    """Walk back from some events to those that are known; return what comes before them, by depth.

    The order in which events came here says nothing: they may be on another branch.
    """
    named = [EventID(event_id) for event_id in heard if isinstance(event_id, str)]
    walk = deque(event_id for event_id in named if event_id in room.before)
    passed = {*walk, *(event_id for event_id in known if isinstance(event_id, str))}
    found: list[Event] = []
    while walk and len(found) < most:
        event_id = walk.popleft()
        for parent in room.events[event_id].prev_events:
            if parent in room.before and parent not in passed:
                passed.add(parent)
                walk.append(parent)
                found.append(room.events[parent])
    return sorted(found[:most], key=lambda event: event.depth)


def _newest(room: Room, named: Any) -> int:
    """Count the events up to and including the newest of the named ones."""
    wanted = {event_id for event_id in named if isinstance(event_id, str)}
    came = [place for place, event_id in enumerate(room.before, 1) if event_id in wanted]
    return max(came, default=0)


def _pdus(events: Iterable[Event]) -> list[Any]:
    return [decode(event.pdu, strict=False) for event in events]


def _no_such_event(event_id: str) -> MatrixError:
    return MatrixError.of("M_NOT_FOUND", f"the state before {event_id} is not known here")
