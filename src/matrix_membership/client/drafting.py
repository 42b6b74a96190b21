"""From a request to an event of a room that this server is in, judged before it is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.client.outcomes import Answer, Send
from matrix_membership.client.requests import ClientRequest
from matrix_membership.client.sentences import refused
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event
from matrix_membership.federation.drafts import draft
from matrix_membership.federation.invites.policy import InvitePolicy
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import ServerName
from matrix_membership.membership import Membership
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.receipt.policy_server import PolicyServer

__all__ = [
    "NOTHING",
    "NO_POLICY",
    "KnownRoom",
    "Policy",
    "not_resident",
    "profile_of",
    "sent",
    "suspended",
]

KnownRoom = ResidentRoom | OutOfBand | None
"""A room as this server knows it: it is in it, it holds an invite or a knock, or neither."""

_PROFILE: Final = ("displayname", "avatar_url")


@frozen
class Policy:
    """What this server has decided about the users of a request.

    Attributes:
        suspended: the user who asks is suspended: they may leave rooms, reject
            invites and retract knocks, and nothing else.
        invites: of a user of this server who is to be invited: whose invites they take.
        profile: of a user of this server whom the event is about: `displayname` and
            `avatar_url`.
    """

    suspended: bool = False
    invites: InvitePolicy = InvitePolicy()
    profile: JsonObject = JsonObject()


NOTHING: Final = JsonObject()

NO_POLICY: Final = Policy()
"""Nothing is decided: all are welcome, and nothing is known of them."""


def profile_of(policy: Policy) -> dict[str, JsonValue]:
    """What of a profile stands in a member event."""
    return {key: policy.profile[key] for key in _PROFILE if key in policy.profile}


def suspended(policy: Policy) -> MatrixError | None:
    """The error for a user who is suspended; None for one who is not."""
    if policy.suspended:
        return MatrixError.of("M_USER_SUSPENDED", "your account is suspended")
    return None


def not_resident(room: KnownRoom) -> MatrixError:
    """The error for what only a member of the room can do, in a room that this server is not in."""
    known = "" if room is None else ", though you may join it"
    return MatrixError.of("M_FORBIDDEN", f"you are not in this room{known}")


def sent(
    request: ClientRequest,
    room: ResidentRoom,
    membership: Membership,
    *,
    at: int,
    policy: Policy = NO_POLICY,
    more: Mapping[str, JsonValue] = NOTHING,
    answer_with: JsonObject = NOTHING,
    offer_to: ServerName | None = None,
) -> Send | Answer | MatrixError:
    """The member event that a request asks for.

    Args:
        request: the request.
        room: the room.
        membership: what the target is to be.
        at: the time now, in milliseconds since 1970.
        policy: what is known of the target's profile; what the client says of it goes
            before it.
        more: further keys of the content, which no client can set.
        answer_with: the body of the answer.
        offer_to: the server that has to sign an invite first.

    Returns:
        The event to send; the answer alone when it would repeat the event that is
        there; or the error when the rules do not allow it.
    """
    content = {
        **profile_of(policy),
        **request.content,
        **more,
        "membership": str(membership),
    }
    state = room.state
    current = state.get("m.room.member", request.target)
    if current is not None and current.sender == request.user and current.content == content:
        told = {"event_id": current.event_id} if request.is_state else {}
        return Answer(JsonObject({**answer_with, **told}))
    try:
        template = draft(
            room, "m.room.member", request.target, sender=request.user, content=content, at=at
        )
    except InvalidEvent as error:
        return MatrixError.of("M_BAD_JSON", str(error))
    event = Event.from_client_event(template.fields, state.room_version)
    decision = auth.check(event.with_signers([room.server_name]), state)
    if not decision.allowed:
        return refused(decision, event, state)
    return Send(
        template,
        decision,
        answer_with,
        offer_to,
        tells_event_id=request.is_state,
        policy_server=PolicyServer.of(state),
    )
