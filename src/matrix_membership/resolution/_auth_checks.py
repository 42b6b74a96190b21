"""The iterative auth checks: events in order, each let into the state if the rules allow it.

See the `definitions`__ of algorithm 2. An event is judged against a state of the handful of
events that its judgement reads (`auth.select_auth_events`), made anew for each: that takes
less than a microsecond, and leaves the rules as they are.

__ https://spec.matrix.org/v1.19/rooms/v12/#definitions
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from matrix_membership import auth
from matrix_membership.auth import Decision
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.resolution._graph import Graph
from matrix_membership.resolution._records import Outcome
from matrix_membership.resolution._state_sets import Place, StateSet
from matrix_membership.state import RoomState

__all__ = ["PartialState", "iterative_auth_checks", "state_for"]

_CREATE: Final = ("m.room.create", "")


class PartialState(dict[Place, "Event | None"]):
    """A partially resolved state: the events that were let in, over the state it started from.

    Events of the state it started from are looked up when a judgement reads their place, and
    kept. A dict that fills itself answers in 30 ns from then on, a method of ours in 100.

    Attributes:
        resolved: the events that were let in, by place.
    """

    __slots__ = ("_graph", "_start", "resolved")

    def __init__(self, start: StateSet, graph: Graph) -> None:
        super().__init__()
        self.resolved: dict[Place, Event] = {}
        self._start = start
        self._graph = graph

    def __missing__(self, place: Place) -> Event | None:
        event_id = self._start.get(place)
        usable = event_id is not None and event_id not in self._graph.rejected
        found = self[place] = self._graph.event(event_id) if usable and event_id else None
        return found

    def let_in(self, event: Event) -> None:
        """Put an event in its place."""
        place = event.type, event.state_key or ""
        self[place] = self.resolved[place] = event


def iterative_auth_checks(
    event_ids: Iterable[EventID], partial: PartialState, graph: Graph
) -> list[Decision | Outcome]:
    """Judge events in order, and let those that are allowed into the state.

    Args:
        event_ids: the events.
        partial: the state to start from; it grows.
        graph: where the events are.

    Returns:
        The decision on each; for one that was rejected before, and is not let in, that.
    """
    ends: list[Decision | Outcome] = []
    events, rejected, check, let_in = graph.events, graph.rejected, auth.check, partial.let_in
    for event_id in event_ids:
        end: Decision | Outcome = Outcome.REJECTED
        if event_id not in rejected:
            event = events[event_id]
            end = check(event, state_for(event, partial, graph))
            if end.allowed:
                let_in(event)
        ends.append(end)
    return ends


def state_for(
    event: Event, partial: PartialState, graph: Graph, *, listed_too: bool = True
) -> RoomState:
    """The state to judge an event against.

    Args:
        event: the event.
        partial: the partially resolved state.
        graph: where the events are.
        listed_too: take the event's own auth events, unless they are rejected, for what the
            partially resolved state does not have.
    """
    places = auth.select_auth_events(event)
    found = [partial[place] for place in places]
    if graph.room_version.room_id_is_create_event and event.type != _CREATE[0]:
        # No event lists it: the room ID names it.
        found.append(partial[_CREATE] or (graph.named_by(event.room_id) if listed_too else None))
    if None in found and listed_too:
        listed = graph.listed(event.event_id)
        found += [listed[place] for place in places if partial[place] is None and place in listed]
    return RoomState.of(graph.room_version, [entry for entry in found if entry is not None])
