"""Whole handshakes as transcripts: every request between two servers, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from matrix_membership import RoomVersion
from matrix_membership.canonical_json import decode, freeze
from matrix_membership.federation import (
    JOINING,
    KNOCKING,
    LEAVING,
    AwaitingValidity,
    Countersigned,
    ExchangeRequest,
    Handshake,
    InviteRequest,
    InviteResponse,
    Offered,
    PendingInvite,
    Request,
    ResidentRoom,
    SendJoinResponse,
    invites,
    third_party,
)
from matrix_membership.signing import sign_json
from tests.builders import ANA, BEN, IDENTITY, KEYS, VERSIONS
from tests.federation.conversation import (
    a_public_room,
    a_restricted_room,
    accepted,
    begin,
    signed,
    template,
)
from tests.federation.signed_rooms import AT, A, B, a_signed_room, with_member, with_state

Call = dict[str, Any]


def _call(origin: str, destination: str, request: Request, answer: Any) -> Call:
    return {
        "origin": origin,
        "destination": destination,
        "method": request.method,
        "path": request.path,
        "query": [list(pair) for pair in request.query],
        "body": request.content,
        "status": 200,
        "answer": answer,
    }


def _entered(room: ResidentRoom, handshake: Handshake) -> list[Call]:
    """Ben's server goes through a handshake with Ana's."""
    step = signed(room, handshake)
    answered = accepted(room, step).response
    sent = (
        decode(answered.to_bytes(), strict=False)
        if isinstance(answered, SendJoinResponse)
        else answered.to_json()
    )
    make = begin(room, handshake).request
    return [
        _call("b.example", "a.example", make, template(room, handshake).to_json()),
        _call("b.example", "a.example", step.request, sent),
    ]


def _join(version: RoomVersion) -> list[Call]:
    return _entered(a_public_room(version), JOINING)


def _restricted_join(version: RoomVersion) -> list[Call]:
    return _entered(a_restricted_room(version), JOINING)


def _knock(version: RoomVersion) -> list[Call]:
    room = with_state(a_signed_room(version), "m.room.join_rules", {"join_rule": "knock"})
    return _entered(room, KNOCKING)


def _rejected_invite(version: RoomVersion) -> list[Call]:
    return _entered(with_member(a_signed_room(version), BEN, "invite"), LEAVING)


def _invite(version: RoomVersion) -> list[Call]:
    room = a_signed_room(version)
    event = invites.draft_invite(ANA, BEN, room, at=AT).complete(A)
    return [_offered(event, room)]


def _offered(event: Any, room: ResidentRoom) -> Call:
    offer = invites.offer(event, room.state)
    assert isinstance(offer, Offered), offer
    asked = InviteRequest.from_json(
        offer.request.content,
        room_id=event.room_id,
        event_id=event.event_id,
        origin="a.example",
    )
    answer = invites.answer(asked, B, keys=KEYS)
    assert isinstance(answer, Countersigned), answer
    reply = InviteResponse.from_json(answer.response.to_json())
    assert isinstance(invites.conclude(offer, reply, keys=KEYS), invites.Invited)
    return _call("a.example", "b.example", offer.request, answer.response.to_json())


def _invite_by_address(version: RoomVersion) -> list[Call]:
    stored = {"public_key": IDENTITY.verify_key, "display_name": "b..."}
    room = with_state(a_signed_room(version), "m.room.third_party_invite", stored, state_key="tok")
    word = sign_json({"mxid": BEN, "token": "tok", "sender": ANA}, IDENTITY)
    pending = PendingInvite.from_json(
        {
            "medium": "email",
            "address": "ben@b.example",
            "mxid": BEN,
            "room_id": room.room_id,
            "sender": ANA,
            "signed": word,
        }
    )
    request = third_party.exchange(pending)
    asked = ExchangeRequest.from_json(request.to_json(), room_id=room.room_id, origin="b.example")
    step = third_party.answer_exchange(asked, room, A, at=AT)
    assert isinstance(step, AwaitingValidity), step
    event = step.receive({})
    return [
        _offered(event, room),
        _call("b.example", "a.example", request.request, freeze({})),
    ]


def _of_a_version_with(rule: str, version: RoomVersion) -> bool:
    return rule in {str(known) for known in version.join_rules}


TOLD: tuple[tuple[str, Callable[[RoomVersion], list[Call]], str], ...] = (
    ("join", _join, "public"),
    ("restricted-join", _restricted_join, "restricted"),
    ("knock", _knock, "knock"),
    ("rejected-invite", _rejected_invite, "public"),
    ("invite", _invite, "public"),
    ("invite-by-address", _invite_by_address, "public"),
)


def transcripts() -> Iterator[dict[str, Any]]:
    """Every handshake in every version that has it."""
    for version in VERSIONS:
        for name, tell, rule in TOLD:
            if _of_a_version_with(rule, version):
                yield {
                    "id": f"v{version}/{name}",
                    "room_version": version.identifier,
                    "calls": tell(version),
                }
