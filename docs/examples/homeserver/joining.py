"""Join, knock and leave through other servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from homeserver.keys import MOST_OF_A_ROOM
from homeserver.rooms import Room
from homeserver.server import Homeserver
from homeserver.transport import LARGEST_STATE
from matrix_membership import InvalidMessage
from matrix_membership.server import (
    JOINING,
    Attempts,
    AwaitingAcceptance,
    AwaitingKeys,
    Failed,
    Handshake,
    Joined,
    Knocked,
    Left,
    MakeResponse,
    MatrixError,
    Refused,
    RemoteProtocolError,
    Request,
    RoomID,
    SendJoinResponse,
    UserID,
    examine,
    path_of,
)

__all__ = ["Ended", "complete", "converse", "in_turn", "join"]

Ended = Joined | Knocked | Left | Refused


async def join(
    server: Homeserver,
    user: str,
    room_id: str,
    via: Iterable[str],
    *,
    omit_members: bool = True,
    content: Mapping[str, Any] | None = None,
) -> Joined | Refused:
    """Join a room through one server after the other, until one lets the user in.

    After a join with omitted members, the room's state is partial; see `complete`. If the server is in the
    room already, use `Homeserver.send` instead.
    """
    end: Ended = Refused(MatrixError.of("M_NOT_FOUND", "expected at least one server to ask"))
    for resident in via:
        end = await converse(
            JOINING,
            server,
            user,
            room_id,
            resident=resident,
            omit_members=omit_members,
            content=content,
        )
        if isinstance(end, Joined):
            server.rooms[room_id] = Room(end.event.room_version, end)
            return end
        assert isinstance(end, Refused), "a join ends in the room or outside"
        if not end.try_another_server:
            break
    assert isinstance(end, Refused), "a join through the last server was refused"
    return end


async def converse(
    handshake: Handshake,
    server: Homeserver,
    user: str,
    room_id: str,
    *,
    resident: str,
    omit_members: bool = True,
    content: Mapping[str, Any] | None = None,
) -> Ended:
    """Join, knock or leave through one other server."""
    try:
        begun = handshake.begin(
            user,
            room_id,
            signer=server.signer,
            resident=resident,
            room_versions=server.room_versions,
            content=content,
            omit_members=omit_members,
        )
        answer = await server.transport.ask(resident, begun.request)
        step = begun.receive(answer.read(MakeResponse.from_json), at=server.now())
        while isinstance(step, AwaitingAcceptance):
            answer = await server.transport.ask(
                step.destination, step.request, most_bytes=LARGEST_STATE
            )
            sent = step.receive(answer.read(handshake.response.from_json))
            if isinstance(sent, AwaitingKeys):
                return sent.receive(await server.keys_for(sent.needs, most=MOST_OF_A_ROOM))
            if not isinstance(sent, AwaitingAcceptance):
                return sent
            step = sent
    except (InvalidMessage, RemoteProtocolError) as error:
        # This answer makes no sense; another server may do better.
        return Refused(MatrixError("M_UNKNOWN", f"{resident}: {error}", 502))
    return step


async def in_turn(
    server: Homeserver,
    handshake: Handshake,
    user: UserID,
    room_id: RoomID,
    *,
    servers: Iterable[str],
    content: Mapping[str, Any],
    invited: bool = False,
) -> Joined | Knocked | Left | Failed:
    """Join, knock or leave through one server after the other, until one succeeds or refuses for all."""
    attempt: Attempts | Joined | Knocked | Left | Failed = Attempts.begin(
        handshake,
        user,
        room_id,
        servers=servers,
        signer=server.signer,
        room_versions=server.room_versions,
        content=content,
        omit_members=False,
        invited=invited,
    )
    while isinstance(attempt, Attempts):
        if attempt.awaits_keys:
            attempt = attempt.receive_keys(
                await server.keys_for(attempt.needs, most=MOST_OF_A_ROOM)
            )
        else:
            answer = await server.transport.ask(
                attempt.destination, attempt.request, most_bytes=LARGEST_STATE
            )
            attempt = attempt.receive(answer.status, answer.content, at=server.now())
    return attempt


async def complete(server: Homeserver, room: Room) -> bool:
    """Fetch the whole state of a room with partial state; return whether it worked.

    The state before our join is what send_join would have answered without leaving members out. So it is
    read and audited as such an answer.
    """
    join = room.joined
    if join is None or not room.state.is_partial:
        return True
    path = path_of("v1", "state", room.room_id)
    request = Request("GET", path, (("event_id", join.event.event_id),))
    for resident in sorted(join.audit.servers - {server.name}):
        answer = await server.transport.ask(resident, request, most_bytes=LARGEST_STATE)
        try:
            state = answer.read(_whole_state)
        except InvalidMessage:
            continue
        if isinstance(state, SendJoinResponse):
            found = examine(state, join.event, asked_to_omit=False, resident=resident)
            audit = found.audit(await server.keys_for(found.needs, most=MOST_OF_A_ROOM))
            if audit.state is not None:
                room.complete(audit.state, audit.to_store)
                return True
    return False


def _whole_state(body: Any) -> SendJoinResponse:
    """Read the answer of the `state` endpoint as an answer to send_join."""
    named = body if isinstance(body, Mapping) else {}
    return SendJoinResponse.from_json(
        {"state": named.get("pdus"), "auth_chain": named.get("auth_chain")}
    )
