"""Reading the events of an answer to send_join, one after the other, as they come."""

from __future__ import annotations

from typing import Any

from matrix_membership.canonical_json import JsonValue, encode
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event
from matrix_membership.events.reading import (
    KnownNames,
    document_as_read,
    read_into,
    read_scanned,
)
from matrix_membership.federation.audit._report import (
    Defect,
    Entry,
    EntrySlots,
    Severity,
    other_version,
)
from matrix_membership.hashing import signed_bytes
from matrix_membership.identifiers import EventID
from matrix_membership.redaction import redact
from matrix_membership.signing import signatures_that_count

__all__ = ["Examiner"]


class Examiner:
    """Reads one answer; lives no longer than that."""

    def __init__(self, join: Event) -> None:
        self.join = join
        self.version = join.room_version
        # What is wrong with the answer, and with events of the one list and the other.
        self.of_answer: list[Defect] = []
        self.of_list: dict[str, list[Defect]] = {"state": [], "auth_chain": []}
        self.counts = {"state": 0, "auth_chain": 0}
        self.chained: dict[EventID, Entry] = {}
        self.state: dict[str, dict[str, Entry]] = {}
        # Up to version 2, where two events may come with one ID: the state by ID.
        self.placed: dict[EventID, Entry] = {}
        # Of events that are at hand, other copies: with other signatures, or altered.
        self.copies: list[Entry] = []
        self.two_creates = False
        self.came_back: Entry | None = None
        self.known = KnownNames(join.room_id)

    @property
    def defects(self) -> tuple[Defect, ...]:
        """All that is wrong so far."""
        return (*self.of_answer, *self.of_list["state"], *self.of_list["auth_chain"])

    def fatal(self, code: str, detail: str) -> None:
        self.of_answer.append(Defect(Severity.FATAL, code, detail))

    def take(self, key: str, pdu: str | bytes, document: JsonValue = None) -> None:
        """Take an event of the answer: its key, its text, and what `scan_usual` made of it."""
        if key == "event":
            self.came_back = self.returned(pdu, document)
            return
        index = self.counts[key]
        self.counts[key] = index + 1
        dropped = self.of_list[key]
        try:
            entry = self.entry(pdu, document)
        except InvalidEvent as error:
            detail = f"{key}[{index}] is no event: {error}"
            dropped.append(Defect(Severity.DROPPED, "malformed", detail))
            return
        if entry.room_id != self.join.room_id:
            detail = "it belongs to another room"
            dropped.append(Defect(Severity.DROPPED, "other_room", detail, entry.event_id))
        elif key == "auth_chain":
            self.compare(self.chained.setdefault(entry.event_id, entry), entry, dropped)
        else:
            self.place(entry, dropped)

    def place(self, entry: Entry, dropped: list[Defect]) -> None:
        """Put an event in its place of the state, unless another one is there."""
        if entry.state_key is None:
            detail = "it stands in the state and is none"
            dropped.append(Defect(Severity.DROPPED, "no_state", detail, entry.event_id))
            return
        if self.version.event_id_in_pdu:
            first = self.placed.setdefault(entry.event_id, entry)
            if first.covered != entry.covered:
                self.compare(first, entry, dropped)
                return
        of_type = self.state.get(entry.type)
        if of_type is None:
            of_type = self.state[entry.type] = {}
        first = of_type.setdefault(entry.state_key, entry)
        if first.event_id == entry.event_id:
            self.compare(first, entry, dropped)
        elif entry.type == "m.room.create":
            self.two_creates = True
        else:
            detail = f"{first.event_id} has its place"
            dropped.append(Defect(Severity.DROPPED, "same_place", detail, entry.event_id))

    def compare(self, first: Entry, entry: Entry, dropped: list[Defect]) -> None:
        """Compare an event with the one of the same ID that came before, or is the same."""
        if first is entry:
            return
        if first.covered != entry.covered:
            detail = "another event has its ID"
            dropped.append(Defect(Severity.DROPPED, "same_id", detail, entry.event_id))
        elif (first.signatures, first.hash_matches) != (entry.signatures, entry.hash_matches):
            self.copies.append(entry)

    def entry(self, pdu: str | bytes, document: JsonValue) -> Entry:
        """Read a PDU; as text, when there is what `scan_usual` made of it.

        Raises:
            InvalidEvent: it is none.
        """
        version, known = self.version, self.known
        read = read_scanned(EntrySlots, pdu, document, version, known)
        fields = document_as_read(read)
        entry: Any = read.event
        if not read.content_hash_matches:
            # What was altered counts for nothing, not even for who has to sign.
            kept = encode(redact(fields, version), strict=False)
            entry = read_into(EntrySlots, kept, version, entry.event_id).event
        share = known.share
        # Most names, IDs and lists of them are the same few: one of each serves all.
        entry.server = share(entry.server, entry.server)
        if entry.room_id == known.room_id:
            entry.room_id = known.room_id
        signatures: list[JsonValue] = []
        for server, of_server in signatures_that_count(fields).items():
            for key_id, signature in of_server.items():
                signatures += (share(server, server), share(key_id, key_id), signature)
        entry.signatures = tuple(signatures)
        entry.covered = read.covered
        entry.hash_matches = read.content_hash_matches
        entry.sent = fields["origin_server_ts"] if version.enforces_key_validity else None
        entry.auth_events = known.listed(read.auth_events)
        entry.__class__ = Entry
        return entry  # type: ignore[no-any-return]  # the line above made it one

    def returned(self, pdu: str | bytes, document: JsonValue) -> Entry | None:
        """The join as the answer gives it back."""
        try:
            entry = self.entry(pdu, document)
        except InvalidEvent as error:
            self.fatal("altered_join", f"the join came back as no event: {error}")
            return None
        if entry.event_id != self.join.event_id or not self.is_same(entry):
            self.fatal("altered_join", f"another event came back: {entry.event_id}")
            return None
        if not entry.hash_matches:
            # Nothing of it counts but signatures, which do not cover what was altered.
            detail = "the join came back with its content altered"
            defect = Defect(Severity.NOTED, "altered_join", detail, self.join.event_id)
            self.of_answer.append(defect)
        return entry

    def is_same(self, entry: Entry) -> bool:
        """Whether an event with the ID of the join is the join: up to version 2 it need not be."""
        if not self.version.event_id_in_pdu:
            return True
        return entry.covered == signed_bytes(self.join.document, self.version)

    def create(self) -> EventID | None:
        """The ID of the create event, after all events have come."""
        if self.two_creates:
            self.fatal("two_create_events", "the state has two create events")
        creates = self.state.get("m.room.create", {})
        if len(creates) != 1:
            self.fatal("no_create_event", f"the state has {len(creates)} create events, not one")
            return None
        (create,) = creates.values()
        # Of an altered one there may be a better copy: the audit asks that.
        defect = other_version(create, self.version) if create.hash_matches else None
        if defect is not None:
            self.of_answer.append(defect)
        for entry in self.chained.values():
            if entry.type == "m.room.create" and entry.event_id != create.event_id:
                self.fatal("two_create_events", "the auth chain has another create event")
        return create.event_id

    def give(self) -> tuple[dict[EventID, Entry], tuple[EventID, ...]]:
        """All entries, and the IDs of those that are the state; nothing is held after that."""
        entries, self.chained = self.chained, {}
        in_state = []
        while self.state:
            _, of_type = self.state.popitem()
            for entry in of_type.values():
                event_id = entry.event_id
                chained = entries.get(event_id)
                if chained is not None:
                    self.compare(entry, chained, self.of_list["auth_chain"])
                entries[event_id] = entry
                in_state.append(event_id)
        return entries, tuple(in_state)
