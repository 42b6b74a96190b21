"""State resets in rows of state changes, as a server writes them down.

Synapse keeps such rows in its table `current_state_delta_stream`. Each says which event came to
stand in a place, and what stood there before. A change of the state that no new event explains
is a reset: an older event stands again, or nothing does.

Rows do not tell the states at the ends of the branches, so nothing is resolved again. A cause is
looked for among the rows of the same step: a new event by which the rules refuse the lost one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby
from types import MappingProxyType
from typing import Final, NamedTuple

from matrix_membership import auth
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonValue, decode
from matrix_membership.errors import InvalidJson, InvalidMessage
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.resolution._auth_difference import full_auth_chain
from matrix_membership.resolution._links import links_of
from matrix_membership.resolution._resets import Reset, with_repair
from matrix_membership.resolution._state_sets import Place
from matrix_membership.state import RoomState

__all__ = ["resets_in"]

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_KEYS: Final = ("stream_id", "type", "state_key", "event_id", "prev_event_id")

_NOTHING_AT_HAND: Final[Mapping[EventID, Event]] = MappingProxyType({})
_CREATE: Final = ("m.room.create", "")
_AUTHORISING: Final = (
    "m.room.create",
    "m.room.power_levels",
    "m.room.join_rules",
    "m.room.member",
    "m.room.third_party_invite",
)
"""The types of the events that an auth chain can hold."""

GetEvent = Callable[[EventID], Event | None]
State = Mapping[Place, "EventID | None"]
Row = Sequence[JsonValue] | Mapping[str, JsonValue]


class _Change(NamedTuple):
    step: int
    place: Place
    after: EventID | None
    before: EventID | None


def resets_in(
    changes: bytes | str | Iterable[Row],
    events: Mapping[EventID, Event] | GetEvent = _NOTHING_AT_HAND,
) -> tuple[Reset, ...]:
    """Find state resets in the rows of one room's state changes.

    A place was reset when it became empty, or got an event that stood there before or that is
    older than the one before it. An event counts as older as for `resets`; without the events at
    hand, only one that has stood there before can be told. A step that takes the create event
    away is the end of the room for that server, and resets nothing.

    Args:
        changes: the rows in order: stream ID, type, state key, event ID or None, previous event ID
            or None. Each is a sequence, or a mapping with the names of Synapse's columns. Text
            and bytes hold one row in JSON a line. Begin with the rows that brought the create
            event: causes and repairs need the whole state.
        events: the events that are at hand, by ID, or a function that gives the event of an ID.

    Returns:
        The resets in the order of the rows. `decision`, `cause` and `repair` are told when the
        events for them are at hand. `branches` is empty. Cost: linear in the rows, for each reset
        linear in the state and in the auth chain of the lost event.

    Raises:
        InvalidMessage: a row has another form, another room than the one before it, or comes
            after one with a greater stream ID. It names the row, from 0, or the line, from 1.

    >>> topic, other = "$" + "a" * 43, "$" + "b" * 43
    >>> (reset,) = resets_in(
    ...     [
    ...         (1, "m.room.topic", "", topic, None),
    ...         (2, "m.room.topic", "", other, topic),
    ...         (3, "m.room.topic", "", topic, other),
    ...     ]
    ... )
    >>> (reset.before == other, reset.after == topic, reset.at)
    (True, True, 3)

    .. versionadded:: 0.1.0
    """
    get = events.get if isinstance(events, Mapping) else events
    state: dict[Place, EventID | None] = {}
    stood: set[tuple[Place, EventID | None]] = set()
    chains: dict[Place, set[EventID]] = {}
    found: list[Reset] = []
    for _, rows in groupby(_read(changes), key=lambda change: change.step):
        step = [row._replace(before=row.before or state.get(row.place)) for row in rows]
        state.update({row.place: row.after for row in step})
        # A server that leaves a room takes all of its state away. Each place of that room would
        # count as reset.
        if _CREATE not in state or state[_CREATE] is not None:
            back = [row for row in step if _goes_back(row, stood, chains, get)]
            found += [_reset(row, step, state, get) for row in back]
        stood.update([(row.place, name) for row in step for name in (row.before, row.after)])
    return tuple(found)


def _goes_back(
    row: _Change,
    stood: AbstractSet[tuple[Place, EventID | None]],
    chains: dict[Place, set[EventID]],
    get: GetEvent,
) -> bool:
    """Tell whether a place went back to an older event, or became empty.

    `chains` has, by place, the auth chains of events that stood there; it grows.
    """
    if row.before is None or row.after == row.before:
        return False
    # The rows alone prove these two, even if none of the events can be looked up any more.
    if row.after is None or (row.place, row.after) in stood:
        return True
    old, new = get(row.before), get(row.after)
    if old is None or new is None:
        return False
    # Both, since either alone lies: depth stands still at its maximum, and `origin_server_ts` is
    # what the sender's server claims.
    if new.depth < old.depth and new.origin_server_ts < old.origin_server_ts:
        return True
    if not _can_authorise(new) or row.before in links_of(new):
        return False
    return _authorises(row.after, row.before, chains.setdefault(row.place, set()), get)


def _authorises(older: EventID, event_id: EventID, known: set[EventID], get: GetEvent) -> bool:
    """Tell whether an event stands in the auth chain of another one.

    `known` has the auth chains of all that stood in its place, which are walked once. Without
    it, 2,000 changes of one place took 15 s, and twice as many four times as long.
    """
    known |= full_auth_chain([event_id], lambda name: _auth_events(name, get), known)
    if older not in known:
        return False
    return older in full_auth_chain([event_id], lambda name: _auth_events(name, get), set())


def _can_authorise(event: Event) -> bool:
    # A version of one's own may select other types.
    return event.room_version.rules is not None or event.type in _AUTHORISING


def _auth_events(event_id: EventID, get: GetEvent) -> tuple[EventID, ...]:
    event = get(event_id)
    return () if event is None else links_of(event)


def _reset(row: _Change, step: Sequence[_Change], state: State, get: GetEvent) -> Reset:
    lost = get(row.before) if row.before else None
    cause, decision = (None, None) if lost is None else _cause(lost, row.place, step, state, get)
    now = _state_of(filter(None, state.values()), get)
    # The caller looks at rows whose place was not empty.
    before = row.before or EventID("")
    reset = Reset(row.place, before, row.after, decision, cause, (), None, row.step)
    return with_repair(reset, lost, now)


def _cause(
    lost: Event, place: Place, step: Sequence[_Change], state: State, get: GetEvent
) -> tuple[EventID | None, Decision | None]:
    """Find the first new event of a step by which the rules refuse the lost one."""
    read = (auth.select_auth_events(lost) | {_CREATE}) - {place}
    changed = {row.place: row for row in step if row.place in read}
    older = {name: changed[name].before if name in changed else state.get(name) for name in read}
    stood = _state_of(filter(None, older.values()), get)
    # If the rules refused the lost event before the step already, no event of the step is to blame.
    if stood is None or not auth.check(lost, stood).allowed:
        return None, None
    for row in changed.values():
        event = get(row.after) if row.after else None
        # `with_event` puts an event in its place, whatever stood there.
        decision = None if event is None else auth.check(lost, stood.with_event(event))
        if event is not None and decision is not None and not decision.allowed:
            return event.event_id, decision
    return None, None


def _state_of(event_ids: Iterable[EventID], get: GetEvent) -> RoomState | None:
    """Return the state of some events; None without one of them or the create event."""
    found = []
    for event_id in event_ids:
        event = get(event_id)
        if event is None:
            return None
        found.append(event)
    # Rows that begin in the middle of the room's history tell a part of the state. Judged by that
    # part, everybody would count as not joined, and so as somebody who cannot help.
    if not any((event.type, event.state_key) == _CREATE for event in found):
        return None
    return RoomState.of(found[0].room_version, found)


def _read(changes: bytes | str | Iterable[Row]) -> Iterator[_Change]:
    """Read rows, each with the place that an error names."""
    before: int | None = None
    room: JsonValue = None
    for where, row in _rows(changes):
        values = row
        if isinstance(row, Mapping):
            values = [row.get(key) for key in _KEYS]
            if before is not None and row.get("room_id") != room:
                raise InvalidMessage(f"{where}.room_id", f"the room {room!r}", row.get("room_id"))
            room = row.get("room_id")
        change = _change(values, where)
        if before is not None and change.step < before:
            raise InvalidMessage(f"{where}.stream_id", f"{before} or more", change.step)
        before = change.step
        yield change


def _rows(changes: bytes | str | Iterable[Row]) -> Iterator[tuple[str, JsonValue]]:
    # Rows of a database are numbered from 0, as in the caller's list, and lines of text from 1, as
    # in an editor. The error is read beside the one or the other.
    if not isinstance(changes, (bytes, str)):
        yield from ((f"changes[{index}]", row) for index, row in enumerate(changes))
        return
    # JSON may hold a line separator such as U+2028 as it is; `str.splitlines` would split there.
    lines: Sequence[bytes | str] = (
        changes.splitlines() if isinstance(changes, bytes) else _LINE_END.split(changes)
    )
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield f"line {number}", decode(line, strict=False)
            except InvalidJson as error:
                raise InvalidMessage(f"line {number}", "a row in JSON", str(error)) from error


def _change(values: JsonValue, where: str) -> _Change:
    if (
        isinstance(values, bytes | str)
        or not isinstance(values, Sequence)
        or len(values) != len(_KEYS)
    ):
        raise InvalidMessage(where, f"{len(_KEYS)} values: {', '.join(_KEYS)}", values)
    step, kind, state_key, after, before = values
    # To Python `True` is an integer, and would be step 1.
    if not isinstance(step, int) or isinstance(step, bool):
        raise InvalidMessage(f"{where}.stream_id", "an integer", step)
    if not isinstance(kind, str):
        raise InvalidMessage(f"{where}.type", "text", kind)
    if not isinstance(state_key, str):
        raise InvalidMessage(f"{where}.state_key", "text", state_key)
    return _Change(
        step,
        (kind, state_key),
        _event_id(after, f"{where}.event_id"),
        _event_id(before, f"{where}.prev_event_id"),
    )


def _event_id(value: JsonValue, where: str) -> EventID | None:
    if value is not None and not (isinstance(value, str) and value):
        raise InvalidMessage(where, "an event ID or null", value)
    return None if value is None else EventID(value)
