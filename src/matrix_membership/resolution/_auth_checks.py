"""The iterative auth checks: let events in order into the state, if allowed.

See the `definitions`__ of algorithm 2. The rules are those of `auth.check`, over a `RoomState`
that looks up what they ask for.

__ https://spec.matrix.org/v1.19/rooms/v12/#definitions
"""

# Each judgement reads a state that the one before it may have changed. A new `RoomState` for each
# event would prepare the same power levels and join rules thousands of times. So the state is a
# view. `PartialState` holds the events that were let in. `Judge` keeps one `RoomState` over it for
# each create event, power levels and join rules. Only the members are looked up anew. As long as
# none of the three changes, the auth events of an event tell which view serves.

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
from matrix_membership.state.standing import over_standing

__all__ = ["Judge", "PartialState", "iterative_auth_checks"]

_CREATE: Final = ("m.room.create", "")
_LEVELS: Final = ("m.room.power_levels", "")
_RULES: Final = ("m.room.join_rules", "")
_MEMBER: Final = "m.room.member"
_PLACES: Final = (_CREATE, _LEVELS, _RULES)
_ALWAYS_READ: Final = frozenset({_CREATE[0], _LEVELS[0], _RULES[0]})


class PartialState:
    """A partially resolved state: events let in, over the state it started from.

    Attributes:
        members: the member events that were let in, and those of the start that were read, by
            user ID: a text keeps its hash, a place is hashed for each look-up.
        others: the other events, by place.
        let_in: the events that were let in, in order.
        changes: how often something changed that most judgements read.
    """

    __slots__ = ("_graph", "_start", "changes", "let_in", "members", "others")

    def __init__(self, start: StateSet, graph: Graph) -> None:
        self.members: dict[str, Event] = {}
        self.others: dict[Place, Event] = {}
        self.let_in: list[Event] = []
        self.changes = 0
        self._start = start
        self._graph = graph

    def get(self, place: Place) -> Event | None:
        """Return the event of a place, or None."""
        kind, key = place
        member = kind == _MEMBER
        found = self.members.get(key) if member else self.others.get(place)
        if found is None and (event_id := self._start.get(place)) is not None:
            # A caller may pass an `unconflicted` map of its own, which nobody has freed of
            # rejected events.
            found = None if event_id in self._graph.rejected else self._graph.event(event_id)
            if found is not None and member:
                self.members[key] = found
            elif found is not None:
                self.others[place] = found
        return found

    def put(self, event: Event) -> None:
        """Let an event count in its place, for a while or for good."""
        # `_graph` passes state events only, so an absent state key cannot come here: `or` is for
        # mypy.
        kind, key = event.type, event.state_key or ""
        if kind == _MEMBER:
            self.members[key] = event
        else:
            self.others[kind, key] = event
            # Others do not count: a room with 10,000 of them in dispute would otherwise choose its
            # state anew after each.
            self.changes += kind in _ALWAYS_READ

    def empty(self, place: Place) -> None:
        """Let a place that the start does not have count as empty again."""
        kind, key = place
        if kind == _MEMBER:
            self.members.pop(key, None)
        else:
            self.others.pop(place, None)
            self.changes += 1


class Judge:
    """Judges one event after another by a partially resolved state.

    The rules look up the members that they ask for. The rest of the state is read once for each
    create event, power levels and join rules that come together: most events are judged by the
    same three.

    Attributes:
        partial: the partially resolved state.
        state: the state that `choose` chose last.
        names: the list of auth events that it was chosen for.
        changes: the changes of the partially resolved state until then.
    """

    __slots__ = (
        "_chosen",
        "_event_id",
        "_graph",
        "_known",
        "_listed",
        "_listed_too",
        "_states",
        "changes",
        "names",
        "partial",
        "state",
    )

    state: RoomState

    def __init__(self, partial: PartialState, graph: Graph, *, listed_too: bool = True) -> None:
        """Begin.

        Args:
            partial: the partially resolved state.
            graph: where the events are.
            listed_too: take an event's own auth events, unless they are rejected, for what the
                partially resolved state does not have.
        """
        self.partial = partial
        self.names: tuple[EventID, ...] | None = None
        self.changes = -1
        self._known = partial.members.get
        self._graph = graph
        self._listed_too = listed_too
        self._event_id = EventID("")
        self._listed: Mapping[Place, Event] | None = None
        # By the three events, and by the list of an event: the second is forgotten when one of
        # the three changes.
        self._states: dict[tuple[EventID | None, ...], RoomState] = {}
        self._chosen: dict[tuple[EventID, ...], RoomState] = {}

    def check(self, event: Event) -> Decision:
        """Judge an event."""
        self.choose(event.event_id, self._graph.auth_events(event.event_id))
        return auth.check(event, self.state)

    def choose(self, event_id: EventID, names: tuple[EventID, ...]) -> None:
        """Choose the state for an event, which lists these."""
        if self.changes != self.partial.changes:
            self.changes = self.partial.changes
            self._chosen.clear()
        self.names, self._event_id, self._listed = names, event_id, None
        state = self._chosen.get(names)
        if state is None:
            state = self._chosen[names] = self._by_three()
        self.state = state

    def _by_three(self) -> RoomState:
        # By event ID and not by content, which would have to be hashed whole for each judgement.
        found = [self._get(*place) for place in _PLACES]
        key = tuple([None if event is None else event.event_id for event in found])
        state = self._states.get(key)
        if state is None:
            standing = [event for event in found if event is not None]
            # A state can hold an event under the name of another place: the views, which go by the
            # types, are then read from the look-up.
            held = {(event.type, event.state_key) for event in standing}
            version = self._graph.room_version
            state = self._states[key] = (
                over_standing(standing, version, self._get, self._member)
                if held == {place for place, event in zip(_PLACES, found, strict=True) if event}
                else RoomState.over(version, self._get, prepare=True)
            )
        return state

    def _member(self, user: str) -> Event | None:
        # Most look-ups are of a member who is at hand.
        return self._known(user) or self._get(_MEMBER, user)

    def _get(self, event_type: str, state_key: str) -> Event | None:
        place = event_type, state_key
        # The order is the point of the definition: what was resolved so far comes first, and the
        # event's own auth events only fill what it leaves empty. The other way round, a banned
        # moderator could go on citing the state before the ban.
        found = self.partial.get(place)
        if found is not None or not self._listed_too:
            return found
        listed = self._listed
        if listed is None:
            listed = self._listed = self._graph.listed(self._event_id)
        return listed.get(place)


def iterative_auth_checks(
    event_ids: Iterable[EventID], judge: Judge, graph: Graph
) -> list[Decision | Outcome]:
    """Judge events in order, and let those that are allowed into the state.

    Args:
        event_ids: the events.
        judge: judges them by the state to start from, which grows.
        graph: where the events are.

    Returns:
        The decision on each; for one that was rejected before, and is not let in, that.
    """
    ends: list[Decision | Outcome] = []
    events, rejected, partial = graph.events, graph.rejected, judge.partial
    check, auth_events = auth.check, graph.auth_events
    for event_id in event_ids:
        # By the letter a rejected event is replayed as any other. Synapse never lets one in, and a
        # server that did would have a member in its state whom the others refused.
        if event_id in rejected:
            ends.append(Outcome.REJECTED)
            continue
        event = events[event_id]
        names = auth_events(event_id)
        # Events that list the same hold the same tuple: comparing it takes 30 ns, choosing the
        # state that they are judged by 150 to 400.
        if names is not judge.names or judge.changes != partial.changes:
            judge.choose(event_id, names)
        decision = check(event, judge.state)
        ends.append(decision)
        if decision.allowed:
            partial.put(event)
            partial.let_in.append(event)
    return ends
