"""Algorithms 2 and 2.1, of room versions 2 to 12: replay conflicted events.

See the `algorithm`__. The two differ in two things: 2.1 starts from an empty state instead of
what the states have in common, and replays the conflicted state subgraph too.

__ https://spec.matrix.org/v1.19/rooms/v12/#algorithm
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from matrix_membership.identifiers import EventID
from matrix_membership.resolution._auth_checks import Judge, iterative_auth_checks
from matrix_membership.resolution._graph import Graph
from matrix_membership.resolution._mainline import Mainline, mainline_ordering
from matrix_membership.resolution._power_events import (
    KINDS_OF_POWER,
    is_power_event,
    reverse_topological_power_ordering,
    with_auth_chains,
)
from matrix_membership.resolution._records import Outcome, Record, Stage, without_end
from matrix_membership.resolution._state_sets import Place, StateSet

__all__ = ["resolve_by_replay"]


def resolve_by_replay(
    full_conflicted_set: AbstractSet[EventID], start: StateSet, graph: Graph
) -> tuple[dict[Place, EventID], tuple[Record, ...]]:
    """Resolve by steps 1 to 4 of the algorithm.

    Args:
        full_conflicted_set: the events to replay, which were looked up.
        start: the state to start from.
        graph: where the events are.

    Returns:
        The events that were let in, by place, and what was considered. Cost: n log n.
    """
    at_hand = full_conflicted_set
    absent = graph.missing and full_conflicted_set & graph.missing
    if absent:
        names = [event_id for event_id in full_conflicted_set if event_id not in absent]
        at_hand = dict.fromkeys(names).keys()
    judge = Judge(start, graph)

    # Two rounds: the mainline by which the second one sorts ends in the power levels that the first
    # one left. In one round by time, a demoted moderator could date events back, and have them
    # judged before the demotion.
    edges = with_auth_chains(_power_events(at_hand, graph), at_hand, graph)
    ranks, unordered = reverse_topological_power_ordering(edges, graph)
    ends = iterative_auth_checks(ranks, judge, graph)
    records = [Record(Stage.POWER_EVENTS, ranks, ends)]
    if unordered:
        records.append(without_end(Stage.POWER_EVENTS, unordered, Outcome.UNORDERED))

    levels = judge.get(("m.room.power_levels", ""))
    others = [event_id for event_id in at_hand if event_id not in edges]
    line = Mainline(None if levels is None else levels.event_id, graph)
    ranks_of_others = mainline_ordering(others, line, graph)
    ends = iterative_auth_checks(ranks_of_others, judge, graph)
    records.append(Record(Stage.MAINLINE, ranks_of_others, ends))
    if absent:
        records.append(without_end(None, absent, Outcome.MISSING))

    judge.forget()
    # Only the events that were let in. The start state stays where it is, so that the result of 100
    # disputed places costs 100 entries, not one for each member.
    return judge.let_in, tuple(records)


def _power_events(event_ids: Iterable[EventID], graph: Graph) -> list[EventID]:
    events = graph.events
    # Asked of the kind first, which spares a call for each join.
    return [
        event_id
        for event_id in event_ids
        if (event := events[event_id]).kind in KINDS_OF_POWER and is_power_event(event)
    ]
