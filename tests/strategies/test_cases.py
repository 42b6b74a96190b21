"""Drawn auth cases: every rule is reached, and each case can be rebuilt from its script."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import islice
from operator import is_
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.vendor import pretty

from matrix_membership import (
    KNOWN,
    V5,
    V11,
    V12,
    Event,
    RoomState,
    RoomVersion,
    auth,
    strategies,
)
from matrix_membership.signing import verify
from matrix_membership.strategies import AuthCase, draw_cases, key_ring_of
from tests.strategies.minimal import any_of, minimal

EXAMPLES = 2000
ALWAYS = (V12,)
"""The versions for which it is shown in every run of the tests; the others are `slow`."""


def rules_reached(version: RoomVersion) -> Counter[str]:
    """How often each rule fires in the cases of a version, one run for one version."""
    reached: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategies.auth_cases(room_version=version))
    def judge(case: AuthCase) -> None:
        reached.update({case.auth_events_decision.rule, case.decision.rule})

    judge()
    return reached


def rules_of(version: RoomVersion) -> set[str]:
    return {rule.name for _, rule in auth.rules_of(version).numbered}


class TestAuthCases:
    @pytest.mark.long
    @pytest.mark.parametrize(
        "version",
        [
            pytest.param(version, marks=() if version in ALWAYS else pytest.mark.slow)
            for version in KNOWN.values()
        ],
        ids=str,
    )
    def test_reach_every_rule_of_their_version(self, version: RoomVersion) -> None:
        assert set(rules_reached(version)) == rules_of(version)

    @given(strategies.auth_cases())
    @settings(max_examples=100)
    def test_list_their_auth_events_in_the_event(self, case: AuthCase) -> None:
        cited = tuple(event.event_id for event in case.auth_events)
        assert case.event.auth_events == cited

    @given(strategies.auth_cases(unsound_auth_events=False))
    @settings(max_examples=200)
    def test_have_sound_auth_events_on_demand(self, case: AuthCase) -> None:
        if case.event.type != "m.room.create":
            assert case.auth_events_decision.rule == "auth_events.otherwise"

    @given(strategies.auth_cases(signed=True))
    @settings(max_examples=60)
    def test_are_really_signed_on_demand(self, case: AuthCase) -> None:
        for event in (case.event, *case.state.events, *case.auth_events):
            assert event.content_hash_matches
            assert verify(event, key_ring_of([event])).signed_by == event.signed_by

    def test_shrink_to_a_room_of_two(self) -> None:
        case = minimal(strategies.auth_cases(), lambda case: case.decision.rule == "join.otherwise")
        people = {case.event.sender, *case.state.members}
        assert people == {"@ana:a.example", "@ben:b.example"}
        assert case.event.room_version is V11

    def test_are_drawn_from_all_versions(self) -> None:
        versions = strategies.auth_cases().map(lambda case: case.event.room_version)
        for version in KNOWN.values():
            assert any_of(versions, partial(is_, version)) is version


def has_a_float(event: Event) -> bool:
    return any(isinstance(level, float) for level in event.content.values())


class TestScript:
    @pytest.mark.parametrize("signed", [False, True])
    @settings(max_examples=100)
    @given(data=st.data())
    def test_makes_the_same_case_and_comes_to_the_same_decision(
        self, data: st.DataObject, signed: bool
    ) -> None:
        case = data.draw(strategies.auth_cases(signed=signed))
        made = run(case)
        event, state = made["event"], made["state"]
        assert isinstance(event, Event)
        assert (event, event.pdu, event.signed_by) == (
            *(case.event, case.event.pdu, case.event.signed_by),
        )
        assert (state, tuple(made["auth_events"])) == (case.state, case.auth_events)
        assert made["decision"] == case.decision

    def test_keeps_floats_as_they_were_sent(self) -> None:
        event = any_of(strategies.events(room_version=V5, type="m.room.power_levels"), has_a_float)
        case = AuthCase(event, RoomState.of(V5, []))
        assert run(case)["event"].pdu == event.pdu

    def test_keeps_an_event_id_that_is_no_hash(self) -> None:
        event = any_of(strategies.events(room_version=V11), lambda event: True)
        stored = Event.from_pdu(event.pdu, V11, event_id="$stored:a.example")
        assert run(AuthCase(stored, RoomState.of(V11, [])))["event"] == stored

    def test_takes_events_in_client_format(self) -> None:
        message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
        case = AuthCase(Event.from_client_event(message, V11), RoomState.of(V11, []))
        assert run(case)["event"].client_form == case.event.client_form

    def test_takes_events_that_a_host_accepted(self) -> None:
        message = {"type": "m.room.message", "sender": "@ana:under_score", "content": {}}
        case = AuthCase(Event.accepted(message, V11), RoomState.of(V11, []))
        made = run(case)
        assert made["event"].document == case.event.document

    def test_names_a_version_of_ones_own(self) -> None:
        mine = V11.evolve(identifier="org.example.mine")
        case = any_of(strategies.auth_cases(room_version=mine), lambda case: True)
        assert run(case)["MINE"].identifier == mine.identifier

    def test_says_that_a_state_is_partial(self) -> None:
        case = any_of(strategies.auth_cases(), lambda case: case.state.create_event is not None)
        state = RoomState.of(case.event.room_version, case.state.events, partial=True)
        made = run(AuthCase(case.event, state, case.auth_events))
        assert made["state"].is_partial

    def test_is_what_a_case_prints(self) -> None:
        case = any_of(strategies.auth_cases(), lambda case: True)
        assert str(case) == case.script
        assert case.script in pretty.pretty(case)
        assert str(case.decision) in repr(case)


def run(case: AuthCase) -> dict[str, Any]:
    """What a script leaves behind; it asserts its own decision."""
    names: dict[str, Any] = {}
    exec(case.script, names)
    return names


class TestRoomStates:
    @given(strategies.room_states())
    @settings(max_examples=50)
    def test_have_a_create_event(self, state: RoomState) -> None:
        assert state.create_event is not None

    @given(strategies.room_states(room_version=V12, signed=True))
    @settings(max_examples=20)
    def test_are_signed_on_demand(self, state: RoomState) -> None:
        assert all(event.content_hash_matches for event in state.events)

    def test_shrink_to_the_room_of_one(self) -> None:
        assert list(minimal(strategies.room_states()).members) == ["@ana:a.example"]


def test_drawn_cases_are_the_same_for_a_seed() -> None:
    first, again, other = (
        [case.script for case in draw_cases(V12, 30, seed=seed)] for seed in (4, 4, 5)
    )
    assert first == again != other


@pytest.mark.long
def test_drawn_cases_are_as_many_as_asked_for() -> None:
    cases = list(draw_cases(V11, 1001))
    assert len(cases) == 1001
    assert len({case.decision.rule for case in cases}) > 40


@pytest.mark.long
def test_drawn_cases_are_drawn_in_parts() -> None:
    assert len(list(islice(draw_cases(V11, 10**9), 3))) == 3


def test_drawn_cases_list_what_they_should() -> None:
    for case in draw_cases(V12, 50):
        if case.event.type != "m.room.create":
            assert case.auth_events_decision.rule == "auth_events.otherwise"
