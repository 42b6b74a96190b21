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
    is_event_id,
    is_room_id,
    is_user_id,
)
from matrix_membership.room_versions import RoomVersion

__all__ = [
    "MAX_AUTH_EVENTS",
    "MAX_DRESSED_PDU_BYTES",
    "MAX_PDU_BYTES",
    "MAX_PREV_EVENTS",
    "check_format",
    "check_integer",
    "check_references",
]

MAX_PDU_BYTES: Final = 65_536
"""Bytes that a PDU may have in canonical form."""

MAX_DRESSED_PDU_BYTES: Final = 8 * MAX_PDU_BYTES
"""Bytes that a PDU may have as it comes; what has more is refused unread.

White space and escapes can make a PDU several times longer than its canonical form, which
is what the limit of the specification speaks about.
"""

MAX_AUTH_EVENTS: Final = 10
MAX_PREV_EVENTS: Final = 20


def check_format(pdu: Mapping[str, JsonValue], room_version: RoomVersion) -> None:
    """Check that a PDU has the format of its room version.

    Args:
        pdu: a PDU of JSON values.
        room_version: the version of its room.

    Raises:
        InvalidEvent: the first field found that breaks the format.
    """
    get = pdu.get
    _short_text("type", get("type"))
    if not is_user_id(get("sender")):
        raise InvalidEvent("sender", "a user ID", get("sender"))
    _short_text("state_key", get("state_key", ""))
    _objects(pdu)
    check_integer("depth", get("depth"), 0, room_version.max_depth)
    check_integer("origin_server_ts", get("origin_server_ts"), MIN_INTEGER, MAX_INTEGER)
    # A version 12 create event makes its room ID. One that has a room ID all the
    # same is no matter of format: rule 1.2 rejects it.
    if not is_room_id(get("room_id")) and not (
        room_version.room_id_is_create_event and pdu["type"] == "m.room.create"
    ):
        raise InvalidEvent("room_id", "a room ID", get("room_id"))
    _event_id(pdu, room_version)
    for field, most in (("auth_events", MAX_AUTH_EVENTS), ("prev_events", MAX_PREV_EVENTS)):
        check_references(field, get(field), room_version, at_most=most)


def _objects(pdu: Mapping[str, JsonValue]) -> None:
    for field in ("content", "hashes", "signatures"):
        if not isinstance(pdu.get(field), dict):
            raise InvalidEvent(field, "an object", pdu.get(field))
    if "unsigned" in pdu and not isinstance(pdu["unsigned"], dict):
        raise InvalidEvent("unsigned", "an object", pdu["unsigned"])
    if not isinstance(pdu["hashes"].get("sha256"), str):
        raise InvalidEvent("hashes.sha256", "base64 text", pdu["hashes"].get("sha256"))


def _short_text(field: str, value: JsonValue) -> None:
    if not isinstance(value, str):
        raise InvalidEvent(field, "text", value)
    if len(value.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InvalidEvent(field, f"at most {MAX_BYTES} bytes", value)


def check_integer(field: str, value: JsonValue, least: int, most: int) -> None:
    """Check that a field holds an integer within limits.

    Raises:
        InvalidEvent: it does not.
    """
    # Of no other class: True is an int too.
    if value.__class__ is not int or not least <= value <= most:
        raise InvalidEvent(field, f"an integer from {least} to {most}", value)


def _event_id(pdu: Mapping[str, JsonValue], room_version: RoomVersion) -> None:
    if room_version.event_id_in_pdu:
        if not is_event_id(pdu.get("event_id")):
            raise InvalidEvent("event_id", "an event ID", pdu.get("event_id"))
    elif "event_id" in pdu:
        # It would be hashed here and stripped there: two servers, two event IDs.
        raise InvalidEvent("event_id", "no such field in this room version", pdu["event_id"])


def check_references(
    field: str, references: JsonValue, room_version: RoomVersion, *, at_most: int | None = None
) -> None:
    """Check that a field holds references to events, as the room version writes them.

    Raises:
        InvalidEvent: it does not, or holds more than `at_most`.
    """
    if not isinstance(references, (list, tuple)):
        raise InvalidEvent(field, "a list of events", references)
    if at_most is not None and len(references) > at_most:
        raise InvalidEvent(field, f"at most {at_most} events", len(references))
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
