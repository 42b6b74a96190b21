"""Read events that a host has judged and stored before: its objects, its rows.

Nothing is checked that the host checked when the event came, and nothing is encoded. Objects
are read by their attributes, mappings and rows by their keys.
"""

# How it works: what rules ask is read straight into the slots of an event, without a document
# between, and each attribute once. An attribute of Synapse's events takes 50 to 160 ns, since Rust
# makes a new object each time; a slot takes 4. What no rule of an event reads is not asked for.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from matrix_membership.errors import InvalidEvent
from matrix_membership.events._held_levels import held_power_levels, names_a_server
from matrix_membership.events.facts import (
    MESSAGE,
    NOBODY,
    READERS,
    RULED_TYPES,
    Case,
    Read,
    Reading,
    unfilled,
)
from matrix_membership.identifiers import EventID
from matrix_membership.membership import JOIN
from matrix_membership.room_versions import RoomVersion


def accepted_facts(source: Any, room_version: RoomVersion, *, for_rules: bool) -> Any:
    """Fill in the facts of an event of a host; the caller sets who signed it.

    Args:
        source: an object with the fields of an event as attributes, or a mapping or a row with
            the keys of a PDU. Its `prev_events` and `auth_events` may be event IDs or pairs.
        room_version: the version of its room.
        for_rules: of an object, read only what `auth.check` reads of an event of its type.

    Raises:
        InvalidEvent: it lacks a type, a sender or a content, or has one of another kind; or a list
            of events is text.
    """
    if isinstance(source, dict):
        return _by_keys(source, room_version)
    try:
        event_type, sender, content = source.type, source.sender, source.content
    except AttributeError:
        return _by_keys(_mapping_of(source), room_version)
    # Synapse's events have it. A state key that is missing, as of messages, costs an exception.
    method = getattr(source, "get_state_key", None)
    state_key = getattr(source, "state_key", None) if method is None else method()
    try:  # a fifth cheaper than `getattr` with a default
        event_id, room_id = source.event_id, source.room_id
    except AttributeError:  # a builder
        event_id, room_id = getattr(source, "event_id", None), getattr(source, "room_id", None)
    facts = _facts(room_version, event_type, sender, content, state_key, event_id, room_id)
    redacts = getattr(source, "redacts", None) if event_type == "m.room.redaction" else None
    if for_rules:
        # Rule 1.1 asks for the previous events, and the rule on the creator's first join.
        asked = facts.membership is JOIN or event_type == "m.room.create"
        previous = _previous(source) if asked else None
        facts.held = content, room_id, previous, None, None, None, redacts
        return facts
    at = getattr(source, "origin_server_ts", None)
    facts.origin_server_ts = at or 0
    depth, listed = getattr(source, "depth", None), _listed(source, "auth_event_ids", "auth_events")
    facts.held = content, room_id, _previous(source), listed, depth, at, redacts
    return facts


def _previous(source: Any) -> tuple[EventID, ...]:
    try:  # half of what asking for the method first takes
        return tuple(source.prev_event_ids())
    except (AttributeError, TypeError):
        return _listed(source, "prev_event_ids", "prev_events")


def _listed(source: Any, name: str, other: str) -> tuple[EventID, ...]:
    found = getattr(source, name, None)
    if callable(found):  # a method of that name gives IDs, and no pairs
        return tuple(found())
    return _ids(other, getattr(source, other, None) if found is None else found)


def _by_keys(source: Mapping[str, Any], room_version: RoomVersion) -> Any:
    get = source.get
    content, event_id, room_id = get("content"), get("event_id"), get("room_id")
    facts = _facts(
        room_version, get("type"), get("sender"), content, get("state_key"), event_id, room_id
    )
    at = get("origin_server_ts")
    facts.origin_server_ts = at or 0
    prev_events = _ids("prev_events", get("prev_events"))
    auth_events = _ids("auth_events", get("auth_events"))
    facts.held = content, room_id, prev_events, auth_events, get("depth"), at, get("redacts")
    return facts


def _ids(name: str, listed: Any) -> tuple[EventID, ...]:
    if isinstance(listed, _TEXT):  # unparsed JSON: each letter would pass for an ID
        raise InvalidEvent(name, "a list of event IDs or pairs", listed)
    ids: list[Any] = [entry if isinstance(entry, str) else entry[0] for entry in listed or ()]
    return tuple(ids)


_TEXT: Final = (str, bytes)


def _facts(
    room_version: RoomVersion,
    event_type: Any,
    sender: Any,
    content: Any,
    state_key: Any,
    event_id: Any,
    room_id: Any,
) -> Any:
    """Fill in the facts, all but the time, as `facts_of` does from a document."""
    if (
        event_type.__class__ is not str
        or sender.__class__ is not str
        # Asking whether it is a `Mapping` takes as long as the rest.
        or (content.__class__ is not dict and not hasattr(content.__class__, "keys"))
    ):
        _require(event_type, sender, content)
    facts = unfilled()
    facts.room_version = room_version
    facts.event_id = event_id or ""
    facts.signed_by = NOBODY
    facts.pdu = facts.client_form = b""
    facts.type = facts.kind = event_type
    facts.sender = sender
    facts.server = sender.partition(":")[2]
    facts.state_key = sender if state_key == sender else state_key
    facts.origin_server_ts = 0
    facts.room_id = room_id if isinstance(room_id, str) else ""
    facts.membership = facts.authorised_via = facts.authorising_server = facts.view = None
    case, read = _known(event_type, _UNKNOWN)
    facts.case = case or (MESSAGE if state_key is None else "")
    if read is not None:
        document = {"content": content}
        if event_type == "m.room.create" and not _is_made(room_id, event_id, room_version):
            document["room_id"] = room_id
        read(facts, document, AS_ACCEPTED)
    return facts


_known: Final = {
    event_type: (event_type if event_type in RULED_TYPES else "", READERS.get(event_type))
    for event_type in RULED_TYPES | READERS.keys()
}.get
_UNKNOWN: Final[tuple[Case, Read | None]] = "", None


def _is_made(room_id: Any, event_id: Any, room_version: RoomVersion) -> bool:
    """Tell whether a create event makes the room ID under which the host keeps it.

    Only another room ID stands in its PDU.
    """
    if not room_version.room_id_is_create_event:
        return False
    return not room_id or room_id[1:] == (event_id or "")[1:]


def held_form(facts: Any) -> dict[str, Any] | None:
    """Return the fields of a host's event under the names of a PDU."""
    if facts.held is None:
        return None
    content, room_id, prev_events, auth_events, depth, at, redacts = facts.held
    if facts.type == "m.room.create" and not facts.view.has_room_id:
        room_id = None
    fields = {
        "type": facts.type,
        "sender": facts.sender,
        "content": content,
        "state_key": facts.state_key,
        "room_id": room_id,
        "event_id": facts.event_id or None,
        "redacts": redacts,
        "prev_events": prev_events,
        "auth_events": auth_events,
        "depth": depth,
        "origin_server_ts": at,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _require(event_type: object, sender: object, content: object) -> None:
    for name, expected, value in (
        ("type", "text", event_type),
        ("sender", "a user ID", sender),
    ):
        if not isinstance(value, str):
            raise InvalidEvent(name, expected, value)
    if not hasattr(content, "keys"):
        raise InvalidEvent("content", "an object", content)


def _mapping_of(source: Any) -> Mapping[str, Any]:
    try:
        return source if isinstance(source, Mapping) else dict(source)
    except (TypeError, ValueError) as error:
        fields = [getattr(source, name, None) for name in ("type", "sender", "content")]
        if any(field is not None for field in fields):  # an object that lacks one of them
            _require(*fields)
        raise InvalidEvent(
            "event", "an object or a mapping with the fields of one", source
        ) from error


AS_ACCEPTED: Final = Reading(names_a_server, held_power_levels)
"""The way to read the content of an accepted event."""
