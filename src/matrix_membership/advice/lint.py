"""Find settings of a room that hurt its members.

Each check in `CHECKS` looks for one thing. It says what happens to whom, and how to mend it.
"""

from __future__ import annotations

from typing import Final

from matrix_membership.advice._finding import Check, Finding, Weight
from matrix_membership.advice._join_rules import JOIN_RULE_CHECKS
from matrix_membership.advice._power import POWER_CHECKS
from matrix_membership.advice._servers import SERVER_CHECKS
from matrix_membership.state import RoomState

__all__ = ["lint"]

CHECKS: Final[tuple[Check, ...]] = (*JOIN_RULE_CHECKS, *POWER_CHECKS, *SERVER_CHECKS)


def lint(state: RoomState) -> tuple[Finding, ...]:
    """Find settings of a room that hurt its members.

    Args:
        state: the current state of the room, all members included.

    Returns:
        The findings, those that hurt now first. Cost: linear in the power levels, the
        access control list and the servers in the room, plus at most
        50,000 comparisons of a server with a pattern; and for the first
        question to a state of `RoomState.of` linear in its members.

    Raises:
        IncompleteState: members are missing from the state.

    >>> from matrix_membership.room_versions import V11
    >>> [finding.kind for finding in lint(RoomState.of(V11, []))]
    ['no-create-event']
    """
    if state.create_event is None:
        sentence = "nothing can happen in a room without m.room.create"
        return (Finding("no-create-event", Weight.HURTS, None, (), sentence, "make another room"),)
    found = [finding for check in CHECKS for finding in check(state)]
    order = list(Weight)
    return tuple(sorted(found, key=lambda finding: order.index(finding.weight)))
