"""Join and knock, as a client asks for them.

See `Joining rooms`__ and `Knocking on rooms`__.

__ https://spec.matrix.org/v1.19/client-server-api/#joining-rooms
__ https://spec.matrix.org/v1.19/client-server-api/#knocking-on-rooms
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matrix_membership import restricted
from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import JsonObject, freeze
from matrix_membership.client._drafting import locked, profile_of, sent, suspended
from matrix_membership.client._sentences import members_unknown
from matrix_membership.client.actions import (
    Action,
    Answer,
    Begin,
    NeedsAlias,
    NeedsExchange,
    NeedsMemberships,
)
from matrix_membership.client.known import NO_SETTINGS, KnownRoom, UserSettings
from matrix_membership.client.requests import ClientRequest
from matrix_membership.events.contents import ThirdPartyInvite
from matrix_membership.federation.handshake import JOINING, KNOCKING, Handshake
from matrix_membership.federation.invites.messages import PendingInvite
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import RoomID, ServerName, UserID, server_of
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, Membership
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.signing import signed_by_key
from matrix_membership.state import RoomState
from matrix_membership.visibility import guests_can_join

__all__ = ["join", "knock"]


def join(
    request: ClientRequest,
    room: KnownRoom,
    *,
    at: int,
    settings: UserSettings = NO_SETTINGS,
    memberships: Mapping[str, Membership | str | None] | None = None,
) -> Action:
    """Join a room, by ID or alias.

    For a restricted room, `memberships` has the user's membership in each room that
    `NeedsMemberships` named; None for a room that this server cannot see.

    Returns:
        What to do. The answer to a successful join holds the room ID.

    Raises:
        IncompleteState: the room is restricted, its state is over a look-up, and it has
            no `local_users`.

    >>> from matrix_membership.client import read_join
    >>> join(read_join("@ben:b.example", "!r:a.example"), None, at=0).servers
    ('a.example',)

    .. versionadded:: 0.1.0
    """
    first = _first(request, settings)
    if first is not None:
        return first
    if not isinstance(room, ResidentRoom):
        return _elsewhere(JOINING, request, room, settings)
    state = room.state
    current = state.membership_of(request.target)
    # As in Synapse. A new profile of a joined user goes through the endpoint for state events.
    if current is JOIN and not request.is_state:
        return Answer(_room_id(request))
    refusal = suspended(settings) or _closed_to_guest(settings, state)
    if refusal is not None:
        return refusal
    more: JsonObject | Action = JsonObject()
    # A joined or invited user needs nobody who authorises the join, and nobody can authorise that
    # of a banned one. A user named without need makes that user's server owe a signature.
    if current not in (JOIN, INVITE, BAN) and request.target == request.user:
        more = _let_in(request, room, settings, memberships)
    if not isinstance(more, JsonObject):
        return more
    return sent(
        request, room, JOIN, at=at, settings=settings, more=more, answer_with=_room_id(request)
    )


def _first(request: ClientRequest, settings: UserSettings) -> Action | None:
    """Return what comes before any look at the room; None for nothing."""
    if request.is_by_alias and not settings.locked:
        return NeedsAlias(request.room, request)
    return locked(settings)


def _closed_to_guest(settings: UserSettings, state: RoomState) -> MatrixError | None:
    if not settings.guest or guests_can_join(state):
        return None
    return MatrixError.of("M_GUEST_ACCESS_FORBIDDEN", "this room does not let guests in")


def _let_in(
    request: ClientRequest,
    room: ResidentRoom,
    settings: UserSettings,
    memberships: Mapping[str, Membership | str | None] | None,
) -> JsonObject | Action:
    """Return more content for an uninvited user's join, or what must be done first."""
    if request.third_party_signed is not None:
        return _verified_exchange(request, request.third_party_signed, room)
    rooms = restricted.rooms_to_check(room.state)
    if rooms and memberships is None:
        return NeedsMemberships(request.user, rooms)
    found = restricted.authorise(
        request.user,
        room.state,
        memberships or {},
        room.server_name,
        local_users=room.local_users,
    )
    if isinstance(found, restricted.UnableToAuthorise | restricted.UnableToGrant):
        return _through_others(request, room, settings, found)
    if isinstance(found, restricted.Granted):
        return JsonObject(join_authorised_via_users_server=found.authorised_via)
    # Either the join needs no authorising user, or the rules will refuse it for lack of one.
    return JsonObject()


def knock(
    request: ClientRequest, room: KnownRoom, *, at: int, settings: UserSettings = NO_SETTINGS
) -> Action:
    """Knock on a room, by ID or alias. The answer to a successful knock holds its ID.

    .. versionadded:: 0.1.0
    """
    first = _first(request, settings)
    if first is not None:
        return first
    if not isinstance(room, ResidentRoom):
        return _elsewhere(KNOCKING, request, room, settings)
    refusal = suspended(settings)
    if refusal is not None:
        return refusal
    return sent(request, room, KNOCK, at=at, settings=settings, answer_with=_room_id(request))


def _room_id(request: ClientRequest) -> JsonObject:
    """Return the body of the answer; the endpoint for state events gives no room ID."""
    return JsonObject() if request.is_state else JsonObject(room_id=request.room)


def _elsewhere(
    handshake: Handshake, request: ClientRequest, room: OutOfBand | None, settings: UserSettings
) -> Action:
    """Return what to do to enter a room that this server is not in."""
    # A stored ban proves nothing: the server that sent it was the one that had invited,
    # and any server can make up both events. A server in the room knows who is banned.
    held = LEAVE if room is None else room.membership
    if handshake is KNOCKING and room is not None and held is INVITE and room.likely is None:
        return MatrixError.of("M_FORBIDDEN", "you are invited to this room already: join it")
    refusal = suspended(settings)
    if refusal is not None:
        return refusal
    if handshake is JOINING and held is not INVITE and request.third_party_signed is not None:
        return _exchange(request, request.third_party_signed)
    begun = _begin(handshake, request, _in_turn(request, room), settings)
    if isinstance(begun, Begin) and handshake is JOINING and held is INVITE:
        return evolve(begun, invited=True)
    return begun


def _in_turn(request: ClientRequest, room: OutOfBand | None) -> list[ServerName]:
    """Return the servers to ask: those of invites, the client's, then all others."""
    if room is None:
        return [*request.via, server_of(request.room)]
    # The sender's server has the invite in its state. Others may not have heard of it yet, and
    # a client that follows a link may name servers that left the room.
    inviting = [invite.server for invite in room.invites]
    return [*inviting, *request.via, *room.servers_to_ask, server_of(request.room)]


def _through_others(
    request: ClientRequest,
    room: ResidentRoom,
    settings: UserSettings,
    found: restricted.UnableToAuthorise | restricted.UnableToGrant,
) -> Action:
    """Join a restricted room through another server, which can authorise the join."""
    servers = restricted.servers_that_can_authorise(room.state)
    if any(server != room.server_name for server in servers):
        return _begin(JOINING, request, servers, settings)
    # A member who was left out may have the power, and the user may be invited.
    if room.state.is_partial:
        return members_unknown()
    if isinstance(found, restricted.UnableToAuthorise):
        # The rooms are not named: the user may not know them, and has no right to.
        told = "this server cannot see whether you are in a room whose members may join"
    else:
        told = "nobody in this room may invite, so nobody can let you in"
    return MatrixError.of("M_FORBIDDEN", told)


def _begin(
    handshake: Handshake, request: ClientRequest, servers: Iterable[str], settings: UserSettings
) -> Begin | MatrixError:
    own = server_of(request.user)
    named = tuple(
        ServerName(server) for server in dict.fromkeys(servers) if server not in ("", own)
    )
    if not named:
        return MatrixError.of("M_NOT_FOUND", "no server is known that is in this room: name one")
    content = freeze({**profile_of(settings), **request.content})
    return Begin(handshake, request.user, RoomID(request.room), named, content, _room_id(request))


def _exchange(request: ClientRequest, signed: JsonObject) -> NeedsExchange | MatrixError:
    """Return the invite to be made of what the identity server signed."""
    if signed["mxid"] != request.user:
        return MatrixError.of("M_FORBIDDEN", "the identity server signed for another user")
    pending = PendingInvite(
        medium="",
        address="",
        mxid=request.user,
        room_id=RoomID(request.room),
        sender=UserID(signed["sender"]),
        signed=signed,
    )
    return NeedsExchange(pending, request)


def _verified_exchange(
    request: ClientRequest, signed: JsonObject, room: ResidentRoom
) -> NeedsExchange | MatrixError:
    """Do as `_exchange`, after comparing what was signed with the invite in the room."""
    stored = room.state.get("m.room.third_party_invite", signed["token"])
    if stored is None or not isinstance(stored.view, ThirdPartyInvite):
        return MatrixError.of("M_FORBIDDEN", "this room has no such invite by address")
    # The rules compare them too, but only when the invite is made. The user hears of it now.
    if stored.sender != signed["sender"]:
        return MatrixError.of("M_FORBIDDEN", "somebody else sent that invite by address")
    if not signed_by_key(signed, stored.view.public_keys):
        return MatrixError.of("M_FORBIDDEN", "no key of that invite by address has signed")
    return _exchange(request, signed)
