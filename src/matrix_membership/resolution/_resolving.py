"""Resolving: separate the states, run the algorithm, keep the result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain
from operator import itemgetter
from typing import Any, Final, NamedTuple

from attrs import field

from matrix_membership._attrs import frozen, slots
from matrix_membership.errors import IncompleteState, InvalidIdentifier
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.resolution._auth_difference import (
    chains_of,
)
from matrix_membership.resolution._auth_difference import (
    conflicted_state_subgraph as subgraph_of,
)
from matrix_membership.resolution._graph import Graph
from matrix_membership.resolution._page import page_of
from matrix_membership.resolution._passes import resolve_in_passes
from matrix_membership.resolution._records import Record
from matrix_membership.resolution._replay import resolve_by_replay
from matrix_membership.resolution._state_sets import (
    Place,
    StateMap,
    StateSet,
    conflicted_state_set,
    ids_of,
    laid_over,
    unconflicted_state_map,
    without,
)
from matrix_membership.resolution._story import Story, story_of
from matrix_membership.room_versions import RoomVersion, require_room_version
from matrix_membership.state import RoomState

__all__ = [
    "ALGORITHMS",
    "GetEvent",
    "Question",
    "Resolution",
    "answer",
    "question_of",
    "resolve",
    "state_after",
]

GetEvent = Callable[[EventID], Event | None]

ALGORITHMS: Final = ("1", "2", "2.1")
"""The names of the algorithms, as `RoomVersion.state_resolution` has them."""


class Question(NamedTuple):
    """The arguments of `resolve` and `begin`, read once.

    Attributes:
        room_version: the version of the room.
        algorithm: the algorithm to use.
        rejected: the IDs of rejected events.
        state_sets: the states, without rejected events.
        common: the unconflicted state map.
        conflicted: the conflicted state set, by place.
        differing: the same for each state.
        own: the events that came with the states.
        partial: whether one of the states is a partial `RoomState`.
        auth_difference: the auth difference, where it was given.
        conflicted_subgraph: the conflicted state subgraph, where it was given.
        conflicted_ids: the events to choose from, in the order of the states.
    """

    room_version: RoomVersion
    algorithm: str
    rejected: AbstractSet[str]
    state_sets: Sequence[StateSet]
    common: StateSet
    conflicted: Mapping[Place, tuple[EventID, ...]]
    differing: Sequence[Sequence[EventID]]
    own: Mapping[EventID, Event]
    partial: bool
    auth_difference: AbstractSet[EventID] | None
    conflicted_subgraph: AbstractSet[EventID] | None
    conflicted_ids: Mapping[EventID, None]


def question_of(
    room_version: RoomVersion,
    state_sets: Iterable[Mapping[Place, EventID] | RoomState],
    rejected: AbstractSet[str],
    algorithm: str | None,
    unconflicted: Mapping[Place, EventID] | None,
    auth_difference: AbstractSet[EventID] | None,
    conflicted_subgraph: AbstractSet[EventID] | None,
) -> Question:
    """Read the states, and separate their common part."""
    require_room_version(room_version)
    chosen = room_version.state_resolution if algorithm is None else algorithm
    if chosen not in ALGORITHMS:
        raise InvalidIdentifier("algorithm", "1, 2 or 2.1", chosen)
    sets, own, partial = _read(state_sets, rejected)
    common = unconflicted_state_map(sets)
    if unconflicted is not None:
        more = {place: found for place, found in common.items() if place not in unconflicted}
        # A look-up in two maps takes 1 us, in one 60 ns.
        common = StateMap(unconflicted, more) if more else unconflicted
    conflicted, differing = conflicted_state_set(sets, common)
    ids: Iterable[tuple[EventID, ...]] = conflicted.values()
    # Algorithm 1 takes an event that no other one disputes unseen. Without a create event in
    # common they are looked at all the same: most of them tell which room this is.
    if chosen == "1" and ("m.room.create", "") in common:
        ids = [names for names in ids if len(names) > 1]
    return Question(
        room_version,
        chosen,
        rejected,
        sets,
        common,
        conflicted,
        differing,
        own,
        partial,
        auth_difference,
        conflicted_subgraph,
        # In the order of the states, so that events that were made together are read together.
        dict.fromkeys(chain.from_iterable(ids)),
    )


@slots
class _Slots:
    # Filled like `events.facts.Facts`: in 0.3 us, where the constructor of `Resolution` takes 0.7.
    room_version: RoomVersion
    algorithm: str
    state: Mapping[Place, EventID]
    conflicted: Mapping[Place, tuple[EventID, ...]] = field(repr=False)
    missing: frozenset[EventID] = field(repr=False)
    _records: tuple[Record, ...] = field(repr=False)
    _graph: Graph = field(repr=False, eq=False)
    _question: Question = field(repr=False, eq=False)


@frozen
class Resolution(_Slots):
    """The resolved state of a room, and the way to it.

    Attributes:
        room_version: the version of the room.
        algorithm: the algorithm that was used: `1`, `2` or `2.1`.
        state: the resolved state, as event IDs by type and state key.
        conflicted: the events of each place that differs between the states.
        missing: the IDs of events that were looked up and not found.
    """

    def __hash__(self) -> int:
        return hash((self.room_version, self.algorithm, self.missing))

    @property
    def story(self) -> Story:
        """The considered events, the reason for their order, and their outcomes."""
        return story_of(
            self.room_version,
            self.algorithm,
            self._records,
            self.conflicted,
            self.state,
            self._graph.events,
        )

    def to_html(self, *, notes: Iterable[str] = ()) -> str:
        """Write a page with the story and a picture of the graph.

        Args:
            notes: texts to show below, such as `str(reset)` for each of `resets`.

        Returns:
            An HTML page that needs no other file and asks for none. Text of the events is
            escaped. Cost: n log n in the story; at most 200 events and places are shown.
        """
        return page_of(self.story, self._graph.auth_events, self._question.state_sets, notes)

    def room_state(self) -> RoomState:
        """Return the resolved state with its events. Cost: n log n in the state.

        Returns:
            The state. Its members stand in the order of depth, then of `origin_server_ts`,
            then of ID, whatever order the states had. It is partial if one of the states was:
            a member that one state left out may have been in it.

        Raises:
            IncompleteState: an event of the state is not at hand.
        """
        found = []
        for event_id in self.state.values():
            event = self._graph.event(event_id)
            if event is None:
                raise IncompleteState("the resolved state", f"the event {event_id}")
            found.append((event.depth, event.origin_server_ts, event_id, event))
        found.sort(key=itemgetter(0, 1, 2))
        events = [entry[3] for entry in found]
        return RoomState.of(self.room_version, events, partial=self._question.partial)


def resolve(
    room_version: RoomVersion,
    state_sets: Iterable[Mapping[Place, EventID] | RoomState],
    events: Mapping[EventID, Event] | GetEvent,
    *,
    rejected: AbstractSet[str] = frozenset(),
    algorithm: str | None = None,
    unconflicted: Mapping[Place, EventID] | None = None,
    auth_difference: AbstractSet[EventID] | None = None,
    conflicted_subgraph: AbstractSet[EventID] | None = None,
) -> Resolution:
    """Resolve states of a room into one, as `state resolution`__ of its version does.

    The result does not depend on the order of the states. An event cannot win if it is
    not at hand, belongs to another room or is not a state event; `Resolution.missing` names it.
    The events that all states have in common stand in the result, at hand or not.

    Args:
        room_version: the version of the room.
        state_sets: the states: event IDs by type and state key, or `RoomState` values.
        events: the events by ID, those in the auth chains too; or a function that gives the
            event of an ID, or None. They have their verified signers.
        rejected: the IDs of rejected events. In a state their places count as empty, they are
            never let into the result, and they authorise nothing.
        algorithm: `1`, `2` or `2.1`; by default that of the room version.
        unconflicted: what all states have in common, for a caller that knows it. Then
            `state_sets` need hold no more than the rest, and nothing here takes time that
            grows with the room. These are taken as they are, rejected or not.
        auth_difference: the auth difference of the states, for a caller that knows it, by a
            `ChainIndex` or otherwise. By default it is found in `events`.
        conflicted_subgraph: the same for the conflicted state subgraph, which 2.1 needs.

    Returns:
        The resolved state. Cost: linear in the states and in their auth chains, n log n in the
        full conflicted set; without the states and the chains when the last three are given.

    Raises:
        IncompleteState: a `RoomState` is over a mere look-up, or has events without IDs.
        InvalidIdentifier: `algorithm` does not name one of the three.

    __ https://spec.matrix.org/v1.19/rooms/v12/#state-resolution

    .. versionadded:: 0.1.0
    """
    question = question_of(
        room_version,
        state_sets,
        rejected,
        algorithm,
        unconflicted,
        auth_difference,
        conflicted_subgraph,
    )
    # A dict first: to ask an abstract class takes 0.3 us.
    return answer(question, events.get if isinstance(events, (dict, Mapping)) else events)


def state_after(
    room_version: RoomVersion,
    states: Iterable[RoomState],
    events: Mapping[EventID, Event] | GetEvent,
    *,
    rejected: AbstractSet[str] = frozenset(),
) -> tuple[RoomState, frozenset[EventID]]:
    """Return the state after several events, before one that follows them.

    Args:
        room_version: the version of the room.
        states: the state after each of the events.
        events: as for `resolve`.
        rejected: as for `resolve`.

    Returns:
        The state, and the IDs of events that were looked up and not found. States that are one
        object cost nothing, because most events have parents that share their state. No state at
        all gives the empty one, which a create event has before it.
    """
    distinct = list({id(state): state for state in states}.values())
    if not distinct:
        return RoomState.of(room_version, []), frozenset()
    if len(distinct) == 1:
        return distinct[0], frozenset()
    found = resolve(room_version, distinct, events, rejected=rejected)
    return found.room_state(), found.missing


def answer(question: Question, get: GetEvent) -> Resolution:
    """Resolve by the algorithm that was asked for.

    Args:
        question: the states to resolve.
        get: gives the event of an ID, or None.
    """
    common, own = question.common, question.own
    graph = Graph(
        question.room_version,
        (lambda event_id: own.get(event_id) or get(event_id)) if own else get,
        question.rejected,
    )
    if question.conflicted_ids:
        graph.settle(common.get(("m.room.create", "")), question.conflicted_ids)
    records: tuple[Record, ...] = ()
    resolved: dict[Place, EventID] = {}
    if question.conflicted and question.algorithm == "1":
        resolved, records = resolve_in_passes(question.conflicted, common, graph)
    elif question.conflicted:
        full, start = _full_conflicted_set(question, graph)
        resolved, records = resolve_by_replay(full, start, graph)
        # The last step of the algorithm puts the unconflicted state over the result. Deleting does
        # the same without copying the state of the room.
        # Not by the keys that both have: with a mapping of the caller's, Python goes through all of
        # it. That took 11 of the 12.6 ms of 100 places in a room of 100,000 members.
        for place in [place for place in resolved if place in common]:
            del resolved[place]
    missing = frozenset(graph.missing)
    state = laid_over(common, resolved)
    found = _unfilled()
    found.room_version, found.algorithm = question.room_version, question.algorithm
    found.state, found.conflicted = state, question.conflicted
    found.missing = missing
    _keep_records(found, records)
    _keep_graph(found, graph)
    _keep_question(found, question)
    found.__class__ = Resolution
    return found  # type: ignore[no-any-return]  # the line above made it one


_unfilled: Final[Any] = _Slots
_keep_records, _keep_graph, _keep_question = [
    vars(_Slots)[name].__set__ for name in ("_records", "_graph", "_question")
]


def _full_conflicted_set(question: Question, graph: Graph) -> tuple[AbstractSet[EventID], StateSet]:
    """Return the full conflicted set, and the state to replay its events from."""
    ids, common, auth_events = question.conflicted_ids, question.common, graph.auth_events
    difference, subgraph = question.auth_difference, question.conflicted_subgraph
    chains = None
    graph.read(ids)
    if difference is None:
        graph.load(common.values())
        graph.read(common.values())
        chains = chains_of(question.differing, common, auth_events)
        difference = chains.difference()
    # From the common state, an undisputed leave at the end of a branch refuses what its user had
    # done before it. From the empty state of algorithm 2.1, the leave has not happened yet.
    if question.algorithm == "2":
        full, start = dict.fromkeys((*ids, *difference)).keys(), common
    else:
        if subgraph is None:
            subgraph = subgraph_of(ids.keys(), auth_events, chains)
        full, start = dict.fromkeys((*ids, *difference, *subgraph)).keys(), {}
    # What was walked to is at hand, what the caller knew need not be.
    if len(full) > len(ids):
        graph.load(full - graph.events.keys())
    return full, start


def _read(
    state_sets: Iterable[Mapping[Place, EventID] | RoomState], rejected: AbstractSet[str]
) -> tuple[list[StateSet], dict[EventID, Event], bool]:
    """Read the states without rejected events, their events, and if one is partial."""
    sets: list[StateSet] = []
    own: dict[EventID, Event] = {}
    partial = False
    for state_set in state_sets:
        if isinstance(state_set, RoomState):
            partial = partial or state_set.is_partial
            places, events = ids_of(state_set)
            own.update(events)
        else:
            places = state_set
        # Rejected events never stood in a room. A server whose storage has one in a state would
        # otherwise let it win by being the only event of its place.
        sets.append(without(places, rejected) if rejected else places)
    return sets, own, partial
