"""Cases drawn outside of a test."""

from __future__ import annotations

from itertools import islice

import pytest

from matrix_membership.room_versions import V11, V12
from matrix_membership.strategies import draw_cases


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
