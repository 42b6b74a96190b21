"""Compare another engine's verdicts with this package's, over drawn cases.

Call `assert_agrees` in a test; it works with every test runner.
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

__all__ = ["Disagreement", "assert_agrees"]

Engine = Callable[[Event, RoomState], object]
"""Takes an event and the state before it; returns a true value when it allows the event."""


class Disagreement(AssertionError):
    """An engine allowed an event that the auth rules reject, or the other way round.

    Attributes:
        case: the smallest case found with different verdicts.
        allowed: whether the engine allowed the event.

    .. versionadded:: 0.1.0
    """

    def __init__(self, case: AuthCase, *, allowed: bool) -> None:
        super().__init__(case, allowed)
        self.case = case
        self.allowed = allowed

    def __str__(self) -> str:
        verdict = "allows" if self.allowed else "rejects"
        case, decision = self.case, self.case.decision
        told = f"the engine {verdict} what is {decision}\n{decision.url}\n\n{case.script}"
        # An explanation reads the state; a rejected auth event decides before it is read.
        if case.auth_events_decision.allowed:
            told += f"\n\n{auth.explain(case.event, case.state)}"
        return told


def assert_agrees(
    engine: Engine,
    *,
    room_version: RoomVersion | None = None,
    max_examples: int = 2000,
    signed: bool = False,
    cases: SearchStrategy[AuthCase] | None = None,
) -> None:
    """Compare an engine's verdicts with those of this package's rules.

    Args:
        engine: takes an event and the state before it; returns a true value when it
            allows the event. Its exceptions pass through, for the smallest case that
            raises them.
        room_version: the version of all rooms; None for any.
        max_examples: how many cases to try. 2,000 cases of one room version reach every
            rule, and find a wrong default of each level.
        signed: whether to hash and sign all events, for an engine that reads the
            signatures in the PDU. Otherwise only `event.signed_by` names the signers.
        cases: the cases to use in place of those of `auth_cases` with sound auth events
            and possible levels.

    Raises:
        Disagreement: two verdicts differ. It holds the smallest such case.

    >>> try:
    ...     assert_agrees(lambda event, state: event.type != "m.room.create")
    ... except Disagreement as found:
    ...     print(str(found).partition(" by ")[0])
    the engine allows what is rejected

    .. versionadded:: 0.1.0
    """
    if cases is None:
        cases = auth_cases(
            room_version=room_version,
            # Many engines take the state as given, and never see which events were listed.
            unsound_auth_events=False,
            impossible_levels=False,
            signed=signed,
        )

    # An engine may run in another process, so it gets no deadline. Examples are not kept, because
    # this package writes no files. And one failure is reported, the smallest, since others would
    # hide it.
    @settings(max_examples=max_examples, deadline=None, database=None, report_multiple_bugs=False)
    @given(cases)
    def agrees(case: AuthCase) -> None:
        allowed = bool(engine(case.event, case.state))
        if allowed is not case.decision.allowed:
            raise Disagreement(case, allowed=allowed)

    agrees()
