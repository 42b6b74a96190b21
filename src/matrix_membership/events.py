"""Events: immutable, parsed once, with the evidence of who signed them.

An `Event` keeps the bytes of its PDU and the handful of facts that rules and
states read, and reads the rest again when it is asked for: a homeserver holds
millions of them. An `EventTemplate` is what a resident server offers to sign: it
is no event, and `EventTemplate.complete` is the only way to make it one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from matrix_membership._attrs import constant, evolve, frozen
from matrix_membership._event_facts import MEMBER_KINDS, Case, Facts, View, facts_of
from matrix_membership._pdu_text import ANY, USUAL, WITH_FLOATS, Form, covered_bytes, document_of
from matrix_membership._usual_pdu import is_usual, usual_document
from matrix_membership.canonical_json import (
    Budget,
    JsonObject,
    JsonValue,
    decode,
    encode,
    freeze,
    read,
    thaw,
)
from matrix_membership.errors import InvalidEvent, InvalidIdentifier, InvalidJson
from matrix_membership.event_format import MAX_PDU_BYTES, check_format
from matrix_membership.hashing import content_hash, content_hash_matches, id_of, signed_bytes
from matrix_membership.identifiers import (
    EventID,
    RoomID,
    ServerName,
    UserID,
    is_event_id,
    is_room_id,
    is_user_id,
)
from matrix_membership.identifiers import event_id as read_event_id
from matrix_membership.membership import Membership
from matrix_membership.redaction import redact
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

# The budget of one PDU in any dress: white space and escapes may be more than the
# canonical form that the limit speaks of.
_PDU_BUDGET: Final = Budget(max_bytes=8 * MAX_PDU_BYTES)


@constant
class Event(Facts):
    """An event of a room: what it says and who is known to have signed it.

    Two events are equal when their IDs are. In room versions 1 and 2 an ID is no
    hash, so there equality says nothing of integrity.

    Attributes:
        event_id: its ID; empty for an event in client format that carries none.
        room_version: the version of its room.
        room_id: the ID of its room; in version 12, of a create event, the one that
            it makes; empty for an event in client format that carries none.
        type: its type.
        sender: who sent it.
        server: the server part of `sender`.
        state_key: its state key; None for an event that is no state.
        membership: of a member event, the membership it gives; None when its
            content has none, and for all other events.
        authorised_via: of a member event, the user who is said to vouch for a
            restricted join; empty when the key holds no user ID; else None.
        authorising_server: the server part of `authorised_via`.
        kind: what the rules file it under: its type; for a member event also the
            membership, unless that or the state key cannot be read. Empty for a type
            that no rule knows and that reads like the kind of a member event.
        case: the kind, and for a member event what else rules can be chosen by
            beforehand: whether the sender is another user, whether somebody vouches,
            whether a third party invites.
        view: a typed view of the content, for the types that authorisation reads.
        signed_by: the servers whose signature was verified: empty until
            `signing.verify`, so that forgetting it rejects instead of accepting.
        pdu: the PDU's bytes; empty for an event in client format.
        client_form: the bytes of an event in client format; otherwise empty.
    """

    event_id: EventID
    room_version: RoomVersion
    room_id: RoomID
    type: str
    sender: UserID
    server: ServerName
    state_key: str | None
    membership: Membership | None
    authorised_via: UserID | None
    authorising_server: ServerName | None
    kind: str
    case: Case
    view: View | None
    signed_by: frozenset[ServerName]
    pdu: bytes
    client_form: bytes = b""

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not Event:
            return NotImplemented
        return self.event_id == other.event_id and (self is other or self.event_id != "")

    def __hash__(self) -> int:
        return hash(self.event_id)

    def __repr__(self) -> str:
        key = "" if self.state_key is None else f" {self.state_key!r}"
        return f"<{self.type}{key} by {self.sender} {self.event_id}>"

    @classmethod
    def from_pdu(
        cls,
        pdu: bytes | str | Mapping[str, JsonValue],
        room_version: RoomVersion,
        *,
        event_id: str | None = None,
    ) -> Event:
        """Read an event in federation format.

        Args:
            pdu: the PDU as it came, or as an object.
            room_version: the version of its room.
            event_id: the ID under which the caller already stores it. Then
                nothing is hashed.

        Returns:
            The event, signed by nobody yet.

        Raises:
            InvalidEvent: the PDU breaks the format of the room version, and is to
                be dropped.
        """
        return _read(pdu, room_version, event_id)[0]

    @classmethod
    def from_client_event(cls, event: Mapping[str, JsonValue], room_version: RoomVersion) -> Event:
        """Read an event in the format that clients get, stripped state included.

        Args:
            event: an object with `type`, `sender` and `content`, and perhaps
                `state_key`, `event_id`, `room_id` and more.
            room_version: the version of its room.

        Returns:
            An event that rules can judge and states can hold, but which is no PDU.

        Raises:
            InvalidEvent: a field is missing or of a wrong kind.

        >>> from matrix_membership.room_versions import V11
        >>> Event.from_client_event(
        ...     {"type": "m.room.name", "sender": "@ana:a.example", "content": {}, "state_key": ""},
        ...     V11,
        ... )
        <m.room.name '' by @ana:a.example >
        """
        if not isinstance(event, Mapping):
            raise InvalidEvent("event", "an object", event)
        _check_client_event(event)
        try:
            client_form = encode(dict(event), strict=False)
        except InvalidJson as error:
            raise InvalidEvent("event", "JSON values", str(error)) from error
        event_id = EventID(event.get("event_id", ""))
        facts = facts_of(event, room_version, event_id)
        facts.client_form = client_form
        return _sealed(facts)

    @property
    def content(self) -> JsonObject:
        """The content, immutable. Cost: linear in the size of the event."""
        return self.document["content"]  # type: ignore[no-any-return]  # checked when read

    @property
    def document(self) -> JsonObject:
        """The whole event, immutable. Cost: linear in the size of the event."""
        return decode(self.pdu or self.client_form, strict=False)  # type: ignore[no-any-return]  # an object

    @property
    def auth_events(self) -> tuple[EventID, ...]:
        """The IDs of the events that it says authorise it. Cost: as `content`."""
        return references(self.document, "auth_events", self.room_version)

    @property
    def prev_events(self) -> tuple[EventID, ...]:
        """The IDs of the events that came before it. Cost: as `content`."""
        return references(self.document, "prev_events", self.room_version)

    @property
    def depth(self) -> int:
        """Its depth; 0 for an event in client format. Cost: as `content`."""
        return int(self.document.get("depth", 0))

    @property
    def origin_server_ts(self) -> int:
        """When its server says it sent it, in milliseconds since 1970. Cost: as `content`."""
        return int(self.document.get("origin_server_ts", 0))

    @property
    def is_state(self) -> bool:
        """Whether it is a state event."""
        return self.state_key is not None

    def to_pdu(self) -> dict[str, JsonValue]:
        """The event in federation format, as a fresh dict.

        Raises:
            InvalidEvent: it came in client format, which is not all of it.
        """
        if not self.pdu:
            raise InvalidEvent("event", "one read from a PDU", repr(self))
        return dict(read(self.pdu, strict=False)[0])

    def to_client_event(self) -> dict[str, JsonValue]:
        """The event in the format that clients get, as a fresh dict."""
        document = thaw(self.document)
        kept = {key: document[key] for key in _CLIENT_KEYS if key in document}
        return {**kept, "room_id": self.room_id, "event_id": self.event_id}

    def to_stripped(self) -> dict[str, JsonValue]:
        """The four keys of stripped state, as a fresh dict."""
        return {
            "type": self.type,
            "sender": self.sender,
            "state_key": self.state_key,
            "content": thaw(self.content),
        }

    def with_signers(self, servers: Iterable[str]) -> Event:
        """The same event, signed by these servers, verified at another time.

        >>> from matrix_membership.room_versions import V11
        >>> event = Event.from_client_event(
        ...     {"type": "m.room.name", "sender": "@ana:a.example", "content": {}}, V11
        ... )
        >>> event.with_signers(["a.example"]).signed_by
        frozenset({'a.example'})
        """
        return with_evidence(self, frozenset(map(ServerName, servers)))

    def redacted(self) -> Event:
        """The event as redaction leaves it: same ID, same signers."""
        pdu = encode(redact(self.document, self.room_version), strict=False)
        redacted = Event.from_pdu(pdu, self.room_version, event_id=self.event_id)
        return with_evidence(redacted, self.signed_by)

    @property
    def content_hash_matches(self) -> bool:
        """Whether the hash that it carries is the one of its content.

        Cost: linear in the size of the event.
        """
        return content_hash_matches(*document_of(self.pdu or self.client_form, self.room_version))


def with_evidence(event: Event, signed_by: frozenset[ServerName]) -> Event:
    """`Event.with_signers` for a set that others share."""
    copy = Facts()
    copy.event_id, copy.room_version, copy.room_id = (
        event.event_id,
        event.room_version,
        event.room_id,
    )
    copy.type, copy.kind, copy.case, copy.view = event.type, event.kind, event.case, event.view
    copy.sender, copy.server, copy.state_key = event.sender, event.server, event.state_key
    copy.membership, copy.authorised_via = event.membership, event.authorised_via
    copy.authorising_server = event.authorising_server
    copy.pdu, copy.client_form = event.pdu, event.client_form
    copy.signed_by = signed_by
    return _sealed(copy)


def _sealed(facts: Facts) -> Event:
    made: Any = facts
    made.__class__ = Event
    return made  # type: ignore[no-any-return]  # the line above made it one


_CLIENT_KEYS: Final = (
    "type",
    "sender",
    "state_key",
    "content",
    "origin_server_ts",
    "redacts",
    "unsigned",
)


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
    return ReadPdu(*_read(pdu, room_version, event_id))


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
    if isinstance(pdu, str) and is_usual(document, pdu, room_version):
        read = _made(pdu.encode(), document, USUAL, room_version, None)
    else:
        read = _read(pdu, room_version, None)
    event = read[0]
    _keep_type(event, share(event.type, event.type))
    _keep_server(event, share(event.server, event.server))
    _keep_room_id(event, share(event.room_id, event.room_id))
    return read


_keep_type, _keep_server, _keep_room_id = [
    vars(Facts)[name].__set__ for name in ("type", "server", "room_id")
]


def _read(
    pdu: bytes | str | Mapping[str, JsonValue], room_version: RoomVersion, event_id: str | None
) -> tuple[Event, Mapping[str, JsonValue], Form, bytes | None]:
    """The fields of a `ReadPdu`."""
    data = pdu if isinstance(pdu, bytes) else _bytes_of(pdu, room_version)
    form = USUAL
    document: Mapping[str, JsonValue] | None = usual_document(data, room_version)
    if document is None:
        data, document, form = _read_unusual(data, room_version)
    return _made(data, document, form, room_version, event_id)


def _made(
    data: bytes,
    document: Mapping[str, JsonValue],
    form: Form,
    room_version: RoomVersion,
    event_id: str | None,
) -> tuple[Event, Mapping[str, JsonValue], Form, bytes | None]:
    covered = None
    if event_id is not None:
        try:
            known_id = read_event_id(event_id)
        except InvalidIdentifier as error:
            raise InvalidEvent("event_id", error.expected, event_id) from error
    elif room_version.event_id_in_pdu:
        known_id = document["event_id"]
    else:
        covered = covered_bytes(document, room_version, form)
        known_id = id_of(covered, room_version)
    facts: Any = facts_of(document, room_version, known_id)
    facts.pdu = data
    facts.__class__ = Event
    return facts, document, form, covered


def _bytes_of(pdu: object, room_version: RoomVersion) -> bytes:
    try:
        if isinstance(pdu, Mapping):
            return encode(dict(pdu), strict=room_version.strict_json)
        if isinstance(pdu, str):
            return pdu.encode()
    except (InvalidJson, UnicodeEncodeError) as error:
        raise _not_json(error) from error
    if isinstance(pdu, (bytearray, memoryview)):
        return bytes(pdu)
    # What stands in a message where a PDU should; `bytes` would take a number for a length.
    raise InvalidEvent("PDU", "an object", pdu)


def _not_json(error: InvalidJson | UnicodeEncodeError) -> InvalidEvent:
    return InvalidEvent("PDU", "JSON that the room version takes", str(error))


def _read_unusual(
    data: bytes, room_version: RoomVersion
) -> tuple[bytes, Mapping[str, JsonValue], Form]:
    """The bytes to keep, the PDU, and its form."""
    try:
        document, has_float = read(data, strict=room_version.strict_json, budget=_PDU_BUDGET)
    except InvalidJson as error:
        raise _not_json(error) from error
    if not isinstance(document, dict):
        raise InvalidEvent("PDU", "an object", document)
    check_format(document, room_version)
    # The canonical form is never longer than the form that came.
    if len(data) > MAX_PDU_BYTES:
        data = encode(document, strict=False)
        if len(data) > MAX_PDU_BYTES:
            raise InvalidEvent("PDU", f"at most {MAX_PDU_BYTES} bytes", len(data))
    return data, document, WITH_FLOATS if has_float else ANY


def references(
    pdu: Mapping[str, JsonValue], field: str, room_version: RoomVersion
) -> tuple[EventID, ...]:
    """The event IDs in `auth_events` or `prev_events`, from pairs or plain."""
    listed = pdu.get(field, ())
    if room_version.event_id_in_pdu:
        return tuple([pair[0] for pair in listed])
    return tuple(listed)


def _check_client_event(event: Mapping[str, JsonValue]) -> None:
    for field, good, expected in (
        ("type", isinstance(event.get("type"), str), "text"),
        ("sender", is_user_id(event.get("sender")), "a user ID"),
        ("content", isinstance(event.get("content"), Mapping), "an object"),
        ("state_key", isinstance(event.get("state_key", ""), str), "text"),
        ("event_id", is_event_id(event.get("event_id", "$0:a")), "an event ID"),
        ("room_id", is_room_id(event.get("room_id", "!0:a")), "a room ID"),
    ):
        if not good:
            raise InvalidEvent(field, expected, event.get(field))


@frozen
class EventTemplate:
    """What a resident server offers to sign: an event without ID, hashes, signatures.

    Attributes:
        room_version: the version of its room.
        fields: the fields of the future PDU.
    """

    room_version: RoomVersion
    fields: JsonObject

    @classmethod
    def of(cls, fields: Mapping[str, JsonValue], room_version: RoomVersion) -> EventTemplate:
        """Make a template, leaving out what a template has not.

        Args:
            fields: fields of a PDU. `hashes`, `signatures`, `unsigned`, and from
                version 3 on `event_id`, are dropped.
            room_version: the version of the room.

        Raises:
            InvalidEvent: the fields are no object of JSON values.

        >>> from matrix_membership.room_versions import V11
        >>> EventTemplate.of({"type": "m.room.member", "hashes": {}}, V11).fields
        {'type': 'm.room.member'}
        """
        if not isinstance(fields, Mapping):
            raise InvalidEvent("template", "an object", fields)
        dropped = (
            _NOT_IN_TEMPLATE if room_version.event_id_in_pdu else _NOT_IN_TEMPLATE | {"event_id"}
        )
        try:
            kept = freeze({key: value for key, value in fields.items() if key not in dropped})
        except InvalidJson as error:
            raise InvalidEvent("template", "JSON values", str(error)) from error
        return cls(room_version, kept)

    def get(self, field: str) -> JsonValue:
        """A field of the template; None when it is not there."""
        return self.fields.get(field)

    @property
    def content(self) -> Mapping[str, JsonValue]:
        """The content; empty when there is none."""
        content = self.fields.get("content")
        return content if isinstance(content, Mapping) else JsonObject()

    def with_fields(self, **fields: JsonValue) -> EventTemplate:
        """The template with these fields set.

        Raises:
            InvalidJson: a value is none that JSON can hold.
        """
        return evolve(self, fields=freeze({**self.fields, **fields}))

    def with_content(self, **fields: JsonValue) -> EventTemplate:
        """The template with these fields of its content set.

        Raises:
            InvalidJson: a value is none that JSON can hold.
        """
        return self.with_fields(content={**self.content, **fields})

    def complete(self, signer: Signs, *, event_id: str | None = None) -> Event:
        """Hash and sign the template, which makes it an event.

        Args:
            signer: who signs; `signing.Signer` is one.
            event_id: in room versions 1 and 2, the ID that it shall have; later
                versions make it from the event.

        Returns:
            The event, signed by the signer's server.

        Raises:
            InvalidEvent: the fields break the format of the room version.
        """
        pdu = {**self.fields, "signatures": {}}
        if self.room_version.event_id_in_pdu and event_id is not None:
            pdu["event_id"] = event_id
        pdu["hashes"] = {"sha256": content_hash(pdu)}
        unsigned = read_pdu(pdu, self.room_version)
        covered = unsigned.covered or signed_bytes(pdu, self.room_version)
        pdu["signatures"] = {signer.server_name: {signer.key_id: signer.signature_over(covered)}}
        event = read_pdu(pdu, self.room_version, event_id=unsigned.event.event_id).event
        return event.with_signers([signer.server_name])


class Signs(Protocol):
    """Who can sign for a server."""

    @property
    def server_name(self) -> ServerName:
        """The server that signs."""

    @property
    def key_id(self) -> str:
        """The ID of its key: `ed25519:` and a version."""

    def signature_over(self, message: bytes) -> str:
        """The signature in unpadded base64."""


_NOT_IN_TEMPLATE: Final = frozenset({"hashes", "signatures", "unsigned"})
