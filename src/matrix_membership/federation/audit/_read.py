"""Read the events of an answer to send_join one by one, as they come."""

from __future__ import annotations

from typing import Any, Final

from matrix_membership.canonical_json import JsonObject, JsonValue, encode
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event
from matrix_membership.events.reading import (
    KnownNames,
    Member,
    document_as_read,
    read_into,
    read_member,
    read_scanned,
)
from matrix_membership.federation.audit._judge import Examination
from matrix_membership.federation.audit._report import (
    Defect,
    Entry,
    EntrySlots,
    Severity,
    other_version,
)
from matrix_membership.hashing import signed_bytes
from matrix_membership.identifiers import EventID, ServerName
from matrix_membership.redaction import redact
from matrix_membership.signing import signatures_that_count


class Examiner:
    """Reads the events of one answer. Used once."""

    def __init__(self, join: Event, resident: ServerName, *, asked_to_omit: bool) -> None:
        self.join = join
        self.resident = resident
        self.asked_to_omit = asked_to_omit
        self.version = join.room_version
        # Defects of the whole answer, and of the events of each list. They are kept apart so
        # that their order is the same whichever list comes first.
        self.of_answer: list[Defect] = []
        self.of_list: dict[str, list[Defect]] = {"state": [], "auth_chain": []}
        self.counts = {"state": 0, "auth_chain": 0}
        self.chained: dict[EventID, Entry] = {}
        self.state: dict[str, dict[str, Entry]] = {}
        # The state by event ID, only up to version 2: there two events may share an ID.
        self.placed: dict[EventID, Entry] = {}
        # Further copies of events: with other signatures, or altered content.
        self.copies: list[Entry] = []
        self.two_creates = False
        self.came_back: Entry | None = None
        self.known = KnownNames(join.room_id)
        self.waiting: list[tuple[str, str, JsonValue]] = []

    def fatal(self, code: str, detail: str) -> None:
        """Add a fatal defect of the whole answer."""
        self.of_answer.append(Defect(Severity.FATAL, code, detail))

    def drop(self, dropped: list[Defect], code: str, detail: str, entry: Entry) -> None:
        dropped.append(Defect(Severity.DROPPED, code, detail, entry.event_id))

    def wait(self, key: str, pdu: str, document: JsonValue) -> None:
        """Take an event together with those that come after it."""
        # A processor foresees the way through one short loop after another better than through
        # splitting and reading in turns: reading an answer takes 0.89 of the time so. More events
        # than this gain nothing, and their decoded form takes memory.
        self.waiting.append((key, pdu, document))
        if len(self.waiting) >= _TOGETHER:
            self.take_waiting()

    def take_waiting(self) -> None:
        """Take the events that wait."""
        for waiting in self.waiting:
            self.take(*waiting)
        self.waiting.clear()

    def take(self, key: str, pdu: str | bytes, document: JsonValue = None) -> None:
        """Take an event: its key in the answer, its text, what `scan_plain` made."""
        if key == "event":
            self.came_back = self.returned(pdu, document)
            return
        index = self.counts[key]
        self.counts[key] = index + 1
        dropped = self.of_list[key]
        try:
            entry = self.entry(pdu, document)
        except InvalidEvent as error:
            detail = f"{key}[{index}] is not a valid event: {error}"
            dropped.append(Defect(Severity.DROPPED, "malformed", detail))
            return
        # Before it gets a place: an event of another room must not keep one of this room out.
        if entry.room_id != self.join.room_id:
            self.drop(dropped, "other_room", "it belongs to another room", entry)
        elif key == "auth_chain":
            self.compare(self.chained.setdefault(entry.event_id, entry), entry, dropped)
        else:
            self.place(entry, dropped)

    def place(self, entry: Entry, dropped: list[Defect]) -> None:
        """Put an event in its place in the state, unless another event is there."""
        if entry.state_key is None:
            self.drop(dropped, "no_state", "the state has it, but it is a non-state event", entry)
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
        if first is entry:
            return
        if first.event_id == entry.event_id:
            self.compare(first, entry, dropped)
        elif entry.type == "m.room.create":
            self.two_creates = True
        else:
            self.drop(dropped, "same_place", f"{first.event_id} has its place", entry)

    def compare(self, first: Entry, entry: Entry, dropped: list[Defect]) -> None:
        """Compare an event with the first one of the same ID, which may be itself."""
        if first is entry:
            return
        if first.covered != entry.covered:
            self.drop(dropped, "same_id", "another event has its ID", entry)
        elif (first.signatures, first.hash_matches) != (entry.signatures, entry.hash_matches):
            self.copies.append(entry)

    def entry(self, pdu: str | bytes, document: JsonValue) -> Entry:
        """Read a PDU; raise `InvalidEvent` if the room version has no such event."""
        if document.__class__ is tuple and isinstance(pdu, str):
            found = self.member(pdu, document)
            if found is not None:
                return found
            document = None  # it is read again, by the way that says what is wrong
        version, known, came_redacted = self.version, self.known, False
        read = read_scanned(EntrySlots, pdu, document, version, known)
        fields = document_as_read(read)
        entry: Any = read.event
        if not read.content_hash_matches:
            # Altered content must not count, not even for the question which servers must sign.
            kept = redact(fields, version)
            entry = read_into(EntrySlots, encode(kept, strict=False), version, entry.event_id).event
            came_redacted = kept == {key: fields[key] for key in fields if key != "unsigned"}
        entry.hash_matches = read.content_hash_matches
        entry.came_redacted = came_redacted
        share = known.share
        signatures: list[JsonValue] = []
        for server, of_server in signatures_that_count(fields).items():
            for key_id, signature in of_server.items():
                signatures += (share(server, server), share(key_id, key_id), signature)
        return self.sealed(entry, read.covered, tuple(signatures), known.listed(read.auth_events))

    def member(self, pdu: str, document: Member) -> Entry | None:
        """Read a member that was cut; None if it has to be read another way."""
        read = read_member(EntrySlots, pdu, document, self.version)
        if read is None:
            return None
        entry, covered, (server, key_id, signature), written = read
        entry.hash_matches, entry.came_redacted = True, False
        share = self.known.share
        # Its one signature counts, as `signatures_that_count` says.
        signatures = (share(server, server), share(key_id, key_id), signature)
        return self.sealed(entry, covered, signatures, self.known.listed_in(written))

    def sealed(
        self,
        entry: Any,
        covered: bytes,
        signatures: tuple[JsonValue, ...],
        auth_events: tuple[EventID, ...],
    ) -> Entry:
        """Fill in the slots that an entry has beside its facts, and seal it."""
        known = self.known
        # Most events share a few server names, IDs and lists. Keeping one object of each saves
        # memory in rooms of many members.
        entry.server = known.share(entry.server, entry.server)
        if entry.room_id == known.room_id:
            entry.room_id = known.room_id
        entry.signatures = signatures
        entry.covered = covered
        entry.sent = entry.origin_server_ts if self.version.enforces_key_validity else None
        entry.auth_events = auth_events
        # An `Entry` refuses assignment, so its slots are filled first and its class is set last.
        # These slots take 0.9 us so, and 4 us by `object.__setattr__` on an `Entry`; an
        # answer can have 100,000 events.
        entry.__class__ = Entry
        made: Entry = entry
        return made

    def returned(self, pdu: str | bytes, document: JsonValue) -> Entry | None:
        """Read the join in the answer; None if it is not the one that was sent."""
        try:
            entry = self.entry(pdu, document)
        except InvalidEvent as error:
            self.fatal("altered_join", f"the join came back as an invalid event: {error}")
            return None
        # Up to version 2 the ID is not a hash, so another event can carry it.
        same = not self.version.event_id_in_pdu or (
            entry.covered == signed_bytes(self.join.document, self.version)
        )
        if entry.event_id != self.join.event_id or not same:
            self.fatal("altered_join", f"another event came back: {entry.event_id}")
            return None
        if not entry.hash_matches:
            # Only its signatures are used, and they do not cover the altered content.
            detail = "the join came back with its content altered"
            defect = Defect(Severity.NOTED, "altered_join", detail, self.join.event_id)
            self.of_answer.append(defect)
        return entry

    def create(self) -> EventID | None:
        """Return the ID of the create event; None without exactly one.

        Call it after all events came.
        """
        if self.two_creates:
            self.fatal("two_create_events", "the state has two create events")
        creates = self.state.get("m.room.create", {})
        if len(creates) != 1:
            self.fatal("no_create_event", f"the state has {len(creates)} create events, not one")
            return None
        (create,) = creates.values()
        # If this copy was altered, a better one may follow: then the audit compares versions.
        defect = other_version(create, self.version) if create.hash_matches else None
        if defect is not None:
            self.of_answer.append(defect)
        for entry in self.chained.values():
            if entry.type == "m.room.create" and entry.event_id != create.event_id:
                self.fatal("two_create_events", "the auth chain has another create event")
        return create.event_id

    def finish(
        self,
        omitted: bool,  # noqa: FBT001 - as `beside_events` gives it
        servers: tuple[str, ...] | None,
    ) -> Examination:
        """Return the examination, after all events were taken."""
        if omitted and not self.asked_to_omit:
            self.fatal("members_omitted_unasked", "memberships were left out, unasked")
        # Fatal: with neither members nor names, this server would not know where to send its own
        # events.
        if omitted and not servers:
            self.fatal("no_servers_in_room", "memberships were left out, and no servers named")
        create = self.create()
        entries, in_state = self.give()
        return Examination(
            join=self.join,
            defects=(*self.of_answer, *self.of_list["state"], *self.of_list["auth_chain"]),
            # A process pool of the caller may pickle it; a mapping proxy refuses that.
            entries=JsonObject(entries),  # type: ignore[arg-type]  # an event ID is text
            in_state=in_state,
            copies=tuple(self.copies),
            returned=self.came_back,
            create=create,
            members_omitted=omitted,
            # The resident server is in the room, or it could not have let anybody in.
            servers=frozenset(map(ServerName, servers)) | {self.resident} if servers else None,
        )

    def give(self) -> tuple[dict[EventID, Entry], tuple[EventID, ...]]:
        """Return all entries, and the IDs of the state. The examiner is empty after that.

        It empties its own tables on the way: both together would double the memory.
        """
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


_TOGETHER: Final = 64
"""So many events are split before they are read."""
