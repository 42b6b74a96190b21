"""What became of an event reads as it is said."""

from __future__ import annotations

from matrix_membership.resolution._records import Outcome, Stage


class TestStage:
    def test_reads_as_its_value(self) -> None:
        assert str(Stage.POWER_EVENTS) == "power events"


class TestOutcome:
    def test_reads_as_its_value(self) -> None:
        assert str(Outcome.UNORDERED) == "in a cycle of auth events"
