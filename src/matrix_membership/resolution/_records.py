"""The algorithms' records of the events that they consider, in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from matrix_membership._attrs import Word
from matrix_membership.auth import Decision
from matrix_membership.identifiers import EventID

__all__ = ["Outcome", "Rank", "Record", "Stage", "without_end"]


class Stage(Word):
    """The step of an algorithm in which an event is considered."""

    POWER_EVENTS = "power events"
    MAINLINE = "mainline"
    POWER_LEVELS = "power levels"
    JOIN_RULES = "join rules"
    MEMBERS = "members"
    OTHERS = "other events"


class Outcome(Word):
    """The outcome for an event that was considered.

    Attributes:
        TAKEN: it was let into the state. A later one may have taken its place.
        REFUSED: the rules did not allow it.
        REJECTED: it had been rejected before.
        PASSED_OVER: algorithm 1 stopped before it.
        UNORDERED: it authorises itself through others, or waits for an event that does.
        MISSING: it was not at hand.
        UNDISPUTED: to algorithm 1 it was in no conflict.
    """

    TAKEN = "taken"
    REFUSED = "refused"
    REJECTED = "rejected before"
    PASSED_OVER = "passed over"
    UNORDERED = "in a cycle of auth events"
    MISSING = "not at hand"
    UNDISPUTED = "in no conflict"


Rank = tuple[int, int | str, EventID]
"""The sort key of an event, its ID last: see the ordering of its stage."""


class Record(NamedTuple):
    """One stage: the events in order, and the outcome of each.

    Two lists instead of a value for each event, which `Resolution.story` makes when it is asked.

    Attributes:
        stage: the stage; None for events that came to none.
        ranks: the sort keys of the events, in order.
        ends: the decision on each of them, or its outcome without one.
    """

    stage: Stage | None
    ranks: Sequence[Rank]
    ends: Sequence[Decision | Outcome]


def without_end(stage: Stage | None, event_ids: Iterable[EventID], outcome: Outcome) -> Record:
    """Write down events that were neither compared nor judged."""
    ranks: list[Rank] = [(0, 0, event_id) for event_id in sorted(event_ids)]
    return Record(stage, ranks, [outcome] * len(ranks))
