"""Join and knock, as a client asks for them.

See `Joining rooms`__ and `Knocking on rooms`__.

__ https://spec.matrix.org/v1.19/client-server-api/#joining-rooms
__ https://spec.matrix.org/v1.19/client-server-api/#knocking-on-rooms
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matrix_membership.canonical_json import JsonObject, freeze
from matrix_membership.client.drafting import (
    NO_POLICY,
    KnownRoom,
    Policy,
    profile_of,
    sent,
    suspended,
)
from matrix_membership.client.outcomes import (
    Answer,
    Begin,
    NeedsAlias,
    NeedsExchange,
    NeedsMemberships,
    Outcome,
)
from matrix_membership.client.requests import ClientRequest
from matrix_membership.events.contents import ThirdPartyInvite
from matrix_membership.federation.handshake import JOINING, KNOCKING, Handshake
from matrix_membership.federation.invites.messages import PendingInvite
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import RoomID, ServerName, UserID, server_of
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, Membership
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.restricted import (
    Granted,
    UnableToAuthorise,
    UnableToGrant,
    authorise,
    rooms_to_check,
    servers_that_can_authorise,
)
from matrix_membership.signing import signed_by_key

__all__ = ["join", "knock"]


def join(
    request: ClientRequest,
    room: KnownRoom,
    *,
    at: int,
    policy: Policy = NO_POLICY,
    memberships: Mapping[str, Membership | None] | None = None,
) -> Outcome:
    """Join a room, by ID or alias.

    Args:
        request: the request, read by `read_join`.
        room: the room as this server knows it.
        at: the time now, in milliseconds since 1970.
        policy: what this server has decided about the user.
        memberships: of a restricted room, the user's memberships in the rooms that
            `NeedsMemberships` named; None for one that this server cannot look into.

    Returns:
        What comes of it. The answer to a join is the room's ID.

    >>> from matrix_membership.client import read_join
    >>> join(read_join("@ben:b.example", "!r:a.example"), None, at=0).servers
    ('a.example',)
    """
    if request.is_by_alias:
        return NeedsAlias(request.room, request)
    if not isinstance(room, ResidentRoom):
        return _elsewhere(JOINING, request, room, policy)
    state = room.state
    current = state.membership_of(request.target)
    if current is JOIN and not request.is_state:
        return Answer(_room_id(request))
    refusal = suspended(policy)
    if refusal is not None:
        return refusal
    more: JsonObject | Outcome = JsonObject()
    if current not in (JOIN, INVITE, BAN) and request.target == request.user:
        more = _let_in(request, room, policy, memberships)
    if not isinstance(more, JsonObject):
        return more
    return sent(request, room, JOIN, at=at, policy=policy, more=more, answer_with=_room_id(request))


def _let_in(
    request: ClientRequest,
    room: ResidentRoom,
    policy: Policy,
    memberships: Mapping[str, Membership | None] | None,
) -> JsonObject | Outcome:
    """What the join of a user who is not invited has to say; or what has to come before it."""
    if request.third_party_signed is not None:
        return _verified_exchange(request, request.third_party_signed, room)
    rooms = rooms_to_check(room.state)
    if rooms and memberships is None:
        return NeedsMemberships(request.user, rooms)
    outcome = authorise(
        request.user,
        room.state,
        memberships or {},
        room.server_name,
        local_users=room.local_users,
    )
    if isinstance(outcome, UnableToAuthorise | UnableToGrant):
        return _through_others(request, room, policy)
    if isinstance(outcome, Granted):
        return JsonObject(join_authorised_via_users_server=outcome.authorised_via)
    return JsonObject()  # nobody need vouch, or the rules will say that nobody does


def knock(
    request: ClientRequest, room: KnownRoom, *, at: int, policy: Policy = NO_POLICY
) -> Outcome:
    """Knock on a room, by ID or alias.

    Args:
        request: the request, read by `read_knock`.
        room: the room as this server knows it.
        at: the time now, in milliseconds since 1970.
        policy: what this server has decided about the user.

    Returns:
        What comes of it. The answer to a knock is the room's ID.
    """
    if request.is_by_alias:
        return NeedsAlias(request.room, request)
    if not isinstance(room, ResidentRoom):
        return _elsewhere(KNOCKING, request, room, policy)
    refusal = suspended(policy)
    if refusal is not None:
        return refusal
    return sent(request, room, KNOCK, at=at, policy=policy, answer_with=_room_id(request))


def _room_id(request: ClientRequest) -> JsonObject:
    """The body of the answer; the endpoint for state events answers otherwise."""
    return JsonObject() if request.is_state else JsonObject(room_id=request.room)


def _elsewhere(
    handshake: Handshake, request: ClientRequest, room: OutOfBand | None, policy: Policy
) -> Outcome:
    """Enter a room that this server is not in."""
    # A ban that is held is the word of the server that had invited: any server can invite
    # and ban. The room itself says who is banned from it.
    held = LEAVE if room is None else room.membership
    if handshake is KNOCKING and held is INVITE:
        return MatrixError.of("M_FORBIDDEN", "you are invited to this room already: join it")
    refusal = suspended(policy)
    if refusal is not None:
        return refusal
    if handshake is JOINING and held is not INVITE and request.third_party_signed is not None:
        return _exchange(request, request.third_party_signed)
    seen = [] if room is None else room.servers_to_ask
    return _begin(handshake, request, [*request.via, *seen, server_of(request.room)], policy)


def _through_others(request: ClientRequest, room: ResidentRoom, policy: Policy) -> Outcome:
    """Join a restricted room through a server that can vouch, since this one cannot."""
    servers = servers_that_can_authorise(room.state)
    if not any(server != room.server_name for server in servers):
        return MatrixError.of("M_FORBIDDEN", "nobody in this room is able to let users in")
    return _begin(JOINING, request, servers, policy)


def _begin(
    handshake: Handshake, request: ClientRequest, servers: Iterable[str], policy: Policy
) -> Begin | MatrixError:
    own = server_of(request.user)
    named = tuple(
        ServerName(server) for server in dict.fromkeys(servers) if server not in ("", own)
    )
    if not named:
        return MatrixError.of("M_NOT_FOUND", "no server is known that is in this room: name one")
    content = freeze({**profile_of(policy), **request.content})
    return Begin(handshake, request.user, RoomID(request.room), named, content, _room_id(request))


def _exchange(request: ClientRequest, signed: JsonObject) -> NeedsExchange | MatrixError:
    """Have the inviting user's server make an invite of the identity server's word."""
    if signed["mxid"] != request.user:
        return MatrixError.of("M_FORBIDDEN", "the identity server's word is about another user")
    pending = PendingInvite(
        medium="",
        address="",
        mxid=request.user,
        room_id=RoomID(request.room),
        sender=UserID(signed["sender"]),
        signed=signed,
    )
    return NeedsExchange(pending)


def _verified_exchange(
    request: ClientRequest, signed: JsonObject, room: ResidentRoom
) -> NeedsExchange | MatrixError:
    """The same, for what this server can see to match an invite in the room."""
    stored = room.state.get("m.room.third_party_invite", signed["token"])
    if stored is None or not isinstance(stored.view, ThirdPartyInvite):
        return MatrixError.of("M_FORBIDDEN", "this room has no such invite by address")
    if stored.sender != signed["sender"]:
        return MatrixError.of("M_FORBIDDEN", "somebody else sent that invite by address")
    if not signed_by_key(signed, stored.view.public_keys):
        return MatrixError.of("M_FORBIDDEN", "no key of that invite by address has signed")
    return _exchange(request, signed)
