"""Judging the events of an answer to send_join: signatures, rules, and who falls with whom.

Verifying takes longest, and a pool can do it; so the events are judged meanwhile as if
all signatures were good, which they are unless a server lies. If one is not, all is
judged once more without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from matrix_membership import auth
from matrix_membership._attrs import constant
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonObject
from matrix_membership.errors import LocalProtocolError
from matrix_membership.events import Event
from matrix_membership.events.event import with_evidence
from matrix_membership.events.facts import Facts
from matrix_membership.federation._needs import Needs
from matrix_membership.federation.audit._contradictions import contradictions, untold
from matrix_membership.federation.audit._order import in_order
from matrix_membership.federation.audit._report import (
    OTHER_VERSION,
    Audit,
    Defect,
    Entry,
    Severity,
    other_version,
)
from matrix_membership.federation.audit._signers import (
    NOBODY,
    Signers,
    found_signers,
    supposed_signers,
    usable,
)
from matrix_membership.identifiers import EventID, ServerName, server_of
from matrix_membership.receipt.listed_events import (
    judge_by_listed_events,
    state_of_listed_events,
)
from matrix_membership.signing import (
    ALGORITHM,
    KeyRing,
    can_help,
    check_signatures,
    required_signers,
    signature_error,
    with_signatures,
)
from matrix_membership.state import RoomState

__all__ = ["MOST_SERVERS_OF_ANSWER", "Examination"]

MOST_SERVERS_OF_ANSWER: Final = 20_000
"""How many servers an answer to send_join can make its receiver ask for keys."""


@constant
class Examination:
    """An answer that was read, before its signatures are checked.

    Attributes:
        join: the join that was sent.
        defects: what is wrong already.
        entries: the events of state and auth chain, by ID.
        in_state: the IDs of those that are the state.
        copies: other copies of them, with other signatures or altered.
        returned: the join as it came back.
        create: the ID of the create event.
        members_omitted: whether memberships were left out.
        servers: the servers that the answer names as those in the room, and the one
            that gave it; None when it names none.
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
        """The keys to fetch: for each server that must have signed, key IDs that it used.

        At most `MOST_SERVERS_OF_ANSWER` are named: the authorising server of the join, then
        those of the auth chain, then those of the state. The events of others lack their
        signatures in the audit, which says so. Cost: linear in the answer.
        """
        needs = Needs(MOST_SERVERS_OF_ANSWER)
        # Of the join itself, only its authorising server is in question: the rest is ours.
        if self.returned is not None and self.join.authorised_via:
            authorising = self.join.authorising_server
            for server, key_id, _ in self.returned.signed:
                if server == authorising:
                    needs.add(server, key_id)
        for entry in chain(self.entries.values(), self.copies):
            required = required_signers(entry)
            authorising = entry.authorising_server
            for server, key_id, _ in entry.signed:
                if server in required or (authorising and server == authorising):
                    needs.add(server, key_id)
        return needs.given()

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
                pieces can be pickled. What works on them meanwhile does so while the
                events are judged here.
            piece: events in one piece.

        Returns:
            The audit. Cost: linear in the answer, 50 us of it for each signature.

        Raises:
            LocalProtocolError: the map did not give a verdict for each signature.
        """
        entries = [*self.entries.values(), *self.copies]
        if self.returned is not None:
            entries.append(self.returned)
        supposed, pieces = supposed_signers(entries, keys, piece)
        count = sum(len(checks) for checks in pieces)
        coming = map(check_signatures, pieces)
        audit = _Judgement(self, supposed, keys).audit()
        verdicts = list(chain.from_iterable(coming))
        if len(verdicts) != count:
            raise LocalProtocolError("a map that gives a verdict for each check", len(verdicts))
        if all(verdicts):
            return audit
        return _Judgement(self, found_signers(entries, keys, verdicts), keys).audit()


def _worth(entry: Entry, signers: Signers) -> tuple[bool, bool, int]:
    """What makes a copy of an event better than another one."""
    return not required_signers(entry) - signers, entry.hash_matches, len(signers)


class _Listed:
    """What some auth events have to say about the events that list them."""

    __slots__ = ("cases", "events", "in_order", "places", "root", "state")

    def __init__(self, events: list[Event], root: EventID | None) -> None:
        self.events = events
        self.root = root  # of what fell or is missing among them, the first that fell
        self.state: RoomState | None = None
        # Once they were in order, they are for all events that may list their places:
        # nothing else about an event, which is of this room, decides on that.
        self.in_order = False
        self.places = {(event.type, event.state_key) for event in events}
        # The cases of events that may: where no place is a user's, nothing but that decides.
        self.cases: set[str] = set()

    def learn(self, event: Event) -> None:
        """This event may list them."""
        self.in_order = True
        # Malformed members are of one case, whatever their membership.
        if self.places <= _OF_NO_USER and event.case != "m.room.member":
            self.cases.add(event.case)


_OF_NO_USER: Final = frozenset(
    {("m.room.create", ""), ("m.room.join_rules", ""), ("m.room.power_levels", "")}
)


class _Judgement:
    """Judges the events of one answer, given who signed them; lives no longer than that."""

    def __init__(self, read: Examination, signed: Sequence[Signers], keys: KeyRing) -> None:
        self.read = read
        self.keys = keys
        self.entries = read.entries
        self.join = read.join
        self.version = read.join.room_version
        self.signed = signed
        self.defects = list(read.defects)
        self.good: dict[EventID, Event] = {}
        self.fallen: dict[EventID, EventID] = {}  # who fell -> the root of it
        # Most members list the same few events.
        self.lists: dict[tuple[EventID, ...], _Listed] = {}
        # Keys that would have kept an event.
        self.needs = Needs(MOST_SERVERS_OF_ANSWER)

    def audit(self) -> Audit:
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
        told = [self.entries[event_id] for event_id in self.read.in_state]
        self.defects += contradictions(state, told, auth_chain, self.entries, join)
        self.judge_join(join, state)
        fatal = [defect for defect in self.defects if defect.severity is Severity.FATAL]
        others = [defect for defect in self.defects if defect.severity is not Severity.FATAL]
        return Audit(
            event=join,
            state=None if fatal else state.with_event(join),
            # Unlike mapping proxies, these can be pickled.
            auth_chain=JsonObject(auth_chain),  # type: ignore[arg-type]  # an event ID is text
            servers=self.servers(state),
            defects=tuple(fatal + others),
            needs=JsonObject(self.needs.given()),  # type: ignore[arg-type]  # a server name is text
        )

    def better(self) -> dict[EventID, tuple[Entry, Signers]]:
        """Of the events of which there are copies, the best, and who signed it.

        A copy that is worse harms nobody: somebody on the way may have altered it.
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
            detail = "a copy of it was altered or lacks a good signature"
            self.defects.append(Defect(Severity.NOTED, "bad_copy", detail, event_id))
        return best

    def take(self, entry: Entry, signers: Signers) -> None:
        """Take an event whose signatures suffice."""
        if entry.server not in signers or self.version.event_id_in_pdu:
            missing = required_signers(entry) - signers
            if missing:
                self.drop(entry, *self.lack(entry, missing))
                return
        event = with_evidence(entry, signers)
        if not entry.hash_matches:
            self.defects.append(
                Defect(Severity.REDACTED, "bad_hash", "its content was altered", event.event_id)
            )
        self.good[event.event_id] = event

    def lack(self, entry: Entry, missing: Signers) -> tuple[str, str]:
        """The code and the detail of an entry that lacks signatures; its keys are to be fetched.

        A server that has a usable key and did not sign has a bad signature on the entry,
        and one is enough: then no other key can save it.
        """
        servers = ", ".join(sorted(missing))
        forged = any(server in missing for server, *_ in usable(entry, self.keys))
        helpful = [
            (server, key_id)
            for server, key_id, _ in entry.signed
            if server in missing
            and key_id.startswith(f"{ALGORITHM}:")
            and can_help(self.keys.key(server, key_id), entry.sent)
        ]
        if forged or not missing <= {server for server, _ in helpful}:
            return "bad_signature", f"no good signature of {servers} is on it"
        for server, key_id in helpful:
            self.needs.add(server, key_id)
        return "unknown_key", f"no key is known for the signature of {servers}"

    def drop(self, event: Facts, code: str, detail: str, decision: Decision | None = None) -> None:
        self.fallen[event.event_id] = event.event_id
        self.defects.append(
            Defect(Severity.DROPPED, code, detail, event.event_id, decision=decision)
        )

    def compare_version(self) -> None:
        """Compare the room version with what is left of the create event.

        Up to version 10 redaction takes the version out of an altered one, so that it
        is of version 1: a liar may have put another one there, and it keeps its ID.
        """
        create = self.good.get(self.read.create) if self.read.create else None
        if create is None or any(defect.code == OTHER_VERSION for defect in self.defects):
            return
        defect = other_version(create, self.version)
        if defect is not None:
            self.defects.append(defect)

    def judge_all(self) -> None:
        """Judge every event after those that authorise it."""
        # The one on which all others depend without listing it.
        unlisted = self.read.create if self.version.room_id_is_create_event else None
        # The create event is the first: in version 12 all depend on it, and none says so.
        first = [self.read.create] if self.read.create else []
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
        absent = {found for listed in self.lists for found in listed if found not in self.entries}
        # What came and was put aside when it was read is not absent.
        for event_id in sorted(absent.difference(defect.event_id for defect in self.read.defects)):
            self.defects.append(
                Defect(Severity.NOTED, "missing_auth_event", "it is listed and absent", event_id)
            )

    def listed(self, auth_events: tuple[EventID, ...]) -> _Listed:
        """The auth events of an event, after they were judged."""
        listed = self.lists.get(auth_events)
        if listed is None:
            good = self.good
            root = next((found for found in auth_events if found not in good), None)
            events = [good[found] for found in auth_events if found in good]
            listed = _Listed(events, root and self.fallen.get(root, root))
            self.lists[auth_events] = listed
        return listed

    def fall(self, event: Event, root: EventID) -> None:
        del self.good[event.event_id]
        self.fallen[event.event_id] = root
        detail = f"{root}, on which it depends, fell or is missing"
        self.defects.append(
            Defect(Severity.DROPPED, "depends_on_fallen", detail, event.event_id, root)
        )

    def judge(self, event: Event, listed: _Listed) -> Decision:
        create = self.good.get(self.read.create) if self.read.create else None
        state = listed.state
        if state is None:
            state = state_of_listed_events(self.version, listed.events, create=create)
            listed.state = state
        known = event.case in listed.cases
        if known or (listed.in_order and listed.places <= auth.select_auth_events(event)):
            decision = auth.check(event, state)
        else:
            decision = judge_by_listed_events(event, listed.events, create=create, state=state)
        # The rules on a create event do not read its list: of that they prove nothing.
        if not known and decision.allowed and event.type != "m.room.create":
            listed.learn(event)
        return decision

    def countersigned(self, signers: Signers) -> Event:
        """The join with the signature of the server that vouches for it."""
        join = self.join
        if not join.authorised_via:
            return join
        server = server_of(join.authorised_via)
        returned = self.read.returned
        if server in join.signed_by or returned is None or server not in signers:
            if server not in join.signed_by:
                if returned is not None:
                    self.lack(returned, frozenset((server,)))
                self.defects.append(
                    Defect(
                        Severity.FATAL,
                        "not_countersigned",
                        f"{server}, whose user vouches, did not sign the join",
                        join.event_id,
                    )
                )
            return join
        # The others of that server may be anything, and would go with the join to all servers.
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
        """The state before the join; who is in it counts for more than who is said to be."""
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
        self.defects += untold(shown - read.servers)
        if not read.members_omitted:
            return state
        return RoomState.of(self.version, state.events, partial=True, servers=read.servers | shown)

    def servers(self, state: RoomState) -> frozenset[ServerName]:
        if state.is_partial and self.read.servers is None:
            return NOBODY
        return state.servers_in_room

    def judge_join(self, join: Event, state: RoomState) -> None:
        missing = signature_error(join) if join.pdu else None
        if missing is not None:
            self.defects.append(
                Defect(Severity.FATAL, "join_unsigned", str(missing), join.event_id)
            )
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
        decision = self.judge(join, self.listed(listed))
        if decision.allowed:
            decision = auth.check(join, state)
        if not decision.allowed and not decision.undecided:
            self.defects.append(
                Defect(Severity.FATAL, "join_rejected", str(decision), join.event_id, "", decision)
            )
