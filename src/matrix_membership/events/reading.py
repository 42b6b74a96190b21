"""Read PDUs once, and keep what receipt and signing need next.

`Event.from_pdu` gives the event alone. `read_pdu` gives the event, the bytes that its
signatures cover, and whether its content hash matches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

from attrs import field

from matrix_membership._attrs import frozen, slots
from matrix_membership.canonical_json import (
    JsonObject,
    JsonValue,
    freeze,
    read_plain,
    scan_in_list,
)
from matrix_membership.errors import InvalidEvent
from matrix_membership.events._cut import Parts
from matrix_membership.events._cut_member import Member as Member
from matrix_membership.events._cut_member import canonical_profile, is_in_format, scan_member
from matrix_membership.events._decode import decoded, given_id
from matrix_membership.events._fast_read import is_usual
from matrix_membership.events._fast_write import (
    USUAL,
    Form,
    both_bytes,
    document_of,
    parts_written,
)
from matrix_membership.events.event import Event
from matrix_membership.events.facts import Facts, facts_of
from matrix_membership.events.format import references
from matrix_membership.hashing import id_of, is_hash_of
from matrix_membership.identifiers import EventID, RoomID, are_event_ids, is_room_id
from matrix_membership.room_versions import RoomVersion

__all__ = ["ReadPdu", "read_pdu"]


@slots
class _Slots:
    # Filled like `Facts`: 0.3 us, where the constructor of `ReadPdu` takes 1.1. One is made
    # for each PDU of a join answer, whose reading takes 25.
    event: Event
    covered: bytes
    content_hash_matches: bool
    _pdu: bytes
    # Of a PDU that was cut, only the fields from `cut` until somebody asks for more: to decode it
    # would take 1.6 us of 11.
    _document: Mapping[str, JsonValue] = field(eq=False, repr=False)


_unsealed: Final[Any] = _Slots
_Text = TypeVar("_Text", bound=str)


@frozen
class ReadPdu(_Slots):
    """A PDU just read, which spares receipt and signing a second reading.

    Attributes:
        event: the event.
        covered: the bytes that its signatures cover.
        content_hash_matches: whether the hash that it carries is the one of its content.

    .. versionadded:: 0.1.0
    """

    @property
    def document(self) -> JsonObject:
        """The keys of the PDU, immutable. Cost: linear in its size, each time."""
        document: JsonObject = freeze(document_as_read(self))
        return document

    @property
    def auth_events(self) -> tuple[EventID, ...]:
        """The IDs of the events that it lists as its auth events."""
        document = self._document
        listed: Any = document["auth_events"]
        if listed.__class__ is str:  # all before the content
            listed = listed[_BEFORE_LISTED:_BEHIND_LISTED]
            return tuple(listed.split('","')) if listed else ()
        return references(document, "auth_events", self.event.room_version)

    @property
    def prev_events(self) -> tuple[EventID, ...]:
        """The IDs of the events that came before it."""
        return references(document_as_read(self), "prev_events", self.event.room_version)


def read_pdu(
    pdu: bytes | str | Mapping[str, JsonValue],
    room_version: RoomVersion,
    *,
    event_id: str | None = None,
) -> ReadPdu:
    """Read a PDU as `Event.from_pdu` does, and keep what was read on the way.

    Args:
        pdu: the PDU as it came, or as an object.
        room_version: the version of its room.
        event_id: the ID under which the caller already stores it.

    Returns:
        The event, signed by nobody yet, and what its signatures are checked by.
        Cost: linear in the size of the PDU; two hashes.

    Raises:
        InvalidEvent: the PDU breaks the format of the room version.

    .. versionadded:: 0.1.0
    """
    read = read_into(Facts, pdu, room_version, event_id)
    event: Any = read.event
    event.__class__ = Event
    return read


def read_again(event: Event) -> ReadPdu:
    """Read the PDU of an event again, to check signatures and content hash.

    Raises:
        InvalidEvent: the event came in client format, which leaves out what is signed.
    """
    if not event.pdu:
        raise InvalidEvent("event", "one read from a PDU", repr(event))
    document, form = document_of(event.pdu, event.room_version)
    covered, hashed = both_bytes(document, event.room_version, form)
    return _sealed(event, document, covered, is_hash_of(hashed, document["hashes"]["sha256"]))


def document_as_read(read: ReadPdu) -> Mapping[str, JsonValue]:
    """Return the document itself, which nobody may change: for this package alone."""
    document = read._document  # noqa: SLF001 - the class is this module's
    if "hashes" not in document:  # these are only some of its keys
        document = read_plain(read._pdu)  # noqa: SLF001 - the same
        object.__setattr__(read, "_document", document)
    return document


def signed_as_read(read: ReadPdu) -> Mapping[str, JsonValue]:
    """Return the keys of the document that its signatures are checked by, or all."""
    document: Any = read._document  # noqa: SLF001 - the same
    only = document["signatures"]
    if only.__class__ is str:
        _, server, _, key_id, _, signature, _ = only.split('"')  # nothing in it is escaped
        document["signatures"] = {server: {key_id: signature}}
    return document  # type: ignore[no-any-return]  # it is a mapping


_BEFORE_LISTED: Final = len('{"auth_events":["')
_BEHIND_LISTED: Final = -len('"],"content":')


def read_into(
    make: type[Facts],
    pdu: bytes | str | Mapping[str, JsonValue],
    room_version: RoomVersion,
    event_id: str | None = None,
) -> ReadPdu:
    """Read a PDU into a class of slots: the caller fills in the rest, and seals it.

    Args:
        make: `Facts`, or a class with more slots.
        pdu: the PDU as it came, or as an object.
        room_version: the version of its room.
        event_id: the ID that it has, when it is known.

    Returns:
        The PDU read, with an `event` of the class `make`.

    Raises:
        InvalidEvent: as `read_pdu`.
    """
    return _read(make, *decoded(pdu, room_version), room_version, event_id)


def _read(
    make: type[Facts],
    data: bytes,
    document: Mapping[str, JsonValue],
    form: Form | Parts,
    room_version: RoomVersion,
    event_id: str | None,
) -> ReadPdu:
    # Both at once: the two differ in little more than the content, and every received PDU needs
    # both.
    covered, hashed = both_bytes(document, room_version, form)
    if event_id is not None:
        known_id = given_id(event_id)
    elif room_version.event_id_in_pdu:
        known_id = document["event_id"]
    else:
        known_id = id_of(covered, room_version)
    event: Any = facts_of(document, room_version, known_id, make)
    event.pdu = data
    if isinstance(form, tuple):  # the document is the few fields that were cut out
        return _sealed(event, document, covered, is_hash_of(hashed, form[-1]))
    return _sealed(event, document, covered, is_hash_of(hashed, document["hashes"]["sha256"]))


def _sealed(
    event: Event,
    document: Mapping[str, JsonValue],
    covered: bytes,
    content_hash_matches: bool,  # noqa: FBT001 - private, and hot
) -> ReadPdu:
    read = _unsealed()
    read.event = event
    read.covered = covered
    read.content_hash_matches = content_hash_matches
    read._pdu = event.pdu  # noqa: SLF001 - as in `document_as_read`
    read._document = document  # noqa: SLF001 - the same
    read.__class__ = ReadPdu
    return read  # type: ignore[no-any-return]  # the line above made it one


Scan = Callable[[str, int], tuple[JsonValue, int]]
"""Reads the event at a place in a text, and tells where it ends."""


def scanner_of(room_version: RoomVersion) -> Scan:
    """Return the scanner for lists of events of a room."""
    # As in `_cut`: there is more to a member in these versions.
    unlike = room_version.event_id_in_pdu or room_version.redaction_content
    return scan_in_list if unlike else scan_member


def read_member(
    make: type[Facts], pdu: str, member: Member, room_version: RoomVersion
) -> tuple[Any, bytes, tuple[str, str, str], str] | None:
    """Read a member that `scan_member` cut, into a class of slots.

    Returns:
        The event of the class `make`; the bytes that its signatures cover; server, key ID and
        signature of the one that it has; and the text of the list of its auth events. None if it
        breaks a limit of the format, or its content hash is wrong.
    """
    (
        auth_events, content, membership, depth, sha256, origin, sent, prev_events,
        room_id, sender, server, key_id, signature, state_key, unsigned,
    ) = member  # fmt: skip # in the order of `Member`
    if not is_in_format(depth, room_id, sender, unsigned, room_version):
        return None
    if "\\" in content:
        content = canonical_profile(content)
        if content is None:
            return None
    fields = {
        "type": "m.room.member",
        "sender": sender,
        "state_key": state_key,
        # The profile says nothing to rules and states.
        "content": {"membership": membership},
        "origin_server_ts": int(sent),
        "room_id": room_id,
    }
    parts = parts_written((
        auth_events, content, depth, f'{{"sha256":"{sha256}"}}', origin, sent, prev_events,
        room_id, sender, f'"state_key":"{state_key}",', "m.room.member", sha256,
    ))  # fmt: skip # as above
    covered, hashed = both_bytes(fields, room_version, parts)
    if not is_hash_of(hashed, sha256):
        return None
    event = facts_of(fields, room_version, id_of(covered, room_version), make)
    event.pdu = pdu.encode()
    return event, covered, (server, key_id, signature), auth_events


def read_scanned(
    make: type[Facts],
    pdu: str | bytes,
    document: JsonValue,
    room_version: RoomVersion,
    known: KnownNames,
) -> ReadPdu:
    """Read a PDU as `read_into` does, faster as text with what `scan_plain` made."""
    # The caller scanned the PDU inside a larger answer. An unusual PDU is read again from its text,
    # so that one place alone names the faults.
    if document is not None and isinstance(pdu, str):
        data = pdu.encode()
        if is_usual(document, data, room_version, known.are_good):
            return _read(make, data, document, USUAL, room_version, None)
    return read_into(make, pdu, room_version)


class _Share(Protocol):
    """`setdefault` of a dict in which every text has itself as its value."""

    def __call__(self, text: _Text, same: _Text, /) -> _Text: ...


class KnownNames:
    """The names that the PDUs of one room share: checked once, held once.

    Attributes:
        room_id: the ID of the room.
        lists: lists of auth events, each under itself; their IDs were looked at.
        written: the same lists, under their text.
        share: `setdefault` of the texts that are held.
    """

    __slots__ = ("lists", "room_id", "share", "written")

    def __init__(self, room_id: RoomID) -> None:
        self.room_id: RoomID = room_id
        self.lists: dict[tuple[EventID, ...], tuple[EventID, ...]] = {}
        self.written: dict[str, tuple[EventID, ...]] = {}
        texts: dict[Any, Any] = {}
        self.share: _Share = texts.setdefault

    def are_good(
        self, room_id: JsonValue, auth_events: list[JsonValue], prev_events: list[JsonValue]
    ) -> bool:
        """Tell whether the format takes these names."""
        try:
            # Most members of an answer list the same few auth events: their IDs are looked at once.
            known = tuple(auth_events) in self.lists
        except TypeError:  # not of texts
            return False
        return (room_id == self.room_id or is_room_id(room_id)) and are_event_ids(
            prev_events if known else auth_events + prev_events
        )

    def listed(self, auth_events: tuple[EventID, ...]) -> tuple[EventID, ...]:
        """Return the held copy of a list of auth events from a PDU of good format."""
        held = self.lists.get(auth_events)
        if held is None:
            # One string for each ID, however many events list it: answers of 100,000 members hold
            # the same few texts.
            held = tuple(map(self.share, auth_events, auth_events))
            self.lists[held] = held
        return held

    def listed_in(self, text: str) -> tuple[EventID, ...]:
        """Return the held copy of a list of auth events, from its text in a `Member`."""
        held = self.written.get(text)
        if held is None:
            listed: Any = tuple(text[2:-2].split('","')) if text != "[]" else ()
            held = self.written[text] = self.listed(listed)
        return held
