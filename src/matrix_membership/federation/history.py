"""Answer servers that ask for the events and the state of a room.

Each function finds out whether the server may ask, and returns the body of the answer or a
`MatrixError`. A server may ask while it is in the room and the access control list lets it
speak. It gets events that it may not see in redacted form, as `visibility.timeline` does.

In all functions `origin` is the server that asks, as its X-Matrix signature proved, `history`
that of the room in the path, and `at` the time now, in milliseconds since 1970. See
`Retrieving events`__ and `Backfilling and retrieving missing events`__.

__ https://spec.matrix.org/v1.19/server-server-api/#retrieving-events
__ https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events
"""

# How it works: both walks go back by `prev_events`. Backfill takes the deepest event first, so that
# branches come in the order of time; missing events are found breadth first, as the text asks, and
# then put into the order of depth. A walk stops at an event before which the state is not known
# here: nobody can tell who may see it, and its own previous events are not at hand either.

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from itertools import islice
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import constant
from matrix_membership.auth import auth_chain
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import EventID, several
from matrix_membership.state import RoomState
from matrix_membership.state.of_servers import has_joined
from matrix_membership.visibility import timeline

__all__ = [
    "KnownHistory",
    "answer_backfill",
    "answer_event",
    "answer_event_auth",
    "answer_missing_events",
    "answer_state",
]

MOST_EVENTS: Final = 100
"""Events in an answer, and events that a request may name."""

DEFAULT_MISSING: Final = 10
"""The events in an answer to get_missing_events, if the request does not say."""

# ASCII digits alone, and few: `int` takes those of other scripts too, and thousands of them.
_is_limit: Final = re.compile("[0-9]{1,9}").fullmatch

Body = dict[str, JsonValue]


@constant
class KnownHistory:
    """The history of a room that this server is in.

    Attributes:
        room: the room, as `resident` takes it. Its `get_event` gives events that were not
            rejected.
        state_before: returns the state before an event by the event's ID; None if it is not
            known here, as for an event that came in an auth chain alone.
        erased: the senders whose accounts were erased, as `visibility.may_see` takes them.

    .. versionadded:: 0.1.0
    """

    room: ResidentRoom
    state_before: Callable[[EventID], RoomState | None]
    erased: Mapping[str, RoomState | None] = MappingProxyType({})

    def refusal(self, origin: str) -> MatrixError | None:
        """Return the error for a server that may not ask about the room; None if it may."""
        room = self.room
        if not room.takes_part:
            return MatrixError.of("M_NOT_FOUND", f"this server is not in {room.room_id}")
        try:
            present = has_joined(room.state, origin)
        except IncompleteState:
            present = False
        # Asked first: the access control list is state, which only servers in the room may read.
        if not present:
            return MatrixError.of("M_FORBIDDEN", f"{origin} is not in the room")
        return room.denial(origin)


def answer_state(
    origin: str, event_id: str, history: KnownHistory, *, ids: bool = False
) -> Body | MatrixError:
    """Answer `/state`__ or, with `ids`, `/state_ids`: the state before an event.

    Returns:
        The body of the answer, or the error. The state is whole, also where the
        server may not see an event of it: it could not judge what follows without. Cost: linear in the size of
        the state and its auth chain.

    __ https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1stateroomid

    .. versionadded:: 0.1.0
    """
    refused = history.refusal(origin)
    if refused is not None:
        return refused
    step = _step(EventID(event_id), history)
    # A partial state would be taken for the whole one.
    if step is None or step[1].is_partial:
        return MatrixError.of("M_NOT_FOUND", f"the state before {event_id} is not known here")
    events = list(step[1].events)
    chain = list(auth_chain(events, history.room.get_event).values())
    if ids:
        return {"pdu_ids": _ids(events), "auth_chain_ids": _ids(chain)}
    return {"pdus": _pdus(events), "auth_chain": _pdus(chain)}


def answer_event_auth(origin: str, event_id: str, history: KnownHistory) -> Body | MatrixError:
    """Answer `/event_auth`__: the auth chain of an event.

    Returns:
        The body of the answer, or the error. Cost: linear in the size of the auth chain.

    __ https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1event_authroomideventid

    .. versionadded:: 0.1.0
    """
    refused = history.refusal(origin)
    if refused is not None:
        return refused
    event = history.room.get_event(EventID(event_id))
    if event is None:
        return _no_such_event(event_id)
    return {"auth_chain": _pdus(auth_chain([event], history.room.get_event).values())}


def answer_event(
    origin: str, event_id: str, histories: Iterable[KnownHistory], *, at: int
) -> Body | MatrixError:
    """Answer `/event`__: one event, in the form in which the server may see it.

    It is looked for in all `histories`, because the path names no room.

    Returns:
        The body of the answer, or the error: 404 `M_NOT_FOUND` also for an event of a room
        that the server may not ask about, so that nobody learns which events there are.

    __ https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1eventeventid

    .. versionadded:: 0.1.0
    """
    for history in histories:
        step = _step(EventID(event_id), history)
        # In versions 1 and 2 another room can hold an event of the same ID, so the search goes on.
        if step is not None and history.refusal(origin) is None:
            return _transaction(origin, [step], history, at)
    return _no_such_event(event_id)


def answer_backfill(
    origin: str,
    event_ids: Iterable[str],
    limit: str | int | None,
    history: KnownHistory,
    *,
    at: int,
) -> Body | MatrixError:
    """Answer `/backfill`__: some events and those before them, the deepest first.

    `event_ids` and `limit` are the values of `v` and of `limit` in the query; None for a query
    without a limit, which the endpoint requires. The first 100 of `v` are looked up.

    Returns:
        The body of the answer, or the error. 100 events at most are given. Cost: n log n in
        the number of events, and linear in their size.

    __ https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1backfillroomid

    .. versionadded:: 0.1.0
    """
    refused = history.refusal(origin)
    if refused is not None:
        return refused
    most = str(limit)
    if _is_limit(most) is None:
        return MatrixError.of("M_INVALID_PARAM", "limit: expected a number")
    found = _before(event_ids, min(int(most), MOST_EVENTS), history)
    return _transaction(origin, found, history, at)


def answer_missing_events(
    origin: str, body: JsonValue, history: KnownHistory
) -> Body | MatrixError:
    """Answer `/get_missing_events`__: the events between others, by depth.

    `body` is the parsed body of the request.

    Returns:
        The body of the answer, or the error. 100 events at most are given. Cost: n log n in
        the number of events, and linear in their size.

    __ https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1get_missing_eventsroomid

    .. versionadded:: 0.1.0
    """
    refused = history.refusal(origin)
    if refused is not None:
        return refused
    fields = body if isinstance(body, Mapping) else {}
    named: list[list[EventID]] = []
    for name in ("earliest_events", "latest_events"):
        listed = fields.get(name)
        if not isinstance(listed, (list, tuple)) or len(listed) > MOST_EVENTS:
            sentence = f"{name}: expected a list of at most {MOST_EVENTS} event IDs"
            return MatrixError.of("M_BAD_JSON", sentence)
        named.append([EventID(entry) for entry in listed if isinstance(entry, str)])
    most = min(_number(fields.get("limit"), DEFAULT_MISSING), MOST_EVENTS)
    least_depth = _number(fields.get("min_depth"), 0)
    earliest, latest = named
    found = _between(earliest, latest, most, least_depth, history)
    shown = timeline(origin, found, history.room.state, erased=history.erased)
    return {"events": _pdus(shown)}


Steps = list[tuple[Event, RoomState]]


def _before(event_ids: Iterable[str], most: int, history: KnownHistory) -> Steps:
    """Return events and those before them with their states, the deepest first."""
    found: Steps = []
    seen: set[str] = set()
    waiting: list[tuple[int, EventID]] = []

    def await_turn(named: Iterable[str]) -> None:
        # The rest is passed over, not refused: what is given leads back from the first ones too.
        for event_id in islice(named, MOST_EVENTS):
            event = history.room.get_event(EventID(event_id))
            if event is not None and event_id not in seen:
                seen.add(event_id)
                heappush(waiting, (-event.depth, event.event_id))

    await_turn(several(event_ids, "event_ids"))
    while waiting and len(found) < most:
        step = _step(heappop(waiting)[1], history)
        if step is not None:
            found.append(step)
            await_turn(step[0].prev_events)
    return found


def _between(
    earliest: list[EventID],
    latest: list[EventID],
    most: int,
    least_depth: int,
    history: KnownHistory,
) -> Steps:
    """Return the events before the latest ones, without the earliest ones, by depth."""
    found: Steps = []
    passed = {*earliest, *latest}
    walk = deque(latest)
    while walk and len(found) < most:
        event = history.room.get_event(walk.popleft())
        for parent in () if event is None else event.prev_events:
            step = None if parent in passed else _step(parent, history)
            passed.add(parent)
            if step is not None and step[0].depth >= least_depth:
                found.append(step)
                walk.append(parent)
    # The last event may have had more parents than there was room for.
    return sorted(found[:most], key=lambda step: step[0].depth)


def _step(event_id: EventID, history: KnownHistory) -> tuple[Event, RoomState] | None:
    """Return an event with the state before it; None if either is not known here."""
    event, before = history.room.get_event(event_id), history.state_before(event_id)
    return None if event is None or before is None else (event, before)


def _transaction(origin: str, deepest_first: Steps, history: KnownHistory, at: int) -> Body:
    shown = timeline(origin, reversed(deepest_first), history.room.state, erased=history.erased)
    return {
        "origin": history.room.server_name,
        "origin_server_ts": at,
        "pdus": _pdus(reversed(shown)),
    }


def _number(value: JsonValue, default: int) -> int:
    return value if value.__class__ is int and value >= 0 else default


def _pdus(events: Iterable[Event]) -> list[JsonValue]:
    return [event.to_pdu() for event in events]


def _ids(events: Iterable[Event]) -> list[JsonValue]:
    return [event.event_id for event in events]


def _no_such_event(event_id: str) -> MatrixError:
    return MatrixError.of("M_NOT_FOUND", f"{event_id} is not known here")
