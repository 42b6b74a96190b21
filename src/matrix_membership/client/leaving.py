"""Leave, kick, ban, unban, forget, as a client asks for them.

See `Leaving rooms`__ and `Banning users`__.

__ https://spec.matrix.org/v1.19/client-server-api/#leaving-rooms
__ https://spec.matrix.org/v1.19/client-server-api/#banning-users-in-a-room
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from matrix_membership.canonical_json import JsonObject
from matrix_membership.client._drafting import locked, not_resident, sent, suspended
from matrix_membership.client._sentences import members_unknown
from matrix_membership.client.actions import Action, Answer, Begin, Forget, Send
from matrix_membership.client.known import NO_SETTINGS, KnownRoom, UserSettings
from matrix_membership.client.requests import ClientRequest
from matrix_membership.federation.handshake import LEAVING
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import RoomID, server_of
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, UNKNOWN, Membership
from matrix_membership.out_of_band import OutOfBand

__all__ = ["ban", "forget", "kick", "leave", "unban"]

_PRESENT = (JOIN, INVITE, KNOCK)
_STILL: Final[Mapping[Membership, str]] = MappingProxyType(
    {
        JOIN: "you are in this room: leave it first",
        INVITE: "you are invited to this room: reject the invite first",
        KNOCK: "you have knocked on this room: retract the knock first",
    }
)


def leave(
    request: ClientRequest, room: KnownRoom, *, at: int, settings: UserSettings = NO_SETTINGS
) -> Action:
    """Leave a room, reject an invite, or retract a knock. Suspended users may.

    Returns:
        What to do. For a user who has left already: an empty answer. For a room that
        this server is not in: the handshake with the servers known to be in it. When
        all of them fail, end the membership on this server alone (`Begin.locally`).

    .. versionadded:: 0.1.0
    """
    refusal = locked(settings)
    if refusal is not None:
        return refusal
    if isinstance(room, ResidentRoom):
        gone = room.state.membership_of(request.target) is LEAVE
        # Synapse answers 403 after a kick. But a client that leaves wants to be out, and is.
        if gone and room.state.get("m.room.member", request.target) and not request.is_state:
            return Answer(JsonObject())
        return sent(request, room, LEAVE, at=at)
    if room is None:
        return MatrixError.of("M_NOT_FOUND", "you are not in this room, nor invited to it")
    if room.membership not in (INVITE, KNOCK):
        return Answer(JsonObject())
    own = server_of(request.user)
    return Begin(
        LEAVING,
        request.user,
        RoomID(request.room),
        tuple(server for server in room.servers_to_ask if server != own),
        request.content,
        # A user has to get rid of an invite even when its server is gone and no other one answers.
        locally=room.reject_locally(at=at),
        invited=room.membership is INVITE,
    )


def kick(
    request: ClientRequest, room: KnownRoom, *, at: int, settings: UserSettings = NO_SETTINGS
) -> Action:
    """Remove a user from a room, withdraw an invite, or deny a knock.

    `M_FORBIDDEN` for a target user who has left or is banned; 503 `M_UNKNOWN` while a partial
    state leaves the membership out.

    .. versionadded:: 0.1.0
    """
    wrong = MatrixError.of("M_FORBIDDEN", f"{request.target} is not in this room")
    # The event of a kick is that of an unban: kicking a banned user would lift the ban.
    return _removed(request, room, LEAVE, at, settings, {LEAVE: wrong, BAN: wrong})


def ban(
    request: ClientRequest, room: KnownRoom, *, at: int, settings: UserSettings = NO_SETTINGS
) -> Action:
    """Ban a user from a room.

    .. versionadded:: 0.1.0
    """
    return _removed(request, room, BAN, at, settings, {})


def unban(
    request: ClientRequest, room: KnownRoom, *, at: int, settings: UserSettings = NO_SETTINGS
) -> Action:
    """Lift a ban; `M_BAD_STATE` for a target user who is not banned.

    503 `M_UNKNOWN` while a partial state leaves the membership out.

    .. versionadded:: 0.1.0
    """
    wrong = MatrixError.of("M_BAD_STATE", f"{request.target} is not banned from this room")
    # The other way round: unbanning a member would remove the member.
    return _removed(request, room, LEAVE, at, settings, dict.fromkeys((*_PRESENT, LEAVE), wrong))


def forget(
    request: ClientRequest, room: KnownRoom, *, settings: UserSettings = NO_SETTINGS
) -> Forget | MatrixError:
    """Forget a room that the user has left.

    400 `M_UNKNOWN` while the user is joined, invited or knocking; 503 while a partial state
    leaves that out.

    .. versionadded:: 0.1.0
    """
    refusal = locked(settings)
    if refusal is not None:
        return refusal
    current = LEAVE
    if isinstance(room, ResidentRoom):
        current = room.state.membership_of(request.target)
    elif isinstance(room, OutOfBand):
        current = room.membership
    # 400 `M_UNKNOWN` by the specification: a room that is forgotten while the user is in it would
    # go on sending what nobody sees.
    if current is UNKNOWN:
        return members_unknown()
    told = _STILL.get(current)
    if told is not None:
        return MatrixError("M_UNKNOWN", told, 400)
    return Forget(request.user, RoomID(request.room))


def _removed(
    request: ClientRequest,
    room: KnownRoom,
    membership: Membership,
    at: int,
    settings: UserSettings,
    errors: dict[Membership, MatrixError],
) -> Action:
    refusal = locked(settings) or suspended(settings)
    if refusal is not None:
        return refusal
    if not isinstance(room, ResidentRoom):
        return not_resident(room)
    # Only a member learns the target user's membership; the rules refuse all others.
    target = room.state.membership_of(request.target)
    if room.state.membership_of(request.user) is JOIN and target in errors:
        return errors[target]
    outcome = sent(request, room, membership, at=at)
    # By the rules it may be sent, but it could be the other move of the two: a kick that lifts a
    # ban. A refusal, such as for want of power, stands whatever the target's membership is.
    if errors and target is UNKNOWN and isinstance(outcome, Send):
        return members_unknown()
    return outcome
