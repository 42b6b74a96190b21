"""State resets: places that went back to an older event, or became empty, though nobody there did it.

Somebody who was in the room on the newest branch finds a place as it was before, or empty. The
event that caused it is found by trying: resolved without it, the place comes out otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonValue, thaw
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID, UserID
from matrix_membership.membership import JOIN
from matrix_membership.resolution._auth_difference import full_auth_chain
from matrix_membership.resolution._records import Outcome
from matrix_membership.resolution._resolving import Question, Resolution, answer
from matrix_membership.resolution._state_sets import Place, StateSet, ids_of
from matrix_membership.resolution._story import Considered
from matrix_membership.state import RoomState

__all__ = ["Repair", "Reset", "resets"]

_TRIES = 64
"""How many events are tried as the cause of one reset: each costs a resolution."""

_SENDERS = 16
"""How many users are tried as the sender of a repair."""


@frozen
class Repair:
    """An event that brings back what was lost.

    Attributes:
        sender: a user who may send it.
        place: its type and state key.
        content_of: the ID of the event whose content it repeats.
    """

    sender: UserID
    place: Place
    content_of: EventID

    def __str__(self) -> str:
        return f"{self.sender} can send {self.place[0]} {self.place[1]!r} again, as in {self.content_of}"


@frozen
class Reset:
    """A place that went back to an older event, or became empty.

    Attributes:
        place: its type and state key.
        before: the ID of the event that stood there.
        after: the ID of the older event that stands there now; None when none does.
        decision: why the event that stood there was refused, if it was.
        cause: the ID of an event without which the place would have come out otherwise; None
            when none was found.
        branches: the numbers of the states, from 0, that have the cause or what it authorises.
        repair: what would bring the event back; None when nobody who was tried may send it.
    """

    place: Place
    before: EventID
    after: EventID | None
    decision: Decision | None
    cause: EventID | None
    branches: tuple[int, ...]
    repair: Repair | None

    def __str__(self) -> str:
        """What happened, what caused it and what would help, one a line."""
        name = " ".join(part for part in self.place if part)
        lines = [f"{name}: went from {self.before} to {self.after or 'nothing'}"]
        if self.decision is not None:
            lines.append(f"  {self.before} was {self.decision}")
        if self.cause is not None:
            branches = ", ".join(map(str, self.branches)) or "none of the states"
            lines.append(f"  caused by {self.cause} (states: {branches})")
        lines.append(f"  {self.repair or 'nobody who was tried can bring it back'}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, JsonValue]:
        """The reset as a JSON object."""
        repair = self.repair
        return {
            "type": self.place[0],
            "state_key": self.place[1],
            "before": self.before,
            "after": self.after,
            "rule": self.decision.rule if self.decision is not None else None,
            "rule_number": self.decision.number if self.decision is not None else None,
            "cause": self.cause,
            "branches": list(self.branches),
            "repair": {"sender": repair.sender, "content_of": repair.content_of}
            if repair
            else None,
        }


def resets(
    before: Mapping[Place, EventID] | RoomState, resolution: Resolution
) -> tuple[Reset, ...]:
    """Find the places that a resolution put back to an older event, or emptied.

    An event counts as older when it authorises the state before, directly or not, or when both
    its depth and its `origin_server_ts` are smaller. What a newer event of another branch
    replaced is a change, not a reset.

    Args:
        before: the state before the branches met, as the newest branch had it.
        resolution: what the states were resolved to.

    Returns:
        The resets, sorted by place. Cost: linear in the state and its auth chains; for each
        reset at most 64 resolutions, by which its cause is found.

    Raises:
        IncompleteState: `before` is a `RoomState` over a mere look-up, or has events without IDs.
    """
    stood = ids_of(before)[0] if isinstance(before, RoomState) else before
    state, graph = resolution.state, resolution._graph
    changed = [
        (place, event_id, state.get(place))
        for place, event_id in stood.items()
        if state.get(place) != event_id
    ]
    chain = full_auth_chain(stood.values(), graph.auth_events, set()) if changed else set()
    found = []
    for place, event_id, after in sorted(changed, key=lambda entry: entry[0]):
        if after is None or after in chain or _is_older(after, event_id, resolution):
            found.append(_reset(place, event_id, after, resolution))
    return tuple(found)


def _is_older(one: EventID, other: EventID, resolution: Resolution) -> bool:
    graph = resolution._graph
    if graph.event(one) is None or graph.event(other) is None:
        return False
    return graph.depth(one) < graph.depth(other) and graph.sent(one) < graph.sent(other)


def _reset(place: Place, before: EventID, after: EventID | None, resolution: Resolution) -> Reset:
    considered = {entry.event_id: entry for entry in resolution.story.considered}
    entry = considered.get(before)
    refused = entry is not None and entry.outcome is Outcome.REFUSED
    decision = entry.decision if entry is not None and refused else None
    cause = _cause(place, before, after, resolution, considered)
    branches: tuple[int, ...] = ()
    if cause is not None:
        branches = tuple(
            index
            for index, state_set in enumerate(resolution._question.state_sets)
            if _is_behind(cause, state_set, resolution)
        )
    return Reset(
        place, before, after, decision, cause, branches, _repair(place, before, resolution)
    )


def _is_behind(cause: EventID, state_set: StateSet, resolution: Resolution) -> bool:
    """Whether an event stands in a state or authorises it."""
    ids = state_set.values()
    return cause in ids or cause in full_auth_chain(ids, resolution._graph.auth_events, set())


def _cause(
    place: Place,
    before: EventID,
    after: EventID | None,
    resolution: Resolution,
    considered: Mapping[EventID, Considered],
) -> EventID | None:
    """The first event without which the place comes out otherwise, best as it was before."""
    question, graph = resolution._question, resolution._graph
    changing = None
    suspects = _suspects(before, after, resolution, considered)
    for suspect in islice(suspects, _TRIES):
        tried = Question.of(
            question.room_version,
            question.state_sets,
            rejected=question.rejected | {suspect},
            algorithm=question.algorithm,
            unconflicted=question.common,
            auth_difference=question.auth_difference,
            conflicted_subgraph=question.conflicted_subgraph,
        )
        outcome = answer(tried, graph.event).state.get(place)
        if outcome == before:
            return suspect
        if outcome != after and changing is None:
            changing = suspect
    return changing


def _suspects(
    before: EventID,
    after: EventID | None,
    resolution: Resolution,
    considered: Mapping[EventID, Considered],
) -> Iterator[EventID]:
    """Events that may have caused it: those its judgement read, all other power events, the winner."""
    event = resolution._graph.event(before)
    read = auth.select_auth_events(event) if event is not None else frozenset()
    listed = set(resolution._graph.auth_events(before))
    taken = [
        entry
        for entry in considered.values()
        if entry.decision is not None and entry.decision.allowed and entry.event_id != before
    ]
    near = [e.event_id for e in taken if e.place in read and e.event_id not in listed]
    others = [e.event_id for e in taken if e.event_id != after]
    yield from dict.fromkeys([*reversed(near), *others, *([after] if after else [])])


def _repair(place: Place, before: EventID, resolution: Resolution) -> Repair | None:
    """Who may send the event again."""
    lost = resolution._graph.event(before)
    if lost is None:
        return None
    try:
        state = resolution.room_state()
    except IncompleteState:
        return None
    for sender in _senders(lost, state):
        again = Event.from_client_event(
            {
                "type": lost.type,
                "sender": sender,
                "state_key": lost.state_key,
                "content": thaw(lost.content),
            },
            resolution.room_version,
        )
        if auth.check(again, state).allowed:
            return Repair(sender, place, before)
    return None


def _senders(lost: Event, state: RoomState) -> Iterable[UserID]:
    joined = [UserID(user) for user, event in state.members.items() if event.membership is JOIN]
    powerful = sorted(joined, key=lambda user: (-state.power_level_of(user), user))
    return dict.fromkeys([lost.sender, *powerful[:_SENDERS]])
