"""An invite's state holds the user's own member event whole among stripped ones. The rest is not told."""

from __future__ import annotations

import pytest

from matrix_membership import Event, auth, may
from matrix_membership.advice.may import Permission
from tests.reports.given import report, state_of

NAME = "01-own-invite-comes-whole"
ASKED = report(NAME)["input"]["ask"]


def answer(user: str, question: str, *target: str) -> Permission:
    permission: Permission = getattr(may(user, state_of(NAME)), question)(*target)
    return permission


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked[1])
class TestAnswer:
    def test_is_as_the_report_says(self, asked: list[str]) -> None:
        told = answer(*asked)
        assert report(NAME)["expected"][asked[1]] == "unknown"
        assert (bool(told), told.unknown) == (False, True)
        assert str(told).startswith("unknown: the state that is at hand leaves out ")

    def test_is_that_of_an_explanation(self, asked: list[str]) -> None:
        told = answer(*asked)
        event: Event = told.event
        explanation = auth.explain(event, state_of(NAME))
        assert explanation.decision == told.decision
        assert explanation.steps[-1].name == explanation.decision.rule
        assert explanation.remedies == ()
