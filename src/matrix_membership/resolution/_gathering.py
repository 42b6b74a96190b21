"""Resolving over a storage that has to be waited for, in batches of events.

The step that `begin` gives names the events it needs. The events that came tell the next
ones to ask for: the auth chains of the states, unless the caller knows the part of them
that matters. When nothing is left to ask for, `resolve` is run on what has come.
"""

# The alternative is an asynchronous twin of the algorithms, which would have to change with them
# for good. Instead the needs are computed beside them, and the algorithms run once, when everything
# has come. More may be asked for than the run reads, never less: an event that was not asked for
# would count as missing, and the result would be wrong. A law compares `begin` with `resolve` on
# generated rooms, and checks that no ID is asked for twice.

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from attrs import field

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.resolution._batches import Batches, found_in, with_batch
from matrix_membership.resolution._resolving import Question, Resolution, answer, question_of
from matrix_membership.resolution._state_sets import Place
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState

__all__ = ["AwaitingEvents", "begin"]

_CREATE: Final = ("m.room.create", "")
_LEVELS: Final = ("m.room.power_levels", "")
_ALWAYS: Final = frozenset({_CREATE, _LEVELS, ("m.room.join_rules", "")})
"""The places that every judgement reads."""


@frozen
class AwaitingEvents:
    """A resolution that needs more events.

    Attributes:
        needs: the IDs of the events to look up.

    .. versionadded:: 0.1.0
    """

    needs: frozenset[EventID]
    _question: Question = field(repr=False)
    _replayed: AbstractSet[EventID] | None = field(repr=False)
    _batches: Batches[EventID, Event | None] = field(repr=False)

    def __hash__(self) -> int:
        return hash(self.needs)

    def receive(self, events: Iterable[Event]) -> AwaitingEvents | Resolution:
        """Take the events that were asked for.

        Args:
            events: those of `needs` that were found, in any order. The others count as
                missing; events that were not asked for are ignored.

        Returns:
            The next step: the resolution, or what else is needed. Cost: linear in the events
            and their auth events, amortised over all steps n log n.
        """
        # A None stands for an event that was asked for and not found. Without it the next step
        # would ask for the same event again, for ever.
        came: dict[EventID, Event | None] = dict.fromkeys(self.needs)
        came.update({event.event_id: event for event in events if event.event_id in came})
        wanted = set(_needed_by(self._question, self._replayed, came))
        return _ask(self._question, self._replayed, with_batch(self._batches, came), wanted)


def begin(
    room_version: RoomVersion,
    state_sets: Iterable[Mapping[Place, EventID] | RoomState],
    *,
    rejected: AbstractSet[str] = frozenset(),
    algorithm: str | None = None,
    unconflicted: Mapping[Place, EventID] | None = None,
    auth_difference: AbstractSet[EventID] | None = None,
    conflicted_subgraph: AbstractSet[EventID] | None = None,
) -> AwaitingEvents | Resolution:
    """Begin to resolve states over a storage that has to be waited for.

    The result is that of `resolve`.

    Args:
        room_version: as for `resolve`, like all others.
        state_sets: the states.
        rejected: the IDs of rejected events.
        algorithm: the algorithm.
        unconflicted: what all states have in common.
        auth_difference: the auth difference. Without it, the auth chains of all states are
            asked for, in as many batches as they are long.
        conflicted_subgraph: the conflicted state subgraph.

    Returns:
        The first step; the resolution itself when no event is needed.

    Raises:
        IncompleteState: as `resolve`.
        InvalidIdentifier: as `resolve`.

    >>> from matrix_membership.room_versions import V11
    >>> states = [{("m.room.topic", ""): EventID("$" + name * 43)} for name in "ab"]
    >>> step = begin(V11, states)
    >>> sorted(step.needs) == ["$" + "a" * 43, "$" + "b" * 43]
    True
    >>> step.receive([]).state
    StateMap(resolved={})

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
    replayed = _replayed(question)
    at_first = _needed_at_first(question, replayed)
    wanted = {*at_first, *_needed_by(question, replayed, question.own)}
    return _ask(question, replayed, (question.own,), wanted)


def _ask(
    question: Question,
    replayed: AbstractSet[EventID] | None,
    batches: Batches[EventID, Event | None],
    wanted: set[EventID],
) -> AwaitingEvents | Resolution:
    needs = frozenset(
        [event_id for event_id in wanted if not any(event_id in batch for batch in batches)]
    )
    if needs:
        return AwaitingEvents(needs, question, replayed, batches)

    return answer(question, lambda event_id: found_in(batches, event_id))


def _replayed(question: Question) -> AbstractSet[EventID] | None:
    """Return the events that will be judged, if that can be told without events."""
    difference, subgraph = question.auth_difference, question.conflicted_subgraph
    if question.algorithm == "1" or not question.conflicted:
        return question.conflicted_ids.keys()
    if difference is None or (question.algorithm == "2.1" and subgraph is None):
        return None
    return frozenset((*question.conflicted_ids, *difference, *(subgraph or ())))


def _needed_at_first(
    question: Question, replayed: AbstractSet[EventID] | None
) -> Iterator[EventID]:
    """Yield the events that are needed in any case, before one of them is read."""
    if question.conflicted_ids and _CREATE in question.common:
        yield question.common[_CREATE]
    if replayed is None:
        for state_set in question.state_sets:
            yield from state_set.values()
        yield from question.common.values()
        # Of algorithm 2.1, a caller may know one of the two sets and not the other.
        yield from question.auth_difference or ()
        yield from question.conflicted_subgraph or ()
        return
    yield from replayed
    if replayed and _LEVELS in question.common and question.algorithm != "2.1":
        yield question.common[_LEVELS]


def _needed_by(
    question: Question,
    replayed: AbstractSet[EventID] | None,
    came: Mapping[EventID, Event | None],
) -> Iterator[EventID]:
    """Yield the auth events of the events that came, and the state that judges them."""
    for event in filter(None, came.values()):
        judged = replayed is None or event.event_id in replayed
        # The mainline leads through power levels that nobody disputes. They are not judged, but the
        # positions of the others depend on what they list.
        on_mainline = (event.type, event.state_key) == _LEVELS
        if question.algorithm != "1" and (judged or on_mainline):
            yield from event.auth_events
        if judged:
            yield from _read_by_judgement(question, event)


def _read_by_judgement(question: Question, event: Event) -> Iterator[EventID]:
    """Yield the unconflicted events that the judgement of an event reads."""
    if question.room_version.room_id_is_create_event and event.type != "m.room.create":
        # In version 12 no event lists the create event, so no walk along auth events would ask for
        # it.
        yield EventID("$" + event.room_id[1:])
    if question.algorithm == "2.1":
        return
    for place in auth.select_auth_events(event) | _ALWAYS:
        if place in question.common:
            yield question.common[place]
        elif question.algorithm == "1" and len(question.conflicted.get(place, ())) == 1:
            yield from question.conflicted[place]
