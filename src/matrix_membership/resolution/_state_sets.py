"""The states to resolve: their common part, and the places that differ.

Both are defined in the `definitions`__ of algorithm 2; a place is a type with a state key.

__ https://spec.matrix.org/v1.19/rooms/v12/#definitions
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from attrs import field

from matrix_membership._attrs import constant, slots
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.state import RoomState

__all__ = [
    "Place",
    "StateMap",
    "StateSet",
    "conflicted_state_set",
    "ids_of",
    "laid_over",
    "unconflicted_state_map",
    "without",
]

Place = tuple[str, str]
"""A type with a state key: where an event stands in the state of a room."""

StateSet = Mapping[Place, EventID]
"""A state of a room: event IDs by place."""


@slots
class _Slots:
    # Filled like `events.facts.Facts`, as `laid_over` does: in 0.2 us, where the constructor of
    # `StateMap` takes 0.5.
    unconflicted: StateSet = field(repr=False)
    resolved: StateSet


@constant
class StateMap(_Slots, Mapping[Place, EventID]):
    """A state of a room by event IDs: what nobody disputed, and what was resolved.

    It copies neither, so that the resolution of a few places in a large room costs no more
    than these places.

    Attributes:
        unconflicted: what all states had in common.
        resolved: what was resolved; no place stands in both.
    """

    def __getitem__(self, place: Place) -> EventID:
        # The unconflicted map first: step 5 of the algorithm lets it win over what was resolved.
        found = self.unconflicted.get(place)
        return self.resolved[place] if found is None else found

    def __iter__(self) -> Iterator[Place]:
        yield from self.unconflicted
        yield from self.resolved

    def __len__(self) -> int:
        return len(self.unconflicted) + len(self.resolved)


_unfilled: Final[Any] = _Slots


def laid_over(unconflicted: StateSet, resolved: StateSet) -> StateMap:
    """Return both as one state, as the constructor does."""
    state = _unfilled()
    state.unconflicted, state.resolved = unconflicted, resolved
    state.__class__ = StateMap
    return state  # type: ignore[no-any-return]  # the line above made it one


def ids_of(state: RoomState) -> tuple[StateSet, dict[EventID, Event]]:
    """Return the event IDs of a state by place, and its events by ID. Cost: linear.

    Raises:
        IncompleteState: the state is over a mere look-up, or has an event without an ID.
    """
    places: dict[Place, EventID] = {}
    events: dict[EventID, Event] = {}
    for event in state.events:
        # Stripped state has no event IDs: all its events would share the empty one.
        if not event.event_id:
            raise IncompleteState("state resolution", f"the ID of {event!r}")
        events[event.event_id] = event
        places[event.type, event.state_key or ""] = event.event_id
    return places, events


def without(state_set: StateSet, rejected: AbstractSet[str]) -> StateSet:
    """Return a state without its rejected events: their places count as empty."""
    if rejected.isdisjoint(state_set.values()):
        return state_set
    return {place: event_id for place, event_id in state_set.items() if event_id not in rejected}


def unconflicted_state_map(state_sets: Sequence[StateSet]) -> StateSet:
    """Return the places with one event in all states. Cost: linear in the states."""
    if not state_sets:
        return {}
    common, *others = state_sets
    for other in others:
        get = other.get
        common = {place: event_id for place, event_id in common.items() if get(place) == event_id}
    return common


def conflicted_state_set(
    state_sets: Iterable[StateSet], unconflicted: StateSet
) -> tuple[dict[Place, tuple[EventID, ...]], list[list[EventID]]]:
    """Return all other events of the states.

    Returns:
        The IDs by place, sorted; and those of each state, in its order. Cost: linear in the states.
    """
    # Tuples of text are forgotten by the garbage collector, sets are not.
    conflicted: dict[Place, tuple[EventID, ...]] = {}
    differing: list[list[EventID]] = []
    for state_set in state_sets:
        ids: list[EventID] = []
        differing.append(ids)
        for place, event_id in state_set.items():
            if place in unconflicted:
                continue
            ids.append(event_id)
            before = conflicted.get(place)
            if before is None:
                conflicted[place] = (event_id,)
            elif event_id not in before:
                if len(before) > 1:
                    conflicted[place] = tuple(sorted((*before, event_id)))
                else:  # as for most places; 400 ns less than to sort
                    one = before[0]
                    conflicted[place] = (one, event_id) if one < event_id else (event_id, one)
    return conflicted, differing
