"""The work, done by Synapse's functions: those that its own code calls for it, without database, keyring or reactor.

What is left out favours Synapse. So do two things that it does and that are not done here: it parses nothing
of a transaction around a PDU, and it fetches no keys and no events.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from signedjson.key import decode_verify_key_bytes
from signedjson.sign import SignatureVerifyException, verify_signed_json
from synapse.api.errors import SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS, RoomVersions
from synapse.crypto.event_signing import check_event_content_hash
from synapse.crypto.keyring import VerifyJsonRequest
from synapse.event_auth import (
    auth_types_for_event,
    check_state_dependent_auth_rules,
    check_state_independent_auth_rules,
    validate_event_for_room_version,
)
from synapse.events import make_event_from_dict
from synapse.events.utils import prune_event
from synapse.federation.federation_base import event_from_pdu_json
from synapse.federation.transport.client import SendJoinParser
from synapse.state.v2 import resolve_events_with_store
from synapse.storage.databases.main.event_federation import StateDifference
from synapse.types import get_domain_from_id
from synapse.types.state import StateFilter
from synapse.util.iterutils import sorted_topologically
from synapse.util.json import json_decoder
from unpaddedbase64 import decode_base64

from tests.bench_synapse.tasks import (
    ANSWER,
    BOTH,
    CROWD,
    INSIDE,
    KEPT,
    LISTED,
    PREPARED,
    READ,
    RECEIPT,
    RESOLVED,
    Task,
)
from tests.bench_synapse.work import Answer, Fork, Question, Work

# Synapse is not there when types are checked.
SynapseEvent: TypeAlias = Any
VerifyKey: TypeAlias = Any
Places: TypeAlias = Mapping[tuple[str, str], SynapseEvent]
Keys: TypeAlias = Mapping[str, Mapping[str, VerifyKey]]

V11 = RoomVersions.V11
CHUNK = 65_536
"""Bytes that a connection hands on at once."""


def tasks(work: Work) -> Iterator[tuple[str, Task]]:
    """All that is to be done, by name; what this library does prepared, Synapse does as ever."""
    for kind, sizes in work.questions.items():
        for users, question in sizes.items():
            for name in (LISTED, PREPARED, KEPT):
                yield name.format(kind=kind, users=users), _judged(question)
            for name, both in ((INSIDE, False), (BOTH, True)):
                yield name.format(kind=kind, users=users), _judged_anew(question, both=both)
    keys = {
        server: {
            key_id: decode_verify_key_bytes(key_id, decode_base64(key))
            for key_id, key in published.items()
        }
        for server, published in work.keys.items()
    }
    yield READ, _read(work.join)
    for room, received in work.receipts.items():
        yield RECEIPT.format(room=room), _received(received, keys)
    for room, answers in work.answers.items():
        for members, answer in answers.items():
            yield ANSWER.format(members=members, room=room), _answer(answer, keys)
    for room, forks in work.forks.items():
        for places, fork in forks.items():
            yield RESOLVED.format(members=places, room=room), _resolved(fork)
    public = work.questions["public join"]
    yield CROWD.format(crowd=work.crowd), _crowd(public[min(public)], work.crowd)


def _made(pdu: str) -> SynapseEvent:
    return make_event_from_dict(json_decoder.decode(pdu), V11)


def _places(events: Iterable[SynapseEvent]) -> Places:
    return {(event.type, event.state_key): event for event in events}


def _selected(event: SynapseEvent, state: Places) -> list[SynapseEvent]:
    """The events of the state that authorise an event."""
    return [state[place] for place in auth_types_for_event(V11, event) if place in state]


def listing(question: Question) -> tuple[SynapseEvent, list[SynapseEvent]]:
    """An event that lists what authorises it, and those events."""
    pdu = json_decoder.decode(question.event)
    listed = _selected(_made(question.event), _places(map(_made, question.state)))
    names = [entry.event_id for entry in listed]
    return make_event_from_dict({**pdu, "auth_events": names}, V11), listed


def signed(event: SynapseEvent, question: Question) -> None:
    """Sign an event for all servers whose signatures count; Synapse looks only for their names."""
    event.signatures.update({server: {"ed25519:1": "A" * 86} for server in question.signed_by})


def _judged(question: Question) -> Task:
    event, listed = listing(question)
    return judging(partial(check_state_dependent_auth_rules, event, listed))


def _judged_anew(question: Question, *, both: bool) -> Task:
    _, listed = listing(question)
    at_hand = {entry.event_id: entry for entry in listed}
    store = Store(at_hand)

    def by_state(event: SynapseEvent) -> None:
        check_state_dependent_auth_rules(event, listed)

    def by_both(event: SynapseEvent) -> None:
        finished(check_state_independent_auth_rules(store, event, at_hand))
        by_state(event)

    return judging(Anew(question, by_both if both else by_state))


class Anew:
    """Checks another copy of an event each time, as a server checks each event once.

    Args:
        question: the event.
        check: checks one.
        forget: is called when all copies were checked, before they are checked again.
    """

    COPIES: Final = 2_000

    def __init__(
        self,
        question: Question,
        check: Callable[[SynapseEvent], None],
        *,
        forget: Callable[[], object] = list,
    ) -> None:
        event, _ = listing(question)
        signed(event, question)
        self._copies = [event.deep_copy() for _ in range(self.COPIES)]
        self._next = iter(self._copies).__next__
        self._check, self._forget = check, forget

    def __call__(self) -> None:
        """Check the next one."""
        try:
            event = self._next()
        except StopIteration:
            self._forget()
            self._next = iter(self._copies).__next__
            event = self._next()
        self._check(event)


def judging(call: Callable[[], object]) -> Task:
    """Make the task of a check that raises where it rejects."""

    def result() -> bool:
        try:
            call()
        except SynapseError:
            return False
        return True

    return Task(call, result)


def finished(asked: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine that has all at hand."""
    try:
        asked.send(None)
    except StopIteration:
        return
    raise RuntimeError("Synapse waits for something that is not here")


def _read(text: str) -> Task:
    pdu = text.encode()

    def call() -> object:
        return _made(pdu.decode()).event_id

    return Task(call, call)


class Store:
    """The one method of Synapse's store that its rules before the state call."""

    def __init__(self, events: Mapping[str, SynapseEvent]) -> None:
        self._events = events

    async def get_events(
        self, event_ids: Collection[str], *_: object, **__: object
    ) -> dict[str, SynapseEvent]:
        """Those of the events that are there."""
        return {id: self._events[id] for id in event_ids if id in self._events}


def _authorise(event: SynapseEvent, at_hand: Mapping[str, SynapseEvent]) -> None:
    """Check an event against the events that it lists, before the state and by it."""
    validate_event_for_room_version(event)
    finished(check_state_independent_auth_rules(Store(at_hand), event, at_hand))
    check_state_dependent_auth_rules(event, [at_hand[id] for id in event.auth_event_ids()])


def _verify(event: SynapseEvent, keys: Keys) -> SynapseEvent:
    """The event, if its server signed it; redacted, if its content is not the one that was hashed."""
    server = get_domain_from_id(event.sender)
    request = VerifyJsonRequest.from_event(server, event, 0)
    for key_id in request.key_ids:
        verify_signed_json(request.get_json_object(), server, keys[server][key_id])
    return event if check_event_content_hash(event) else prune_event(event)


def _received(question: Question, keys: Keys) -> Task:
    pdu = question.event.encode()
    state = _places(map(_made, question.state))
    at_hand = {event.event_id: event for event in state.values()}

    def call() -> object:
        event = event_from_pdu_json(json_decoder.decode(pdu.decode()), V11)
        verified = _verify(event, keys)
        _authorise(verified, at_hand)
        # When the state selects what the event lists, Synapse does not judge it again.
        selected = _selected(verified, state)
        if {found.event_id for found in selected} != set(verified.auth_event_ids()):
            check_state_dependent_auth_rules(verified, selected)
        return event.event_id if verified is event else None

    return Task(call, call)


def _answer(answer: Answer, keys: Keys) -> Task:
    body = answer.body.encode()

    def call() -> dict[str, SynapseEvent]:
        parser = SendJoinParser(V11, v1_api=False)
        for start in range(0, len(body), CHUNK):
            parser.write(body[start : start + CHUNK])
        response = parser.finish()
        # Synapse verifies an event once for each place where it stands; here it is done once.
        events = {event.event_id: event for event in (*response.auth_events, *response.state)}
        events[response.event.event_id] = response.event
        good: dict[str, SynapseEvent] = {}
        refers = {event_id: event.auth_event_ids() for event_id, event in events.items()}
        for event_id in sorted_topologically(events, refers):
            try:
                event = _verify(events[event_id], keys)
                if all(listed in good for listed in refers[event_id]):
                    _authorise(event, good)
                    good[event_id] = event
            except (SynapseError, SignatureVerifyException):
                continue
        return good

    return Task(call, lambda: {id: event.get_pdu_json()["content"] for id, event in call().items()})


class ResolutionStore:
    """The events that Synapse's state resolution asks its database for: of memory, and computed once or each time.

    Args:
        events: the events by ID.
        states: the states.
        walk: compute each time.
    """

    def __init__(
        self,
        events: Mapping[str, SynapseEvent],
        states: list[dict[tuple[str, str], str]],
        *,
        walk: bool,
    ) -> None:
        self._events, self._walk = events, walk
        one, other = ({*state.values()} for state in states)
        self._kept = self._difference([one, other], one ^ other)

    async def get_events(self, event_ids: Collection[str], **_: object) -> dict[str, SynapseEvent]:
        """Those of the events that are there."""
        return {id: self._events[id] for id in event_ids if id in self._events}

    async def get_auth_chain_difference(
        self, _: str, state_sets: list[set[str]], conflicted: set[str] | None, __: object
    ) -> StateDifference:
        """The auth difference, and for version 12 the conflicted state subgraph."""
        difference, subgraph = (
            self._difference(state_sets, conflicted) if self._walk else self._kept
        )
        return StateDifference(
            auth_difference=set(difference),
            conflicted_subgraph=None if conflicted is None else set(subgraph),
        )

    def _difference(
        self, state_sets: list[set[str]], conflicted: set[str] | None
    ) -> tuple[set[str], set[str]]:
        chains = [self._below(state_set) for state_set in state_sets]
        difference = chains[0].union(*chains[1:]) - chains[0].intersection(*chains[1:])
        if conflicted is None:
            return difference, set()
        listed_by: dict[str, list[str]] = {}
        for id in conflicted | self._below(conflicted):
            for listed in self._events[id].auth_event_ids():
                listed_by.setdefault(listed, []).append(id)
        return difference, conflicted | _reached(conflicted, lambda id: listed_by.get(id, ()))

    def _below(self, event_ids: Iterable[str]) -> set[str]:
        return _reached(event_ids, lambda id: self._events[id].auth_event_ids())


def _reached(event_ids: Iterable[str], edges: Callable[[str], Iterable[str]]) -> set[str]:
    """All events to which edges lead."""
    found: set[str] = set()
    waiting = list(event_ids)
    while waiting:
        new = set(edges(waiting.pop())) - found
        found |= new
        waiting += new
    return found


class Clock:
    """Never waits."""

    async def sleep(self, _: object) -> None:
        """Return at once."""


def _resolved(fork: Fork) -> Task:
    version, states = KNOWN_ROOM_VERSIONS[fork.version], fork.states
    made = [make_event_from_dict(json_decoder.decode(pdu), version) for pdu in fork.events]
    events = {event.event_id: event for event in made}
    store = ResolutionStore(events, states, walk=fork.walk)

    def call() -> Mapping[tuple[str, str], str]:
        asked = resolve_events_with_store(Clock(), fork.room_id, version, states, None, store)
        try:
            asked.send(None)
        except StopIteration as end:
            state: Mapping[tuple[str, str], str] = end.value
            return state
        raise RuntimeError("Synapse waits for something that is not here")

    return Task(call, lambda: sorted([*place, name] for place, name in call().items()))


def _crowd(question: Question, members: int) -> Task:
    state = {place: event.event_id for place, event in _places(map(_made, question.state)).items()}
    for number in range(members):
        user = f"@member{number}:a.example"
        state["m.room.member", user] = f"${number}"
    no_members = StateFilter.freeze({"m.room.member": ()}, include_others=True)
    return Task(
        lambda: no_members.filter_state(state),
        lambda: sorted(no_members.filter_state(state).values()),
    )
