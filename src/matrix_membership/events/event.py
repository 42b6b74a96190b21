"""An event: immutable, parsed once, with the servers known to have signed it.

It keeps the bytes of its PDU and the few facts that rules and states read. It reads the rest
again when it is asked for, since a homeserver holds millions of events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from matrix_membership._attrs import constant
from matrix_membership.canonical_json import (
    JsonObject,
    JsonValue,
    decode,
    encode,
    freeze,
    read,
    thaw,
)
from matrix_membership.errors import IncompleteState, InvalidEvent, InvalidJson
from matrix_membership.events._accepted import accepted_facts, held_form
from matrix_membership.events._decode import decoded, given_id
from matrix_membership.events._fast_write import content_hash_matches, covered_bytes, document_of
from matrix_membership.events.facts import Facts, View, case_from, facts_of, unfilled
from matrix_membership.events.format import check_field, references
from matrix_membership.hashing import id_of
from matrix_membership.identifiers import EventID, ServerName, UserID, server_of, several
from matrix_membership.redaction import redact
from matrix_membership.room_versions import RoomVersion, require_room_version

__all__ = ["Event"]


@constant
class Event(Facts):
    """An event of a room: what it says and who is known to have signed it.

    Two events are equal when their IDs are. In room versions 1 and 2 the ID is
    chosen by the sender's server, so equal events may differ in content.

    Attributes:
        event_id: its ID; empty for an event in client format that carries none.
        room_version: the version of its room.
        room_id: the ID of its room. A create event of version 12 has the ID of the room
            that it makes. Empty for an event in client format that carries none.
        type: its type.
        sender: the user who sent it.
        server: the server part of `sender`.
        state_key: its state key; None for a non-state event.
        origin_server_ts: the time at which its server says it sent it, in milliseconds since
            1970; 0 for an event in client format that carries none.
        membership: of a member event, the membership it gives; None when its
            content has none, and for all other events.
        authorised_via: of a member event, the user named in
            `join_authorised_via_users_server`. Empty when the key holds anything but a user
            ID. None when the key is missing, and in versions 1 to 7, where it means nothing.
        authorising_server: the server part of `authorised_via`.
        kind: the name under which rules are found: its type; for a member event also the
            membership, unless that or the state key cannot be read. Empty for a type
            that no rule knows and that reads like the kind of a member event.
        case: the kind, and for a member event what else rules can be chosen by
            beforehand: whether the sender is another user, whether an authorising user is
            named, whether there is a `third_party_invite`.
        view: a typed view of the content, for the types that authorisation reads.
        signed_by: the servers whose signature was verified: empty until
            `signing.verify`, so that forgetting it rejects instead of accepting.
        pdu: the PDU's bytes; empty for an event in client format.
        client_form: the bytes of an event in client format; otherwise empty.
        held: what `accepted` read of a host's event besides; otherwise None.

    .. versionadded:: 0.1.0
    """

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not Event:
            return NotImplemented
        # Events in client format may have no ID: two of them are not one event because both lack
        # it.
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
        data, document, form = decoded(pdu, room_version)
        if event_id is not None:
            known_id = given_id(event_id)
        elif room_version.event_id_in_pdu:
            known_id = document["event_id"]
        else:
            known_id = id_of(covered_bytes(document, room_version, form), room_version)
        event = facts_of(document, room_version, known_id)
        event.pdu = data
        event.__class__ = Event  # sealed as `_sealed` does it, which would be one more call
        made: Event = event
        return made

    @classmethod
    def from_client_event(cls, event: Mapping[str, JsonValue], room_version: RoomVersion) -> Event:
        """Read an event in the format that clients get, stripped state included.

        Args:
            event: an object with `type`, `sender` and `content`, and perhaps
                `state_key`, `event_id`, `room_id` and more. Of a PDU's `depth`,
                `origin_server_ts`, `auth_events` and `prev_events`, those that are there
                must have the format of the room version.
            room_version: the version of its room.

        Returns:
            An event that rules can judge and states can hold. It has no PDU.

        Raises:
            InvalidEvent: a field is missing or of a wrong kind.

        >>> from matrix_membership.room_versions import V11
        >>> Event.from_client_event(
        ...     {"type": "m.room.name", "sender": "@ana:a.example", "content": {}, "state_key": ""},
        ...     V11,
        ... )
        <m.room.name '' by @ana:a.example >
        """
        require_room_version(room_version)
        if not isinstance(event, Mapping):
            raise InvalidEvent("event", "an object", event)
        _check_client_event(event, room_version)
        try:
            client_form = encode(dict(event), strict=False)
        except InvalidJson as error:
            raise InvalidEvent("event", "JSON values", str(error)) from error
        event_id = EventID(event.get("event_id", ""))
        facts = facts_of(event, room_version, event_id)
        facts.client_form = client_form
        return _sealed(facts)

    @classmethod
    def accepted(
        cls,
        source: Any,
        room_version: RoomVersion,
        *,
        signed_by: Iterable[str] = (),
        for_rules: bool = False,
    ) -> Event:
        """Take over an event that a host judged and stored before.

        Nothing is checked again, hashed or encoded: names that break the grammar pass. `content`
        stays the host's own mapping, and is read now for what the rules ask: it must not change
        afterwards.

        Args:
            source: the host's event. An object with `type`, `sender`, `content` and perhaps
                `state_key` (or a method `get_state_key`), `event_id`, `room_id`, `redacts`,
                `depth`, `origin_server_ts`, `prev_event_ids`, `auth_event_ids` as attributes,
                the last two methods or lists; or a mapping or a row with the keys of a PDU and `event_id`. A missing state
                key may be None.
            room_version: the version of its room.
            signed_by: the servers whose signatures the host verified.
            for_rules: read of an object only what `auth.check` reads of it, which takes a third
                less: not its auth events, times and depth, and its previous events only if
                it is a join or a create event. Asking for these events raises
                `IncompleteState`.

        Returns:
            An event that rules can judge and states can hold. It has no PDU. It does not hold
            `source`, so a weak cache by that object works. Cost: constant, but for the contents
            that the rules read: power levels, join rules, a create event's.

        Raises:
            InvalidEvent: the type or the sender is missing or no text; the content is missing or no
                object; or the previous or auth events are text, such as JSON that was not parsed.

        >>> from matrix_membership.room_versions import V11
        >>> row = {
        ...     "type": "m.room.name",
        ...     "sender": "@a:under_score",
        ...     "content": {},
        ...     "state_key": "",
        ... }
        >>> Event.accepted(row, V11)
        <m.room.name '' by @a:under_score >
        """
        if room_version.__class__ is not RoomVersion:
            require_room_version(room_version)
        event = accepted_facts(source, room_version, for_rules=for_rules)
        if signed_by:
            event.signed_by = frozenset(several(signed_by, "signed_by"))
        event.__class__ = Event  # as in `from_pdu`
        made: Event = event
        return made

    # A host's mapping may be of any class. To a type checker it is one that does not change.
    @property
    def content(self) -> JsonObject:
        """The content, immutable; of an accepted event, the host's own mapping.

        Cost: linear in the size of the event; constant for an accepted event.
        """
        held = self.held
        content: JsonObject = self.document["content"] if held is None else held[_CONTENT]
        return content

    @property
    def document(self) -> JsonObject:
        """The whole event, immutable. Cost: linear in the size of the event.

        Of an accepted event, what was read of it.
        """
        document: JsonObject
        if self.held is None:
            document = decode(self.pdu or self.client_form, strict=False)
        else:
            document = freeze(thaw(self._held_document()))
        return document

    def _once(self) -> Mapping[str, JsonValue]:
        """Return the keys of the event, to be looked at once.

        Making them immutable costs more than reading them.
        """
        if self.held is not None:
            return self._held_document()
        return read(self.pdu, strict=False)[0] if self.pdu else self.document

    @property
    def host_form(self) -> Mapping[str, Any] | None:
        """The fields that `accepted` read, under the names of a PDU; otherwise None."""
        return held_form(self)

    def _held_document(self) -> dict[str, JsonValue]:
        """Return what `accepted` read, as the keys of a PDU of the room version."""
        document = held_form(self) or {}
        if self.room_version.event_id_in_pdu:
            for name in {"auth_events", "prev_events"} & document.keys():
                document[name] = tuple([(event_id, {}) for event_id in document[name]])
        return document

    @property
    def auth_events(self) -> tuple[EventID, ...]:
        """The IDs of the events that it says authorise it. Cost: as `content`."""
        return self._references("auth_events", _AUTH_EVENTS)

    @property
    def prev_events(self) -> tuple[EventID, ...]:
        """The IDs of the events that came before it. Cost: as `content`."""
        return self._references("prev_events", _PREV_EVENTS)

    def _references(self, name: str, place: int) -> tuple[EventID, ...]:
        if self.held is None:
            return references(self._once(), name, self.room_version)
        listed: tuple[EventID, ...] | None = self.held[place]
        if listed is None:
            raise IncompleteState("an event that was read for the rules", name)
        return listed

    @property
    def depth(self) -> int:
        """Its depth; 0 for an event in client format. Cost: as `content`."""
        return int(self._once().get("depth") or 0)

    @property
    def redacts(self) -> JsonValue:
        """The event that a redaction redacts: an event ID, if it is well-formed.

        None if it names nothing. From version 11 on it stands in the content. Cost: as `content`.
        """
        in_content = self.room_version.redaction_rules >= _FIRST_WITH_REDACTS_IN_CONTENT
        return (self.content if in_content else self._once()).get("redacts")

    @property
    def is_state(self) -> bool:
        """True for a state event."""
        return self.state_key is not None

    def to_pdu(self) -> dict[str, JsonValue]:
        """Return the event in federation format, as a fresh dict.

        Raises:
            InvalidEvent: it came in client format, which leaves keys out.
        """
        if not self.pdu:
            raise InvalidEvent("event", "one read from a PDU", repr(self))
        return dict(read(self.pdu, strict=False)[0])

    def to_client_event(self) -> dict[str, JsonValue]:
        """Return the event in the format that clients get, as a fresh dict."""
        # `read` gives a fresh dict, so nothing has to be made immutable and thawed again.
        document = (
            read(self.pdu or self.client_form, strict=False)[0]
            if self.held is None
            else thaw(self._held_document())
        )
        kept = {key: document[key] for key in _CLIENT_KEYS if key in document}
        return {**kept, "room_id": self.room_id, "event_id": self.event_id}

    def to_stripped(self) -> dict[str, JsonValue]:
        """Return the four keys of stripped state, as a fresh dict."""
        return {
            "type": self.type,
            "sender": self.sender,
            "state_key": self.state_key,
            "content": thaw(self.content),
        }

    def with_signers(self, servers: Iterable[str]) -> Event:
        """Return the event as signed by these servers, which the caller verified earlier.

        >>> from matrix_membership.room_versions import V11
        >>> event = Event.from_client_event(
        ...     {"type": "m.room.name", "sender": "@ana:a.example", "content": {}}, V11
        ... )
        >>> event.with_signers(["a.example"]).signed_by
        frozenset({'a.example'})
        """
        return with_evidence(self, frozenset(map(ServerName, several(servers, "servers"))))

    def redacted(self) -> Event:
        """Return the event as redaction leaves it: same ID, same signers.

        Raises:
            InvalidEvent: it came in client format, which leaves keys out.
        """
        if not self.pdu:
            raise InvalidEvent("event", "one read from a PDU", repr(self))
        pdu = encode(redact(self.document, self.room_version), strict=False)
        redacted = Event.from_pdu(pdu, self.room_version, event_id=self.event_id)
        return with_evidence(redacted, self.signed_by)

    @property
    def content_hash_matches(self) -> bool:
        """True if the hash that it carries is the one of its content.

        Cost: linear in the size of the event.

        Raises:
            InvalidEvent: it came in client format, in which hashes have no meaning.
        """
        if not self.pdu:
            raise InvalidEvent("event", "one read from a PDU", repr(self))
        return content_hash_matches(*document_of(self.pdu, self.room_version))


def with_evidence(event: Facts, signed_by: frozenset[ServerName]) -> Event:
    """`Event.with_signers` for a set that others share, of an event or of its facts."""
    copy = _copied(event)
    copy.signed_by = signed_by
    return _sealed(copy)


add_evidence: Final[Callable[[Event, frozenset[ServerName]], None]] = vars(Facts)[
    "signed_by"
].__set__
"""`Event.with_signers` for an event that nobody has seen yet: it changes. A copy takes 1.3 us."""


def supposed(event: Event, *, sender: UserID | None = None, view: View | None = None) -> Event:
    """Suppose that an event had another sender or another view, for rules alone.

    Reading it anew, so that its bytes agree, would cost its size for each user who is tried.

    Args:
        event: an event other than a create event.
        sender: the user to suppose as its sender, whose server is supposed to have signed it.
        view: the view to judge it by.
    """
    copy = _copied(event)
    copy.signed_by = event.signed_by
    if view is not None:
        copy.view = view
    if sender is not None:
        copy.sender, copy.server = sender, server_of(sender)
        copy.state_key = sender if event.state_key == sender else event.state_key
        copy.case = case_from(event, sender)
        copy.signed_by |= {copy.server}
    return _sealed(copy)


def _copied(event: Facts) -> Any:
    copy = unfilled()
    # One by one takes 0.5 us. A loop over the names takes 1.6, and receipt copies every event.
    # Assigned as tuples, they take six instructions more.
    copy.event_id = event.event_id
    copy.room_version = event.room_version
    copy.room_id = event.room_id
    copy.type = event.type
    copy.kind = event.kind
    copy.case = event.case
    copy.view = event.view
    copy.sender = event.sender
    copy.server = event.server
    copy.state_key = event.state_key
    copy.origin_server_ts = event.origin_server_ts
    copy.membership = event.membership
    copy.authorised_via = event.authorised_via
    copy.authorising_server = event.authorising_server
    copy.pdu = event.pdu
    copy.client_form = event.client_form
    copy.held = event.held
    return copy


def _sealed(facts: Any) -> Event:
    facts.__class__ = Event
    event: Event = facts
    return event


_FIRST_WITH_REDACTS_IN_CONTENT: Final = 11

# The places in `held`, as `_accepted` fills it.
_CONTENT: Final = 0
_PREV_EVENTS: Final = 2
_AUTH_EVENTS: Final = 3

_CLIENT_KEYS: Final = (
    "type",
    "sender",
    "state_key",
    "content",
    "origin_server_ts",
    "redacts",
    "unsigned",
)


# Of a client event, the fields that must be there, and those that may.
_CLIENT_NEEDS: Final = ("type", "sender", "content")
_CLIENT_MAY_HAVE: Final = (
    "state_key",
    "event_id",
    "room_id",
    "depth",
    "origin_server_ts",
    "auth_events",
    "prev_events",
)


def _check_client_event(event: Mapping[str, JsonValue], room_version: RoomVersion) -> None:
    # A client is told less than a server. The event must have the format of a PDU, since rules and
    # callers read it later. Only the size limits are left out: they are for PDUs.
    for name in _CLIENT_NEEDS:
        check_field(name, event.get(name), room_version)
    for name in _CLIENT_MAY_HAVE:
        if name in event:
            check_field(name, event[name], room_version)
