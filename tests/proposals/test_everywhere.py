"""An amended rulebook is honoured by all that judges events."""

from __future__ import annotations

from typing import Final

import pytest

from matrix_membership import Event, RoomState, auth
from matrix_membership.auth import rejects
from matrix_membership.errors import RemoteProtocolError
from matrix_membership.federation import (
    JOINING,
    AwaitingAcceptance,
    MakeRequest,
    MakeResponse,
    MatrixError,
    SendJoinResponse,
)
from matrix_membership.federation.resident import answer_make
from matrix_membership.machine import admit
from matrix_membership.receipt import Disposition, receive
from matrix_membership.resolution import resolve
from matrix_membership.room_versions import V11
from matrix_membership.strategies import auth_cases
from tests.builders import ANA, BEN, CAY, KEYS, SIGNER_B, a_room
from tests.federation.conversation import a_public_room, accepted, begin, finish, make_request
from tests.federation.signed_rooms import AT, a_signed_room, with_state
from tests.histories import a_history
from tests.resolution.forks import a_fork
from tests.strategies.minimal import minimal


@rejects("4.3.5a")
def of_a_guest(event: Event, state: RoomState) -> bool:
    """Only users of the creator's server join."""
    create = state.create_event
    return create is not None and event.server != create.server


MINE: Final = V11.evolve(
    identifier="org.example.mine",
    rules=auth.rulebook(V11).insert(of_a_guest, before="join.public_room"),
)


def test_on_receipt() -> None:
    history = a_history(MINE)
    event = history.member(BEN, "join", signer=SIGNER_B)
    receipt = receive(
        event.pdu,
        MINE,
        keys=KEYS,
        auth_events=history.events,
        state_before=history.state,
        current_state=history.state,
    )
    assert receipt.disposition is Disposition.REJECTED
    assert receipt.decision is not None
    assert receipt.decision.number == "4.3.5a"


def test_on_admission() -> None:
    room = a_room(MINE).with_join_rule("public")
    assert admit(room.join(BEN, signed_by={"b.example"}), room.state).decision.number == "4.3.5a"


def test_by_the_resident_server() -> None:
    room = with_state(a_signed_room(MINE), "m.room.join_rules", {"join_rule": "public"})
    request = MakeRequest(room.room_id, BEN, "b.example", (MINE.identifier,))
    answer = answer_make(JOINING, request, room, at=AT)
    assert isinstance(answer, MatrixError)
    assert answer.decision is not None
    assert answer.decision.number == "4.3.5a"


def test_by_the_joining_server() -> None:
    # To the resident server this version has the rules of version 11.
    room = a_public_room(V11.evolve(identifier=MINE.identifier))
    begun = begin(room, room_versions={MINE.identifier: MINE})
    template = answer_make(JOINING, make_request(room, begun), room, at=AT)
    assert isinstance(template, MakeResponse)
    step = begun.receive(MakeResponse.from_json(template.to_json()), at=AT)
    assert isinstance(step, AwaitingAcceptance)
    response = accepted(room, step).response
    assert isinstance(response, SendJoinResponse)
    with pytest.raises(RemoteProtocolError, match=r"4\.3\.5a"):
        finish(step, SendJoinResponse.from_bytes(response.to_bytes()))


def test_by_state_resolution() -> None:
    usual, amended = (a_fork(version) for version in (V11, MINE))
    for fork, joined in ((usual, True), (amended, False)):
        late = fork.branch()
        late.member(CAY, CAY)  # a profile change, allowed in version 11 alone
        fork.add("m.room.topic", ANA, {})
        resolved = resolve(fork.version, [fork.state, late.state], fork.events).state
        place = ("m.room.member", CAY)
        assert (resolved.get(place) == late.state[place]) is joined


def test_by_drawn_cases() -> None:
    case = minimal(auth_cases(room_version=MINE), lambda case: case.decision.number == "4.3.5a")
    assert case.event.room_version is MINE
