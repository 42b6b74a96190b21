"""Draft the event of a request, judged before it is built.

The room is one that this server is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.client._sentences import refused
from matrix_membership.client.actions import Answer, Send
from matrix_membership.client.known import NO_SETTINGS, KnownRoom, UserSettings
from matrix_membership.client.requests import ClientRequest
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation.drafts import draft
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import ServerName
from matrix_membership.membership import INVITE, JOIN, KNOCK, LEAVE, UNKNOWN, JoinRule, Membership
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.receipt.policy_server import PolicyServer
from matrix_membership.state import RoomState

_NOTHING: Final = JsonObject()
_PROFILE: Final = ("displayname", "avatar_url")
_BUT: Final[Mapping[Membership, str]] = MappingProxyType(
    {INVITE: ", though you are invited to it", KNOCK: ": nobody has answered your knock yet"}
)


def profile_of(settings: UserSettings) -> dict[str, JsonValue]:
    """Return the part of a user's profile that a member event holds."""
    return {key: settings.profile[key] for key in _PROFILE if key in settings.profile}


def locked(settings: UserSettings) -> MatrixError | None:
    """Return the error for a locked user; None for any other."""
    if settings.locked:
        # Without `soft_logout` the client would throw its keys away.
        return MatrixError.of("M_USER_LOCKED", "your account is locked", soft_logout=True)
    return None


def suspended(settings: UserSettings) -> MatrixError | None:
    """Return the error for a suspended user; None for any other."""
    if settings.suspended:
        return MatrixError.of("M_USER_SUSPENDED", "your account is suspended")
    return None


def refused_first(settings: UserSettings) -> MatrixError | None:
    """Return the error for a user who may make no room; None for any other."""
    if settings.guest and not settings.locked:
        return MatrixError.of("M_GUEST_ACCESS_FORBIDDEN", "guests make no rooms")
    return locked(settings) or suspended(settings)


def unsupported(room_version: str) -> MatrixError:
    """Return the error for a room version that this server does not speak."""
    told = f"this server does not support room version {room_version!r}"
    return MatrixError.of("M_UNSUPPORTED_ROOM_VERSION", told)


def not_resident(room: KnownRoom) -> MatrixError:
    """Return the error for a request that only a member of the room can make."""
    membership = room.membership if isinstance(room, OutOfBand) else LEAVE
    return MatrixError.of("M_FORBIDDEN", f"you are not in this room{_BUT.get(membership, '')}")


def sent(
    request: ClientRequest,
    room: ResidentRoom,
    membership: Membership,
    *,
    at: int,
    settings: UserSettings = NO_SETTINGS,
    more: Mapping[str, JsonValue] = _NOTHING,
    answer_with: JsonObject = _NOTHING,
    offer_to: ServerName | None = None,
) -> Send | Answer | MatrixError:
    """Return the member event by which the target user gets a membership.

    `more` are further keys of the content, which only this server can set; `answer_with` and
    `offer_to` are those of `Send`.

    Returns:
        The event to send; the answer alone when the room holds the same event
        already; or the error when the rules reject the event.
    """
    # The order decides: what the client says beats the profile on record, and what this server adds
    # beats both.
    content = {**profile_of(settings), **request.content, **more, "membership": str(membership)}
    current = room.state.get("m.room.member", request.target)
    # A client that repeats its request must not add an event to the room each time.
    if current is not None and current.sender == request.user and current.content == content:
        told = {"event_id": current.event_id} if request.is_state else {}
        return Answer(JsonObject({**answer_with, **told}))
    send = judged(room, "m.room.member", request.target, request.user, content, at=at)
    if isinstance(send, MatrixError):
        return send
    return evolve(send, answer_with=answer_with, offer_to=offer_to, tells_event_id=request.is_state)


def judged(
    room: ResidentRoom,
    event_type: str,
    state_key: str,
    sender: str,
    content: Mapping[str, JsonValue],
    *,
    at: int,
) -> Send | MatrixError:
    """Draft a state event of this server's user, and judge it by the current state.

    Returns:
        The event to send; or the error when the room cannot hold the event, or the
        rules reject it.
    """
    try:
        template = draft(room, event_type, state_key, sender=sender, content=content, at=at)
    except InvalidEvent as error:
        return MatrixError.of("M_BAD_JSON", str(error))
    return judged_draft(template, room.state, room.server_name)


def judged_draft(
    template: EventTemplate, state: RoomState, server: ServerName
) -> Send | MatrixError:
    """Judge a draft by a state, as signed by this server.

    Raises:
        InvalidEvent: a field is of a wrong kind, such as the room ID of a create event.
    """
    # Judged before it is signed: a rejected request then costs no signature.
    event = Event.from_client_event(template.fields, state.room_version)
    decision = auth.check(event.with_signers([server]), state)
    if not decision.allowed and not (decision.undecided and _enters_public_room(event, state)):
        return refused(decision, event, state)
    return Send(template, decision, policy_server=PolicyServer.of(state))


def _enters_public_room(event: Event, state: RoomState) -> bool:
    """Tell whether a user joins a public room whose members are not all known.

    The join then fails only if the user was banned before, which the other servers know.
    Fetching all members can take an hour, and users of this server should not wait for it.
    """
    itself = event.membership is JOIN and event.sender == event.state_key
    unknown = state.membership_of(event.sender) is UNKNOWN
    return itself and unknown and state.join_rule is JoinRule.PUBLIC
