"""Carry out a user's request: do what the library says, one step after the other.

The library asks for what it lacks: memberships, the room of an alias, an identity server's answer. At the
end it says what to send, which servers to ask, or what to answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from homeserver import joining
from homeserver.answers import Answer
from homeserver.binding import Binding
from homeserver.by_address import ByAddress
from homeserver.inviting import Inviting
from homeserver.rooms import Room
from homeserver.server import Homeserver
from matrix_membership import Membership, client
from matrix_membership.server import (
    Failed,
    Joined,
    JsonObject,
    Knocked,
    Left,
    MatrixError,
    OutOfBand,
    Request,
    ResidentRoom,
    RoomID,
    ServerName,
    StoredInvite,
    UserID,
    is_room_id,
    is_server_name,
    path_of,
)

__all__ = ["Ask", "Doing"]

MOST_SERVERS: Final = 10
"""Servers to try, one after the other."""

Ask = Callable[..., client.Action]

UNTIMED: Final = (client.forget, client.joined_members)
"""Functions that take no time, because they make no event."""


class Doing:
    """Carries out the requests of one server's users."""

    def __init__(
        self, server: Homeserver, inviting: Inviting, by_address: ByAddress, binding: Binding
    ) -> None:
        self.server = server
        self.inviting = inviting
        self.by_address = by_address
        self.binding = binding

    async def carry_out(self, ask: Ask, request: Any) -> Answer:
        """Ask the library until it needs no more, and do what it says."""
        while True:
            timed = {} if ask in UNTIMED else {"at": self.server.now()}
            settings = self.server.users.settings(request)
            outcome = ask(request, self.known(request), settings=settings, **timed)
            match outcome:
                case client.NeedsMemberships(user=user, rooms=rooms):
                    looked_up = {room: self.server.membership(user, room) for room in rooms}
                    ask, again = partial(ask, memberships=looked_up), request
                case client.NeedsAlias(alias=alias):
                    found = await self.resolve(alias)
                    again = request.with_room(*found) if isinstance(found, tuple) else found
                case client.NeedsIdentityServer():
                    again = await self.by_address.find(request)
                    if isinstance(again, StoredInvite):
                        ask, again = partial(ask, stored=again), request
                case client.NeedsExchange(pending=pending):
                    again = await self.binding.redeem(pending) or request.after_exchange()
                case _:
                    return await self.do(outcome)
            if isinstance(again, MatrixError):
                return Answer.refusing(again)
            request = again

    async def do(self, outcome: client.Action) -> Answer:
        """Act on the library's result, and answer."""
        match outcome:
            case client.Send():
                return await self.send(outcome)
            case client.Begin():
                return await self.begin(outcome)
            case client.Answer(body=body):
                return Answer.of(body)
            case client.Forget(user=user, room_id=room_id, body=body):
                self.server.held.pop((room_id, user), None)
                room = self.server.rooms.get(room_id)
                if room is not None:
                    self.server.users.forget(user, room_id, room.state)
                return Answer.of(body)
            case MatrixError():
                return Answer.refusing(outcome)
        raise AssertionError(outcome)

    def known(self, request: Any) -> ResidentRoom | OutOfBand | None:
        """Return the room as this server knows it."""
        room = self.server.snapshot(request.room)
        return room or self.server.held.get((request.room, request.user))

    async def resolve(self, alias: str) -> tuple[RoomID, list[str]] | MatrixError:
        """Return the room ID of an alias, and servers in the room."""
        server = ServerName(alias.partition(":")[2])
        if server == self.server.name:
            room_id = self.server.aliases.get(alias)
            return (RoomID(room_id), [server]) if room_id else MatrixError.of("M_NOT_FOUND", alias)
        path = path_of("v1", "query", "directory")
        asked = Request("GET", path, (("room_alias", alias),))
        answer = await self.server.transport.ask(server, asked)
        found = answer.content
        if answer.status != HTTPStatus.OK or not isinstance(found, JsonObject):
            return MatrixError.of("M_NOT_FOUND", f"{server} does not know {alias}")
        room_id, servers = found.get("room_id"), found.get("servers")
        if not is_room_id(room_id) or not isinstance(servers, tuple):
            return MatrixError("M_UNKNOWN", f"{server} answers something else", 502)
        return room_id, [name for name in servers if is_server_name(name)]

    async def send(self, outcome: client.Send) -> Answer:
        """Build an event, have it signed by the servers that must, store and send it."""
        server = self.server
        event = outcome.template.complete(server.signer)
        # The client gets the policy server's error unchanged.
        signed = await server.policing.sign(event, server.rooms[event.room_id].state)
        if isinstance(signed, MatrixError):
            return Answer.refusing(signed)
        if outcome.offer_to is None:
            server.publish(signed)
            if event.membership is Membership.INVITE:
                server.users.mark(event.room_id, str(event.state_key), shown=outcome.shown)
        else:
            refusal = await self.inviting.issue(signed)
            if refusal is not None:
                return Answer.refusing(refusal)
        return Answer.of(outcome.answer(signed))

    async def begin(self, outcome: client.Begin) -> Answer:
        """Run a handshake with one server after the other, and store how it ends."""
        server = self.server
        place = (outcome.room_id, outcome.user)
        end = await joining.in_turn(
            server,
            outcome.handshake,
            outcome.user,
            outcome.room_id,
            servers=list(outcome.servers)[:MOST_SERVERS],
            content=outcome.content,
            invited=outcome.invited,
        )
        match end:
            case Joined(event=event):
                server.rooms[outcome.room_id] = Room(event.room_version, end)
                server.held.pop(place, None)
            case Knocked():
                server.held[place] = await self.knocked(end)
            case Left(event=event):
                held = server.held.get(place)  # the user may have forgotten the room meanwhile
                if held is not None:
                    server.held[place] = held.receive(event, at=server.now()).after
            case Failed() if outcome.locally is not None:
                server.held[place] = outcome.locally
            case Failed():
                return server.refuse(self.doubted(place, end) if outcome.invited else end.error)
        return Answer.of(outcome.answer_with)

    def doubted(self, place: tuple[RoomID, UserID], end: Failed) -> MatrixError:
        """Keep what the refusals say of the user's invites; return the error to answer."""
        forbidding = [
            attempt.server for attempt in end.transcript if attempt.error.errcode == "M_FORBIDDEN"
        ]
        held = self.server.held.get(place)
        if held is not None:
            held = self.server.held[place] = held.with_refusal(forbidding)
        if held is None or not held.contradicted:
            return end.error
        told = f"{held.event.server} signed your invite, and refuses you now: ask again"
        return MatrixError(end.error.errcode, f"{told}; {end.error.error}", end.error.status)

    async def knocked(self, end: Knocked) -> OutOfBand:
        """Return what to keep of a knock; check the description of the room first."""
        shown, faults = end.examined(await self.server.keys_for(end.needs))
        self.server.refusals.extend(faults)
        # Only the server that answered is known to be in the room.
        return OutOfBand.knocked(
            end.event, at=self.server.now(), room_state=shown, servers=[end.resident]
        )
