"""Read what a room is resolved from: files of events, and files of states.

Each place in a file is named as one finds it there: `states.json[1].pdus[7]`, or `events.jsonl:12`
for a line. An error is one line with that place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import define, field

from matrix_membership.canonical_json import JsonValue
from matrix_membership.cli._progress import watched
from matrix_membership.cli._reading import (
    Placed,
    entries_of,
    event_of,
    is_create,
    located,
    named_version,
    object_of,
    place_of,
    read_documents,
    room_version_of,
)
from matrix_membership.errors import InvalidMessage, MatrixMembershipError
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.room_versions import RoomVersion

Place = tuple[str, str]

_EVENTS_UNDER: Final = ("pdus", "state", "events", "auth_chain")
_IDS_UNDER: Final = "pdu_ids"


@define
class Room:
    """The content of the files.

    Attributes:
        version: the version of the room.
        events: the events by ID; reading adds to them.
        states: the states.
    """

    version: RoomVersion
    events: dict[EventID, Event] = field(factory=dict)
    states: list[dict[Place, EventID]] = field(factory=list)


def read_room(events: str, states: str | None, *, named: str | None) -> Room:
    """Read the events and the states of a room.

    Args:
        events: the name of a file of PDUs, `-` for standard input.
        states: the name of a file of states; None for no states.
        named: the room version, when the create event does not say it.

    Raises:
        InvalidMessage: with the file and the place in it.
        UnknownRoomVersion: the version is not known.
    """
    state_files = [] if states is None else read_documents(states)
    found_in = [(where, list(_entries(value, where, _A_STATE))) for where, value in state_files]
    listed = [
        found
        for where, value in read_documents(events)
        for found in ([(where, value)] if _is_event(value) else _entries(value, where, _EVENTS))
    ]
    known = [*listed, *(entry for _, found in found_in for entry in found)]
    files = place_of(events) if states is None else f"{place_of(events)} and {place_of(states)}"
    room = Room(_version(known, files, named))
    # Events before states: a state may consist of nothing but IDs.
    with watched(listed, len(listed), "events read") as read:
        for where, value in read:
            _add(room, value, where)
    for where, found in found_in:
        room.states.append(_state(room, found, where))
    return room


def _version(known: Placed, files: str, named: str | None) -> RoomVersion:
    """Return the version of the room, as its create event or the command line has it."""
    with located("--room-version"):
        version = named_version(named)
    for where, value in known:
        if isinstance(value, Mapping) and is_create(value):
            if version is None and not isinstance(value.get("content"), Mapping):
                raise InvalidMessage(f"{where}: content", "an object", value.get("content"))
            with located(where):
                return room_version_of(named, [value])
    if version is None:
        raise InvalidMessage(files, "a create event, or --room-version", "neither")
    return version


def _is_event(value: JsonValue) -> bool:
    return isinstance(value, Mapping) and "type" in value


_A_STATE: Final = "a list of events or of event IDs"
_EVENTS: Final = "an event, which has a type, or a list of events"


def _entries(value: JsonValue, where: str, expected: str) -> Iterator[tuple[str, JsonValue]]:
    """Read the events or event IDs of a document: a list, or lists under known keys."""
    if isinstance(value, tuple):
        yield from entries_of(value, where, "a list")
        return
    keys = [key for key in (*_EVENTS_UNDER, _IDS_UNDER) if key in object_of(value, where)]
    if not keys:
        raise InvalidMessage(where, expected, value)
    for key in keys:
        yield from entries_of(value[key], f"{where}.{key}", "a list")


def _add(room: Room, value: JsonValue, where: str) -> Event:
    """Read an event, and keep it."""
    document = object_of(value, where)
    try:
        event = event_of(document, room.version)
    except MatrixMembershipError as error:
        expected = f"an event of room version {room.version}"
        raise InvalidMessage(where, expected, str(error)) from error
    # The first copy stays: an answer of a server may have an event in its state and in its auth
    # chain.
    return room.events.setdefault(event.event_id, event)


def _state(room: Room, entries: Sequence[tuple[str, JsonValue]], name: str) -> dict[Place, EventID]:
    state: dict[Place, EventID] = {}
    for where, value in entries:
        known = room.events.get(EventID(value)) if isinstance(value, str) else None
        if isinstance(value, str) and known is None:
            raise InvalidMessage(where, "the ID of an event in EVENTS", value)
        event = known or _add(room, value, where)
        # The auth chain stands beside the state in an answer of a server.
        if where.startswith(f"{name}.auth_chain["):
            continue
        if event.state_key is None:
            raise InvalidMessage(where, "a state event", event.type)
        # Keeping one of two in silence would answer another question than the file asks.
        if state.setdefault((event.type, event.state_key), event.event_id) != event.event_id:
            raise InvalidMessage(where, "one event for each type and state key", event.type)
    return state
