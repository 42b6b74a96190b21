"""Invites, of a user and by address, as a client asks for them.

See `Inviting to rooms`__ and `Third-party invites`__.

__ https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite
__ https://spec.matrix.org/v1.19/client-server-api/#third-party-invites
"""

from __future__ import annotations

from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import JsonObject
from matrix_membership.client._drafting import judged, locked, not_resident, sent, suspended
from matrix_membership.client.actions import Action, Answer, NeedsIdentityServer, Send
from matrix_membership.client.known import NO_SETTINGS, KnownRoom, UserSettings
from matrix_membership.client.requests import AddressRequest, ClientRequest
from matrix_membership.fate import fate_of
from matrix_membership.federation.invites.messages import StoredInvite
from matrix_membership.federation.invites.policy import InviteVerdict
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.federation.third_party import content_of
from matrix_membership.identifiers import server_of
from matrix_membership.membership import INVITE, JOIN

__all__ = ["invite"]


def invite(
    request: ClientRequest | AddressRequest,
    room: KnownRoom,
    *,
    at: int,
    settings: UserSettings = NO_SETTINGS,
    stored: StoredInvite | None = None,
    is_direct: bool = False,
) -> Action:
    """Invite a user, by user ID or by address.

    For an invite by address, `stored` is the identity server's answer when it stored the invite;
    see `NeedsIdentityServer`. With `is_direct`, the invite of a user ID says that the room is a
    direct chat: `createRoom` has that flag, `invite` does not.

    Returns:
        What to do. An invite of another server's user must be offered to that server
        before it is sent (`Send.offer_to`). A user who is invited already is not
        invited again: the answer is empty. An invite that the user cannot accept as the
        room is now is refused with the obstacle (`fate.fate_of`).

    .. versionadded:: 0.1.0
    """
    refusal = locked(settings) or suspended(settings)
    if refusal is not None:
        return refusal
    if not isinstance(room, ResidentRoom):
        return not_resident(room)
    if isinstance(request, AddressRequest):
        return _by_address(request, stored, room, at)
    if is_direct:
        request = evolve(request, content=JsonObject({**request.content, "is_direct": True}))
    return _by_user_id(request, room, at, settings)


def _by_user_id(
    request: ClientRequest, room: ResidentRoom, at: int, settings: UserSettings
) -> Action:
    state = room.state
    of_this_server = server_of(request.target) == room.server_name
    verdict = settings.invites.verdict(request.user, room.room_id)
    if of_this_server and verdict is InviteVerdict.BLOCK:
        return MatrixError.of("M_INVITE_BLOCKED", f"{request.target} does not take this invite")
    joined = state.membership_of(request.user) is JOIN
    # Synapse sends another invite unless it says the same. Here a client that repeats its request
    # adds nothing to the room; a new invite goes through the endpoint for state events.
    if joined and state.membership_of(request.target) is INVITE and not request.is_state:
        return Answer(JsonObject())
    offer_to = None if of_this_server else server_of(request.target)
    outcome = sent(request, room, INVITE, at=at, settings=settings, offer_to=offer_to)
    if not isinstance(outcome, Send):
        return outcome
    shown = not of_this_server or verdict is InviteVerdict.ALLOW
    # Asked last, so that a user who may not invite anybody hears that.
    return _hopeless(request, room) or evolve(outcome, shown=shown)


def _hopeless(request: ClientRequest, room: ResidentRoom) -> MatrixError | None:
    """Return the error for an invite that its user cannot accept; None for any other."""
    fate = fate_of(request.target, room.state)
    if fate.can_accept is not False:
        return None
    joining = fate.joining
    error = MatrixError.of("M_FORBIDDEN", fate.obstacle)
    # A server ACL stands in the way of a join that the rules would allow.
    rejected = not (joining.allowed or joining.undecided)
    return evolve(error, decision=joining if rejected else None)


def _by_address(
    request: AddressRequest, stored: StoredInvite | None, room: ResidentRoom, at: int
) -> Action:
    # Judged before the identity server is asked: it mails the address at once, and must
    # not do so for an invite that the rules reject.
    token = "" if stored is None else stored.token
    content = JsonObject() if stored is None else content_of(stored)
    send = judged(room, "m.room.third_party_invite", token, request.user, content, at=at)
    if stored is None and not isinstance(send, MatrixError):
        return NeedsIdentityServer(request)
    return send
