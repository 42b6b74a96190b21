"""Room state from a client's events: `/sync`, `/state`, stripped state, objects.

A bot has events in client format, as JSON or as the objects of a client library. The
events that stripped state leaves out are unknown. A question that needs them raises
`IncompleteState`, and `advice.may.may` answers that it is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import (
    IncompleteState,
    InvalidEvent,
    InvalidMessage,
    UnknownRoomVersion,
)
from matrix_membership.events import Event
from matrix_membership.identifiers import is_event_id, is_room_id
from matrix_membership.room_versions import KNOWN, RoomVersion, require_room_version
from matrix_membership.state import PassedOver, RoomState

__all__ = ["read_event", "read_state"]

_KEYS: Final = ("type", "sender", "state_key", "content", "event_id", "room_id", "origin_server_ts")
_OPTIONAL: Final = _KEYS[2:3] + _KEYS[4:]
_ONLY_IN_PDUS: Final = ("auth_events", "prev_events", "hashes")


def read_event(event: object, room_version: RoomVersion) -> Event:
    """Read one event as a client has it.

    An ID that breaks the grammar, as one made up by hand does, counts as absent: the rules
    do not read it.

    Args:
        event: a JSON object, perhaps a PDU; or an object of a client library: one with
            `source` (the JSON that came), with `serialize()` (which makes JSON), or with the
            keys of an event as attributes. Power levels that an object makes are refused: it
            may fill in levels that the room does not name.
        room_version: the version of its room.

    Raises:
        InvalidEvent: it is not such an object, or lacks a key that events have.

    >>> from matrix_membership.room_versions import V11
    >>> read_event({"type": "m.room.name", "sender": "@ana:a.example", "content": {}}, V11)
    <m.room.name by @ana:a.example >

    .. versionadded:: 0.1.0
    """
    fields = _fields(event)
    if fields.get("type") == "m.room.power_levels" and _is_made(event):
        # mautrix writes `invite: 50` where the room names none and 0 counts. The room's own setting
        # is lost then, and a wrong level would decide who may do what.
        expected = "the JSON that the server sent, since an object may fill in levels"
        raise InvalidEvent("m.room.power_levels", expected, type(event).__name__)
    # Servers that show PDUs to their administrators add the ID that others compute.
    with_its_id = "event_id" in fields and not room_version.event_id_in_pdu
    if all(key in fields for key in _ONLY_IN_PDUS) and not with_its_id:
        return Event.from_pdu(fields, room_version)
    return Event.from_client_event(
        {key: value for key, value in fields.items() if not _counts_as_absent(key, value)},
        room_version,
    )


def _counts_as_absent(key: str, value: JsonValue) -> bool:
    # A client library may hold None where the JSON has no key.
    if value is None:
        return key in _OPTIONAL
    is_of_its_form = _FORM_OF_ID.get(key)
    return is_of_its_form is not None and isinstance(value, str) and not is_of_its_form(value)


_FORM_OF_ID: Final[Mapping[str, Callable[[object], bool]]] = MappingProxyType(
    {"event_id": is_event_id, "room_id": is_room_id}
)


def read_state(
    events: Iterable[object],
    *,
    room_version: RoomVersion | None = None,
    partial: bool = False,
    complete: bool | None = None,
) -> RoomState:
    """Read the state of a room as a client has it.

    `Stripped state`__ is told apart from the whole state by its events. In whole state all
    have IDs, and one is the create event. Some servers put an invited user's own member
    event whole among stripped ones: that is stripped state too.

    Args:
        events: the state events in client format: the answer to `/state`; or of
            `/sync` the state and then the state events of the timeline; or the
            `invite_state` or `knock_state` of a room that the user is not in. Of two for
            one place the later counts.
        room_version: the version of the room, when the create event does not say.
        partial: members may be missing, as they are when a client loads them lazily.
        complete: whether these are all state events (but members, if `partial`): true for
            hand-made events without IDs, false for a part of the state. None to see it by
            the events. Pass false for the state of an invite: the server that invites wrote
            it, and events that it gives IDs look like the whole state.

    Returns:
        The state. A malformed event is passed over, and stands in `RoomState.passed_over`;
        what the room holds at its place is unknown. If events of every type may be missing,
        a question that needs one raises `IncompleteState`, and a verdict that depends on one
        is undecided. Cost: linear in the events.

    Raises:
        InvalidEvent: the create event names another version than `room_version`.
        UnknownRoomVersion: the version is not known.
        IncompleteState: neither a create event nor `room_version` gives the version.
        InvalidMessage: the events come as text, or inside an object, as in an answer of `/sync`.

    >>> read_state(
    ...     [
    ...         {
    ...             "type": "m.room.create",
    ...             "sender": "@ana:a.example",
    ...             "state_key": "",
    ...             "content": {"room_version": "11"},
    ...             "event_id": "$" + "x" * 43,
    ...         }
    ...     ]
    ... )
    <state, version 11>

    __ https://spec.matrix.org/v1.19/client-server-api/#stripped-state

    .. versionadded:: 0.1.0
    """
    if isinstance(events, (str, bytes, Mapping)):
        # Read by their characters or keys, they would look like a state of malformed events.
        raise InvalidMessage("state", "a list of state events", events)
    found = list(events)
    # The version first: it says how every other event is read.
    version = _version(found, room_version)
    read: list[Event] = []
    passed_over: list[PassedOver] = []
    with_ids = True
    for index, event in enumerate(found):
        try:
            read.append(read_event(event, version))
        except InvalidEvent as error:
            passed_over.append(_passed_over(index, event, error))
        else:
            with_ids &= bool(read[-1].event_id or _text(_fields(event).get("event_id")))
    if complete is None:
        # Every room has a create event, and a client that sees all sees IDs.
        types = {event.type for event in read} | {entry.type for entry in passed_over}
        complete = with_ids and "m.room.create" in types
    return RoomState.of(
        version, read, partial=partial, stripped=not complete, passed_over=passed_over
    )


def _fields_or_none(event: object) -> Mapping[str, JsonValue]:
    try:
        return _fields(event)
    except InvalidEvent:
        return {}


def _passed_over(index: int, event: object, error: InvalidEvent) -> PassedOver:
    fields = _fields_or_none(event)
    state_key = fields.get("state_key")
    return PassedOver(
        index,
        _text(fields.get("type")),
        state_key if isinstance(state_key, str) else None,
        _text(fields.get("event_id")),
        error,
    )


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _fields(event: object) -> Mapping[str, JsonValue]:
    if isinstance(event, Mapping):
        return event
    # The JSON that came is better than an object's own version of it, so `source` is asked first.
    source = getattr(event, "source", None)
    if isinstance(source, Mapping):
        return source
    made = _serialized(event)
    if isinstance(made, Mapping):
        return made
    fields = {key: getattr(event, key) for key in _KEYS if hasattr(event, key)}
    if not fields:
        raise InvalidEvent("event", "an object with the keys of an event", event)
    return {key: _plain(value) for key, value in fields.items()}


def _is_made(event: object) -> bool:
    """Tell whether an object makes the content that it is read by."""
    if isinstance(event, Mapping) or isinstance(getattr(event, "source", None), Mapping):
        return False
    return any(callable(getattr(at, "serialize", None)) for at in (event, _content_of(event)))


def _content_of(event: object) -> object:
    return getattr(event, "content", None)


def _plain(value: Any) -> Any:
    """Return the JSON of an attribute: types and contents may be objects themselves."""
    made = _serialized(value)
    return value if made is None else made


def _serialized(value: Any) -> Any:
    serialize = getattr(value, "serialize", None)
    return serialize() if callable(serialize) else None


def _version(events: list[object], named: RoomVersion | None) -> RoomVersion:
    """Return the version that the create event names, or that the caller does."""
    if named is not None:
        require_room_version(named)
    content = _create_content(events)
    readable = isinstance(content, Mapping)
    told = content.get("room_version", "1") if isinstance(content, Mapping) else content
    if named is None:
        if content is _NOTHING:
            raise IncompleteState("the room version", _TELLS_VERSION)
        version = KNOWN.get(told) if readable and isinstance(told, str) else None
        if version is None:
            raise UnknownRoomVersion(told)
        return version
    # A create event that cannot be read tells nothing against the caller.
    if readable and isinstance(told, str) and told != named.identifier:
        expected = f"{named.identifier}, the room version that the caller names"
        raise InvalidEvent("m.room.create: room_version", expected, told)
    return named


_TELLS_VERSION: Final = "m.room.create, or `room_version` from the caller"

_NOTHING: Final = ()
"""Stands for the content of a missing create event."""


def _create_content(events: list[object]) -> JsonValue:
    for event in events:
        fields = _fields_or_none(event)
        if fields.get("type") == "m.room.create":
            return fields.get("content")
    return _NOTHING
