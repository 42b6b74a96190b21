"""A client asks for a plain join. The server checks the rooms, and adds the authorising user."""

from __future__ import annotations

import pytest

from matrix_membership import may
from matrix_membership.membership import JOIN, LEAVE, Membership
from tests.builders import CAY
from tests.reports.given import report, state_of

NAME = "02-restricted-join-asked-by-a-client"
SPACE = "!space:a.example"


class TestJoin:
    def test_is_what_the_report_asks(self) -> None:
        assert report(NAME)["input"]["ask"] == [[CAY, "join"]]

    def test_hangs_on_the_space(self) -> None:
        answer = may(CAY, state_of(NAME)).join()
        assert (bool(answer), answer.unknown, answer.hangs_on) == (False, True, (SPACE,))
        assert str(answer) == f"unknown: hangs on whether {CAY} is joined to {SPACE}"

    def test_is_helped_by_joining_the_space(self) -> None:
        sentences = [remedy.sentence for remedy in may(CAY, state_of(NAME)).join().remedies]
        assert any(f"join {SPACE}" in sentence for sentence in sentences)

    @pytest.mark.parametrize("told", [JOIN, "join"])
    def test_is_allowed_from_the_space(self, told: Membership | str) -> None:
        answer = may(CAY, state_of(NAME)).join(memberships={SPACE: told})
        assert answer
        assert answer.event.authorised_via == "@ana:a.example"
        assert str(answer).startswith("allowed by rule 4.3.5.3 of room version 10: ")

    @pytest.mark.parametrize("told", [LEAVE, "leave"])
    def test_is_refused_from_elsewhere(self, told: Membership | str) -> None:
        answer = may(CAY, state_of(NAME)).join(memberships={SPACE: told})
        assert (bool(answer), answer.unknown) == (False, False)
        assert answer.objection == f"{CAY} is joined to none of the rooms whose members may join"
        assert any(f"join {SPACE}" in str(remedy) for remedy in answer.remedies)
