"""Both implementations resolve generated rooms alike, whatever is wrong with them."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership import RoomVersion
from matrix_membership.auth import Decision
from matrix_membership.resolution import resolve
from tests.builders import VERSIONS
from tests.resolution import oracle
from tests.resolution.room_graphs import Case, a_case, cases

A_FEW: Final = 240
MANY: Final = 20_000
STEP: Final = 500
LEVELS: Final = ("m.room.power_levels", "")
ALGORITHMS: Final = ("1", "2", "2.1")


def differences(case: Case, algorithm: str | None = None) -> dict[object, tuple[object, object]]:
    """Where the two implementations differ."""
    ours = resolve(
        case.version, case.state_sets, case.events, rejected=case.rejected, algorithm=algorithm
    ).state
    theirs = oracle.resolve(case.version, case.state_sets, case.events, case.rejected, algorithm)
    places = {*ours, *theirs}
    return {
        place: (ours.get(place), theirs.get(place))
        for place in places
        if ours.get(place) != theirs.get(place)
    }


@pytest.mark.parametrize("version", VERSIONS, ids=str)
class TestInEveryVersion:
    def test_the_algorithm_of_the_version_agrees(self, version: RoomVersion) -> None:
        index = VERSIONS.index(version)
        wrong = [seed for seed in range(index, A_FEW, len(VERSIONS)) if differences(a_case(seed))]
        assert wrong == []


@pytest.mark.parametrize("seed", [2352, 7824, 13812])
def test_agrees_where_the_create_event_is_of_another_room(seed: int) -> None:
    assert differences(a_case(seed)) == {}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_agrees_in_rooms_of_any_version(algorithm: str) -> None:
    wrong = [seed for seed in range(1000, 1060) if differences(a_case(seed), algorithm)]
    assert wrong == []


@given(st.integers(0, 2**32), st.sampled_from(VERSIONS))
def test_agrees_on_drawn_seeds(seed: int, version: RoomVersion) -> None:
    assert differences(a_case(seed, version)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, MANY, STEP))
def test_agrees_on_many_cases(first: int) -> None:
    wrong = [first + index for index, case in enumerate(cases(first, STEP)) if differences(case)]
    assert wrong == []


def test_the_cases_are_hard() -> None:
    """Many rooms have a dispute about power, and in many an event is refused."""
    drawn = [
        resolve(case.version, case.state_sets, case.events, rejected=case.rejected)
        for case in cases(0, 200)
    ]
    about_power = [found for found in drawn if LEVELS in found.conflicted]
    refusing = [
        found
        for found in drawn
        if any(isinstance(e, Decision) and not e.allowed for r in found._records for e in r.ends)
    ]
    assert len(about_power) > 60
    assert len(refusing) > 60
