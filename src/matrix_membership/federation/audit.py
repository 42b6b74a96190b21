"""Auditing the answer to send_join: all its defects at once, and what is left of it.

Three steps, so that the dear middle one can run anywhere: `examine` reads, `needs`
says which keys to fetch, `Examination.audit` checks signatures over a `map` of the
caller's choice and judges each event by those that authorise it. An event that falls
takes those with it that depend on it. See `Joining rooms`__.

__ https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from itertools import chain
from typing import Any, Final

from matrix_membership import auth
from matrix_membership._attrs import constant, evolve, frozen
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonValue
from matrix_membership.contents import Create
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, read_pdu, references
from matrix_membership.federation.messages import SendJoinResponse
from matrix_membership.hashing import content_hash, signed_bytes
from matrix_membership.identifiers import EventID, ServerName, server_of
from matrix_membership.signing import (
    KeyRing,
    SignatureCheck,
    check_signatures,
    required_signers,
    usable_signatures,
)
from matrix_membership.state import RoomState

__all__ = ["Audit", "Defect", "Entry", "Examination", "Severity", "examine"]


class Severity(Enum):
    """What a defect does to an answer."""

    FATAL = "fatal"
    DROPPED = "dropped"
    REDACTED = "redacted"
    NOTED = "noted"

    def __str__(self) -> str:
        return self._value_


@frozen
class Defect:
    """Something wrong with an answer.

    Attributes:
        severity: what it does to the answer.
        code: its name, such as `bad_signature`.
        detail: a sentence for people.
        event_id: the event on which it hangs; empty when on none.
        root: of an event that fell with another one, the first that fell.
        decision: the decision that rejected the event, if one did.
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


@frozen
class Audit:
    """What an answer is worth. It is true when the room can be joined with it.

    Attributes:
        event: the join, with the signatures that the answer added and that are good.
        state: the room after the join; None when a defect is fatal.
        auth_chain: the events that authorise state and join, by ID.
        servers: the servers in the room, as far as the answer says.
        defects: all that is wrong, the fatal first.
    """

    event: Event
    state: RoomState | None
    auth_chain: Mapping[EventID, Event]
    servers: frozenset[ServerName]
    defects: tuple[Defect, ...]

    def __bool__(self) -> bool:
        return self.state is not None

    def __str__(self) -> str:
        if not self.defects:
            return "no defects"
        return "\n".join(map(str, self.defects))


@constant
class Entry:
    """One PDU of the answer, read: what is left to check of it.

    Attributes:
        event: the event, signed by nobody yet.
        covered: the bytes that its signatures cover.
        signatures: its signatures, as they came.
        sent: when it was sent, if its keys must have been valid then.
        auth_events: the IDs of the events that authorise it.
        hash_matches: whether its content is the one that was hashed.
    """

    event: Event
    covered: bytes
    signatures: Mapping[str, JsonValue]
    sent: int | None
    auth_events: tuple[EventID, ...]
    hash_matches: bool


@constant
class Examination:
    """An answer that was read, before its signatures are checked.

    Attributes:
        join: the join that was sent.
        defects: what is wrong already.
        entries: the PDUs of state and auth chain that could be read.
        in_state: the IDs of those that are the state.
        returned: the join as it came back.
        create: the ID of the create event.
        members_omitted: whether memberships were left out.
        servers: the servers in the room, when the answer names them.
    """

    join: Event
    defects: tuple[Defect, ...]
    entries: Mapping[EventID, Entry]
    in_state: tuple[EventID, ...]
    returned: Entry | None
    create: EventID | None
    members_omitted: bool
    servers: frozenset[ServerName] | None

    @property
    def needs(self) -> dict[ServerName, frozenset[str]]:
        """The keys to fetch: for each server that must have signed, key IDs that it used."""
        needed: dict[ServerName, set[str]] = {}
        wanted = [(entry, required_signers(entry.event)) for entry in self.entries.values()]
        # Of the join itself, only who vouches for it is in question: the rest is ours.
        returned = [self.returned] if self.returned else []
        wanted += [
            (entry, frozenset({server_of(entry.event.authorised_via)}))
            for entry in (*self.entries.values(), *returned)
            if entry.event.authorised_via
        ]
        for entry, servers in wanted:
            for server in servers:
                of_server = entry.signatures.get(server)
                if isinstance(of_server, Mapping):
                    needed.setdefault(server, set()).update(of_server)
        return {server: frozenset(key_ids) for server, key_ids in needed.items()}

    def audit(
        self,
        keys: KeyRing,
        *,
        map: Callable[..., Iterable[Any]] = map,  # noqa: A002 - it is one
        piece: int = 256,
    ) -> Audit:
        """Check signatures, judge every event, and say what is left.

        Args:
            keys: the keys that `needs` asked for, as far as they could be had.
            map: maps a function over pieces of work: the built-in one, or that of a
                pool of threads, of processes, or of a cluster. The function and the
                pieces can be pickled.
            piece: events in one piece.

        Returns:
            The audit. Cost: linear in the answer, 50 us of it for each signature.
        """
        return _Auditor(self).audit(keys, map, piece)


def examine(
    response: SendJoinResponse, join: Event, *, asked_to_omit: bool, resident: str
) -> Examination:
    """Read the answer to send_join.

    Args:
        response: the answer.
        join: the join that was sent.
        asked_to_omit: whether the request allowed to leave memberships out.
        resident: the server that answered.

    Returns:
        What was read. Cost: linear in the answer.
    """
    return _Examiner(join).examine(response, asked_to_omit, ServerName(resident))


class _Examiner:
    """Reads one answer; lives no longer than that."""

    def __init__(self, join: Event) -> None:
        self.join = join
        self.defects: list[Defect] = []
        # Most auth events are the same few: one text for each serves all.
        self.ids: dict[EventID, EventID] = {}

    def fatal(self, code: str, detail: str) -> None:
        self.defects.append(Defect(Severity.FATAL, code, detail))

    def dropped(self, code: str, detail: str, event_id: str = "") -> None:
        self.defects.append(Defect(Severity.DROPPED, code, detail, event_id))

    def examine(
        self,
        response: SendJoinResponse,
        asked_to_omit: bool,  # noqa: FBT001 - private
        resident: ServerName,
    ) -> Examination:
        if response.members_omitted and not asked_to_omit:
            self.fatal("members_omitted_unasked", "memberships were left out, unasked")
        if response.members_omitted and not response.servers_in_room:
            self.fatal("no_servers_in_room", "memberships were left out, and no servers named")
        state = self.places(self.read(response.state, "state"))
        creates = [entry for entry in state.values() if entry.event.type == "m.room.create"]
        chained = {
            entry.event.event_id: entry for entry in self.read(response.auth_chain, "auth_chain")
        }
        self.create(creates, chained)
        entries = {entry.event.event_id: entry for entry in state.values()}
        in_state = tuple(entries)
        servers = None
        if response.servers_in_room:
            servers = frozenset(map(ServerName, response.servers_in_room)) | {resident}
        returned = self.returned(response.event)
        return Examination(
            join=self.join,
            defects=tuple(self.defects),
            entries={**chained, **entries},
            in_state=in_state,
            returned=returned,
            create=creates[0].event.event_id if len(creates) == 1 else None,
            members_omitted=response.members_omitted,
            servers=servers,
        )

    def read(self, pdus: Iterable[bytes], where: str) -> Iterator[Entry]:
        version = self.join.room_version
        for index, pdu in enumerate(pdus):
            try:
                entry = self.entry(pdu)
            except InvalidEvent as error:
                self.dropped("malformed", f"{where}[{index}] is no event: {error}")
                continue
            event = entry.event
            if event.room_version is version and event.room_id == self.join.room_id:
                yield entry
            else:
                self.dropped("other_room", "it belongs to another room", event.event_id)

    def entry(self, pdu: bytes) -> Entry:
        version = self.join.room_version
        read = read_pdu(pdu, version)
        document = read.document
        intern = self.ids.setdefault
        return Entry(
            event=read.event,
            covered=read.covered or signed_bytes(document, version),
            signatures=document["signatures"],
            sent=document["origin_server_ts"] if version.enforces_key_validity else None,
            auth_events=tuple(
                [intern(found, found) for found in references(document, "auth_events", version)]
            ),
            hash_matches=content_hash(document) == document["hashes"]["sha256"].rstrip("="),
        )

    def places(self, entries: Iterable[Entry]) -> dict[tuple[str, str], Entry]:
        """The entries by place in the state, the first of each."""
        state: dict[tuple[str, str], Entry] = {}
        for entry in entries:
            event = entry.event
            if event.state_key is None:
                self.dropped("no_state", "it stands in the state and is none", event.event_id)
            elif (first := state.setdefault((event.type, event.state_key), entry)) is not entry:
                if first.event != event and event.type == "m.room.create":
                    self.fatal("two_create_events", "the state has two create events")
                elif first.event != event:
                    self.dropped(
                        "same_place", f"{first.event.event_id} has its place", event.event_id
                    )
        return state

    def create(self, creates: list[Entry], chained: Mapping[EventID, Entry]) -> None:
        if len(creates) != 1:
            self.fatal("no_create_event", f"the state has {len(creates)} create events, not one")
            return
        create = creates[0].event
        announced = self.join.room_version.identifier
        named = create.view.room_version if isinstance(create.view, Create) else None
        if named != announced:
            self.fatal(
                "other_room_version",
                f"the create event names room version {named!r}, make_join named {announced!r}",
            )
        for entry in chained.values():
            if entry.event.type == "m.room.create" and entry.event != create:
                self.fatal("two_create_events", "the auth chain has another create event")

    def returned(self, pdu: bytes | None) -> Entry | None:
        """The join as the answer gives it back."""
        if pdu is None:
            return None
        try:
            entry = self.entry(pdu)
        except InvalidEvent as error:
            self.fatal("altered_join", f"the join came back as no event: {error}")
            return None
        if entry.event != self.join:
            self.fatal("altered_join", f"another event came back: {entry.event.event_id}")
            return None
        return entry


class _Auditor:
    """Judges one answer; lives no longer than that."""

    def __init__(self, examination: Examination) -> None:
        self.examination = examination
        self.entries = examination.entries
        self.join = examination.join
        self.version = self.join.room_version
        self.defects = list(examination.defects)
        self.good: dict[EventID, Event] = {}
        self.fallen: dict[EventID, EventID] = {}  # who fell -> the root of it

    def audit(self, keys: KeyRing, mapped: Callable[..., Iterable[Any]], piece: int) -> Audit:
        returned = self.examination.returned
        entries = [*self.entries.values(), *([returned] if returned else [])]
        signed = self.signed(entries, keys, mapped, piece)
        for entry, signers in zip(entries, signed, strict=True):
            if entry is not returned:
                self.take(entry, signers)
        self.judge_all()
        join = self.countersigned(signed[-1] if returned else frozenset())
        state = self.state()
        self.judge_join(join, state)
        fatal = [defect for defect in self.defects if defect.severity is Severity.FATAL]
        others = [defect for defect in self.defects if defect.severity is not Severity.FATAL]
        in_state = set(self.examination.in_state)
        return Audit(
            event=join,
            state=None if fatal else state.with_event(join),
            auth_chain={
                event_id: event for event_id, event in self.good.items() if event_id not in in_state
            },
            servers=self.servers(state),
            defects=tuple(fatal + others),
        )

    def signed(
        self,
        entries: list[Entry],
        keys: KeyRing,
        mapped: Callable[..., Iterable[Any]],
        piece: int,
    ) -> list[frozenset[ServerName]]:
        """The servers that signed each entry, by signatures checked in pieces."""
        checks: list[SignatureCheck] = []
        owners: list[tuple[int, ServerName]] = []
        for index, entry in enumerate(entries):
            for server, usable in usable_signatures(entry.signatures, keys, entry.sent):
                pairs = tuple([(key.verify_key, signature) for key, signature in usable])
                checks.append((entry.covered, pairs))
                owners.append((index, server))
        pieces = [checks[start : start + piece] for start in range(0, len(checks), piece)]
        verdicts = chain.from_iterable(mapped(check_signatures, pieces))
        signers: list[frozenset[ServerName]] = [_NOBODY] * len(entries)
        alone: dict[ServerName, frozenset[ServerName]] = {}
        for (index, server), good in zip(owners, verdicts, strict=True):
            if good:
                one = alone.setdefault(server, frozenset((server,)))
                signers[index] = signers[index] | one if signers[index] else one
        return signers

    def take(self, entry: Entry, signers: frozenset[ServerName]) -> None:
        """Take an event whose signatures suffice, redacted if it was altered."""
        event = entry.event
        missing = required_signers(event) - signers
        if missing:
            servers = ", ".join(sorted(missing))
            self.drop(event, "bad_signature", f"no good signature of {servers} is on it")
            return
        if not entry.hash_matches:
            event = event.redacted()
            self.defects.append(
                Defect(Severity.REDACTED, "bad_hash", "its content was altered", event.event_id)
            )
        self.good[event.event_id] = evolve(event, signed_by=signers)

    def drop(self, event: Event, code: str, detail: str, decision: Decision | None = None) -> None:
        self.fallen[event.event_id] = event.event_id
        self.defects.append(
            Defect(Severity.DROPPED, code, detail, event.event_id, decision=decision)
        )

    def judge_all(self) -> None:
        """Judge every event after those that authorise it."""
        absent: set[EventID] = set()
        create = self.good.get(self.examination.create) if self.examination.create else None
        for event_id in self.in_order():
            event = self.good.get(event_id)
            if event is None:
                continue
            listed = self.entries[event_id].auth_events
            absent.update(found for found in listed if found not in self.entries)
            root = next((self.root(found) for found in listed if found not in self.good), None)
            if root is not None:
                self.fall(event, root)
                continue
            decision = self.judge(event, [self.good[found] for found in listed], create)
            if not decision.allowed:
                del self.good[event_id]
                self.drop(event, "rejected", str(decision), decision)
        for event_id in sorted(absent):
            self.defects.append(
                Defect(Severity.NOTED, "missing_auth_event", "it is listed and absent", event_id)
            )

    def root(self, event_id: EventID) -> EventID:
        return self.fallen.get(event_id, event_id)

    def fall(self, event: Event, root: EventID) -> None:
        del self.good[event.event_id]
        self.fallen[event.event_id] = root
        detail = f"{root}, on which it depends, fell or is missing"
        self.defects.append(
            Defect(Severity.DROPPED, "depends_on_fallen", detail, event.event_id, root)
        )

    def judge(self, event: Event, listed: list[Event], create: Event | None) -> Decision:
        decision = auth.check_auth_events(event, listed, create=create)
        if not decision.allowed or event.type == "m.room.create":
            return decision
        if self.version.room_id_is_create_event and create is not None:
            listed = [create, *listed]
        return auth.check(event, RoomState.of(self.version, listed))

    def in_order(self) -> Iterator[EventID]:
        """All entries, each after its auth events. What goes in a circle is dropped."""
        done: set[EventID] = set()
        open_: set[EventID] = set()
        for start in self.entries:
            stack = [start]
            while stack:
                event_id = stack[-1]
                if event_id in done:
                    stack.pop()
                elif event_id in open_:
                    stack.pop()
                    open_.discard(event_id)
                    done.add(event_id)
                    yield event_id
                else:
                    open_.add(event_id)
                    waiting = [
                        found
                        for found in self.entries[event_id].auth_events
                        if found in self.entries and found not in done
                    ]
                    if any(found in open_ for found in waiting):
                        self.circle(event_id)
                        waiting = [found for found in waiting if found not in open_]
                    stack.extend(waiting)

    def circle(self, event_id: EventID) -> None:
        event = self.good.pop(event_id, None)
        if event is not None:
            self.drop(event, "circle", "its auth events lead back to itself")

    def countersigned(self, signers: frozenset[ServerName]) -> Event:
        """The join with the signature of the server that vouches for it."""
        join = self.join
        if not join.authorised_via:
            return join
        server = server_of(join.authorised_via)
        returned = self.examination.returned
        if server in join.signed_by or returned is None or server not in signers:
            if server not in join.signed_by:
                self.defects.append(
                    Defect(
                        Severity.FATAL,
                        "not_countersigned",
                        f"{server}, whose user vouches, did not sign the join",
                        join.event_id,
                    )
                )
            return join
        pdu = join.to_pdu()
        pdu["signatures"] = {**pdu["signatures"], server: returned.signatures[server]}
        signed = Event.from_pdu(pdu, self.version, event_id=join.event_id)
        return signed.with_signers(join.signed_by | {server})

    def state(self) -> RoomState:
        found = [
            self.good[event_id] for event_id in self.examination.in_state if event_id in self.good
        ]
        return RoomState.of(
            self.version,
            found,
            partial=self.examination.members_omitted,
            servers=self.examination.servers,
        )

    def servers(self, state: RoomState) -> frozenset[ServerName]:
        named = self.examination.servers
        if named is not None:
            return named
        return _NOBODY if state.is_partial else state.servers_in_room

    def judge_join(self, join: Event, state: RoomState) -> None:
        listed = join.auth_events
        absent = [event_id for event_id in listed if event_id not in self.good]
        for event_id in absent:
            self.defects.append(
                Defect(
                    Severity.FATAL,
                    "join_unauthorised",
                    "the join needs it, and it is missing or fell",
                    event_id,
                )
            )
        if absent:
            return
        create = state.create_event
        decision = self.judge(join, [self.good[event_id] for event_id in listed], create)
        if decision.allowed:
            decision = auth.check(join, state)
        if not decision.allowed and not decision.undecided:
            self.defects.append(
                Defect(Severity.FATAL, "join_rejected", str(decision), join.event_id, "", decision)
            )


_NOBODY: Final[frozenset[ServerName]] = frozenset()
