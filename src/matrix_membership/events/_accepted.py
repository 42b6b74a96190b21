"""Read events that a host has judged and stored before: its objects, its rows.

Nothing is checked that the host checked when the event came, and nothing is encoded. Objects
are read by their attributes, mappings and rows by their keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from matrix_membership.errors import InvalidEvent
from matrix_membership.identifiers import EventID

Fields = dict[str, Any]


def accepted_fields(source: Any) -> Fields:
    """Read what the rules may ask of an event, under the names of a PDU.

    Args:
        source: an object with the fields of an event as attributes, or a mapping or a row with
            the keys of a PDU. Its `prev_events` and `auth_events` may be event IDs or pairs.

    Raises:
        InvalidEvent: it lacks a type, a sender or a content, or has one of another kind.
    """
    if not isinstance(source, dict):
        try:
            fields = _by_attributes(source)
        except AttributeError:
            fields = _by_keys(_mapping_of(source))
    else:
        fields = _by_keys(source)
    for name, kind, expected in _NEEDED:
        value = fields[name]
        if not isinstance(value, kind):
            raise InvalidEvent(name, expected, value)
    return fields


# The mapping last: `isinstance` asks an abstract class, which takes longer than the other two.
_NEEDED: Final = (
    ("type", str, "text"),
    ("sender", str, "a user ID"),
    ("content", Mapping, "an object"),
)


def has_a_server(value: object) -> bool:
    """Tell whether a value can name a user, for those who look no further.

    A host may hold users of servers whose names the grammar forbids, with an underscore for
    example.
    """
    return isinstance(value, str) and value[:1] == "@" and ":" in value


def _by_attributes(source: Any) -> Fields:
    event_type = source.type
    fields = {
        "type": event_type,
        "sender": source.sender,
        "content": source.content,
        "state_key": getattr(source, "state_key", None),
        "room_id": getattr(source, "room_id", None),
        "event_id": getattr(source, "event_id", None),
        "prev_events": _listed(source, "prev_event_ids", "prev_events"),
        "auth_events": _listed(source, "auth_event_ids", "auth_events"),
        "depth": getattr(source, "depth", None),
        "origin_server_ts": getattr(source, "origin_server_ts", None),
    }
    if event_type == "m.room.redaction":
        fields["redacts"] = getattr(source, "redacts", None)
    return fields


def _listed(source: Any, *names: str) -> tuple[EventID, ...]:
    for name in names:
        found = getattr(source, name, None)
        if found is not None:
            return _ids(found() if callable(found) else found)
    return ()


def _by_keys(source: Mapping[str, Any]) -> Fields:
    get = source.get
    fields = {
        "type": get("type"),
        "sender": get("sender"),
        "content": get("content"),
        "state_key": get("state_key"),
        "room_id": get("room_id"),
        "event_id": get("event_id"),
        "prev_events": _ids(get("prev_events") or ()),
        "auth_events": _ids(get("auth_events") or ()),
        "depth": get("depth"),
        "origin_server_ts": get("origin_server_ts"),
    }
    if "redacts" in source:
        fields["redacts"] = source["redacts"]
    return fields


def _ids(listed: Iterable[Any]) -> tuple[EventID, ...]:
    return tuple([EventID(entry if isinstance(entry, str) else entry[0]) for entry in listed])


def _mapping_of(source: Any) -> Mapping[str, Any]:
    try:
        return source if isinstance(source, Mapping) else dict(source)
    except (TypeError, ValueError) as error:
        raise InvalidEvent(
            "event", "an object or a mapping with the fields of one", source
        ) from error
