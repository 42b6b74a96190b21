"""The report on an answer to send_join: its events and their defects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from matrix_membership._attrs import Word, constant, frozen, slots
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.events import Event
from matrix_membership.events.contents import Create
from matrix_membership.events.event import with_evidence
from matrix_membership.events.facts import Facts
from matrix_membership.identifiers import EventID, ServerName
from matrix_membership.redaction import redact, survivors
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState

OTHER_VERSION: Final = "other_room_version"


class Severity(Word):
    """The effect of a defect on the answer.

    `FATAL`: the room cannot be joined with it. `DROPPED`: the event is left out. `REDACTED`:
    the event is kept in redacted form. `NOTED`: nothing changes.
    """

    FATAL = "fatal"
    DROPPED = "dropped"
    REDACTED = "redacted"
    NOTED = "noted"


@frozen
class Defect:
    """One defect of an answer.

    Attributes:
        severity: its effect on the answer.
        code: its name. With `unknown_key`, fetching a key could save the event; with
            `bad_signature`, a signature is bad or missing, and a key cannot help. With
            `redacted_form`, the event came as redaction leaves it; with `bad_hash`, with
            content that its hash does not cover.
        detail: a sentence for people.
        event_id: the event that has the defect; empty if it concerns the whole answer.
        root: the first dropped event on which this event depends; otherwise empty.
        decision: the decision that rejected the event; None if the rules did not.
    """

    severity: Severity
    code: str
    detail: str
    event_id: str = ""
    root: str = ""
    decision: Decision | None = None

    def __str__(self) -> str:
        where = f" {self.event_id}" if self.event_id else ""
        return f"{self.severity}{where}: {self.detail}"


def other_version(create: Facts, announced: RoomVersion) -> Defect | None:
    """Return the defect of a create event of another version than announced."""
    # By the view and not by the content: a create event that names no version is of version 1.
    named = create.view.room_version if isinstance(create.view, Create) else None
    if named == announced.identifier:
        return None
    detail = (
        f"the create event names room version {named!r}, make_join named {announced.identifier!r}"
    )
    return Defect(Severity.FATAL, OTHER_VERSION, detail)


@frozen
class Audit:
    """The result of an audit. It is true if the room can be joined with the answer.

    Attributes:
        event: the join, with the good signatures that the answer added.
        state: the room after the join; None if a defect is fatal.
        to_store: the events to store, in this order: every good event of the answer and the
            join, each after the events that it cites. They are enough to answer the next
            server that joins. It has what the join replaced, such as an invite, which is
            neither in `state` nor in `auth_chain`. Empty if a defect is fatal.
        auth_chain: the other good events, which authorise state and join, by ID.
        servers: the servers in the room, as far as the answer says.
        defects: all defects, fatal ones first.
        needs: the key IDs of each server that were missing, so that events were dropped.
            Another audit with these keys may keep them.
    """

    event: Event
    state: RoomState | None
    to_store: tuple[Event, ...]
    auth_chain: Mapping[EventID, Event]
    servers: frozenset[ServerName]
    defects: tuple[Defect, ...]
    needs: Mapping[ServerName, frozenset[str]] = JsonObject()  # type: ignore[assignment]  # empty

    def __bool__(self) -> bool:
        return self.state is not None

    def __str__(self) -> str:
        if not self.defects:
            return "no defects"
        return "\n".join(map(str, self.defects))


@slots
class EntrySlots(Facts):
    """The slots of an `Entry` while they are filled, which `Entry` itself refuses."""

    auth_events: tuple[EventID, ...]
    came_redacted: bool
    covered: bytes
    hash_matches: bool
    sent: int | None
    signatures: tuple[JsonValue, ...]


@constant
class Entry(EntrySlots):
    """One PDU of the answer, read but not yet verified.

    It has the attributes of an `events.Event` without verified signers, in the form in which
    the event is kept: redacted if its content hash is wrong. It also has these:

    Attributes:
        covered: the bytes that its signatures cover.
        signatures: its signatures, flat: server, key ID, signature, server, and so on. One
            tuple takes less memory than a tuple for each signature.
        sent: its `origin_server_ts`, if its keys must be valid at that time; otherwise None.
        auth_events: the IDs of its auth events.
        hash_matches: whether its content hash was right.
        came_redacted: whether it came in exactly the form in which redaction leaves it.
    """

    def __init__(self) -> None:
        raise TypeError("expected an Entry that a SendJoinReader made, got a call of Entry")

    # The other slots follow from these.
    def __eq__(self, other: object) -> bool:
        if other.__class__ is not Entry:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _TELLING)

    def __hash__(self) -> int:
        return hash(self.event_id)

    def __repr__(self) -> str:
        return f"<entry {self.event!r}>"

    def __reduce__(self) -> tuple[object, ...]:
        # A handshake can be stored half-way, with the entries that it has read; and an entry
        # refuses the assignments by which pickle would fill it.
        return (_unpickled, tuple([getattr(self, name) for name in _SLOTS]))

    @property
    def event(self) -> Event:
        """The event, without verified signers."""
        return with_evidence(self, self.signed_by)

    @property
    def signed(self) -> Iterator[tuple[ServerName, str, JsonValue]]:
        """The server, key ID and signature of each of its signatures."""
        flat = iter(self.signatures)
        return zip(flat, flat, flat, strict=True)


_UNSEALED: Final[Any] = EntrySlots
_SLOTS: Final[tuple[str, ...]] = _UNSEALED.__match_args__
_TELLING: Final = ("event_id", "room_version", "pdu", "signatures", "hash_matches", "came_redacted")


def _unpickled(*values: object) -> Entry:
    entry = _UNSEALED()
    for name, value in zip(_SLOTS, values, strict=True):
        setattr(entry, name, value)
    entry.__class__ = Entry
    made: Entry = entry
    return made


def wrong_hash(entry: Entry) -> Defect:
    """Return the defect of an event whose content hash is wrong."""
    if not entry.came_redacted:
        return Defect(Severity.REDACTED, "bad_hash", "its content was altered", entry.event_id)
    version = entry.room_version
    lost = "content"
    if survivors(version).content.get(entry.type):
        whole: dict[str, JsonValue] = {key: {"signed": {}} for key in _READ.get(entry.type, ())}
        left = redact({"type": entry.type, "content": whole}, version)["content"]
        gone = [key for key in whole if key not in left]
        # The keys of restricted joins mean nothing in versions without them.
        if not version.restricted_joins:
            gone = [key for key in gone if key not in _OF_RESTRICTED_JOINS]
        lost = " and no ".join(gone)
    without = f"has no {lost}" if lost else "has all that is read of it"
    detail = f"it came in its redacted form, which in version {version} {without}"
    return Defect(Severity.REDACTED, "redacted_form", detail, entry.event_id)


_READ: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "m.room.create": ("m.federate", "room_version"),
        "m.room.join_rules": ("allow",),
        "m.room.member": ("join_authorised_via_users_server", "third_party_invite"),
        "m.room.power_levels": ("invite",),
    }
)
"""Keys that the rules read and that redaction takes in some versions, by event type."""

_OF_RESTRICTED_JOINS: Final = ("allow", "join_authorised_via_users_server")
