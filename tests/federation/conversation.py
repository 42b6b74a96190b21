"""A whole handshake between two servers, without a network."""

from __future__ import annotations

from typing import Any

from matrix_membership._attrs import evolve
from matrix_membership.errors import RemoteProtocolError
from matrix_membership.federation.handshake import (
    JOINING,
    AwaitingAcceptance,
    AwaitingKeys,
    AwaitingTemplate,
    Handshake,
    Joined,
    Refused,
)
from matrix_membership.federation.messages import (
    MakeRequest,
    MakeResponse,
    MatrixError,
    SendJoinResponse,
    SendRequest,
)
from matrix_membership.federation.resident import Accepted, answer_make, answer_send
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.membership import JOIN
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import KeyRing
from tests.builders import BEN, KEYS
from tests.federation.signed_rooms import AT, A, B, a_signed_room, with_state


def a_public_room(version: RoomVersion) -> ResidentRoom:
    """A room that anybody may join."""
    return with_state(a_signed_room(version), "m.room.join_rules", {"join_rule": "public"})


def a_restricted_room(version: RoomVersion, *, member: bool = True) -> ResidentRoom:
    """A room that the members of another one may join; Ben is one."""
    allow = [{"type": "m.room_membership", "room_id": "!club:a.example"}]
    rules = {"join_rule": "restricted", "allow": allow}
    room = with_state(a_signed_room(version), "m.room.join_rules", rules)
    return evolve(room, memberships=lambda _user, _room: JOIN if member else None)


def begin(room: ResidentRoom, handshake: Handshake = JOINING, **options: Any) -> AwaitingTemplate:
    """Ben's server begins."""
    return handshake.begin(BEN, room.room_id, signer=B, resident="a.example", **options)


def make_request(room: ResidentRoom, step: AwaitingTemplate) -> MakeRequest:
    """The make request as the resident server gets it."""
    versions = tuple(version for _, version in step.request.query)
    return MakeRequest(room.room_id, step.user_id, "b.example", versions)


def template(room: ResidentRoom, handshake: Handshake = JOINING) -> MakeResponse:
    """The template that the resident server gives."""
    step = begin(room, handshake)
    answer = answer_make(handshake, make_request(room, step), room, at=AT)
    assert isinstance(answer, MakeResponse), answer
    return MakeResponse.from_json(answer.to_json())


def signed(
    room: ResidentRoom, handshake: Handshake = JOINING, **options: Any
) -> AwaitingAcceptance:
    """Ben's server after it signed the template."""
    step = begin(room, handshake, **options).receive(template(room, handshake), at=AT + 1)
    assert isinstance(step, AwaitingAcceptance)
    return step


def send_request(step: AwaitingAcceptance, **changes: Any) -> SendRequest:
    """The send request as the resident server gets it."""
    body = step.request.body
    assert body is not None
    request = SendRequest(
        step.event.room_id, step.event.event_id, body, "b.example", step.omit_members
    )
    return evolve(request, **changes)


def sent(room: ResidentRoom, step: AwaitingAcceptance, **changes: Any) -> Accepted | MatrixError:
    """What the resident server answers to the signed event."""
    request = send_request(step, **changes)
    return answer_send(step.handshake, request, room, A, keys=KEYS)


def accepted(room: ResidentRoom, step: AwaitingAcceptance) -> Accepted:
    """The same, when it is no error."""
    answer = sent(room, step)
    assert isinstance(answer, Accepted), answer
    return answer


def join(room: ResidentRoom, *, omit_members: bool = True) -> Joined:
    """Ben joins."""
    step = signed(room, omit_members=omit_members)
    response = accepted(room, step).response
    assert isinstance(response, SendJoinResponse)
    return finish(step, SendJoinResponse.from_bytes(response.to_bytes()))


def finish(step: AwaitingAcceptance, response: SendJoinResponse) -> Joined:
    """The end of a join, from the answer on."""
    awaiting = step.receive(response)
    assert isinstance(awaiting, AwaitingKeys)
    return awaiting.receive(KEYS)


def fatal_codes(
    step: AwaitingAcceptance, response: SendJoinResponse, keys: KeyRing = KEYS
) -> set[str]:
    """The fatal defects of an answer."""
    awaiting = step.receive(response)
    assert isinstance(awaiting, AwaitingKeys)
    audit = awaiting.examination.audit(keys)
    assert audit.state is None
    try:
        awaiting.receive(keys)
    except RemoteProtocolError:
        return {defect.code for defect in audit.defects if str(defect.severity) == "fatal"}
    raise AssertionError("a fatal defect ends the handshake")


def refusal(step: object) -> MatrixError:
    """The error of a refused step."""
    assert isinstance(step, Refused)
    return step.error
