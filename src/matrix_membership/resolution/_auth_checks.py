"""The iterative auth checks: let events in order into the state, if allowed.

See the `definitions`__ of algorithm 2. The rules are those of `auth.check`, over a `RoomState`
that looks up what they ask for.

__ https://spec.matrix.org/v1.19/rooms/v12/#definitions
"""

# Each judgement reads a state that the one before it may have changed. A new `RoomState` for each
# event would prepare the same power levels and join rules thousands of times. So the state is a
# view. `PartialState` holds the events that were let in. `Judge` keeps one `RoomState` over it for
# each create event, power levels and join rules. Only the members are looked up anew.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from matrix_membership import auth
from matrix_membership.auth import Decision
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.resolution._graph import Graph
from matrix_membership.resolution._records import Outcome
from matrix_membership.resolution._state_sets import Place, StateSet
from matrix_membership.state import RoomState

__all__ = ["Judge", "PartialState", "iterative_auth_checks"]

_CREATE: Final = ("m.room.create", "")
_LEVELS: Final = ("m.room.power_levels", "")
_RULES: Final = ("m.room.join_rules", "")
_ALWAYS_READ: Final = frozenset({_CREATE[0], _LEVELS[0], _RULES[0]})


class PartialState(dict[Place, "Event | None"]):
    """A partially resolved state: events let in, over the state it started from.

    Events of the state it started from are looked up when a judgement reads their place, and
    kept. A dict that fills itself answers in 30 ns from then on, a method of ours in 100.

    Attributes:
        resolved: the events that were let in, by place.
        changes: how often something changed that most judgements read.
    """

    __slots__ = ("_graph", "_start", "changes", "resolved")

    def __init__(self, start: StateSet, graph: Graph) -> None:
        super().__init__()
        self.resolved: dict[Place, Event] = {}
        self.changes = 0
        self._start = start
        self._graph = graph

    def __missing__(self, place: Place) -> Event | None:
        event_id = self._start.get(place)
        # A caller may pass an `unconflicted` map of its own, which nobody has freed of rejected
        # events.
        usable = event_id is not None and event_id not in self._graph.rejected
        found = self[place] = self._graph.event(event_id) if usable and event_id else None
        return found

    def put(self, place: Place, event: Event | None) -> None:
        """Let a place count as that of an event, which was not let in for good."""
        self[place] = event
        self.changes += 1

    def let_in(self, event: Event) -> None:
        """Put an event in its place."""
        # `_graph` passes state events only, so an absent state key cannot come here: `or` is for
        # mypy.
        place = event.type, event.state_key or ""
        self[place] = self.resolved[place] = event
        # Members do not count: a room of 10,000 joins in dispute would otherwise choose its state
        # anew after each of them.
        if event.type in _ALWAYS_READ:
            self.changes += 1


class Judge:
    """Judges one event after another by a partially resolved state.

    The rules look up the members that they ask for. The rest of the state is read once for each
    create event, power levels and join rules that come together: most events are judged by the
    same three.

    Attributes:
        partial: the partially resolved state.
    """

    __slots__ = (
        "_changes",
        "_event_id",
        "_graph",
        "_listed",
        "_listed_too",
        "_names",
        "_state",
        "_states",
        "partial",
    )

    def __init__(self, partial: PartialState, graph: Graph, *, listed_too: bool = True) -> None:
        """Begin.

        Args:
            partial: the partially resolved state.
            graph: where the events are.
            listed_too: take an event's own auth events, unless they are rejected, for what the
                partially resolved state does not have.
        """
        self.partial = partial
        self._graph = graph
        self._listed_too = listed_too
        self._event_id = EventID("")
        self._listed: Mapping[Place, Event] | None = None
        self._names: tuple[EventID, ...] | None = None
        self._changes = 0
        self._state = RoomState.over(graph.room_version, self._get)
        self._states: dict[tuple[EventID | None, ...], RoomState] = {
            (None, None, None): self._state
        }

    def check(self, event: Event) -> Decision:
        """Judge an event."""
        self._event_id, self._listed = event.event_id, None
        names = self._graph.links(event.event_id)[0]
        # Events that list the same hold the same tuple: comparing it takes 30 ns, looking up what
        # they are judged by 400.
        if names is not self._names or self._changes != self.partial.changes:
            self._state = self._state_for(names)
        return auth.check(event, self._state)

    def _state_for(self, names: tuple[EventID, ...]) -> RoomState:
        partial, get = self.partial, self._get
        self._names, self._changes = names, partial.changes
        # By event ID and not by content, which would have to be hashed whole for each judgement.
        standing = [partial[place] or get(*place) for place in (_CREATE, _LEVELS, _RULES)]
        key = tuple([None if found is None else found.event_id for found in standing])
        state = self._states.get(key)
        if state is None:
            version = self._graph.room_version
            state = self._states[key] = RoomState.over(version, get, prepare=True)
        return state

    def _get(self, event_type: str, state_key: str) -> Event | None:
        place = event_type, state_key
        # The order is the point of the definition: what was resolved so far comes first, and the
        # event's own auth events only fill what it leaves empty. The other way round, a banned
        # moderator could go on citing the state before the ban.
        found = self.partial[place]
        if found is not None or not self._listed_too:
            return found
        listed = self._listed
        if listed is None:
            listed = self._listed = self._graph.listed(self._event_id)
        return listed.get(place)


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
    events, rejected, let_in = graph.events, graph.rejected, partial.let_in
    check = Judge(partial, graph).check
    for event_id in event_ids:
        # By the letter a rejected event is replayed as any other. Synapse never lets one in, and a
        # server that did would have a member in its state whom the others refused.
        end: Decision | Outcome = Outcome.REJECTED
        if event_id not in rejected:
            event = events[event_id]
            end = check(event)
            if end.allowed:
                let_in(event)
        ends.append(end)
    return ends
