"""Algorithm 1, of room version 1: one kind of event after another.

See `State resolution`__ of room version 1. If the text is silent, it does as servers do:

- A pass judges every place against what the passes before it resolved, and the places of one
  pass do not see each other. Otherwise the result would depend on the order of the members.
- Of other events, the one of the least depth stands when the rules allow none.
- Only the resolved state authorises: nothing is taken from an event's own auth events.

__ https://spec.matrix.org/v1.19/rooms/v1/#state-resolution
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha1
from types import MappingProxyType
from typing import Final

from matrix_membership.auth import Decision
from matrix_membership.identifiers import EventID
from matrix_membership.resolution._auth_checks import Judge
from matrix_membership.resolution._graph import Graph
from matrix_membership.resolution._records import Outcome, Record, Stage, without_end
from matrix_membership.resolution._state_sets import Place, StateMap, StateSet

__all__ = ["PassRank", "resolve_in_passes"]

PassRank = tuple[int, str, EventID]
"""The sort key of an event: depth; then the hash of the ID, the lowest last; the ID."""

Ends = list[tuple[PassRank, Decision | Outcome]]
"""Events in order, each with its decision or outcome."""

_PASSES: Final[Mapping[str, Stage]] = MappingProxyType(
    {
        "m.room.power_levels": Stage.POWER_LEVELS,
        "m.room.join_rules": Stage.JOIN_RULES,
        "m.room.member": Stage.MEMBERS,
    }
)


def resolve_in_passes(
    conflicted: Mapping[Place, tuple[EventID, ...]], unconflicted: StateSet, graph: Graph
) -> tuple[dict[Place, EventID], tuple[Record, ...]]:
    """Resolve what the states do not all have in common.

    Args:
        conflicted: the events of each place that does not have the same in all states.
        unconflicted: what they have in common.
        graph: where the events are.

    Returns:
        The events of the places in `conflicted`, and what was considered. Cost: n log n.
    """
    disputed, resolved, missing = _conflicts(conflicted, graph)
    judge = Judge(StateMap(unconflicted, dict(resolved)), graph, listed_too=False)
    records = []
    for stage in (*_PASSES.values(), Stage.OTHERS):
        winners: dict[Place, EventID] = {}
        considered: Ends = []
        # Sorted only for the story: the places of one pass do not see each other, so their order
        # decides nothing.
        for place in sorted(disputed):
            if _PASSES.get(place[0], Stage.OTHERS) is stage:
                ranks = _newest_first(disputed[place], graph)
                if stage is Stage.OTHERS:
                    ends, winner = _newest_allowed(ranks, judge, graph)
                else:
                    ends, winner = _last_before_a_refusal(ranks[::-1], place, judge, graph)
                winners[place] = winner
                considered += ends
        for winner in winners.values():
            judge.put(graph.events[winner])
        resolved.update(winners)
        records.append(Record(stage, [rank for rank, _ in considered], [e for _, e in considered]))
    judge.forget()
    return resolved, (*records, without_end(None, missing, Outcome.MISSING))


def _conflicts(
    conflicted: Mapping[Place, tuple[EventID, ...]], graph: Graph
) -> tuple[dict[Place, list[EventID]], dict[Place, EventID], list[EventID]]:
    """Return the places with several events, those with one, and missing events.

    A place is not in conflict if all states that have something there have the same. Then the
    event is not looked up, because no other one can stand there.
    """
    disputed: dict[Place, list[EventID]] = {}
    resolved: dict[Place, EventID] = {}
    missing: list[EventID] = []
    for place, event_ids in conflicted.items():
        at_hand = list(event_ids)
        if len(at_hand) > 1:
            found = [graph.event(event_id) for event_id in event_ids]
            at_hand = [
                event.event_id
                for event in found
                if event is not None and (event.type, event.state_key) == place
            ]
            missing += set(event_ids).difference(at_hand)
        if len(at_hand) > 1:
            disputed[place] = at_hand
        elif at_hand:
            resolved[place] = at_hand[0]
    return disputed, resolved, missing


def _newest_first(event_ids: Iterable[EventID], graph: Graph) -> list[PassRank]:
    """Return the events of one place, highest depth and lowest hash first."""
    ranks = [(graph.events[event_id].depth, _hash(event_id), event_id) for event_id in event_ids]
    return sorted(ranks, key=lambda rank: (-rank[0], rank[1], rank[2]))


def _hash(event_id: EventID) -> str:
    return sha1(event_id.encode(), usedforsecurity=False).hexdigest()


def _last_before_a_refusal(
    ranks: list[PassRank], place: Place, judge: Judge, graph: Graph
) -> tuple[Ends, EventID]:
    """Take the first event, and each next one, until the rules refuse one."""
    ends: Ends = [(ranks[0], Outcome.TAKEN)]
    winner = ranks[0][2]
    for rank in ranks[1:]:
        judge.put(graph.events[winner])
        decision = judge.check(graph.events[rank[2]])
        ends.append((rank, decision))
        if not decision.allowed:
            break
        winner = rank[2]
    judge.empty(place)  # until the pass is over
    return ends + [(rank, Outcome.PASSED_OVER) for rank in ranks[len(ends) :]], winner


def _newest_allowed(ranks: list[PassRank], judge: Judge, graph: Graph) -> tuple[Ends, EventID]:
    """Take the first event that the rules allow, or else the last one."""
    ends: Ends = []
    for rank in ranks:
        decision = judge.check(graph.events[rank[2]])
        ends.append((rank, decision))
        if decision.allowed:
            break
    return ends + [(rank, Outcome.PASSED_OVER) for rank in ranks[len(ends) :]], ends[-1][0][2]
