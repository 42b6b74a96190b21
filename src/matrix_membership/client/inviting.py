"""Invites, of a user and by address, as a client asks for them.

See `Inviting to rooms`__ and `Third-party invites`__.

__ https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite
__ https://spec.matrix.org/v1.19/client-server-api/#third-party-invites
"""

from __future__ import annotations

from matrix_membership import auth
from matrix_membership.canonical_json import JsonObject
from matrix_membership.client.drafting import (
    NO_POLICY,
    KnownRoom,
    Policy,
    not_resident,
    sent,
    suspended,
)
from matrix_membership.client.outcomes import Answer, NeedsIdentityServer, Outcome, Send
from matrix_membership.client.requests import AddressRequest, ClientRequest
from matrix_membership.client.sentences import refused
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event
from matrix_membership.federation.drafts import draft
from matrix_membership.federation.invites.messages import StoredInvite
from matrix_membership.federation.invites.policy import InviteVerdict
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.federation.third_party import content_of
from matrix_membership.identifiers import server_of
from matrix_membership.membership import INVITE, JOIN
from matrix_membership.receipt.policy_server import PolicyServer

__all__ = ["invite", "invite_stored"]

_STORED = "m.room.third_party_invite"


def invite(
    request: ClientRequest | AddressRequest,
    room: KnownRoom,
    *,
    at: int,
    policy: Policy = NO_POLICY,
) -> Outcome:
    """Invite a user, or somebody by address.

    Args:
        request: the request, read by `read_invite`.
        room: the room as this server knows it.
        at: the time now, in milliseconds since 1970.
        policy: what this server has decided about who invites, and of an invited user
            of its own, whose invites they take.

    Returns:
        What comes of it. An invite of another server's user has to be offered to that
        server before it is sent; whoever is invited already need not be again.
    """
    refusal = suspended(policy)
    if refusal is not None:
        return refusal
    if not isinstance(room, ResidentRoom):
        return not_resident(room)
    if isinstance(request, AddressRequest):
        return _by_address(request, room, at)
    state = room.state
    of_this_server = server_of(request.target) == room.server_name
    if of_this_server and policy.invites.verdict(request.user, room.room_id) is InviteVerdict.BLOCK:
        return MatrixError.of("M_INVITE_BLOCKED", f"{request.target} does not take this invite")
    joined = state.membership_of(request.user) is JOIN
    if joined and state.membership_of(request.target) is INVITE and not request.is_state:
        return Answer(JsonObject())
    offer_to = None if of_this_server else server_of(request.target)
    return sent(request, room, INVITE, at=at, policy=policy, offer_to=offer_to)


def invite_stored(
    request: AddressRequest, stored: StoredInvite, room: ResidentRoom, *, at: int
) -> Send | MatrixError:
    """Put an invite by address into the room, once the identity server has stored it.

    Args:
        request: the request.
        stored: what the identity server answered.
        room: the room.
        at: the time now, in milliseconds since 1970.
    """
    return _third_party_invite(request, stored.token, content_of(stored), room, at)


def _by_address(
    request: AddressRequest, room: ResidentRoom, at: int
) -> NeedsIdentityServer | MatrixError:
    """Ask the identity server, unless nothing that it could say would help."""
    judged = _third_party_invite(request, "", JsonObject(), room, at)
    return judged if isinstance(judged, MatrixError) else NeedsIdentityServer(request)


def _third_party_invite(
    request: AddressRequest, token: str, content: JsonObject, room: ResidentRoom, at: int
) -> Send | MatrixError:
    try:
        template = draft(room, _STORED, token, sender=request.user, content=content, at=at)
    except InvalidEvent as error:
        return MatrixError.of("M_BAD_JSON", str(error))
    event = Event.from_client_event(template.fields, room.state.room_version)
    decision = auth.check(event.with_signers([room.server_name]), room.state)
    if not decision:
        return refused(decision, event, room.state)
    return Send(template, decision, policy_server=PolicyServer.of(room.state))
