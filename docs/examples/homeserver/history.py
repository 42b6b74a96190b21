"""Answer servers that ask for events, state and spaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from homeserver.answers import Answer
from homeserver.asked import Asked
from homeserver.rooms import Room
from homeserver.server import Homeserver
from matrix_membership import Membership
from matrix_membership.server import JsonValue, MatrixError, RoomID, answer_hierarchy, history

__all__ = ["History"]

Said = dict[str, JsonValue] | MatrixError

NOT_HERE: Final = MatrixError.of("M_NOT_FOUND", "this server is not in the room")


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
            ("GET", "/v1/hierarchy/{room_id}", self.hierarchy),
        )

    async def state_ids(self, asked: Asked) -> Answer:
        """Answer with the state before an event, as event IDs."""
        return self._state(asked, ids=True)

    async def state(self, asked: Asked) -> Answer:
        """Answer with the state before an event."""
        return self._state(asked, ids=False)

    def _state(self, asked: Asked, *, ids: bool) -> Answer:
        event_id = asked.first("event_id")
        return self._of(
            asked, lambda room: history.answer_state(asked.origin, event_id, room, ids=ids)
        )

    async def event(self, asked: Asked) -> Answer:
        """Answer with one event."""
        rooms = [self._known(room) for room in self.server.rooms.values()]
        event_id, now = asked.path["event_id"], self.server.now()
        return _said(history.answer_event(asked.origin, event_id, rooms, at=now))

    async def event_auth(self, asked: Asked) -> Answer:
        """Answer with the auth chain of an event."""
        event_id = asked.path["event_id"]
        return self._of(asked, lambda room: history.answer_event_auth(asked.origin, event_id, room))

    async def backfill(self, asked: Asked) -> Answer:
        """Answer with the events up to some events, newest first."""
        named, limit, now = asked.all("v"), asked.first("limit"), self.server.now()
        return self._of(
            asked,
            lambda room: history.answer_backfill(asked.origin, named, limit, room, at=now),
        )

    async def missing(self, asked: Asked) -> Answer:
        """Answer with the events between those that the other server has and its newest ones."""
        return self._of(
            asked, lambda room: history.answer_missing_events(asked.origin, asked.content, room)
        )

    async def hierarchy(self, asked: Asked) -> Answer:
        """Answer with a space and its children."""

        def membership_of(room_id: RoomID) -> Membership | None:
            state = self.server.state_of(room_id)
            known = state is not None and asked.origin in state.servers_in_room
            return Membership.JOIN if known else None

        answer = answer_hierarchy(
            asked.origin,
            asked.path["room_id"],
            self.server.state_of,
            membership_of=membership_of,
            suggested_only=asked.first("suggested_only") == "true",
        )
        return _said(answer)

    def _of(self, asked: Asked, answer: Callable[[history.KnownHistory], Said]) -> Answer:
        """Answer of the room in the path."""
        room = self.server.rooms.get(asked.path["room_id"])
        return Answer.refusing(NOT_HERE) if room is None else _said(answer(self._known(room)))

    def _known(self, room: Room) -> history.KnownHistory:
        snapshot = room.snapshot(self.server.name, self.server.membership)
        return history.KnownHistory(snapshot, room.before.get)


def _said(answer: Said) -> Answer:
    if isinstance(answer, MatrixError):
        return Answer.refusing(answer)
    return Answer.of(answer)
