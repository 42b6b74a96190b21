"""Leave, kick, ban, unban, forget, as a client asks for them.

See `Leaving rooms`__ and `Banning users`__.

__ https://spec.matrix.org/v1.19/client-server-api/#leaving-rooms
__ https://spec.matrix.org/v1.19/client-server-api/#banning-users-in-a-room
"""

from __future__ import annotations

from collections.abc import Callable

from matrix_membership.canonical_json import JsonObject
from matrix_membership.client.drafting import (
    NO_POLICY,
    KnownRoom,
    Policy,
    not_resident,
    sent,
    suspended,
)
from matrix_membership.client.outcomes import Answer, Begin, Forget, Outcome
from matrix_membership.client.requests import ClientRequest
from matrix_membership.federation.handshake import LEAVING
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import RoomID, server_of
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, Membership
from matrix_membership.out_of_band import OutOfBand

__all__ = ["ban", "forget", "kick", "leave", "unban"]

InTheWay = Callable[[str, Membership], MatrixError | None]
"""Why what a client asks makes no sense for a user of this membership."""

_PRESENT = (JOIN, INVITE, KNOCK)
_ASKED_OR_ASKING = (INVITE, KNOCK)


def leave(request: ClientRequest, room: KnownRoom, *, at: int) -> Outcome:
    """Leave a room, reject an invite, or retract a knock. Suspended users may.

    Args:
        request: the request, read by `read_leave`.
        room: the room as this server knows it.
        at: the time now, in milliseconds since 1970.

    Returns:
        What comes of it. Whoever has left need not leave again. Of a room that this
        server is not in, the handshake with the servers seen there; when none of them
        answers, the membership ends here alone (`Begin.locally`).
    """
    if isinstance(room, ResidentRoom):
        gone = room.state.membership_of(request.target) is LEAVE
        if gone and room.state.get("m.room.member", request.target) and not request.is_state:
            return Answer(JsonObject())
        return sent(request, room, LEAVE, at=at)
    if room is None:
        return MatrixError.of("M_NOT_FOUND", "you are not in this room, nor invited to it")
    if room.membership not in _ASKED_OR_ASKING:
        return Answer(JsonObject())
    own = server_of(request.user)
    return Begin(
        LEAVING,
        request.user,
        RoomID(request.room),
        tuple(server for server in room.servers_to_ask if server != own),
        request.content,
        locally=room.reject_locally(at=at),
    )


def kick(
    request: ClientRequest, room: KnownRoom, *, at: int, policy: Policy = NO_POLICY
) -> Outcome:
    """Remove a user from a room, withdraw their invite, or deny their knock.

    Args:
        request: the request, read by `read_target`.
        room: the room as this server knows it.
        at: the time now, in milliseconds since 1970.
        policy: what this server has decided about who asks.
    """
    return _removed(request, room, LEAVE, at, policy, _not_there)


def ban(request: ClientRequest, room: KnownRoom, *, at: int, policy: Policy = NO_POLICY) -> Outcome:
    """Ban a user from a room. Takes what `kick` takes."""
    return _removed(request, room, BAN, at, policy, _nothing_in_the_way)


def unban(
    request: ClientRequest, room: KnownRoom, *, at: int, policy: Policy = NO_POLICY
) -> Outcome:
    """Lift a ban. Takes what `kick` takes; `M_BAD_STATE` of a user who is not banned."""
    return _removed(request, room, LEAVE, at, policy, _not_banned)


def forget(request: ClientRequest, room: KnownRoom) -> Forget | MatrixError:
    """Forget a room that the user has left.

    Args:
        request: the request, read by `read_forget`.
        room: the room as this server knows it.
    """
    if _membership(request, room) in _PRESENT:
        told = "you are in this room, invited to it, or knocking: leave it first"
        return MatrixError("M_UNKNOWN", told, 400)
    return Forget(request.user, RoomID(request.room))


def _not_there(user: str, current: Membership) -> MatrixError | None:
    if current in (LEAVE, BAN):
        return MatrixError.of("M_FORBIDDEN", f"{user} is not in this room")
    return None


def _not_banned(user: str, current: Membership) -> MatrixError | None:
    if current in (*_PRESENT, LEAVE):
        return MatrixError.of("M_BAD_STATE", f"{user} is not banned from this room")
    return None


def _nothing_in_the_way(_user: str, _current: Membership) -> None:
    return None


def _membership(request: ClientRequest, room: KnownRoom) -> Membership:
    if isinstance(room, ResidentRoom):
        return room.state.membership_of(request.target)
    return room.membership if isinstance(room, OutOfBand) else LEAVE


def _removed(
    request: ClientRequest,
    room: KnownRoom,
    membership: Membership,
    at: int,
    policy: Policy,
    in_the_way: InTheWay,
) -> Outcome:
    refusal = suspended(policy)
    if refusal is not None:
        return refusal
    if not isinstance(room, ResidentRoom):
        return not_resident(room)
    if room.state.membership_of(request.user) is JOIN:  # otherwise the rules say so
        error = in_the_way(request.target, room.state.membership_of(request.target))
        if error is not None:
            return error
    return sent(request, room, membership, at=at)
