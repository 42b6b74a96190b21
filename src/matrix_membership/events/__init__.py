"""Events: immutable, parsed once, with the evidence of who signed them.

An `Event` keeps the bytes of its PDU and the handful of facts that rules and
states read, and reads the rest again when it is asked for: a homeserver holds
millions of them. An `EventTemplate` is what a resident server offers to sign: it
is no event, and `EventTemplate.complete` is the only way to make it one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze
from matrix_membership.events._event import Event, supposed, with_evidence
from matrix_membership.events._fields import MEMBER_KINDS, View
from matrix_membership.events._parse import read_whole, references
from matrix_membership.events._template import EventTemplate, Signs
from matrix_membership.room_versions import RoomVersion

__all__ = [
    "MEMBER_KINDS",
    "Event",
    "EventTemplate",
    "ReadPdu",
    "Signs",
    "View",
    "document_as_read",
    "read_pdu",
    "references",
    "supposed",
    "with_evidence",
]


@frozen
class ReadPdu:
    """A PDU just read, which spares receipt and signing a second reading.

    Attributes:
        event: the event.
        document: its keys, immutable. Cost: linear in the size of the PDU, each time.
        covered: the bytes that its signatures cover.
        content_hash_matches: whether the hash that it carries is the one of its content.
    """

    event: Event
    _document: Mapping[str, JsonValue]
    covered: bytes
    content_hash_matches: bool

    @property
    def document(self) -> JsonObject:
        """Its keys, immutable. Cost: linear in the size of the PDU."""
        return freeze(self._document)  # type: ignore[no-any-return]  # an object


def document_as_read(read: ReadPdu) -> Mapping[str, JsonValue]:
    """The document itself, which is not to be changed: for this package, which reads it alone."""
    return read._document  # noqa: SLF001 - the class is this module's


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
    event, document, covered, matches = read_whole(pdu, room_version, event_id)
    event.__class__ = Event
    return ReadPdu(event, document, covered, matches)
