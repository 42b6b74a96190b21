"""Judge the events of an answer: signatures, rules, and dropped auth events.

Checking signatures takes longest, and a pool can do it. Meanwhile the events are judged as if
every signature were good, which holds unless a server lies. If one signature is bad, all
events are judged a second time without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonObject
from matrix_membership.errors import LocalProtocolError
from matrix_membership.events import Event
from matrix_membership.events.event import with_evidence
from matrix_membership.events.facts import Facts
from matrix_membership.federation.audit._order import Listed, in_order
from matrix_membership.federation.audit._report import (
    OTHER_VERSION,
    Audit,
    Defect,
    Entry,
    Severity,
    other_version,
    wrong_hash,
)
from matrix_membership.federation.audit._signers import (
    NOBODY,
    Signers,
    found_signers,
    supposed_signers,
    usable,
)
from matrix_membership.identifiers import EventID, ServerName, server_of
from matrix_membership.signing import (
    KeyRing,
    KeysToFetch,
    check_signatures,
    concerned_servers,
    required_signers,
    signature_error,
    told_apart,
    with_signatures,
)
from matrix_membership.state import RoomState

MOST_SERVERS_OF_ANSWER: Final = 20_000
"""The most servers that one answer to send_join can make its receiver ask for keys."""


@frozen
class Examination:
    """An answer that was read, before its signatures are checked.

    Attributes:
        join: the join that was sent.
        defects: what is wrong so far.
        entries: the events of state and auth chain, by ID.
        in_state: the IDs of those that are the state.
        copies: further copies of them, with other signatures or altered content.
        returned: the join as it came back; None if it did not.
        create: the ID of the create event; None without exactly one.
        members_omitted: whether memberships were left out.
        servers: the servers in the room by the answer, and the server that gave it; None
            if the answer names no servers.
    """

    join: Event
    defects: tuple[Defect, ...]
    entries: Mapping[EventID, Entry]
    in_state: tuple[EventID, ...]
    copies: tuple[Entry, ...]
    returned: Entry | None
    create: EventID | None
    members_omitted: bool
    servers: frozenset[ServerName] | None

    @property
    def needs(self) -> dict[ServerName, frozenset[str]]:
        """The keys to fetch: the key IDs of each server that has to sign.

        It names at most `MOST_SERVERS_OF_ANSWER` servers: the authorising server of the join,
        then those of the auth chain, then those of the state. The audit drops the events of
        the servers beyond them, with the defect `unknown_key`. Cost: linear in the answer.
        """
        needs = KeysToFetch(MOST_SERVERS_OF_ANSWER)
        # This server made the other signatures of the join itself.
        if self.returned is not None and self.join.authorised_via:
            authorising = self.join.authorising_server
            for server, key_id, _ in self.returned.signed:
                if server == authorising:
                    needs.add(server, key_id)
        for entry in chain(self.entries.values(), self.copies):
            concerned = concerned_servers(entry)
            for server, key_id, _ in entry.signed:
                if server in concerned:
                    needs.add(server, key_id)
        return needs.given()

    def audit(
        self,
        keys: KeyRing,
        *,
        map: Callable[..., Iterable[Any]] = map,
        piece: int = 256,
    ) -> Audit:
        """Check all signatures and judge every event.

        Args:
            keys: the keys that `needs` names, as far as they could be fetched.
            map: maps a function over pieces of work: the built-in `map`, or that of a pool
                of threads, of processes or of a cluster. Function and pieces can be
                pickled. A pool works while the events are judged here.
            piece: the number of signatures in one piece.

        Returns:
            The audit. Cost: linear in the answer, about 50 us for each signature.

        Raises:
            LocalProtocolError: `map` did not return a verdict for each signature.
        """
        entries = [*self.entries.values(), *self.copies]
        if self.returned is not None:
            entries.append(self.returned)
        supposed, pieces = supposed_signers(entries, keys, piece)
        count = sum(len(checks) for checks in pieces)
        coming = map(check_signatures, pieces)
        audit = Judgement(self, supposed, keys).audit()
        verdicts = list(chain.from_iterable(coming))
        # A `map` that loses a piece must not make the rest count as good.
        if len(verdicts) != count:
            raise LocalProtocolError("a map that gives a verdict for each check", len(verdicts))
        if all(verdicts):
            return audit
        return Judgement(self, found_signers(entries, keys, verdicts), keys).audit()


def _worth(entry: Entry, signers: Signers) -> tuple[bool, bool, int]:
    """Return the worth of a copy of an event; the greater is the better copy."""
    # Signatures come first: an unaltered copy without them proves nothing, while a redacted one
    # with them is an event of the room.
    return not required_signers(entry) - signers, entry.hash_matches, len(signers)


class Judgement:
    """Judges the events of one answer, given the signers of each. Used once."""

    def __init__(self, read: Examination, signed: Sequence[Signers], keys: KeyRing) -> None:
        self.read = read
        self.keys = keys
        self.entries = read.entries
        self.join = read.join
        self.version = read.join.room_version
        self.signed = signed
        self.defects = list(read.defects)
        self.good: dict[EventID, Event] = {}
        # The good events that were judged, each after those that it cites.
        self.kept: list[Event] = []
        # For each dropped event, the first dropped event that it depends on.
        self.fallen: dict[EventID, EventID] = {}
        self.lists: dict[tuple[EventID, ...], Listed] = {}
        # The keys with which a dropped event could have been kept.
        self.needs = KeysToFetch(MOST_SERVERS_OF_ANSWER)

    def audit(self) -> Audit:
        """Judge everything, and return what is left."""
        better = self.better() if self.read.copies else {}
        for first, signed in zip(self.entries.values(), self.signed, strict=False):
            self.take(*better.get(first.event_id, (first, signed)))
        self.compare_version()
        self.judge_all()
        join = self.countersigned(self.signed[-1] if self.read.returned else NOBODY)
        state = self.state()
        auth_chain = {
            event_id: event
            for event_id, event in self.good.items()
            if event.state_key is None or state.get(event.type, event.state_key) is not event
        }
        self.contradictions(state, auth_chain, join)
        self.judge_join(join, state)
        fatal = [defect for defect in self.defects if defect.severity is Severity.FATAL]
        others = [defect for defect in self.defects if defect.severity is not Severity.FATAL]
        return Audit(
            event=join,
            state=None if fatal else state.with_event(join),
            to_store=() if fatal else self.to_store(join),
            # A process pool of the caller may pickle the audit; a mapping proxy refuses that.
            auth_chain=JsonObject(auth_chain),  # type: ignore[arg-type]  # an event ID is text
            servers=self.servers(state),
            defects=tuple(fatal + others),
            needs=JsonObject(self.needs.given()),  # type: ignore[arg-type]  # a server name is text
        )

    def better(self) -> dict[EventID, tuple[Entry, Signers]]:
        """Return, for each event with several copies, the best copy and its signers.

        A worse copy is only noted: a server on the way may have altered it.
        """
        first = dict(zip(self.entries, self.signed, strict=False))
        best: dict[EventID, tuple[Entry, Signers]] = {}
        worse: dict[EventID, None] = {}
        for entry, signers in zip(self.read.copies, self.signed[len(first) :], strict=False):
            event_id = entry.event_id
            held = best.get(event_id, (self.entries[event_id], first[event_id]))
            worth, other = _worth(entry, signers), _worth(*held)
            best[event_id] = (entry, signers) if worth > other else held
            if worth[:2] != other[:2]:
                worse[event_id] = None
        for event_id in worse:
            detail = "a copy of it was redacted or altered, or lacks a good signature"
            self.defects.append(Defect(Severity.NOTED, "bad_copy", detail, event_id))
        return best

    def take(self, entry: Entry, signers: Signers) -> None:
        """Keep an event that has all required signatures; drop any other."""
        # From version 3 on, most events need the signature of their sender's server alone.
        if entry.server not in signers or self.version.event_id_in_pdu:
            missing = required_signers(entry) - signers
            if missing:
                self.drop(entry, *self.lack(entry, missing))
                return
        event = with_evidence(entry, signers)
        if not entry.hash_matches:
            self.defects.append(wrong_hash(entry))
        self.good[event.event_id] = event

    def lack(self, entry: Entry, missing: Signers) -> tuple[str, str]:
        """Return the code and detail of the defect of an event that lacks signatures.

        One bad signature is enough: fetching another key cannot save the event. Otherwise the
        keys that could save it join `needs`.
        """
        servers = ", ".join(sorted(missing))
        counting: dict[ServerName, list[str]] = {}
        for server, key_id, _ in entry.signed:
            counting.setdefault(server, []).append(key_id)
        why = told_apart(counting, missing, self.keys, entry.sent)
        if why.forged or why.unsigned:
            return "bad_signature", f"no good signature of {servers} is on it"
        for server, key_id in sorted(why.unknown_keys):
            self.needs.add(server, key_id)
        return "unknown_key", f"no key is known for the signature of {servers}"

    def drop(self, event: Facts, code: str, detail: str, decision: Decision | None = None) -> None:
        """Drop an event for a fault of its own."""
        self.fallen[event.event_id] = event.event_id
        self.defects.append(
            Defect(Severity.DROPPED, code, detail, event.event_id, decision=decision)
        )

    def compare_version(self) -> None:
        """Compare the announced room version with the create event as it is kept.

        Up to version 10, redaction removes the room version of an altered create event, which
        then counts as version 1. Without this check a resident server could add the version
        that it announced to a create event of version 1: the event ID stays the same.
        """
        create = self.good.get(self.read.create) if self.read.create else None
        if create is None or any(defect.code == OTHER_VERSION for defect in self.defects):
            return
        defect = other_version(create, self.version)
        if defect is not None:
            self.defects.append(defect)

    def judge_all(self) -> None:
        """Judge every event, each after its auth events."""
        # In version 12 every event depends on the create event without listing it.
        unlisted = self.read.create if self.version.room_id_is_create_event else None
        first = [self.read.create] if self.read.create else []
        # The create event first, since in version 12 no list names it, and its fall takes all
        # others along.
        for event_id, leads_back in in_order((*first, *self.entries), self.entries, self.lists):
            event = self.good.get(event_id)
            if event is None:
                continue
            if leads_back:
                del self.good[event_id]
                self.drop(event, "circle", "its auth events lead back to itself")
                continue
            listed = self.listed(self.entries[event_id].auth_events)
            root = listed.root
            if root is None and unlisted in self.fallen:
                root = unlisted
            if root is not None:
                self.fall(event, root)
                continue
            decision = self.judge(event, listed)
            if not decision.allowed:
                del self.good[event_id]
                self.drop(event, "rejected", str(decision), decision)
                continue
            self.kept.append(event)
        self.note_absent()

    def note_absent(self) -> None:
        """Note the auth events that the answer does not have."""
        absent = {found for listed in self.lists for found in listed if found not in self.entries}
        # An event that was dropped while it was read did come, and has a defect of its own.
        for event_id in sorted(absent.difference(defect.event_id for defect in self.read.defects)):
            detail = "it is listed and absent"
            self.defects.append(Defect(Severity.NOTED, "missing_auth_event", detail, event_id))

    def listed(self, auth_events: tuple[EventID, ...]) -> Listed:
        """Return what is known of a list of auth events, after each was judged."""
        listed = self.lists.get(auth_events)
        if listed is None:
            good = self.good
            root = next((found for found in auth_events if found not in good), None)
            events = [good[found] for found in auth_events if found in good]
            listed = Listed(auth_events, events, root and self.fallen.get(root, root))
            self.lists[auth_events] = listed
        return listed

    def fall(self, event: Event, root: EventID) -> None:
        """Drop an event because one that it depends on was dropped or is missing."""
        del self.good[event.event_id]
        self.fallen[event.event_id] = root
        detail = f"{root}, on which it depends, fell or is missing"
        self.defects.append(
            Defect(Severity.DROPPED, "depends_on_fallen", detail, event.event_id, root=root)
        )

    def judge(self, event: Event, listed: Listed) -> Decision:
        """Judge an event by its auth events."""
        state = listed.state
        known = event.case in listed.cases
        # Most events end here: their case and their list were judged before.
        if known and state is not None:
            return auth.check(event, state)
        create = self.good.get(self.read.create) if self.read.create else None
        if state is None:
            # As in `auth.judge`: up to version 11 an event lists its create event.
            held = list(listed.events)
            if self.version.room_id_is_create_event and create is not None:
                held.append(create)
            state = RoomState.of(self.version, held)
            listed.state = state
        if listed.in_order and listed.places <= auth.select_auth_events(event):
            decision = auth.check(event, state)
        else:
            decision = auth.judge(
                event, listed.events, create=create, listed_ids=listed.ids, state=state
            )
        # The rules on a create event do not read its list, so they prove nothing about it.
        if decision.allowed and event.type != "m.room.create":
            listed.learn(event)
        return decision

    def countersigned(self, signers: Signers) -> Event:
        """Return the join with the signature of its authorising server, if it came."""
        join = self.join
        if not join.authorised_via:
            return join
        server = server_of(join.authorised_via)
        returned = self.read.returned
        if server in join.signed_by or returned is None or server not in signers:
            if server not in join.signed_by:
                if returned is not None:
                    self.lack(returned, frozenset((server,)))
                detail = f"{server}, whose user authorises the join, did not sign it"
                self.defects.append(
                    Defect(Severity.FATAL, "not_countersigned", detail, join.event_id)
                )
            return join
        # Only checked signatures are taken: the join goes to all servers with what is added.
        return with_signatures(
            join,
            server,
            {
                key_id: text
                for name, key_id, _, text in usable(returned, self.keys)
                if name == server
            },
        )

    def state(self) -> RoomState:
        """Return the state before the join.

        If members were left out, its servers are those that the answer names, and those of
        joined members that it shows without naming their servers.
        """
        read, good = self.read, self.good
        state = RoomState.of(
            self.version,
            [good[event_id] for event_id in read.in_state if event_id in good],
            partial=read.members_omitted,
            servers=read.servers if read.members_omitted else None,
        )
        if read.servers is None:
            return state
        shown = frozenset(map(server_of, state.joined_members()))
        for server in sorted(shown - read.servers):
            detail = f"{server} has a joined member, and is not among the servers in the room"
            self.defects.append(Defect(Severity.NOTED, "server_untold", detail))
        if not read.members_omitted:
            return state
        return RoomState.of(self.version, state.events, partial=True, servers=read.servers | shown)

    def contradictions(
        self, state: RoomState, auth_chain: Mapping[EventID, Event], join: Event
    ) -> None:
        """Note signs that the state in the answer is not that before the join.

        None of them proves a lie. State resolution can undo an event, and a server that sends a
        join twice is in the room the second time.
        """
        # As it was told, with what the audit dropped: a place whose event fell is not empty, and
        # its event has a defect already.
        told = (self.entries[event_id] for event_id in self.read.in_state)
        places = {(entry.type, entry.state_key) for entry in told}
        if state.get("m.room.member", join.sender) == join:
            detail = "the state is the one after the join"
            self.defects.append(Defect(Severity.NOTED, "after_join", detail, join.event_id))
        for event_id, event in auth_chain.items():
            if event.state_key is None:
                continue
            there = state.get(event.type, event.state_key)
            # If members were omitted, an absent one contradicts nothing.
            left_out = state.is_partial and event.type == "m.room.member"
            if there is not None and there.event_id in self.entries[event_id].auth_events:
                detail = f"{event_id} of the chain has replaced it"
                self.defects.append(Defect(Severity.NOTED, "replaced", detail, there.event_id))
            elif not left_out and (event.type, event.state_key) not in places:
                detail = "nothing in the state has its place"
                self.defects.append(Defect(Severity.NOTED, "absent_from_state", detail, event_id))

    def to_store(self, join: Event) -> tuple[Event, ...]:
        """Return the good events and the join, each after the events that it cites."""
        if join.event_id not in self.good:
            return (*self.kept, join)
        # The join came before, and its answer was lost. This copy has its signatures.
        return tuple([join if event == join else event for event in self.kept])

    def servers(self, state: RoomState) -> frozenset[ServerName]:
        """Return the servers in the room; none if nobody told."""
        if state.is_partial and self.read.servers is None:
            return NOBODY
        return state.servers_in_room

    def judge_join(self, join: Event, state: RoomState) -> None:
        """Judge the join itself, by its auth events and by the state before it."""
        missing = signature_error(join) if join.pdu else None
        if missing is not None:
            self.defects.append(
                Defect(Severity.FATAL, "join_unsigned", str(missing), join.event_id)
            )
        listed = join.auth_events
        absent = [event_id for event_id in listed if event_id not in self.good]
        for event_id in absent:
            detail = "the join needs it, and it is missing or fell"
            self.defects.append(Defect(Severity.FATAL, "join_unauthorised", detail, event_id))
        # A rejection by the rules would only repeat what is missing.
        if absent:
            return
        # As on receipt: first by what the join lists, then by the state before it.
        decision = self.judge(join, self.listed(listed))
        if decision.allowed:
            decision = auth.check(join, state)
        # Omitted members leave the decision open. The resident server had them all when it let the
        # join in.
        if not decision.allowed and not decision.undecided:
            detail = str(decision)
            self.defects.append(
                Defect(Severity.FATAL, "join_rejected", detail, join.event_id, decision=decision)
            )
