"""What holds of every resolution, whatever the room."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from matrix_membership import RoomVersion
from matrix_membership.identifiers import EventID
from matrix_membership.resolution import Resolution, resets, resolve
from tests.builders import VERSIONS
from tests.resolution.room_graphs import Case, a_case


def resolved(case: Case, algorithm: str | None = None) -> Resolution:
    return resolve(
        case.version, case.state_sets, case.events, rejected=case.rejected, algorithm=algorithm
    )


seeds = st.integers(0, 2**32)


@given(seeds)
def test_one_state_resolves_to_itself(seed: int) -> None:
    case = a_case(seed)
    for state in case.state_sets:
        known = {place: name for place, name in state.items() if name not in case.rejected}
        found = resolve(case.version, [state], case.events, rejected=case.rejected)
        assert found.state == known


@given(seeds)
def test_equal_states_resolve_to_themselves(seed: int) -> None:
    case = a_case(seed)
    once = resolved(case)
    again = resolve(case.version, [once.state] * 3, case.events, rejected=case.rejected)
    assert again.state == once.state


@given(seeds, st.randoms(use_true_random=False), st.sampled_from(["1", "2", "2.1"]))
def test_the_order_of_the_states_makes_no_difference(
    seed: int, draw: random.Random, algorithm: str
) -> None:
    case = a_case(seed)
    sets = [dict(draw.sample(sorted(state.items()), len(state))) for state in case.state_sets]
    draw.shuffle(sets)
    first = resolved(case, algorithm)
    second = resolve(case.version, sets, case.events, rejected=case.rejected, algorithm=algorithm)
    assert first == second


@given(seeds)
def test_a_state_given_twice_makes_no_difference(seed: int) -> None:
    case = a_case(seed)
    twice = [*case.state_sets, case.state_sets[0]]
    found = resolve(case.version, twice, case.events, rejected=case.rejected)
    assert found == resolved(case)


@given(seeds, st.sampled_from(["2", "2.1"]))
def test_what_all_states_have_in_common_survives(seed: int, algorithm: str) -> None:
    case = a_case(seed)
    first, *others = case.state_sets
    common = {
        place: name
        for place, name in first.items()
        if name not in case.rejected and all(other.get(place) == name for other in others)
    }
    found = resolved(case, algorithm).state
    assert {place: found[place] for place in common} == common


@given(seeds, st.sampled_from(VERSIONS))
def test_no_rejected_event_is_in_the_result(seed: int, version: RoomVersion) -> None:
    case = a_case(seed, version)
    assert case.rejected.isdisjoint(resolved(case).state.values())


@given(seeds)
def test_what_is_common_can_be_given_apart(seed: int) -> None:
    case = a_case(seed)
    whole = resolved(case)
    common = {
        place: name
        for place, name in whole.state.items()
        if place not in whole.conflicted
        and all(state.get(place) == name for state in case.state_sets)
    }
    rest = [
        {place: name for place, name in state.items() if place not in common}
        for state in case.state_sets
    ]
    apart = resolve(case.version, rest, case.events, rejected=case.rejected, unconflicted=common)
    assert (apart.state, apart.conflicted) == (whole.state, whole.conflicted)


@given(st.randoms(use_true_random=False))
def test_nothing_that_a_state_holds_raises(draw: random.Random) -> None:
    case = a_case(draw.randrange(2**32))
    other = a_case(draw.randrange(2**32), case.version)
    names = [*case.events, *other.events, EventID(""), EventID("$\ud800")]
    states = [dict(state) for state in case.state_sets]
    for state in states:
        places = [*state, ("", ""), ("m.room.create", "x"), ("m.room.member", "nobody")]
        for place in draw.sample(places, 3):
            state[place] = draw.choice(names)
    # Events of another room, and one that a look-up gives under the name of another.
    events = {**case.events, **other.events}
    events[names[0]] = events[draw.choice(names[:-2])]
    algorithm = draw.choice([None, "1", "2", "2.1"])
    rejected = frozenset(draw.sample(names, 3))
    found = resolve(case.version, states, events, rejected=rejected, algorithm=algorithm)
    again = resolve(case.version, states[::-1], events, rejected=rejected, algorithm=algorithm)
    assert found.state == again.state
    assert found.to_html().startswith("<!DOCTYPE html>")
    for state in states:
        assert all(map(str, resets(state, found)))
