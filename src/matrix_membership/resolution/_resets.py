"""State resets: places that went back to an older event or became empty.

Somebody who was in the room on the newest branch finds a place as it was before, or empty. The
event that caused it is found by trying: resolved without it, the place comes out otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

from matrix_membership._attrs import evolve, frozen
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.resolution._auth_difference import full_auth_chain
from matrix_membership.resolution._causes import Inquiry, inquiry_into
from matrix_membership.resolution._records import Outcome
from matrix_membership.resolution._repairs import Repair, repair_of
from matrix_membership.resolution._resolving import Resolution
from matrix_membership.resolution._state_sets import Place, StateSet, ids_of
from matrix_membership.state import RoomState

__all__ = ["Reset", "resets", "with_repair"]


@frozen
class Reset:
    """A place that went back to an older event, or became empty.

    Attributes:
        place: its type and state key.
        before: the ID of the event that stood there.
        after: the ID of the older event that stands there now; None when none does.
        decision: why the event that stood there was refused, if it was.
        cause: the ID of an event without which, and without what it authorises, the place would
            have come out otherwise; None when none was found.
        branches: the numbers of the states, from 0, that have the cause or what it authorises.
        repair: what would bring the event back; None when nobody who was tried may send it, or
            nobody could be tried.
        at: for a reset found in rows of state changes, the stream ID of its row.
        is_repair_known: false if the lost event or the whole state is not at hand, so that
            nobody could be tried.
    """

    place: Place
    before: EventID
    after: EventID | None
    decision: Decision | None
    cause: EventID | None
    branches: tuple[int, ...]
    repair: Repair | None
    at: int | None = None
    is_repair_known: bool = True

    def __str__(self) -> str:
        """Tell the change, its cause and its repair, one a line."""
        name = " ".join(part for part in self.place if part)
        when = "" if self.at is None else f" at {self.at}"
        lines = [f"{name}: went from {self.before} to {self.after or 'nothing'}{when}"]
        if self.decision is not None:
            lines.append(f"  {self.before} was {self.decision}")
        if self.cause is not None:
            states = ", ".join(map(str, self.branches)) or "none of the states"
            where = f" (states: {states})" if self.at is None else ""
            lines.append(f"  caused by {self.cause}{where}")
        lines.append(f"  {self.repair or self._without_repair()}")
        return "\n".join(lines)

    def _without_repair(self) -> str:
        if self.is_repair_known:
            return "nobody who was tried can bring it back"
        return "who can bring it back is unknown: not all events are at hand"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the reset as a JSON object."""
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
            "repair": None if repair is None else repair.to_dict(),
            "repair_known": self.is_repair_known,
            "at": self.at,
        }


def resets(
    before: Mapping[Place, EventID] | RoomState, resolution: Resolution
) -> tuple[Reset, ...]:
    """Find the places that a resolution put back to an older event, or emptied.

    An event counts as older when it authorises the state before, directly or not, or when both
    its depth and its `origin_server_ts` are smaller. A newer event of another branch
    makes a change, not a reset. Nothing is lost with an event that was rejected.

    Args:
        before: the state before the branches met, as the newest branch had it.
        resolution: what the states were resolved to.

    Returns:
        The resets, sorted by place. Cost: linear in the state and its auth chains; for each
        reset at most 128 resolutions, by which its cause is found.

    Raises:
        IncompleteState: `before` is a `RoomState` over a mere look-up, or has events without IDs.

    .. versionadded:: 0.1.0
    """
    stood = ids_of(before)[0] if isinstance(before, RoomState) else before
    state, graph = resolution.state, resolution._graph
    # A rejected event never stood in the room, whatever a server gives as its state.
    rejected = resolution._question.rejected
    changed = [
        place
        for place, event_id in sorted(stood.items())
        if state.get(place) != event_id and event_id not in rejected
    ]
    if not changed:
        return ()
    # Only what the newest branch had left behind can come back. An event that is new to it wins by
    # right, whatever it replaces.
    chain = full_auth_chain(stood.values(), graph.auth_events, set())
    inquiry = inquiry_into(resolution, chain.union(stood.values()))
    state_now = _state_at_hand(resolution)
    found = []
    for place in changed:
        after = state.get(place)
        if after is None or after in chain or _is_older(after, stood[place], resolution):
            reset = _reset(place, stood[place], after, inquiry)
            found.append(with_repair(reset, graph.event(stood[place]), state_now))
    return tuple(found)


def with_repair(reset: Reset, lost: Event | None, state: RoomState | None) -> Reset:
    """Look for a repair; without the lost event or the state, say that it is unknown."""
    if lost is None or state is None:
        return evolve(reset, is_repair_known=False)
    return evolve(reset, repair=repair_of(lost, state))


def _state_at_hand(resolution: Resolution) -> RoomState | None:
    try:
        return resolution.room_state()
    except IncompleteState:
        return None


def _is_older(one: EventID, other: EventID, resolution: Resolution) -> bool:
    before, after = map(resolution._graph.event, (one, other))
    # Both: a server writes either value as it likes, and one honest value then prevents a false
    # alarm.
    return (
        before is not None
        and after is not None
        and before.depth < after.depth
        and before.origin_server_ts < after.origin_server_ts
    )


def _reset(place: Place, before: EventID, after: EventID | None, inquiry: Inquiry) -> Reset:
    resolution = inquiry.resolution
    entry = inquiry.considered.get(before)
    refused = entry is not None and entry.outcome is Outcome.REFUSED
    decision = entry.decision if entry is not None and refused else None
    cause = inquiry.cause_of(place, before, after)
    branches: tuple[int, ...] = ()
    if cause is not None:
        branches = tuple(
            index
            for index, state_set in enumerate(resolution._question.state_sets)
            if _is_behind(cause, state_set, resolution)
        )
    return Reset(place, before, after, decision, cause, branches, None)


def _is_behind(cause: EventID, state_set: StateSet, resolution: Resolution) -> bool:
    """Tell whether an event stands in a state or in the auth chain of one that does."""
    ids = state_set.values()
    return cause in ids or cause in full_auth_chain(ids, resolution._graph.auth_events, set())
