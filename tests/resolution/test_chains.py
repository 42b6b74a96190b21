"""The chain index gives what a walk along auth events gives."""

from __future__ import annotations

import pickle
import random

from hypothesis import given
from hypothesis import strategies as st

from matrix_membership import Event
from matrix_membership.identifiers import EventID
from matrix_membership.membership import LEAVE
from matrix_membership.resolution import ChainIndex, resolve
from matrix_membership.resolution._auth_difference import (
    auth_difference,
    conflicted_state_subgraph,
)
from matrix_membership.resolution._state_sets import unconflicted_state_map
from matrix_membership.room_versions import V11, V12
from tests.builders import ANA, BEN, CAY
from tests.resolution.forks import a_fork
from tests.resolution.room_graphs import Case, a_case


def in_order(events: dict[EventID, Event]) -> list[Event]:
    """The events, each after its auth events; those in cycles as they come."""
    ordered: dict[EventID, Event] = {}

    def visit(event: Event) -> None:
        waiting = [event]
        seen = set()
        while waiting:
            last = waiting[-1]
            before = [
                events[name]
                for name in last.auth_events
                if name in events and name not in ordered and name not in seen
            ]
            seen.add(last.event_id)
            if before:
                waiting.append(before[0])
            else:
                ordered.setdefault(last.event_id, last)
                waiting.pop()

    for event in events.values():
        visit(event)
    return list(ordered.values())


def without_cycles(seed: int) -> Case:
    """A case in which no events authorise each other."""
    while True:
        case = a_case(seed)
        place = {event.event_id: index for index, event in enumerate(in_order(case.events))}
        if all(
            place.get(name, -1) < place[event.event_id]
            for event in case.events.values()
            for name in event.auth_events
        ):
            return case
        seed += 1


def walked(case: Case, event_id: EventID) -> tuple[EventID, ...]:
    return case.events[event_id].auth_events if event_id in case.events else ()


seeds = st.integers(0, 2**32)


@given(seeds)
def test_gives_the_auth_difference(seed: int) -> None:
    case = without_cycles(seed)
    index = ChainIndex.of(in_order(case.events))
    common = unconflicted_state_map(case.state_sets)
    expected = auth_difference(case.state_sets, common, lambda name: walked(case, name))
    assert index.auth_difference(case.state_sets) == expected
    rest = [
        {place: name for place, name in state.items() if place not in common}
        for state in case.state_sets
    ]
    assert index.auth_difference(rest, common=index.reach(common.values())) == expected


@given(seeds, st.randoms(use_true_random=False))
def test_gives_the_conflicted_state_subgraph(seed: int, draw: random.Random) -> None:
    case = without_cycles(seed)
    index = ChainIndex.of(in_order(case.events))
    some = draw.sample(sorted(case.events), draw.randrange(len(case.events)))
    expected = conflicted_state_subgraph(set(some), lambda name: walked(case, name))
    assert index.conflicted_state_subgraph(some) == expected


@given(seeds)
def test_it_makes_no_difference_in_which_batches_it_grew(seed: int) -> None:
    case = without_cycles(seed)
    events = in_order(case.events)
    grown = ChainIndex.of([])
    for event in events:
        grown = grown.with_events([event])
    whole = ChainIndex.of(events)
    assert len(grown) == len(whole)
    assert grown.auth_difference(case.state_sets) == whole.auth_difference(case.state_sets)


class TestChainIndex:
    def test_knows_what_is_in_it(self) -> None:
        fork = a_fork(V11)
        index = ChainIndex.of(fork.events.values())
        assert fork.state["m.room.create", ""] in index
        assert "$x:a.example" not in index
        assert len(index) == len(fork.events)

    def test_passes_over_what_it_has(self) -> None:
        fork = a_fork(V11)
        index = ChainIndex.of(fork.events.values())
        assert len(index.with_events(fork.events.values())) == len(index)

    def test_stays_as_it_was_when_another_one_grows(self) -> None:
        fork = a_fork(V11)
        index = ChainIndex.of(fork.events.values())
        event = fork.make("m.room.topic", ANA, {})
        assert event.event_id in index.with_events([event])
        assert event.event_id not in index

    def test_an_event_that_was_listed_first_has_no_chain(self) -> None:
        fork = a_fork(V11)
        join = fork.events[fork.state["m.room.member", ANA]]
        create = fork.events[fork.state["m.room.create", ""]]
        index = ChainIndex.of([join, create])
        assert len(index) == 2
        (number,) = index.reach([join.event_id]).up_to
        assert index.reach([create.event_id]).up_to == {}
        assert index.reach(["$none:a.example"]).up_to == {}  # type: ignore[list-item]  # an ID
        assert number == 0

    def test_of_two_auth_events_in_a_chain_the_further_counts(self) -> None:
        fork = a_fork(V11)
        old = fork.state["m.room.power_levels", ""]
        new = fork.levels(ANA, {})
        for listed in ([old, new], [new, old]):
            topic = fork.make("m.room.topic", ANA, {}, auth_events=listed)
            index = ChainIndex.of(fork.events.values())
            assert new in index.auth_difference([{("m.x", ""): topic.event_id}, {}])

    def test_is_a_value(self) -> None:
        fork = a_fork(V11)
        index = ChainIndex.of(fork.events.values())
        again = pickle.loads(pickle.dumps(index))
        assert again == index
        assert hash(again) == hash(index)
        reach = index.reach(fork.state.values())
        assert hash(reach) == hash(again.reach(fork.state.values()))

    def test_serves_a_resolution(self) -> None:
        left = a_fork(V12)
        right = left.branch()
        left.levels(ANA, {BEN: 60, CAY: 50})
        left.member(BEN, CAY, LEAVE)
        right.member(CAY, CAY)
        right.add("m.room.topic", CAY, {})
        states = [left.state, right.state]
        index = ChainIndex.of(left.events.values())
        expected = resolve(V12, states, left.events)
        ids = [name for names in expected.conflicted.values() for name in names]
        found = resolve(
            V12,
            states,
            left.events,
            auth_difference=index.auth_difference(states),
            conflicted_subgraph=index.conflicted_state_subgraph(ids),
        )
        assert found == expected
