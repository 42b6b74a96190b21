"""Power events, and the reverse topological power ordering.

See the `definitions`__ of algorithm 2, and issue 553 of the specification on what the smallest
ordering is: of all events whose auth events have been placed, the smallest comes next, however
long it has been waiting.

__ https://spec.matrix.org/v1.19/rooms/v12/#definitions
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from collections.abc import Set as AbstractSet
from heapq import heapify, heappop, heappush
from typing import Final

from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.membership import BAN, LEAVE
from matrix_membership.resolution._graph import Graph
from matrix_membership.state.standing import levels_by

__all__ = [
    "KINDS_OF_POWER",
    "PowerRank",
    "is_power_event",
    "reverse_topological_power_ordering",
    "with_auth_chains",
]

PowerRank = tuple[int, int, EventID]
"""The sort key of a power event: power level of the sender, negated; time sent; ID."""


KINDS_OF_POWER: Final = frozenset(
    {
        "m.room.power_levels",
        "m.room.join_rules",
        "m.room.member",  # of a state key that is not a user ID
        "m.room.member leave",
        "m.room.member ban",
    }
)
"""The kinds of events that can be power events."""


def is_power_event(event: Event) -> bool:
    """Tell whether a state event might remove somebody's ability to do something.

    >>> from matrix_membership.room_versions import V11
    >>> rules = {
    ...     "type": "m.room.join_rules",
    ...     "sender": "@a:a.example",
    ...     "state_key": "",
    ...     "content": {},
    ... }
    >>> is_power_event(Event.from_client_event(rules, V11))
    True
    """
    # Synapse counts create events too, and power levels and join rules of the empty state key only.
    # Here the text decides: any state key, and no create event.
    if event.type == "m.room.member":
        return event.sender != event.state_key and event.membership in (LEAVE, BAN)
    return event.type in ("m.room.power_levels", "m.room.join_rules")


def with_auth_chains(
    power_events: Iterable[EventID], among: AbstractSet[EventID], graph: Graph
) -> dict[EventID, list[EventID]]:
    """Add the events of the full conflicted set that authorise the power events.

    Returns:
        For each of them its auth events among them. Cost: linear in the edges.
    """
    # The walk stays inside the full conflicted set, as in Synapse. The text would also order an
    # event that is reached only through events outside it; finding those means walking all auth
    # chains.
    edges: dict[EventID, list[EventID]] = {}
    waiting = list(power_events)
    while waiting:
        event_id = waiting.pop()
        if event_id in edges:
            continue
        found = [auth_id for auth_id in graph.auth_events(event_id) if auth_id in among]
        edges[event_id] = list(dict.fromkeys(found)) if found else found
        waiting += found
    return edges


def _ranked(event_ids: Iterable[EventID], graph: Graph) -> list[PowerRank]:
    """Return the sort keys of events."""
    events, auth_events = graph.events, graph.auth_events
    # By list: events that list the same ask for the same power levels.
    powers: dict[tuple[EventID, ...], Callable[[str], int]] = {}
    ranks: list[PowerRank] = []
    for event_id in event_ids:
        names, event = auth_events(event_id), events[event_id]
        level_of = powers.get(names)
        if level_of is None:
            # By the event's own auth events and not by the state so far: the order has to be known
            # before the first event is let in.
            listed = graph.create_event(event_id), graph.power_levels(event_id)
            level_of = powers[names] = levels_by(*listed)
        ranks.append((-level_of(event.sender), event.origin_server_ts, event_id))
    return ranks


def reverse_topological_power_ordering(
    edges: dict[EventID, list[EventID]], graph: Graph
) -> tuple[list[PowerRank], Collection[EventID]]:
    """Sort events: each after its auth events, the most powerful sender first.

    Args:
        edges: the events, each with its auth events among them.
        graph: where the events are.

    Returns:
        The events in order, as their sort keys; then those that cannot be ordered, since
        they authorise themselves or wait for one that does. Cost: n log n.
    """
    ranks = _ranked(edges, graph)
    # Without an edge the order is that of the keys: two branches that changed the power levels.
    if not any(edges.values()):
        ranks.sort()
        return ranks, ()
    # Kahn's algorithm with a heap. A depth-first ordering is also topological, but depends on where
    # it starts; two servers could then replay a ban and a promotion the other way round.
    open_edges = {event_id: len(auth_ids) for event_id, auth_ids in edges.items()}
    listed_by: dict[EventID, list[EventID]] = {}
    for event_id, auth_ids in edges.items():
        for auth_id in auth_ids:
            listed_by.setdefault(auth_id, []).append(event_id)

    by_id = {rank[2]: rank for rank in ranks}
    ready = [rank for rank in ranks if open_edges[rank[2]] == 0]
    heapify(ready)
    ordered: list[PowerRank] = []
    while ready:
        smallest = heappop(ready)
        ordered.append(smallest)
        del open_edges[smallest[2]]
        for event_id in listed_by.get(smallest[2], ()):
            open_edges[event_id] -= 1
            if open_edges[event_id] == 0:
                heappush(ready, by_id[event_id])
    # The events that are left wait for themselves. IDs of versions 1 and 2 are not hashes, so a
    # server can write two events that authorise each other. No topological ordering has a turn for
    # them.
    return ordered, open_edges.keys()
