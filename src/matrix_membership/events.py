"""Events: immutable, parsed once, with the evidence of who signed them.

An `Event` keeps the bytes of its PDU and the handful of facts that rules and
states read, and reads the rest again when it is asked for: a homeserver holds
millions of them. An `EventTemplate` is what a resident server offers to sign: it
is no event, and `EventTemplate.complete` is the only way to make it one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matrix_membership._attrs import frozen
from matrix_membership._event import Event, with_evidence
from matrix_membership._event_facts import MEMBER_KINDS, View
from matrix_membership._event_template import EventTemplate, Signs
from matrix_membership._pdu_reading import facts_of_document, read_facts, references
from matrix_membership._pdu_text import USUAL, Form
from matrix_membership._usual_pdu import is_usual
from matrix_membership.canonical_json import JsonValue
from matrix_membership.room_versions import RoomVersion

__all__ = [
    "MEMBER_KINDS",
    "Event",
    "EventTemplate",
    "ReadPdu",
    "Signs",
    "View",
    "read_decoded",
    "read_pdu",
    "references",
    "with_evidence",
]


@frozen
class ReadPdu:
    """A PDU just read: the event, its keys, and the bytes that its signatures cover.

    It spares receipt and signing a second reading.
    """

    event: Event
    document: Mapping[str, JsonValue]
    form: Form
    covered: bytes | None


def read_pdu(
    pdu: bytes | str | Mapping[str, JsonValue],
    room_version: RoomVersion,
    *,
    event_id: str | None = None,
) -> ReadPdu:
    """Read a PDU as `Event.from_pdu` does, and keep what was read on the way.

    Raises:
        InvalidEvent: as there.
    """
    event: Any
    event, document, form, covered = read_facts(pdu, room_version, event_id)
    event.__class__ = Event
    return ReadPdu(event, document, form, covered)


def read_decoded(
    pdu: str | bytes,
    document: JsonValue,
    room_version: RoomVersion,
    share: Callable[[Any, Any], Any],
) -> tuple[Event, Mapping[str, JsonValue], Form, bytes | None]:
    """Read a PDU that was decoded on the way, one of many.

    Args:
        pdu: the PDU; as text when there is a document.
        document: what `scan_usual` made of the text; None when it could not, or did not.
        room_version: the version of its room.
        share: `setdefault` of a dict: texts that many of them have are held once.

    Returns:
        The fields of a `ReadPdu`.

    Raises:
        InvalidEvent: as `Event.from_pdu`.
    """
    event: Any
    if isinstance(pdu, str) and is_usual(document, pdu, room_version):
        event, document, form, covered = facts_of_document(
            pdu.encode(), document, USUAL, room_version, None
        )
    else:
        event, document, form, covered = read_facts(pdu, room_version, None)
    event.type = share(event.type, event.type)
    event.server = share(event.server, event.server)
    event.room_id = share(event.room_id, event.room_id)
    event.__class__ = Event
    return event, document, form, covered
