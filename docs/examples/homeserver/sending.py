"""Send messages and state of our users, after the room's policy server has signed them."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from homeserver.answers import Answer
from homeserver.bounded import Bounded
from homeserver.rooms import Rejected
from homeserver.server import Homeserver
from matrix_membership import Event, InvalidEvent, InvalidJson
from matrix_membership.server import JsonObject, MatrixError, UserID, decode

__all__ = ["Sending"]

MOST_REMEMBERED: Final = 1000
"""Transactions of users that are recognised when they come again."""


class Sending:
    """The endpoints with which users send events."""

    def __init__(self, server: Homeserver) -> None:
        self.server = server
        self.sent: Bounded[tuple[UserID, str], str] = Bounded(MOST_REMEMBERED)
        self.endpoints = (
            ("PUT", "/rooms/{room}/send/{type}/{transaction}", self.message),
            ("PUT", "/rooms/{room}/state/{type}/{key}", self.state),
            ("PUT", "/rooms/{room}/state/{type}", self.state),
            ("PUT", "/rooms/{room}/state/{type}/", self.state),
            ("PUT", "/rooms/{room}/redact/{event}/{transaction}", self.redaction),
        )

    async def message(self, user: UserID, request: web.Request, body: bytes) -> Answer:
        """Send a non-state event, once for each transaction ID."""
        return await self._once(user, request, body, request.match_info["type"])

    async def state(self, user: UserID, request: web.Request, body: bytes) -> Answer:
        """Send a state event."""
        path = request.match_info
        return await self._send(user, request, body, path["type"], state_key=path.get("key", ""))

    async def redaction(self, user: UserID, request: web.Request, body: bytes) -> Answer:
        """Redact an event."""
        return await self._once(
            user, request, body, "m.room.redaction", redacts=request.match_info["event"]
        )

    async def _once(
        self, user: UserID, request: web.Request, body: bytes, event_type: str, *, redacts: str = ""
    ) -> Answer:
        place = (user, request.path)
        if place in self.sent:
            return Answer.of({"event_id": self.sent[place]})
        answer = await self._send(user, request, body, event_type, redacts=redacts)
        if answer.status == web.HTTPOk.status_code:
            self.sent[place] = answer.content["event_id"]
        return answer

    async def _send(
        self,
        user: UserID,
        request: web.Request,
        body: bytes,
        event_type: str,
        *,
        state_key: str | None = None,
        redacts: str = "",
    ) -> Answer:
        try:
            content = decode(body or b"{}", strict=False)
        except InvalidJson as error:
            return Answer.refusing(MatrixError.of("M_NOT_JSON", str(error)))
        if not isinstance(content, JsonObject):
            return Answer.refusing(MatrixError.of("M_BAD_JSON", "expected an object"))
        room_id = request.match_info["room"]
        own = redacts == "" or self._is_own(user, room_id, redacts)
        refusal = self.server.users.may_not_send(user, event_type, own=bool(redacts) and own)
        if refusal is not None:
            return Answer.refusing(refusal)
        outcome = await self.send(
            room_id, user, event_type, content, state_key=state_key, redacts=redacts
        )
        if isinstance(outcome, MatrixError):
            return Answer.refusing(outcome)
        return Answer.of({"event_id": outcome.event_id})

    def _is_own(self, user: UserID, room_id: str, event_id: str) -> bool:
        room = self.server.rooms.get(room_id)
        event = None if room is None else room.events.get(event_id)  # type: ignore[call-overload]  # text
        return event is not None and event.sender == user

    async def send(
        self,
        room_id: str,
        user: str,
        event_type: str,
        content: JsonObject | dict[str, object],
        *,
        state_key: str | None = None,
        redacts: str = "",
    ) -> Event | MatrixError:
        """Make an event, have it signed, keep it, and send it to the other servers."""
        server = self.server
        if not server.takes_part_in(room_id):
            return MatrixError.of("M_FORBIDDEN", "you are not in this room")
        room = server.rooms[room_id]
        try:
            event = room.build(
                server.signer,
                user,
                event_type,
                content,
                state_key=state_key,
                redacts=redacts,
                at=server.now(),
            )
        except InvalidEvent as error:
            return MatrixError.of("M_BAD_JSON", str(error))
        except Rejected as error:
            return MatrixError.of("M_FORBIDDEN", str(error))
        signed = await server.policing.sign(event, room.state)
        if isinstance(signed, Event):
            server.publish(signed)
        return signed
