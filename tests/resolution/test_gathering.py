"""`begin`: the same resolution, over a storage that has to be waited for."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership.identifiers import EventID
from matrix_membership.resolution import AwaitingEvents, Resolution, begin, resolve
from matrix_membership.resolution._auth_difference import auth_difference, conflicted_state_subgraph
from matrix_membership.resolution._graph import Graph
from matrix_membership.room_versions import V11
from tests.builders import ANA
from tests.resolution.forks import Fork, a_fork
from tests.resolution.room_graphs import Case, a_case


def run(
    step: AwaitingEvents | Resolution, events: Fork | Case
) -> tuple[Resolution, list[frozenset[EventID]]]:
    """Look everything up that is asked for."""
    asked = []
    while isinstance(step, AwaitingEvents):
        asked.append(step.needs)
        found = [events.events.get(event_id) for event_id in step.needs]
        step = step.receive([event for event in found if event is not None])
    return step, asked


def a_dispute() -> tuple[Fork, Fork]:
    left = a_fork(V11)
    right = left.branch()
    for fork in (left, right):
        fork.add("m.room.topic", ANA, {})
    return left, right


algorithms = st.sampled_from(["1", "2", "2.1", None])


@given(st.integers(0, 2**32), algorithms)
def test_gives_what_resolve_gives(seed: int, algorithm: str | None) -> None:
    case = a_case(seed)
    more = {"rejected": case.rejected, "algorithm": algorithm}
    expected = resolve(case.version, case.state_sets, case.events, **more)  # type: ignore[arg-type]  # of two types
    found, asked = run(begin(case.version, case.state_sets, **more), case)  # type: ignore[arg-type]  # as above
    assert found == expected
    assert sum(map(len, asked)) == len(set().union(*asked))


@given(st.integers(0, 2**32), algorithms)
def test_gives_the_same_with_the_difference_at_hand(seed: int, algorithm: str | None) -> None:
    case = a_case(seed)
    expected = resolve(
        case.version, case.state_sets, case.events, rejected=case.rejected, algorithm=algorithm
    )
    graph = Graph(case.version, case.events.get)
    graph.events.room_id = expected._graph.events.room_id
    question = expected._question
    ids = question.conflicted_ids
    difference = (
        auth_difference(question.state_sets, question.common, graph.auth_events) if ids else set()
    )
    step = begin(
        case.version,
        case.state_sets,
        rejected=case.rejected,
        algorithm=algorithm,
        auth_difference=difference,
        conflicted_subgraph=conflicted_state_subgraph(ids.keys(), graph.auth_events),
    )
    found, _ = run(step, case)
    assert found.state == expected.state


class TestBegin:
    def test_asks_for_nothing_when_nothing_is_disputed(self) -> None:
        fork = a_fork(V11)
        found = begin(V11, [fork.state, fork.state])
        assert isinstance(found, Resolution)
        assert found.state == fork.state

    def test_asks_first_for_the_states(self) -> None:
        left, right = a_dispute()
        step = begin(V11, [left.state, right.state])
        assert isinstance(step, AwaitingEvents)
        assert step.needs == {*left.state.values(), *right.state.values()}

    def test_asks_for_no_more_than_the_dispute_when_told_the_difference(self) -> None:
        left, right = a_dispute()
        step = begin(V11, [left.state, right.state], auth_difference=frozenset())
        _, asked = run(step, left)
        members = {left.state["m.room.member", ANA]}
        rest = {
            left.state[f"m.room.{name}", ""] for name in ("create", "power_levels", "join_rules")
        }
        topics = {fork.state["m.room.topic", ""] for fork in (left, right)}
        assert set().union(*asked) == topics | rest | members

    @pytest.mark.parametrize("known", ["auth_difference", "conflicted_subgraph"])
    def test_asks_for_what_is_known_of_one_set(self, known: str) -> None:
        left, right = a_dispute()
        other = left.make("m.room.name", ANA, {"name": "in no state"}).event_id
        step = begin(V11, [left.state, right.state], algorithm="2.1", **{known: {other}})  # type: ignore[arg-type]  # either of two
        assert isinstance(step, AwaitingEvents)
        assert other in step.needs
        found, _ = run(step, left)
        assert found.state["m.room.name", ""] == other

    def test_events_of_room_states_need_not_be_asked_for(self) -> None:
        left, right = a_dispute()
        found = begin(V11, [left.room_state, right.room_state])
        assert isinstance(found, Resolution)
        assert found.state == right.state


class TestAwaitingEvents:
    def test_ignores_what_was_not_asked_for(self) -> None:
        left, right = a_dispute()
        step = begin(V11, [left.state, right.state])
        assert isinstance(step, AwaitingEvents)
        stray = left.make("m.room.name", ANA, {})
        assert step.receive([stray]) == step.receive([])

    def test_what_does_not_come_is_missing(self) -> None:
        left, right = a_dispute()
        step = begin(V11, [left.state, right.state])
        assert isinstance(step, AwaitingEvents)
        found = step.receive([])
        assert isinstance(found, Resolution)
        assert found.missing == step.needs

    def test_is_a_value(self) -> None:
        left, right = a_dispute()
        first = begin(V11, [left.state, right.state])
        second = pickle.loads(pickle.dumps(first))
        assert first == second
        assert hash(first) == hash(second)
        assert first != begin(V11, [left.state, {}])

    def test_long_chains_take_as_many_steps_as_they_are_long(self) -> None:
        fork = a_fork(V11)
        for number in range(40):
            fork.levels(ANA, {ANA: 100}, origin_server_ts=number)
        left, right = fork.branch(), fork.branch()
        left.add("m.room.topic", ANA, {})
        right.add("m.room.topic", ANA, {})
        found, asked = run(begin(V11, [left.state, right.state]), fork)
        assert found.state == right.state
        assert len(asked) == 40
