"""Invites, from both sides, and what becomes of them while the server is not in the room."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from homeserver.server import Homeserver
from homeserver.transport import Answer
from matrix_membership import Event
from matrix_membership.errors import InvalidEvent, InvalidMessage, RemoteProtocolError
from matrix_membership.events import read_pdu
from matrix_membership.federation import (
    Countersigned,
    InviteRequest,
    InviteResponse,
    MatrixError,
    Offered,
    invites,
)
from matrix_membership.federation.invite_messages import key_ids_of
from matrix_membership.identifiers import UserID
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.signing import verify_read

__all__ = ["Inviting"]


class Inviting:
    """The invites of one server: those that its users send, and those that they get."""

    def __init__(self, server: Homeserver) -> None:
        self.server = server

    @property
    def endpoints(self) -> tuple[tuple[str, str, Any], ...]:
        """Method, path and responder of the federation endpoints."""
        return tuple(
            ("PUT", f"/{version}/invite/{{room_id}}/{{event_id}}", self.answering(version))
            for version in ("v1", "v2")
        )

    # ------------------------------------------------------------------ the inviting server

    async def offer(self, event: Event) -> Event | MatrixError:
        """Have the invited user's server sign an invite.

        Gives the invite with both signatures, to be stored and sent; or why there is none.
        """
        server = self.server
        step: Any = invites.offer(event, server.rooms[event.room_id].state)
        while isinstance(step, Offered):
            answer = await server.transport.ask(step.destination, step.request)
            try:
                reply = answer.read(InviteResponse.from_json)
                needs = step.needs(reply) if isinstance(reply, InviteResponse) else {}
                step = invites.conclude(step, reply, keys=await server.keys_for(needs))
            except (InvalidMessage, RemoteProtocolError) as error:
                return MatrixError("M_UNKNOWN", f"{step.destination}: {error}", 502)
        return step if isinstance(step, MatrixError) else step.event

    async def issue(self, event: Event) -> MatrixError | None:
        """Have the invited user's server sign an invite, then send it; or say why it did not."""
        signed = await self.offer(event)
        if isinstance(signed, MatrixError):
            return signed
        self.server.publish(signed)
        return None

    # ------------------------------------------------------------------ the invited server

    def answering(self, endpoint: str) -> Any:
        """invite: another server's user invites one of ours."""

        async def respond(request: web.Request, origin: str, content: Any) -> Answer:
            server = self.server
            try:
                asked = InviteRequest.from_json(
                    content,
                    room_id=request.match_info["room_id"],
                    event_id=request.match_info["event_id"],
                    origin=origin,
                    endpoint=endpoint,
                )
            except InvalidMessage as error:
                return Answer.refusing(MatrixError.of("M_BAD_JSON", str(error)))
            room = server.rooms[asked.room_id] if server.takes_part_in(asked.room_id) else None
            answer = invites.answer(
                asked,
                server.signer,
                keys=await server.keys_for(asked.needs),
                room_versions=server.room_versions,
                state=None if room is None else room.state,
            )
            if isinstance(answer, MatrixError):
                server.refusals.append(answer)
                return Answer.refusing(answer)
            if room is None:  # in a room that we are in, it comes as an event too
                self.hold(answer)
            return Answer.of(answer.response.to_json())

        return respond

    def hold(self, answer: Countersigned) -> None:
        """Keep an invite to a room that we are not in, unless it was withdrawn before."""
        event, now = answer.event, self.server.now()
        place = (event.room_id, UserID(str(event.state_key)))
        held = self.server.held.get(place)
        if held is None:
            held = OutOfBand.invited(event, at=now, room_state=answer.room_state)
        else:
            held = held.receive(event, at=now, room_state=answer.room_state).after
        self.server.held[place] = held

    async def take(self, pdu: Any) -> bool:
        """Take an event of a room that we are not in: it may end an invite that a user holds."""
        server = self.server
        room_id, user = pdu.get("room_id"), pdu.get("state_key")
        held = server.held.get((room_id, user))
        if held is None:
            return False
        for version in held.room_versions:
            try:
                read = read_pdu(pdu, version)
            except InvalidEvent:
                continue
            needs = {read.event.server: key_ids_of(pdu, read.event.server)}
            event = verify_read(read, await server.keys_for(needs))
            held = server.held[room_id, user]
            server.held[room_id, user] = held.receive(event, at=server.now()).after
        return True
