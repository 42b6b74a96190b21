"""The event format: a table of the fields of a PDU, and their limits.

A PDU that breaks the format is dropped as if it had never come: this is the first of the
`checks on receipt`__. Whatever depends on the room is a rule instead.

Two checks read the table `FIELDS`. `check_format` takes any PDU and says what is wrong;
the fast one in `_fast_read` takes usual PDUs only, and says yes or nothing.

__ https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import constant
from matrix_membership.canonical_json import MAX_INTEGER, MIN_INTEGER, JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.identifiers import MAX_BYTES, EventID, is_event_id, is_room_id, is_user_id
from matrix_membership.room_versions import RoomVersion

MAX_PDU_BYTES: Final = 65_536
"""Bytes that a PDU may have in canonical form."""

MAX_DRESSED_PDU_BYTES: Final = 8 * MAX_PDU_BYTES
"""Bytes that a PDU may have as it comes; a larger one is refused unread.

White space and escapes can make a PDU several times longer than its canonical form, and
the limit of the specification speaks about the canonical form.
"""

MAX_AUTH_EVENTS: Final = 10
MAX_PREV_EVENTS: Final = 20


@constant
class Field:
    """The format of one field of a PDU.

    Attributes:
        kind: the class of its JSON value.
        expected: what its value must be, in words.
        required: the PDU must have it.
        grammar: of an identifier, tells whether a value follows its grammar.
        holds: of an object, a key whose value must be text.
        least: the least integer.
        most: the largest integer, the most bytes of a text, or the most items of a list.
            None where the grammar or the room version sets the limit.
    """

    kind: type
    expected: str
    required: bool = True
    grammar: Callable[[object], bool] | None = None
    holds: str | None = None
    least: int = 0
    most: int | None = None


FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "type": Field(str, "text", most=MAX_BYTES),
        "sender": Field(str, "a user ID", grammar=is_user_id),
        "state_key": Field(str, "text", required=False, most=MAX_BYTES),
        "content": Field(dict, "an object"),
        "hashes": Field(dict, "an object", holds="sha256"),
        "signatures": Field(dict, "an object"),
        "unsigned": Field(dict, "an object", required=False),
        "depth": Field(int, "an integer"),
        "origin_server_ts": Field(int, "an integer", least=MIN_INTEGER, most=MAX_INTEGER),
        "room_id": Field(str, "a room ID", grammar=is_room_id),
        "event_id": Field(str, "an event ID", grammar=is_event_id),
        "auth_events": Field(list, "a list of events", most=MAX_AUTH_EVENTS),
        "prev_events": Field(list, "a list of events", most=MAX_PREV_EVENTS),
    }
)
"""The fields of a PDU, in the order in which they are checked.

Two depend on the room version: from version 3 on `event_id` is forbidden, and the create
event of version 12 needs no `room_id`.
"""


def check_format(pdu: Mapping[str, JsonValue], room_version: RoomVersion) -> None:
    """Check that a PDU has the format of its room version.

    Args:
        pdu: a PDU of JSON values.
        room_version: the version of its room.

    Raises:
        InvalidEvent: the first field found that breaks the format.
    """
    get = pdu.get
    for name, required, check in _IN_ANY_VERSION:
        if required or name in pdu:
            check(name, get(name), room_version, sizes=True)
    # A version 12 create event makes its room ID. One that carries a room ID all the same
    # passes here, since rule 1.2 rejects it.
    if not room_version.room_id_is_create_event or pdu["type"] != "m.room.create":
        _check_text("room_id", get("room_id"), room_version, sizes=True)
    if room_version.event_id_in_pdu:
        _check_text("event_id", get("event_id"), room_version, sizes=True)
    elif "event_id" in pdu:
        # It would be hashed here and stripped there: two servers, two event IDs.
        raise InvalidEvent("event_id", "no such field in this room version", pdu["event_id"])
    for name in ("auth_events", "prev_events"):
        _check_references(name, get(name), room_version, sizes=True)


def check_field(name: str, value: JsonValue, room_version: RoomVersion) -> None:
    """Check one field of an event in client format, which has no limits of size.

    Args:
        name: the name of the field, a key of `FIELDS`.
        value: its value; None when it is missing.
        room_version: the version of its room.

    Raises:
        InvalidEvent: the value breaks the format.
    """
    _CHECKS[FIELDS[name].kind](name, value, room_version, sizes=False)


def _check_text(name: str, value: JsonValue, _: RoomVersion, *, sizes: bool) -> None:
    field = FIELDS[name]
    if not (isinstance(value, str) if field.grammar is None else field.grammar(value)):
        raise InvalidEvent(name, field.expected, value)
    if sizes and field.most is not None and len(value.encode("utf-8", _ANY_TEXT)) > field.most:
        raise InvalidEvent(name, f"at most {field.most} bytes", value)


def _check_object(name: str, value: JsonValue, _: RoomVersion, *, sizes: bool) -> None:  # noqa: ARG001 - the table calls it
    if not isinstance(value, dict):
        raise InvalidEvent(name, FIELDS[name].expected, value)
    key = FIELDS[name].holds
    if key is not None and not isinstance(value.get(key), str):
        raise InvalidEvent(f"{name}.{key}", "base64 text", value.get(key))


def _check_integer(name: str, value: JsonValue, room_version: RoomVersion, *, sizes: bool) -> None:  # noqa: ARG001 - the table calls it
    field = FIELDS[name]
    most = room_version.max_depth if field.most is None else field.most
    # The class itself is compared, since True is an int too.
    if value.__class__ is not int or not field.least <= value <= most:
        raise InvalidEvent(name, f"an integer from {field.least} to {most}", value)


def _check_references(
    name: str, value: JsonValue, room_version: RoomVersion, *, sizes: bool
) -> None:
    field = FIELDS[name]
    # A frozen PDU has tuples where one just read has lists.
    if not isinstance(value, (list, tuple)):
        raise InvalidEvent(name, field.expected, value)
    if sizes and field.most is not None and len(value) > field.most:
        raise InvalidEvent(name, f"at most {field.most} events", len(value))
    is_reference = _is_pair if room_version.event_id_in_pdu else is_event_id
    for reference in value:
        if not is_reference(reference):
            raise InvalidEvent(name, "references to events", reference)


def _is_pair(reference: JsonValue) -> bool:
    # Synapse sends pairs with empty hash objects too.
    return (
        isinstance(reference, (list, tuple))
        and len(reference) == _PAIR
        and is_event_id(reference[0])
        and isinstance(reference[1], dict)
    )


def references(
    pdu: Mapping[str, JsonValue], name: str, room_version: RoomVersion
) -> tuple[EventID, ...]:
    """Return the event IDs in `auth_events` or `prev_events`, from pairs or plain."""
    listed = pdu.get(name, ())
    if room_version.event_id_in_pdu:
        return tuple([pair[0] for pair in listed])
    return tuple(listed)


_PAIR: Final = 2

_ANY_TEXT: Final = "surrogatepass"
"""The way to measure text: text with lone surrogates has a size too."""

_CHECKS: Final = MappingProxyType(
    {str: _check_text, dict: _check_object, int: _check_integer, list: _check_references}
)

# Prepared, since looking the checks up in the loop made `check_format` a quarter slower.
_IN_ANY_VERSION: Final = tuple(
    [
        (name, field.required, _CHECKS[field.kind])
        for name, field in FIELDS.items()
        if field.kind is not list and name not in ("room_id", "event_id")
    ]
)
