"""Read events that a host has judged and stored before: its objects, its rows.

Nothing is checked that the host checked when the event came, and nothing is encoded. Objects
are read by their attributes, mappings and rows by their keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from matrix_membership.errors import InvalidEvent
from matrix_membership.events._held_levels import held_power_levels, names_a_server
from matrix_membership.events.facts import Reading
from matrix_membership.identifiers import EventID

Fields = dict[str, Any]


def accepted_fields(source: Any, *, for_rules: bool = False) -> Fields:
    """Read what the rules may ask of an event, under the names of a PDU.

    Args:
        source: an object with the fields of an event as attributes, or a mapping or a row with
            the keys of a PDU. Its `prev_events` and `auth_events` may be event IDs or pairs.
        for_rules: of an object, read only what `auth.check` reads of an event of its type.

    Raises:
        InvalidEvent: it lacks a type, a sender or a content, or has one of another kind.
    """
    if isinstance(source, dict):
        fields = _by_keys(source)
    else:
        try:
            fields = _by_attributes(source, for_rules=for_rules)
        except AttributeError:
            fields = _by_keys(_mapping_of(source))
    content = fields["content"]
    if (
        not isinstance(fields["type"], str)
        or not isinstance(fields["sender"], str)
        # Asking whether it is a `Mapping` takes a fifth of reading the event.
        or (content.__class__ is not dict and not hasattr(content, "keys"))
    ):
        raise _error(fields)
    return fields


def _error(fields: Fields) -> InvalidEvent:
    for name, expected in (("type", "text"), ("sender", "a user ID")):
        if not isinstance(fields[name], str):
            return InvalidEvent(name, expected, fields[name])
    return InvalidEvent("content", "an object", fields["content"])


def _by_attributes(source: Any, *, for_rules: bool) -> Fields:
    event_type = source.type
    # Synapse's events have it. A state key that is missing, as of messages, costs an exception.
    has_method = hasattr(source, "get_state_key")
    fields = {
        "type": event_type,
        "sender": source.sender,
        "content": source.content,
        "state_key": source.get_state_key() if has_method else getattr(source, "state_key", None),
        "room_id": getattr(source, "room_id", None),
        "event_id": getattr(source, "event_id", None),
    }
    if event_type == "m.room.redaction":
        fields["redacts"] = getattr(source, "redacts", None)
    if for_rules and event_type not in _WITH_PREVIOUS:
        return fields
    fields["prev_events"] = _listed(source, "prev_event_ids", "prev_events")
    if not for_rules:
        fields["auth_events"] = _listed(source, "auth_event_ids", "auth_events")
        fields["depth"] = getattr(source, "depth", None)
        fields["origin_server_ts"] = getattr(source, "origin_server_ts", None)
    return fields


_WITH_PREVIOUS: Final = ("m.room.member", "m.room.create")  # the creator's first join, and 1.1


def _listed(source: Any, name: str, other: str) -> tuple[EventID, ...]:
    found = getattr(source, name, None)
    if callable(found):  # a method of that name gives IDs, and no pairs
        return tuple(found())
    return _ids(getattr(source, other, ()) if found is None else found)


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


def _ids(listed: Any) -> tuple[EventID, ...]:
    ids: list[Any] = [entry if entry.__class__ is str else entry[0] for entry in listed]
    return tuple(ids)


def _mapping_of(source: Any) -> Mapping[str, Any]:
    try:
        return source if isinstance(source, Mapping) else dict(source)
    except (TypeError, ValueError) as error:
        raise InvalidEvent(
            "event", "an object or a mapping with the fields of one", source
        ) from error


AS_ACCEPTED: Final = Reading(names_a_server, held_power_levels)
"""The way to read the content of an accepted event."""
