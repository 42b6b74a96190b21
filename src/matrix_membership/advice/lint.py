"""Find settings of a room that hurt its members.

Each check in `CHECKS` looks for one thing. It says what happens to whom, and how to mend it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from matrix_membership.advice._finding import Check, Finding, Weight
from matrix_membership.advice._given import require
from matrix_membership.advice._join_rules import JOIN_RULE_CHECKS
from matrix_membership.advice._power import POWER_CHECKS
from matrix_membership.advice._servers import SERVER_CHECKS
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.state import RoomState

__all__ = ["lint", "lint_change"]

CHECKS: Final[tuple[Check, ...]] = (*JOIN_RULE_CHECKS, *POWER_CHECKS, *SERVER_CHECKS)


def lint(state: RoomState) -> tuple[Finding, ...]:
    """Find settings of a room that hurt its members.

    Args:
        state: the current state of the room.

    Returns:
        The findings, those that hurt now first. A partial state gives those that are
        certain, and a last one, `not-told`, which names what it leaves out. Cost: linear in
        the power levels, the access control list and the servers in the room, plus at most
        50,000 comparisons of a server with a pattern. It is linear in the members for the
        first question to a state of `RoomState.of`, and if the room has an access control
        list, is closed to other servers, or has nobody who can lift a ban.

    Raises:
        IncompleteState: the state is over a look-up function, which cannot list members.
        TypeError: the state is something else, such as a list of events.

    >>> from matrix_membership.room_versions import V11
    >>> [finding.kind for finding in lint(RoomState.of(V11, []))]
    ['no-create-event']

    .. versionadded:: 0.1.0
    """
    require(RoomState, state)
    if state.knows("m.room.create") and state.create_event is None:
        sentence = "nothing can happen in a room without m.room.create"
        return (Finding("no-create-event", Weight.HURTS, None, (), sentence, "make another room"),)
    found: list[Finding] = []
    missing: dict[str, None] = {}
    for check in CHECKS:
        try:
            # Not a comprehension: a check may find something before it misses something.
            for finding in check(state):
                found.append(finding)  # noqa: PERF402 - see above
        except IncompleteState as incomplete:
            # A state over a look-up cannot list its members. Its caller hears of it, instead of a
            # list of findings that is short for another reason than it says.
            if state.is_whole:
                raise
            missing[incomplete.missing] = None
    if missing:
        found.append(_not_told(tuple(missing)))
    order = list(Weight)
    return tuple(sorted(found, key=lambda finding: order.index(finding.weight)))


def _not_told(missing: tuple[str, ...]) -> Finding:
    sentence = "there may be more: the state that is at hand leaves these out"
    return Finding("not-told", Weight.NOTE, None, missing, sentence, "read the whole state")


def lint_change(state: RoomState, event: Event) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Find what an event would do to a room, before it is sent.

    Args:
        state: the current state of the room.
        event: the event, whether or not the rules allow it: `Permission.event`, for one.

    Returns:
        The findings that the event adds, and those that it removes. A finding that concerns
        more than before is added, one that concerns less is removed. Cost: that of `lint`,
        twice, and of `RoomState.with_event`.

    Raises:
        IncompleteState: the state is over a look-up function.
        TypeError: the state or the event is something else, such as JSON.

    >>> from matrix_membership.room_versions import V11
    >>> message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
    >>> lint_change(RoomState.of(V11, []), Event.from_client_event(message, V11))
    ((), ())

    .. versionadded:: 0.1.0
    """
    require(Event, event)
    before, after = lint(state), lint(state.with_event(event))
    return beyond(before, after), beyond(after, before)


def beyond(known: Iterable[Finding], findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings that are of a new kind, or concern something new."""
    # Findings hold the event to mend, and a remedy for it: they differ although they say the same.
    told = {entry for finding in known for entry in _entries(finding)}
    return tuple([finding for finding in findings if not told.issuperset(_entries(finding))])


def _entries(finding: Finding) -> Iterator[tuple[str, str]]:
    return ((finding.kind, concern) for concern in finding.concerns or ("",))
