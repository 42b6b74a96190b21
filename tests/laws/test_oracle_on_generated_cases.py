"""The engine and the plain ladders of `tests/oracle.py` give the same verdict and number."""

from __future__ import annotations

import json

import pytest

from matrix_membership import Event, RoomState, auth
from matrix_membership.room_versions import KNOWN
from tests import oracle
from tests.builders import ANA, a_room
from tests.generated_cases import GeneratedCase, events_of, generate

pytestmark = pytest.mark.long

VERSIONS = tuple(KNOWN)


def assert_same_on_state(case: GeneratedCase) -> None:
    """Judge a case by both."""
    state, event = events_of(case)
    ours = auth.check(event, RoomState.of(KNOWN[case.version], state))
    theirs = oracle.judge(
        case.version,
        case.event,
        case.by_place,
        create_id=case.state[0][0],
        signed_by=case.signed_by,
        event_id=case.event_id,
    )
    assert (ours.allowed, ours.number) == theirs, case


def assert_same_on_auth_events(case: GeneratedCase) -> None:
    """Judge the state as if it were the auth events by both: all of it, and what is selected."""
    state, event = events_of(case)
    rejected = frozenset(
        name for index, (name, _) in enumerate(case.state) if (case.seed + index) % 17 == 0
    )
    selected = auth.select_auth_events(event)
    kept = [entry for entry in state if (entry.type, entry.state_key) in selected]
    pdus = dict(case.state)
    listings: list[list[Event]] = [state, kept, kept[:-1], [*kept, *kept[:1]]]
    for listed in listings:
        pairs = [(entry.event_id, pdus[entry.event_id]) for entry in listed]
        ours = auth.check_auth_events(event, listed, rejected=rejected, create=state[0])
        theirs = oracle.judge_auth_events(
            case.version, case.event, pairs, rejected=rejected, create=case.state[0]
        )
        closing = ours.rule == "auth_events.otherwise"
        assert (None if closing else (ours.allowed, ours.number)) == theirs, case


@pytest.mark.parametrize("version", VERSIONS)
class TestEngineAndOracle:
    def test_agree_on_the_rules_that_depend_on_the_state(self, version: str) -> None:
        for seed in range(1_500):
            assert_same_on_state(generate(seed, version))

    def test_agree_on_auth_events(self, version: str) -> None:
        for seed in range(300):
            assert_same_on_auth_events(generate(seed, version))

    @pytest.mark.slow
    def test_agree_on_many_more(self, version: str) -> None:
        for seed in range(1_500, 60_000):
            assert_same_on_state(generate(seed, version))


@pytest.mark.parametrize("version", VERSIONS[:5])
@pytest.mark.parametrize(
    "content", ['{"ban":1E400}', '{"events":{"x":-1E400}}', '{"users":{"@ana:a.example":1E400}}']
)
class TestNumberThatNoDoubleHolds:
    def test_spoils_the_power_levels_for_both(self, version: str, content: str) -> None:
        room = a_room(KNOWN[version])
        text = json.dumps(room.event("m.room.power_levels", ANA, {"a": 0}, "").to_pdu())
        pdu = text.replace('{"a": 0}', content)
        event = Event.from_pdu(pdu, KNOWN[version])
        ours = auth.check(event, room.state)
        theirs = oracle.judge(
            version,
            json.loads(pdu),
            {(entry.type, entry.state_key or ""): entry.to_pdu() for entry in room.events},
            create_id=room.events[0].event_id,
        )
        assert (ours.allowed, ours.number) == theirs == (False, "10.1")
