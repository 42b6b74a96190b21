"""Policy servers."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import V1, V11, V12, Event, RoomState, RoomVersion, Signer
from matrix_membership.errors import InvalidEvent
from matrix_membership.hashing import signed_bytes
from matrix_membership.receipt.policy_server import POLICY_KEY_ID, PolicyServer
from matrix_membership.signing import sign
from tests.builders import ANA, BEN, SIGNER_B
from tests.histories import History, a_history

POLICY = Signer.from_seed("b.example", POLICY_KEY_ID, "P" * 42 + "A")
CONTENT = {"via": "b.example", "public_keys": {"ed25519": POLICY.verify_key}}


def a_policed_history(version: RoomVersion = V11, content: Any = CONTENT) -> History:
    history = a_history(version).with_member(BEN, "join", signer=SIGNER_B)
    return history.with_state("m.room.policy", content)


class TestOfARoom:
    def test_is_absent_at_first(self) -> None:
        assert PolicyServer.of(a_history(V11).state) is None

    def test_stands_in_its_state(self) -> None:
        expected = PolicyServer(POLICY.server_name, POLICY.verify_key, in_room=True)
        assert PolicyServer.of(a_policed_history().state) == expected

    @pytest.mark.parametrize(
        "content",
        [
            {},
            {"via": "b.example"},
            {"via": "b.example", "public_keys": POLICY.verify_key},
            {"via": "b.example", "public_keys": {}},
            {"via": "b.example", "public_keys": {"ed25519": 5}},
            {"via": None, "public_keys": {"ed25519": POLICY.verify_key}},
        ],
    )
    def test_is_absent_when_a_field_is_missing(self, content: Any) -> None:
        assert PolicyServer.of(a_policed_history(content=content).state) is None

    def test_is_absent_without_a_joined_user(self) -> None:
        history = a_policed_history().with_member(BEN, "leave", signer=SIGNER_B)
        assert PolicyServer.of(history.state) is None

    def test_is_taken_to_be_in_a_room_that_cannot_tell(self) -> None:
        policy = PolicyServer.of(a_policed_history().in_part())
        assert policy == PolicyServer(POLICY.server_name, POLICY.verify_key, in_room=None)

    def test_is_found_in_a_state_over_a_look_up(self) -> None:
        state = RoomState.over(V11, a_policed_history().state.get)
        policy = PolicyServer.of(state)
        assert policy == PolicyServer(POLICY.server_name, POLICY.verify_key, in_room=None)


def policed(history: History) -> PolicyServer:
    policy = PolicyServer.of(history.state)
    assert policy is not None
    return policy


class TestLacking:
    def test_is_who_has_not_signed(self) -> None:
        history = a_policed_history()
        event = history.member(BEN, "leave")
        assert PolicyServer.lacking(event, history.state) == policed(history)
        assert PolicyServer.lacking(sign(event, POLICY), history.state) is None

    def test_is_nobody_for_the_event_that_names_it(self) -> None:
        history = a_policed_history()
        event = history.event("m.room.policy", ANA, {}, "")
        assert PolicyServer.lacking(event, history.state) is None

    def test_is_nobody_in_a_room_without(self) -> None:
        history = a_history(V11)
        assert PolicyServer.lacking(history.member(BEN, "join"), history.state) is None


class TestMustSign:
    def test_every_event(self) -> None:
        history = a_policed_history()
        assert policed(history).must_sign(history.member(BEN, "leave"))

    def test_no_event_that_names_it(self) -> None:
        history = a_policed_history()
        assert not policed(history).must_sign(history.event("m.room.policy", ANA, {}, ""))

    @pytest.mark.parametrize("state_key", [None, "x"])
    def test_events_that_only_look_so(self, state_key: str | None) -> None:
        history = a_policed_history()
        assert policed(history).must_sign(history.event("m.room.policy", ANA, {}, state_key))


def a_message(history: History) -> Event:
    return history.event("m.room.message", ANA, {"body": "hello"})


class TestHasSigned:
    @pytest.mark.parametrize("version", [V1, V11, V12], ids=str)
    def test_what_carries_its_good_signature(self, version: RoomVersion) -> None:
        history = a_policed_history(version)
        assert policed(history).has_signed(sign(a_message(history), POLICY))

    def test_what_it_signed_of_the_bytes_at_hand(self) -> None:
        history = a_policed_history()
        event = sign(a_message(history), POLICY)
        covered = signed_bytes(event.to_pdu(), V11)
        assert policed(history).has_signed(event, covered=covered)
        assert not policed(history).has_signed(event, covered=covered + b" ")

    def test_nothing_that_lacks_one(self) -> None:
        history = a_policed_history()
        assert not policed(history).has_signed(a_message(history))

    def test_nothing_that_its_server_signed_with_another_key(self) -> None:
        history = a_policed_history()
        assert not policed(history).has_signed(sign(a_message(history), SIGNER_B))

    def test_nothing_that_another_key_signed_in_its_name(self) -> None:
        history = a_policed_history()
        liar = Signer.from_seed("b.example", POLICY_KEY_ID, "L" * 42 + "A")
        assert not policed(history).has_signed(sign(a_message(history), liar))

    @pytest.mark.parametrize("key", ["", "?", "AAAA"])
    def test_nothing_when_its_key_is_none(self, key: str) -> None:
        content = {"via": "b.example", "public_keys": {"ed25519": key}}
        history = a_policed_history(content=content)
        assert not policed(history).has_signed(sign(a_message(history), POLICY))

    def test_nothing_whose_signatures_are_none(self) -> None:
        history = a_policed_history()
        pdu = a_message(history).to_pdu()
        event = Event.from_pdu({**pdu, "signatures": {"b.example": "x"}}, V11)
        assert not policed(history).has_signed(event)

    def test_cannot_be_asked_of_an_event_for_clients(self) -> None:
        history = a_policed_history()
        event = Event.from_client_event(a_message(history).to_client_event(), V11)
        with pytest.raises(InvalidEvent) as caught:
            policed(history).has_signed(event)
        assert caught.value == InvalidEvent("event", "one read from a PDU", repr(event))
