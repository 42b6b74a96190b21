"""`assert_agrees`, tried on engines that are right, wrong, and broken."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import hypothesis
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from matrix_membership import V9, V10, V11, V12, Event, RoomState, auth
from matrix_membership.events.contents import PowerLevels
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.signing import verify
from matrix_membership.strategies import (
    AuthCase,
    Disagreement,
    assert_agrees,
    auth_cases,
    key_ring_of,
)
from tests import oracle
from tests.sources import ROOT
from tests.strategies.minimal import any_of
from tests.strategies.mistakes import ABSENT, PLANTED, Engine

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


RUNS = range(10)


def mistakes(engines: Mapping[str, Engine]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "engine", [pytest.param(engine, id=name) for name, engine in engines.items()]
    )


@pytest.fixture
def unshrunk() -> Iterator[None]:
    """Ends a run at its first disagreement: to make it small takes most of the time."""
    before = settings.default
    settings.register_profile("unshrunk", before, phases=[Phase.generate])
    settings.load_profile("unshrunk")
    yield
    settings.register_profile("before", before)
    settings.load_profile("before")


@pytest.mark.long
@pytest.mark.usefixtures("unshrunk")
class TestPlantedMistakes:
    """A run has a seed, so it finds the same today and tomorrow."""

    @mistakes(PLANTED)
    def test_are_found(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        assert runs_that_find(engine, range(1), monkeypatch) == 1

    @pytest.mark.slow
    @mistakes(PLANTED)
    def test_are_found_in_every_run(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        assert runs_that_find(engine, RUNS, monkeypatch) == len(RUNS)

    @pytest.mark.slow
    @mistakes(ABSENT)
    def test_are_found_in_each_default(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert runs_that_find(engine, range(1), monkeypatch) == 1

    def test_are_listed_on_the_page(self) -> None:
        page = (ROOT / "docs" / "howto" / "test-your-server.md").read_text("utf-8")
        table = page.partition("| mistake | rule of version 11 |")[2].partition("\n\n")[0]
        assert re.findall(r"^\| (?!---)(.*?) \|", table, re.MULTILINE) == list(PLANTED)


def runs_that_find(engine: Engine, seeds: range, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many runs of `assert_agrees`, as it comes, find the mistake of an engine."""
    found = 0
    for seed in seeds:
        # What pytest's option --hypothesis-seed sets.
        monkeypatch.setattr(hypothesis.core, "global_force_seed", seed)
        try:
            assert_agrees(engine, room_version=V11)
        except Disagreement:
            found += 1
    return found


def levels_of(event: Event | None) -> PowerLevels | None:
    return event.view if event and isinstance(event.view, PowerLevels) else None


def readable(levels: PowerLevels | None) -> bool:
    return levels is None or (levels.named_readable and levels.maps_readable)


@pytest.mark.long
class TestPossibleLevels:
    @settings(max_examples=300)
    @given(auth_cases(impossible_levels=False))
    def test_are_all_that_a_room_has(self, case: AuthCase) -> None:
        levels = levels_of(case.state.get("m.room.power_levels"))
        assert readable(levels)
        assert levels is None or levels.users_readable

    @settings(max_examples=300)
    @given(auth_cases(room_version=V9, impossible_levels=False))
    def test_are_all_that_an_event_has_before_version_10(self, case: AuthCase) -> None:
        assert readable(levels_of(case.event))

    @settings(max_examples=300)
    @given(auth_cases(room_version=V12, impossible_levels=False))
    def test_never_list_a_creator(self, case: AuthCase) -> None:
        if case.state.create_event is not None:
            assert not case.state.create.privileged & case.state.power_levels.users.keys()

    @pytest.mark.parametrize("version", [V9, V12], ids=str)
    def test_are_not_all_that_come_on_demand(self, version: RoomVersion) -> None:
        cases = auth_cases(room_version=version)
        assert any_of(cases, lambda c: not readable(levels_of(c.state.get("m.room.power_levels"))))

    def test_leave_what_a_rule_rejects(self) -> None:
        cases = auth_cases(room_version=V10, impossible_levels=False)
        assert any_of(cases, lambda c: c.decision.rule == "power_levels.named_level_not_an_integer")
