"""Being a policy server: both roles against each other."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import V1, V11, V12, RoomVersion
from matrix_membership._attrs import evolve
from matrix_membership.federation import MatrixError
from matrix_membership.federation.policy_server import answer_sign
from matrix_membership.receipt.policy_server import PolicyServer
from matrix_membership.state import RoomState
from tests.federation.conversation import a_public_room, signed
from tests.federation.signed_rooms import A, with_state
from tests.federation.test_policy_server import POLICY, owed, policed


def asked(room: Any, pdu: Any, signer: Any = POLICY, refusal: str | None = None) -> Any:
    """The answer to b.example."""
    return answer_sign(pdu, room, signer, origin="b.example", refuses=lambda _: refusal)


def error(outcome: Any) -> tuple[int, str]:
    assert isinstance(outcome, MatrixError), outcome
    return outcome.status, outcome.errcode


@pytest.mark.parametrize("version", [V1, V11, V12], ids=str)
def test_the_asking_side_takes_the_answer(version: RoomVersion) -> None:
    room = policed(version)
    event = signed(room).event
    policy = owed(room, event)
    answer = asked(room, policy.ask(event).content)
    after = policy.read_answer(event, answer)
    assert PolicyServer.lacking(after, room.state) is None
    assert set(answer) == {"a.example"}


class TestRefusal:
    def test_is_the_policys(self) -> None:
        room = policed(V11)
        outcome = asked(room, signed(room).event.document, refusal="spam")
        assert outcome == MatrixError("M_FORBIDDEN", "spam", 400)

    def test_is_of_a_room_without_this_policy_server(self) -> None:
        room = policed(V11)
        pdu = signed(room).event.document
        for known, signer in ((None, POLICY), (a_public_room(V11), POLICY), (room, A)):
            assert error(asked(known, pdu, signer)) == (404, "M_NOT_FOUND")

    def test_is_of_a_denied_server(self) -> None:
        room = policed(V11)
        pdu = signed(room).event.document
        room = with_state(room, "m.room.server_acl", {"allow": ["a.example"]})
        assert error(asked(room, pdu)) == (403, "M_FORBIDDEN")

    def test_is_of_text_that_is_not_an_event(self) -> None:
        assert error(asked(policed(V11), {})) == (400, "M_BAD_JSON")

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (
                {"type": "m.room.policy", "state_key": ""},
                "the event that names the policy server needs no signature of it",
            ),
            ({"room_id": "!x:a.example"}, "the event is of another room"),
            ({"content": {}}, "its content hash is wrong"),
        ],
    )
    def test_is_of_what_it_must_not_sign(self, change: dict[str, Any], told: str) -> None:
        room = policed(V11)
        outcome = asked(room, {**signed(room).event.to_pdu(), **change})
        assert outcome == MatrixError("M_FORBIDDEN", told, 400)

    def test_needs_the_create_event_to_compare_rooms(self) -> None:
        room = policed(V11)
        pdu = signed(room).event.document
        kept = [event for event in room.state.events if event.type != "m.room.create"]
        assert isinstance(asked(evolve(room, state=RoomState.of(V11, kept)), pdu), dict)
