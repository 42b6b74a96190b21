"""The event format: what makes a PDU one that a room version can hold at all.

A PDU that fails here is to be dropped, as if it had never come: the first of the
`checks on receipt`__. Everything that depends on the room is a rule instead.

__ https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from matrix_membership.canonical_json import MAX_INTEGER, MIN_INTEGER, JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.identifiers import (
    MAX_BYTES,
    are_event_ids,
    is_event_id,
    is_room_id,
    is_user_id,
)
from matrix_membership.room_versions import RoomVersion

__all__ = ["MAX_AUTH_EVENTS", "MAX_PDU_BYTES", "MAX_PREV_EVENTS", "check_format"]

MAX_PDU_BYTES: Final = 65_536
MAX_AUTH_EVENTS: Final = 10
MAX_PREV_EVENTS: Final = 20

_SURELY_SHORT: Final = MAX_BYTES // 4


def check_format(pdu: Mapping[str, JsonValue], room_version: RoomVersion) -> None:
    """Check that a PDU has the format of its room version.

    Args:
        pdu: a PDU of JSON values.
        room_version: the version of its room.

    Raises:
        InvalidEvent: the first field found that breaks the format.
    """
    # What is plainly right costs no call. The slower checks below say what is wrong.
    get = pdu.get
    event_type, state_key = get("type"), get("state_key", "")
    if event_type.__class__ is not str or len(event_type) > _SURELY_SHORT:
        _short_text(pdu, "type")
    if not is_user_id(get("sender")):
        raise InvalidEvent("sender", "a user ID", get("sender"))
    if state_key.__class__ is not str or len(state_key) > _SURELY_SHORT:
        _short_text(pdu, "state_key")
    hashes = get("hashes")
    if (
        get("content").__class__ is not dict
        or hashes.__class__ is not dict
        or get("signatures").__class__ is not dict
        or ("unsigned" in pdu and pdu["unsigned"].__class__ is not dict)
        or hashes.get("sha256").__class__ is not str
    ):
        _objects(pdu)
    depth, sent = get("depth"), get("origin_server_ts")
    if depth.__class__ is not int or not 0 <= depth <= room_version.max_depth:
        raise InvalidEvent("depth", f"an integer from 0 to {room_version.max_depth}", depth)
    if sent.__class__ is not int or not MIN_INTEGER <= sent <= MAX_INTEGER:
        expected = f"an integer from {MIN_INTEGER} to {MAX_INTEGER}"
        raise InvalidEvent("origin_server_ts", expected, sent)
    # A version 12 create event makes its room ID. One that has a room ID all the
    # same is no matter of format: rule 1.2 rejects it.
    if not is_room_id(get("room_id")) and not (
        room_version.room_id_is_create_event and event_type == "m.room.create"
    ):
        raise InvalidEvent("room_id", "a room ID", get("room_id"))
    if room_version.event_id_in_pdu or "event_id" in pdu:
        _event_id(pdu, room_version)
    auth_events, prev_events = get("auth_events"), get("prev_events")
    if (
        auth_events.__class__ is not list
        or len(auth_events) > MAX_AUTH_EVENTS
        or prev_events.__class__ is not list
        or len(prev_events) > MAX_PREV_EVENTS
        or not are_event_ids(auth_events + prev_events)
    ):
        _references(auth_events, "auth_events", MAX_AUTH_EVENTS, room_version)
        _references(prev_events, "prev_events", MAX_PREV_EVENTS, room_version)


def _objects(pdu: Mapping[str, JsonValue]) -> None:
    for field in ("content", "hashes", "signatures"):
        if not isinstance(pdu.get(field), dict):
            raise InvalidEvent(field, "an object", pdu.get(field))
    if "unsigned" in pdu and not isinstance(pdu["unsigned"], dict):
        raise InvalidEvent("unsigned", "an object", pdu["unsigned"])
    if not isinstance(pdu["hashes"].get("sha256"), str):
        raise InvalidEvent("hashes.sha256", "base64 text", pdu["hashes"].get("sha256"))


def _short_text(pdu: Mapping[str, JsonValue], field: str) -> None:
    value = pdu.get(field)
    if not isinstance(value, str):
        raise InvalidEvent(field, "text", value)
    if len(value) > _SURELY_SHORT and len(value.encode()) > MAX_BYTES:
        raise InvalidEvent(field, f"at most {MAX_BYTES} bytes", value)


def _event_id(pdu: Mapping[str, JsonValue], room_version: RoomVersion) -> None:
    if room_version.event_id_in_pdu:
        if not is_event_id(pdu.get("event_id")):
            raise InvalidEvent("event_id", "an event ID", pdu.get("event_id"))
    else:
        # It would be hashed here and stripped there: two servers, two event IDs.
        raise InvalidEvent("event_id", "no such field in this room version", pdu["event_id"])


def _references(references: JsonValue, field: str, most: int, room_version: RoomVersion) -> None:
    if not isinstance(references, (list, tuple)):
        raise InvalidEvent(field, "a list of events", references)
    if len(references) > most:
        raise InvalidEvent(field, f"at most {most} events", len(references))
    is_good = _is_pair if room_version.event_id_in_pdu else is_event_id
    for reference in references:
        if not is_good(reference):
            raise InvalidEvent(field, "references to events", reference)


def _is_pair(reference: JsonValue) -> bool:
    # Synapse sends pairs with empty hash objects too.
    return (
        isinstance(reference, (list, tuple))
        and len(reference) == 2  # noqa: PLR2004 - a pair
        and is_event_id(reference[0])
        and isinstance(reference[1], dict)
    )
