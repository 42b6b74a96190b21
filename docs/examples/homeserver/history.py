"""What the server answers when others ask for events and state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from homeserver.rooms import Room
from homeserver.server import Homeserver
from homeserver.transport import Answer
from matrix_membership import Event, auth
from matrix_membership.acl import permits
from matrix_membership.canonical_json import decode
from matrix_membership.federation import MatrixError

MOST_EVENTS: Final = 100


class History:
    """The endpoints by which servers in a room fill gaps. All of them need an event or a room."""

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

    async def state_ids(self, request: web.Request, origin: str, _: Any) -> Answer:
        """The state before an event, as event IDs."""
        found = self._state(request, origin)
        if isinstance(found, MatrixError):
            return Answer.refusing(found)
        state, chain = found
        return Answer.of(
            {
                "pdu_ids": [event.event_id for event in state],
                "auth_chain_ids": [event.event_id for event in chain],
            }
        )

    async def state(self, request: web.Request, origin: str, _: Any) -> Answer:
        """The state before an event."""
        found = self._state(request, origin)
        if isinstance(found, MatrixError):
            return Answer.refusing(found)
        state, chain = found
        return Answer.of({"pdus": _pdus(state), "auth_chain": _pdus(chain)})

    async def event(self, request: web.Request, origin: str, _: Any) -> Answer:
        """One event."""
        event_id: Any = request.match_info["event_id"]
        for room in self.server.rooms.values():
            if event_id in room.events and origin in room.state.servers_in_room:
                return self._transaction([room.events[event_id]])
        return Answer.refusing(_no_such_event(event_id))

    async def event_auth(self, request: web.Request, origin: str, _: Any) -> Answer:
        """The events that authorise one, and those that authorise them."""
        room = self._room(request, origin)
        if isinstance(room, MatrixError):
            return Answer.refusing(room)
        event_id: Any = request.match_info["event_id"]
        if event_id not in room.events:
            return Answer.refusing(_no_such_event(event_id))
        chain = auth.auth_chain([room.events[event_id]], room.events.get)
        return Answer.of({"auth_chain": _pdus(chain.values())})

    async def backfill(self, request: web.Request, origin: str, _: Any) -> Answer:
        """What came up to some events, the newest first."""
        room = self._room(request, origin)
        if isinstance(room, MatrixError):
            return Answer.refusing(room)
        line = list(room.before)
        heard = [line.index(found) for found in line if found in request.query.getall("v", [])]
        limit = request.query.get("limit", "")
        most = min(int(limit), MOST_EVENTS) if limit.isdecimal() else MOST_EVENTS
        upto = line[max(heard) :: -1] if heard else []
        return self._transaction([room.events[found] for found in upto[:most]])

    async def missing(self, request: web.Request, origin: str, content: Any) -> Answer:
        """The events between those that the other server has and those that it heard of."""
        room = self._room(request, origin)
        if isinstance(room, MatrixError):
            return Answer.refusing(room)
        asked = content if isinstance(content, dict) else {}
        line = list(room.before)
        known = [line.index(found) for found in asked.get("earliest_events", ()) if found in line]
        heard = [line.index(found) for found in asked.get("latest_events", ()) if found in line]
        between = line[max(known, default=-1) + 1 : max(heard, default=0)]
        events = [room.events[found] for found in between[-MOST_EVENTS:]]
        return Answer.of({"events": _pdus(events)})

    def _room(self, request: web.Request, origin: str) -> Room | MatrixError:
        """The room that is asked about, by a server that is in it."""
        room_id = request.match_info["room_id"]
        if not self.server.takes_part_in(room_id):
            return MatrixError.of("M_NOT_FOUND", f"this server is not in {room_id}")
        room = self.server.rooms[room_id]
        if origin not in room.state.servers_in_room:
            return MatrixError.of("M_FORBIDDEN", f"{origin} is not in {room_id}")
        if not permits(room.state, origin):
            return MatrixError.of("M_FORBIDDEN", f"{room_id} denies {origin}")
        return room

    def _state(
        self, request: web.Request, origin: str
    ) -> tuple[list[Event], list[Event]] | MatrixError:
        """The state before the event that is asked about, and its auth chain."""
        room = self._room(request, origin)
        if isinstance(room, MatrixError):
            return room
        event_id: Any = request.query.get("event_id", "")
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


def _pdus(events: Iterable[Event]) -> list[Any]:
    return [decode(event.pdu, strict=False) for event in events]


def _no_such_event(event_id: str) -> MatrixError:
    return MatrixError.of("M_NOT_FOUND", f"there is no state before {event_id} here")
