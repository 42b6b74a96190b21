"""Send and take invites, and hold those for rooms that the server is not in."""

from __future__ import annotations

from typing import Any, Final

from homeserver.answers import Answer
from homeserver.asked import Asked, Authenticated
from homeserver.server import Homeserver
from matrix_membership import Event, InvalidMessage, Membership, RoomVersion
from matrix_membership.server import (
    Countersigned,
    InviteRequest,
    InviteResponse,
    JsonObject,
    MatrixError,
    Offered,
    OutOfBand,
    RemoteProtocolError,
    UserID,
    invites,
)

__all__ = ["Inviting"]

MOST_HELD: Final = 1000
MOST_OF_A_SERVER: Final = 50
MOST_OF_A_USER: Final = 50
"""Invites that are kept: in all, from one server, and for one user."""


class Inviting:
    """The invites of one server: those that its users send, and those that they get."""

    def __init__(self, server: Homeserver) -> None:
        self.server = server

    @property
    def endpoints(self) -> tuple[tuple[str, str, Authenticated], ...]:
        """Method, path and responder of the federation endpoints."""
        return tuple(
            ("PUT", f"/{version}/invite/{{room_id}}/{{event_id}}", self.answering(version))
            for version in ("v1", "v2")
        )

    # ------------------------------------------------------------------ the sender's server

    async def offer(self, event: Event) -> Event | MatrixError:
        """Have the invited user's server sign an invite.

        Returns:
            The invite with both signatures, to be stored and sent, or the error.
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
        """Have the invited user's server sign an invite, then send it; return the error if it refuses."""
        signed = await self.offer(event)
        if isinstance(signed, MatrixError):
            return signed
        self.server.publish(signed)
        return None

    # ------------------------------------------------------------------ the invited server

    def answering(self, endpoint: str) -> Authenticated:
        """Answer invite: a user of another server invites one of ours."""

        async def respond(asked: Asked) -> Answer:
            try:
                request = InviteRequest.from_json(
                    asked.content,
                    room_id=asked.path["room_id"],
                    event_id=asked.path["event_id"],
                    origin=asked.origin,
                    endpoint=endpoint,
                )
            except InvalidMessage as error:
                return Answer.refusing(MatrixError.of("M_BAD_JSON", str(error)))
            answer = await self.answer(request)
            if isinstance(answer, MatrixError):
                return self.server.refuse(answer)
            return Answer.of(answer.response.to_json())

        return respond

    async def answer(self, request: InviteRequest) -> Countersigned | MatrixError:
        """Sign an invite and keep it, or return the error."""
        server = self.server
        keys = await server.keys_for(request.needs)
        in_room = server.takes_part_in(request.room_id)
        answer = invites.answer(
            request,
            server.signer,
            keys=keys,
            room_versions=server.room_versions,
            policy=server.users.policy_of(str(request.event.get("state_key"))),
            server_policy=server.users.server_policy,
            state=server.rooms[request.room_id].state if in_room else None,
        )
        if isinstance(answer, MatrixError):
            return answer
        server.users.mark(answer.event.room_id, str(answer.event.state_key), shown=answer.shown)
        if in_room:
            return answer  # if we are in the room, it also comes as an event
        return self.hold(answer) or answer

    def hold(self, answer: Countersigned) -> MatrixError | None:
        """Keep an invite to a room that we are not in, unless it was withdrawn before.

        Anybody can invite. If a full table forgot the oldest invite, strangers could push out the invites
        of others. So it refuses new ones.
        """
        event, now = answer.event, self.server.now()
        place = (event.room_id, UserID(str(event.state_key)))
        held = self.server.held.get(place)
        known = held is not None and any(kept.server == event.server for kept in held.invites)
        if not known and self.is_full_for(event):
            return MatrixError.of("M_LIMIT_EXCEEDED", f"too many invites by {event.server}")
        if held is None:
            after = OutOfBand.invited(event, at=now, room_state=answer.room_state)
        else:
            after = held.receive(event, at=now, room_state=answer.room_state).after
        self.server.held[place] = after
        return None

    def is_full_for(self, event: Event) -> bool:
        """Return whether the table is full, for this sender's server or for this user."""
        held = self.server.held
        if len(held) >= MOST_HELD:  # ended ones are only kept to recognise a replay
            for place in [
                place for place, kept in held.items() if kept.membership is Membership.LEAVE
            ]:
                del held[place]
        waiting = [invite for kept in held.values() for invite in kept.invites]
        of_server = sum(invite.server == event.server for invite in waiting)
        of_user = sum(invite.state_key == event.state_key for invite in waiting)
        return len(held) >= MOST_HELD or of_server >= MOST_OF_A_SERVER or of_user >= MOST_OF_A_USER

    def versions_of(self, pdu: JsonObject) -> tuple[RoomVersion, ...]:
        """Return the possible versions of the PDU's room, from the invites that the PDU may end."""
        room_id, user = pdu.get("room_id"), pdu.get("state_key")
        if not isinstance(room_id, str) or not isinstance(user, str):
            return ()
        held = self.server.held.get((room_id, user))
        return () if held is None else held.room_versions

    def take(self, event: Event) -> None:
        """Take an event of a room that we are not in; it may end an invite that we hold."""
        place = (event.room_id, str(event.state_key))
        held = self.server.held.get(place)
        if held is not None:
            self.server.held[place] = held.receive(event, at=self.server.now()).after
