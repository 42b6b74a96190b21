"""The iterative auth checks: let events in order into the state, if allowed.

See the `definitions`__ of algorithm 2. The rules are those of `auth.check`, over a `RoomState`
that looks up what they ask for.

__ https://spec.matrix.org/v1.19/rooms/v12/#definitions
"""

# Each judgement reads a state that the one before it may have changed. A new `RoomState` for each
# event would prepare the same power levels and join rules thousands of times. So the state is a
# view. `Judge` holds the events that were let in, and keeps one `RoomState` over them for each
# create event, power levels and join rules. Only the members are looked up anew. As long as none
# of the three changes, the auth events of an event tell which view serves.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from matrix_membership import auth
from matrix_membership.auth import Decision
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.resolution._graph import Graph, Names
from matrix_membership.resolution._records import Outcome, Rank
from matrix_membership.resolution._state_sets import Place, StateSet
from matrix_membership.state import RoomState
from matrix_membership.state.standing import over_standing

__all__ = ["Judge", "iterative_auth_checks"]

_CREATE: Final = ("m.room.create", "")
_LEVELS: Final = ("m.room.power_levels", "")
_RULES: Final = ("m.room.join_rules", "")
_MEMBER: Final = "m.room.member"
_ALWAYS_READ: Final = frozenset({_CREATE[0], _LEVELS[0], _RULES[0]})


class Judge:
    """A partially resolved state, and the judgement of one event after another by it.

    The rules look up the members that they ask for. The rest of the state is read once for each
    create event, power levels and join rules that come together: most events are judged by the
    same three.

    Attributes:
        let_in: the events that were let in for good, by place.
        changes: how often something changed that most judgements read.
        state: the state that `choose` chose last.
        names: the list of auth events that it was chosen for.
        chosen_at: the changes until then.
    """

    __slots__ = (
        "_chosen",
        "_event_id",
        "_graph",
        "_known",
        "_list",
        "_listed",
        "_listed_too",
        "_members",
        "_others",
        "_start",
        "_states",
        "_strays",
        "changes",
        "chosen_at",
        "let_in",
        "names",
        "state",
    )

    state: RoomState
    _event_id: EventID
    _listed: Mapping[Place, Event]

    def __init__(self, start: StateSet, graph: Graph, *, listed_too: bool = True) -> None:
        """Begin.

        Args:
            start: the state to start from.
            graph: where the events are.
            listed_too: take an event's own auth events, unless they are rejected, for what the
                partially resolved state does not have.
        """
        self._start, self._graph, self._listed_too = start, graph, listed_too
        self._list = graph.listed if listed_too else _nothing_listed
        # The events that were let in, and those of the start that were read. Members by user ID: a
        # text keeps its hash, a place is hashed for each look-up.
        members: dict[str, Event] = {}
        self._members, self._known = members, members.get
        self._others: dict[Place, Event] = {}
        # In version 12 every event of the room has this one among its own.
        if (
            listed_too
            and (create := graph.create_of_room(graph.events.room_id))
            and _CREATE not in start
        ):
            self._others[_CREATE] = create
        self._strays = False
        self.let_in: dict[Place, EventID] = {}
        self.changes, self.chosen_at = 0, -1
        self.names: Names | None = None
        # By the three events, and by the list of an event: the second is forgotten when one of
        # the three changes.
        self._states: dict[tuple[object, ...], RoomState] = {}
        self._chosen: dict[Names, RoomState] = {}

    def get(self, place: Place) -> Event | None:
        """Return the event that the partially resolved state has in a place, or None."""
        kind, key = place
        return (self._known(key) if kind == _MEMBER else self._others.get(place)) or self._read(
            place
        )

    def put(self, event: Event) -> None:
        """Let an event count in its place, for a while or for good."""
        # `_graph` passes state events only, so an absent state key cannot come here: `or` is for
        # mypy.
        kind, key = event.type, event.state_key or ""
        if kind == _MEMBER:
            self._members[key] = event
        else:
            self._others[kind, key] = event
            # Others do not count: a room with 10,000 of them in dispute would otherwise choose its
            # state anew after each.
            self.changes += kind in _ALWAYS_READ

    def empty(self, place: Place) -> None:
        """Let a place that the start does not have count as empty again."""
        kind, key = place
        if kind == _MEMBER:
            self._members.pop(key, None)
        else:
            self._others.pop(place, None)
            self.changes += 1

    def check(self, event: Event) -> Decision:
        """Judge an event."""
        self.choose(event.event_id, self._graph.auth_events(event.event_id))
        return auth.check(event, self.state)

    def choose(self, event_id: EventID, names: Names) -> None:
        """Choose the state for an event, which lists these."""
        self.names, self._event_id, self._listed = names, event_id, self._list(names)
        if self.chosen_at == self.changes:
            state = self._chosen.get(names)
            if state is not None:
                self.state = state
                return
        else:
            self.chosen_at = self.changes
            self._chosen.clear()
        known, find = self._others.get, self._not_known
        create = known(_CREATE) or find(_CREATE)
        levels = known(_LEVELS) or find(_LEVELS)
        rules = known(_RULES) or find(_RULES)
        # By event ID and not by content, which would have to be hashed whole for each judgement.
        key = (
            create and create.event_id,
            levels and levels.event_id,
            rules and rules.event_id,
        )
        state = self._states.get(key)
        if state is None:
            version = self._graph.room_version
            state = self._states[key] = (
                RoomState.over(version, self._find, prepare=True)
                if self._strays
                else over_standing(version, create, levels, rules, self._find, self._member)
            )
        self.state = self._chosen[names] = state

    def forget(self) -> None:
        """Let go of the chosen states, when all events have been judged."""
        # They look up through this, and this holds them: a circle, which would keep the events of each
        # resolution in memory until the garbage collector comes.
        self._states.clear()
        self._chosen.clear()
        if self.names is not None:  # something was judged
            del self.state

    def _member(self, user: str) -> Event | None:
        # Most look-ups are of a member who is at hand.
        return self._known(user) or self._not_known((_MEMBER, user))

    def _find(self, event_type: str, state_key: str) -> Event | None:
        place = event_type, state_key
        known = self._known(state_key) if event_type == _MEMBER else self._others.get(place)
        return known or self._not_known(place)

    def _not_known(self, place: Place) -> Event | None:
        # The order is the point of the definition: what was resolved so far comes first, and the
        # event's own auth events only fill what it leaves empty. The other way round, a banned
        # moderator could go on citing the state before the ban.
        if place in self._start and (found := self._read(place)) is not None:
            return found
        # In version 12 no event lists the create event: the room ID names it.
        if place == _CREATE and self._listed_too:
            graph = self._graph
            create = graph.create_of_room(graph.events[self._event_id].room_id)
            if create is not None:
                return create
        return self._listed.get(place)

    def _read(self, place: Place) -> Event | None:
        """Read a place of the start state."""
        event_id = self._start.get(place)
        # A caller may pass an `unconflicted` map of its own, which nobody has freed of rejected
        # events.
        if event_id is None or event_id in self._graph.rejected:
            return None
        found = self._graph.event(event_id)
        if found is not None and place[0] == _MEMBER:
            self._members[place[1]] = found
        elif found is not None:
            self._others[place] = found
            # A state can hold an event under the name of another place: the views, which go by the
            # types, are then read from the look-up.
            self._strays = self._strays or (found.type, found.state_key) != place
        return found


def _nothing_listed(_: Names) -> Mapping[Place, Event]:
    return {}


def iterative_auth_checks(
    ranks: Iterable[Rank], judge: Judge, graph: Graph
) -> list[Decision | Outcome]:
    """Judge events in order, and let those that are allowed into the state.

    Args:
        ranks: the events, each as its sort key.
        judge: judges them by the state to start from, which grows.
        graph: where the events are.

    Returns:
        The decision on each; for one that was rejected before, and is not let in, that.
    """
    ends: list[Decision | Outcome] = []
    events, rejected, auth_events = graph.events, graph.rejected, graph.auth_events
    check, let_in = auth.check, judge.let_in
    for _, _, event_id in ranks:
        # By the letter a rejected event is replayed as any other. Synapse never lets one in, and a
        # server that did would have a member in its state whom the others refused.
        if event_id in rejected:
            ends.append(Outcome.REJECTED)
            continue
        event = events[event_id]
        names = auth_events(event_id)
        # Events that list the same hold the same tuple: comparing it takes 30 ns, choosing the
        # state that they are judged by 150 to 400.
        if names is not judge.names or judge.chosen_at != judge.changes:
            judge.choose(event_id, names)
        decision = check(event, judge.state)
        ends.append(decision)
        if decision.allowed:
            judge.put(event)
            let_in[event.type, event.state_key or ""] = event_id
    return ends
