"""`assert_agrees`, tried on engines that are right, wrong, and broken."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from matrix_membership import V10, V11, Event, RoomState, auth
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.signing import verify
from matrix_membership.strategies import (
    AuthCase,
    Disagreement,
    assert_agrees,
    key_ring_of,
)
from tests import oracle

# The first version of every rule list.
LISTS = ("1", "3", "6", "7", "8", "10", "11", "12")


def by_the_oracle(event: Event, state: RoomState) -> bool:
    """A homeserver's own auth function, as far as this library knows: PDUs go in."""
    create = state.create_event
    return oracle.judge(
        event.room_version.identifier,
        event.to_pdu(),
        {(entry.type, entry.state_key or ""): entry.to_pdu() for entry in state.events},
        create_id=create.event_id if create else "",
        signed_by=frozenset(event.signed_by),
        event_id=event.event_id,
    ).allowed


def disagreement_of(engine: object, **options: object) -> Disagreement:
    with pytest.raises(Disagreement) as caught:
        assert_agrees(engine, **options)  # type: ignore[arg-type]  # what a parameter table holds
    return caught.value


def without_bans(event: Event, state: RoomState) -> bool:
    """An engine that lets banned users join."""
    decision = auth.check(event, state)
    return decision.allowed or decision.rule == "join.while_banned"


class TestAssertAgrees:
    @pytest.mark.parametrize("version", LISTS)
    def test_holds_between_the_rules_and_the_oracle(self, version: str) -> None:
        assert_agrees(by_the_oracle, room_version=KNOWN[version], max_examples=150)

    @pytest.mark.slow
    @pytest.mark.parametrize("version", KNOWN.values(), ids=str)
    def test_holds_for_many_cases_too(self, version: RoomVersion) -> None:
        assert_agrees(by_the_oracle, room_version=version, max_examples=5000)

    def test_takes_any_true_value_for_yes(self) -> None:
        assert_agrees(lambda event, state: [1] if auth.check(event, state) else "", max_examples=50)

    def test_finds_the_smallest_disagreement(self) -> None:
        found = disagreement_of(without_bans, room_version=V11, max_examples=3000)
        assert found.case.decision.rule == "join.while_banned"
        assert found.allowed
        assert {event.state_key for event in found.case.state.events} <= {
            "",
            "@ana:a.example",
            "@ben:b.example",
        }

    def test_shows_the_decision_and_a_script(self) -> None:
        found = disagreement_of(lambda event, state: False, room_version=V10, max_examples=100)
        assert str(found).startswith(f"the engine rejects what is {found.case.decision}\n")
        assert found.case.script in str(found)
        assert "Rules tried" in str(found)

    def test_lets_an_engine_fail(self) -> None:
        with pytest.raises(ZeroDivisionError):
            assert_agrees(lambda event, state: 1 // 0, max_examples=5)

    def test_draws_signed_events_on_demand(self) -> None:
        def verified(event: Event, state: RoomState) -> bool:
            assert verify(event, key_ring_of([event])).signed_by == event.signed_by
            return auth.check(event, state).allowed

        assert_agrees(verified, signed=True, max_examples=30)

    def test_takes_cases_of_the_callers_own(self) -> None:
        case = AuthCase(*_message_to_nobody())
        found = disagreement_of(lambda event, state: True, cases=st.just(case))
        assert found.case is case

    def test_never_asks_about_wrong_auth_events(self) -> None:
        def knows_only_the_state(event: Event, state: RoomState) -> bool:
            return auth.check(event, state).allowed

        assert_agrees(knows_only_the_state, max_examples=200)


def _message_to_nobody() -> tuple[Event, RoomState]:
    message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
    return Event.from_client_event(message, V11), RoomState.of(V11, [])
