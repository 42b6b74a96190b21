"""Answers to send_join, good and broken, with the defects that an auditor has to find."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from matrix_membership import RoomVersion
from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import decode
from matrix_membership.federation import SendJoinResponse
from matrix_membership.federation.audit import examine
from matrix_membership.federation.handshake import AwaitingAcceptance
from tests.builders import ANA, KEYS, VERSIONS
from tests.federation.conversation import a_public_room, accepted, signed

Pdu = dict[str, Any]
Change = Callable[[Pdu], Pdu | None]


def _unsigned(pdu: Pdu) -> Pdu:
    return {**pdu, "signatures": {}}


def _renamed(pdu: Pdu) -> Pdu:
    return {**pdu, "content": {**pdu["content"], "org.example.more": 1}}


def _of_another_room(pdu: Pdu) -> Pdu:
    return {**pdu, "room_id": "!other:a.example"}


def _gone(_: Pdu) -> None:
    return None


CREATE = ("m.room.create", "")
RULES = ("m.room.join_rules", "")
MEMBER = ("m.room.member", ANA)

BROKEN: tuple[tuple[str, Change, tuple[str, str]], ...] = (
    ("without-create-event", _gone, CREATE),
    ("unsigned-create-event", _unsigned, CREATE),
    ("altered-create-event", _renamed, CREATE),
    ("unsigned-join-rules", _unsigned, RULES),
    ("altered-join-rules", _renamed, RULES),
    ("join-rules-of-another-room", _of_another_room, RULES),
    ("without-join-rules", _gone, RULES),
    ("without-the-member-who-made-the-room", _gone, MEMBER),
    ("unsigned-member-who-made-the-room", _unsigned, MEMBER),
)


def _altered(
    response: SendJoinResponse, change: Change, place: tuple[str, str]
) -> SendJoinResponse:
    """The answer with one event changed, or gone, wherever it stands."""

    def each(pdus: tuple[bytes, ...]) -> tuple[bytes, ...]:
        found = []
        for pdu in pdus:
            document = json.loads(pdu)
            if (document["type"], document["state_key"]) == place:
                document = change(document)
            if document is not None:
                found.append(json.dumps(document).encode())
        return tuple(found)

    return evolve(response, state=each(response.state), auth_chain=each(response.auth_chain))


def answers() -> Iterator[dict[str, Any]]:
    """The answers, in every version."""
    for version in VERSIONS:
        step, response = _good(version)
        yield _told(f"v{version}/good", step, response)
        for name, change, place in BROKEN:
            yield _told(f"v{version}/{name}", step, _altered(response, change, place))
        unasked = evolve(response, members_omitted=True, servers_in_room=("a.example",))
        yield _told(f"v{version}/members-omitted-unasked", step, unasked)
        doubled = evolve(response, state=(*response.state, *response.state[:1]))
        yield _told(f"v{version}/the-same-event-twice", step, doubled)


def _good(version: RoomVersion) -> tuple[AwaitingAcceptance, SendJoinResponse]:
    room = a_public_room(version)
    step = signed(room, omit_members=False)
    response = accepted(room, step).response
    assert isinstance(response, SendJoinResponse)
    return step, response


def _told(name: str, step: AwaitingAcceptance, response: SendJoinResponse) -> dict[str, Any]:
    audit = examine(response, step.event, asked_to_omit=False, resident="a.example").audit(KEYS)
    return {
        "id": name,
        "room_version": step.event.room_version.identifier,
        "join": step.event.to_pdu(),
        "resident": "a.example",
        "asked_to_omit_members": False,
        "answer": decode(response.to_bytes(), strict=False),
        "usable": audit.state is not None,
        "defects": sorted(
            {(str(defect.severity), defect.code, defect.event_id or "") for defect in audit.defects}
        ),
    }
