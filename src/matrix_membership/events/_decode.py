"""Decode a PDU: from what came to the bytes to keep and a checked document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from matrix_membership.canonical_json import Budget, JsonValue, encode, read
from matrix_membership.errors import InvalidEvent, InvalidIdentifier, InvalidJson
from matrix_membership.events._cut import Parts, cut
from matrix_membership.events._fast_read import usual_document
from matrix_membership.events._fast_write import ANY, USUAL, WITH_FLOATS, Form
from matrix_membership.events.format import MAX_DRESSED_PDU_BYTES, MAX_PDU_BYTES, check_format
from matrix_membership.identifiers import EventID, read_event_id
from matrix_membership.room_versions import RoomVersion, require_room_version

__all__ = ["decoded", "given_id"]

_PDU_BUDGET: Final = Budget(max_bytes=MAX_DRESSED_PDU_BYTES)


def given_id(event_id: str) -> EventID:
    try:
        return read_event_id(event_id)
    except InvalidIdentifier as error:
        raise InvalidEvent("event_id", error.expected, event_id) from error


def decoded(
    pdu: bytes | str | Mapping[str, JsonValue], room_version: RoomVersion
) -> tuple[bytes, Mapping[str, JsonValue], Form | Parts]:
    """Decode a PDU: return the bytes to keep, the checked PDU, and its form.

    A PDU in canonical form is cut: then the fields that rules read stand for the PDU, and its
    parts for its form.
    """
    if room_version.__class__ is not RoomVersion:  # spares good ones a call
        require_room_version(room_version)
    data = pdu if isinstance(pdu, bytes) else _bytes_of(pdu, room_version)
    found = cut(data, room_version)
    if found is not None:
        return data, *found
    document = usual_document(data, room_version)
    if document is not None:
        return data, document, USUAL
    # Before anything of a large PDU is decoded: reading 30 MB took 718 MB of memory.
    _limit(len(data))
    return _read_unusual(data, room_version)


def _bytes_of(pdu: object, room_version: RoomVersion) -> bytes:
    try:
        if isinstance(pdu, Mapping):
            # An object is written first, then read like bytes that came: one reading judges both,
            # and the bytes to keep are there.
            return encode(dict(pdu), strict=room_version.strict_json)
        if isinstance(pdu, str):
            _limit(len(pdu))
            return pdu.encode()
    except (InvalidJson, UnicodeEncodeError) as error:
        raise _not_json(error) from error
    if isinstance(pdu, (bytearray, memoryview)):
        _limit(memoryview(pdu).nbytes)
        return bytes(pdu)
    # Never `bytes(pdu)` here: it would take a number for a length, and fill memory with zeros.
    raise InvalidEvent("PDU", "an object", pdu)


def _limit(size: int) -> None:
    """Refuse a PDU that is too large in any layout, before anything of it is read."""
    if size > MAX_DRESSED_PDU_BYTES:
        raise InvalidEvent("PDU", f"at most {MAX_DRESSED_PDU_BYTES} bytes", size)


def _not_json(error: InvalidJson | UnicodeEncodeError) -> InvalidEvent:
    return InvalidEvent("PDU", "JSON that the room version takes", str(error))


def _read_unusual(
    data: bytes, room_version: RoomVersion
) -> tuple[bytes, Mapping[str, JsonValue], Form]:
    """Decode any PDU the long way, as `decoded` does."""
    try:
        document, has_float = read(data, strict=room_version.strict_json, budget=_PDU_BUDGET)
    except InvalidJson as error:
        raise _not_json(error) from error
    if not isinstance(document, dict):
        raise InvalidEvent("PDU", "an object", document)
    check_format(document, room_version)
    # The canonical form is never longer than the form that came.
    if len(data) > MAX_PDU_BYTES:
        # Kept in canonical form: with its white space and escapes it would not fit into the limit
        # when it is sent on.
        data = encode(document, strict=False)
        if len(data) > MAX_PDU_BYTES:
            raise InvalidEvent("PDU", f"at most {MAX_PDU_BYTES} bytes", len(data))
    return data, document, WITH_FLOATS if has_float else ANY
