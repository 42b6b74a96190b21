"""Show users the history and the state of their rooms, as far as each of them may see it.

The library decides who sees what; this keeps the order in which the events came, and cuts it into pages. A
token names the point before or after an event, so that it stays good while others come.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import attrs
from aiohttp import web

from homeserver.answers import Answer
from homeserver.rooms import Room
from homeserver.server import Homeserver
from matrix_membership import Event, InvalidMessage, Membership, RoomState
from matrix_membership.server import (
    EventID,
    JsonValue,
    MatrixError,
    UserID,
    client_timeline,
    effect_of,
    list_members,
    readable_state,
)

__all__ = ["Showing", "number_of"]

MOST_EVENTS: Final = 100
"""Events in an answer."""

BEFORE, AFTER = "b", "a"
"""The first letters of tokens: for the point before an event, and for the one after it."""

NOT_HERE: Final = MatrixError.of(
    "M_FORBIDDEN", "you are not in this room, and may not look into it"
)
UNKNOWN_TOKEN: Final = MatrixError.of("M_INVALID_PARAM", "the token is unknown")

_is_number: Final = re.compile("[0-9]{1,9}").fullmatch


def number_of(request: web.Request, name: str, default: int, most: int) -> int:
    """Return a number in the query, at most so large; a text that is none counts as missing."""
    text = request.query.get(name, "")
    return min(int(text), most) if _is_number(text) else default


@attrs.frozen
class Line:
    """The events of a room that a user sees, the oldest first."""

    events: list[dict[str, JsonValue]]

    def point(self, index: int) -> str:
        """Return the token of the point before the event with an index."""
        if index < len(self.events):
            return f"{BEFORE}{self.events[index]['event_id']}"
        return f"{AFTER}{self.events[-1]['event_id'] if self.events else ''}"

    def index(self, token: str) -> int | None:
        """Return the index of the event that comes after a point; None if nobody knows the point."""
        for index, event in enumerate(self.events):
            if token[1:] == event["event_id"] and token[0] in (BEFORE, AFTER):
                return index + (token[0] == AFTER)
        return 0 if token == AFTER else None


class Showing:
    """The endpoints with which users read rooms."""

    def __init__(self, server: Homeserver) -> None:
        self.server = server
        room = "/rooms/{room}"
        self.endpoints = (
            ("GET", room + "/messages", self.messages),
            ("GET", room + "/context/{event}", self.context),
            ("GET", room + "/event/{event}", self.event),
            ("GET", room + "/state", self.state),
            ("GET", room + "/members", self.members),
        )

    async def messages(self, user: UserID, request: web.Request, _: bytes) -> Answer:
        """Answer with a page of the history."""
        room = self._room(user, request)
        if room is None or self._readable(user, room) is None:
            return Answer.refusing(NOT_HERE)
        query = request.query
        if query.get("dir") not in ("b", "f"):
            return Answer.refusing(MatrixError.of("M_INVALID_PARAM", "dir: expected b or f"))
        back = query["dir"] == "b"
        line = self.line(user, room)
        length = len(line.events)
        start = line.index(query["from"]) if query.get("from") else length if back else 0
        stop = line.index(query["to"]) if query.get("to") else 0 if back else length
        if start is None or stop is None:
            return Answer.refusing(UNKNOWN_TOKEN)
        limit = number_of(request, "limit", 10, MOST_EVENTS)
        end = max(stop, start - limit) if back else min(stop, start + limit)
        chunk = line.events[end:start][::-1] if back else line.events[start:end]
        more = {} if end == stop or not chunk else {"end": line.point(end)}
        return Answer.of({"start": line.point(start), "chunk": chunk, **more})

    async def context(self, user: UserID, request: web.Request, _: bytes) -> Answer:
        """Answer with an event and those around it."""
        room = self._room(user, request)
        line = Line([]) if room is None else self.line(user, room)
        index = line.index(BEFORE + request.match_info["event"])
        if room is None or index is None:
            return Answer.refusing(MatrixError.of("M_NOT_FOUND", "you see no such event"))
        limit = number_of(request, "limit", 10, MOST_EVENTS)
        first = max(0, index - limit // 2)
        end = min(len(line.events), index + 1 + limit - limit // 2)
        last: Any = line.events[end - 1]["event_id"]
        return Answer.of(
            {
                "start": line.point(first),
                "end": line.point(end),
                "events_before": line.events[first:index][::-1],
                "event": line.events[index],
                "events_after": line.events[index + 1 : end],
                "state": _told(room.after([last]) or room.state),
            }
        )

    async def event(self, user: UserID, request: web.Request, _: bytes) -> Answer:
        """Answer with one event."""
        room = self._room(user, request)
        line = Line([]) if room is None else self.line(user, room)
        index = line.index(BEFORE + request.match_info["event"])
        if index is None:
            return Answer.refusing(MatrixError.of("M_NOT_FOUND", "you see no such event"))
        return Answer.of(line.events[index])

    async def state(self, user: UserID, request: web.Request, _: bytes) -> Answer:
        """Answer with the state that a user reads."""
        room = self._room(user, request)
        state = None if room is None else self._readable(user, room)
        return Answer.refusing(NOT_HERE) if state is None else Answer.of(_told(state))

    async def members(self, user: UserID, request: web.Request, _: bytes) -> Answer:
        """Answer with the members of a room, now or at a point."""
        room = self._room(user, request)
        query, at = request.query, None
        if room is not None and query.get("at"):
            at = self._at(room, query["at"])
            if at is None:
                return Answer.refusing(UNKNOWN_TOKEN)
        state = None if room is None else self._readable(user, room, at=at)
        if state is None:
            return Answer.refusing(NOT_HERE)
        if state.is_partial:
            return Answer.refusing(MatrixError("M_UNKNOWN", "the members are not all known", 503))
        try:
            members = list_members(
                state,
                membership=query.get("membership"),
                not_membership=query.get("not_membership"),
            )
        except InvalidMessage as error:
            return Answer.refusing(MatrixError.of("M_INVALID_PARAM", str(error)))
        return Answer.of({"chunk": [event.to_client_event() for event in members]})

    # ------------------------------------------------------------------ visible events

    def _room(self, user: UserID, request: web.Request) -> Room | None:
        """Return the room in the path, unless its user forgot it."""
        room = self.server.rooms.get(request.match_info["room"])
        if room is None or self.server.users.has_forgotten(user, room.room_id, room.state):
            return None
        return room

    def line(self, user: str, room: Room) -> Line:
        """Return the events that a user sees. Cost: linear in the events that are kept."""
        steps = [
            (room.events[event_id], before)
            for event_id, before in room.before.items()
            if (receipt := room.receipts.get(event_id)) is None or receipt  # not a soft-failed one
        ]
        redactions = _redactions(room, steps)
        shown = [
            (event.redacted() if event.event_id in redactions else event, before)
            for event, before in steps
        ]
        told = client_timeline(user, shown, room.state)
        for event in told:
            redaction = redactions.get(event["event_id"])
            if redaction is not None:
                unsigned: Any = event.setdefault("unsigned", {})
                unsigned["redacted_because"] = redaction.to_client_event()
        return Line(told)

    def _readable(self, user: str, room: Room, *, at: RoomState | None = None) -> RoomState | None:
        return readable_state(user, room.state, when_left=_when_left(user, room), at=at)

    def _at(self, room: Room, token: str) -> RoomState | None:
        """Return the state at the point of a token; None if nobody knows the point."""
        event_id = EventID(token[1:])
        return room.before.get(event_id) if token[0] == BEFORE else room.after([event_id])


def _when_left(user: str, room: Room) -> RoomState | None:
    """Return the state after a user's last leave or ban, if they had been joined."""
    for event_id, before in reversed(room.before.items()):
        event = room.events[event_id]
        out = event.membership in (Membership.LEAVE, Membership.BAN) and event.state_key == user
        if out and before.membership_of(user) is Membership.JOIN:
            return before.with_event(event)
    return None


def _redactions(room: Room, steps: Iterable[tuple[Event, RoomState]]) -> dict[Any, Event]:
    """Return the redactions that take effect, by the events that they redact."""
    found: dict[Any, Event] = {}
    for event, before in steps:
        if event.type == "m.room.redaction" and isinstance(event.redacts, str):
            target = room.events.get(EventID(event.redacts))
            if effect_of(event, target, before):
                found[event.redacts] = event
    return found


def _told(state: RoomState) -> list[dict[str, JsonValue]]:
    return [event.to_client_event() for event in state.events]
