"""Does another engine agree? Its yes or no is compared with ours over drawn cases.

No plugin is needed: `assert_agrees` is called in a test of any kind.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy

from matrix_membership import auth
from matrix_membership.events import Event
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState
from matrix_membership.strategies.cases import AuthCase, auth_cases

__all__ = ["Disagreement", "Engine", "assert_agrees"]

Engine = Callable[[Event, RoomState], object]
"""Takes an event and the state before it; what it returns is true when it allows the event."""


class Disagreement(AssertionError):
    """An engine allowed what our rules reject, or the other way round.

    Attributes:
        case: the smallest case found on which the two differ.
        allowed: what the engine said.
    """

    def __init__(self, case: AuthCase, *, allowed: bool) -> None:
        super().__init__(case, allowed)
        self.case = case
        self.allowed = allowed

    def __str__(self) -> str:
        verdict = "allows" if self.allowed else "rejects"
        case, decision = self.case, self.case.decision
        told = f"the engine {verdict} what is {decision}\n{decision.url}\n\n{case.script}"
        if case.auth_events_decision.allowed:  # otherwise the state was not looked at
            told += f"\n\n{auth.explain(case.event, case.state)}"
        return told


def assert_agrees(
    engine: Engine,
    *,
    room_version: RoomVersion | None = None,
    max_examples: int = 1000,
    signed: bool = False,
    cases: SearchStrategy[AuthCase] | None = None,
) -> None:
    """Compare an engine's verdicts with those of this package's rules.

    Args:
        engine: takes an event and the state before it, and answers yes or no. What
            it raises is raised, for the smallest case on which it does.
        room_version: the version of all rooms; any.
        max_examples: how many cases are tried. Two thousand for each room version
            reach every rule.
        signed: hash and sign all events really, for an engine that reads signatures
            in the PDU itself. Otherwise `event.signed_by` says who signed.
        cases: other cases than `auth_cases` draws.

    Raises:
        Disagreement: they differ; with the smallest case on which they do.

    >>> assert_agrees(lambda event, state: event.type != "m.room.create", max_examples=2000)
    Traceback (most recent call last):
      ...
    matrix_membership.strategies.agreement.Disagreement: the engine ...
    """
    if cases is None:
        cases = auth_cases(room_version=room_version, unsound_auth_events=False, signed=signed)

    @settings(max_examples=max_examples, deadline=None, database=None, report_multiple_bugs=False)
    @given(cases)
    def agrees(case: AuthCase) -> None:
        allowed = bool(engine(case.event, case.state))
        if allowed is not case.decision.allowed:
            raise Disagreement(case, allowed=allowed)

    agrees()
