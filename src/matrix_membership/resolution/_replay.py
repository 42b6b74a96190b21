"""Algorithms 2 and 2.1, of room versions 2 to 12: replay conflicted events.

See the `algorithm`__. The two differ in two things: 2.1 starts from an empty state instead of
what the states have in common, and replays the conflicted state subgraph too.

__ https://spec.matrix.org/v1.19/rooms/v12/#algorithm
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet

from matrix_membership.identifiers import EventID
from matrix_membership.resolution._auth_checks import Judge, PartialState, iterative_auth_checks
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
        full_conflicted_set: the events to replay.
        start: the state to start from.
        graph: where the events are.

    Returns:
        The events that were let in, by place, and what was considered. Cost: n log n.
    """
    events = graph.events
    graph.load(full_conflicted_set - events.keys() - graph.missing)
    absent = full_conflicted_set - events.keys()
    at_hand: Collection[EventID] = full_conflicted_set
    if absent:
        at_hand = [event_id for event_id in full_conflicted_set if event_id not in absent]
    partial = PartialState(start, graph)
    judge = Judge(partial, graph)

    # Asked of the kind first, which spares a call for each join.
    power_events = [
        event_id
        for event_id in at_hand
        if (event := events[event_id]).kind in KINDS_OF_POWER and is_power_event(event)
    ]
    # Two rounds: the mainline by which the second one sorts ends in the power levels that the first
    # one left. In one round by time, a demoted moderator could date events back, and have them
    # judged before the demotion.
    edges = with_auth_chains(power_events, full_conflicted_set, graph)
    power_ranks, unordered = reverse_topological_power_ordering(edges, graph)
    power_ends = iterative_auth_checks([rank[2] for rank in power_ranks], judge, graph)

    levels = partial.get(("m.room.power_levels", ""))
    others = [event_id for event_id in at_hand if event_id not in edges]
    line = Mainline(None if levels is None else levels.event_id, graph)
    other_ranks = mainline_ordering(others, line, graph)
    other_ends = iterative_auth_checks([rank[2] for rank in other_ranks], judge, graph)

    # Only the events that were let in. The start state stays where it is, so that the result of 100
    # disputed places costs 100 entries, not one for each member.
    resolved = {(event.type, event.state_key or ""): event.event_id for event in partial.let_in}
    return resolved, (
        Record(Stage.POWER_EVENTS, power_ranks, power_ends),
        without_end(Stage.POWER_EVENTS, unordered, Outcome.UNORDERED),
        Record(Stage.MAINLINE, other_ranks, other_ends),
        without_end(None, absent, Outcome.MISSING),
    )
