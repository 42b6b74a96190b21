"""The work, done by this library."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from matrix_membership import Event, RoomState, auth
from matrix_membership.federation import SendJoinReader
from matrix_membership.federation.audit import Audit
from matrix_membership.receipt import Receipt, receive
from matrix_membership.resolution import ChainIndex, resolve
from matrix_membership.room_versions import KNOWN, V11
from matrix_membership.signing import KeyRing
from tests.bench_synapse.tasks import (
    ANSWER,
    CROWD,
    LISTED,
    PREPARED,
    READ,
    RECEIPT,
    RESOLVED,
    Task,
)
from tests.bench_synapse.work import Answer, Fork, Question, Work


def tasks(work: Work) -> Iterator[tuple[str, Task]]:
    """All that is to be done, by name."""
    for kind, sizes in work.questions.items():
        for users, question in sizes.items():
            yield LISTED.format(kind=kind, users=users), _listed(question)
            yield PREPARED.format(kind=kind, users=users), _prepared(question)
    keys = KeyRing.of(work.keys)
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


def _event_and_state(question: Question) -> tuple[Event, list[Event]]:
    event = Event.from_pdu(question.event, V11).with_signers(question.signed_by)
    return event, [Event.from_pdu(pdu, V11) for pdu in question.state]


def _prepared(question: Question) -> Task:
    event, events = _event_and_state(question)
    state = RoomState.of(V11, events)
    call = partial(auth.check, event, state)
    return Task(call, lambda: call().allowed)


def _listed(question: Question) -> Task:
    event, events = _event_and_state(question)
    state = RoomState.of(V11, events)
    listed = [found for place in auth.select_auth_events(event) if (found := state.get(*place))]
    return Task(
        lambda: auth.check(event, RoomState.of(V11, listed)),
        lambda: auth.check(event, RoomState.of(V11, listed)).allowed,
    )


def _read(text: str) -> Task:
    pdu = text.encode()
    call = partial(Event.from_pdu, pdu, V11)
    return Task(call, lambda: call().event_id)


def _received(question: Question, keys: KeyRing) -> Task:
    pdu, state = question.event.encode(), RoomState.of(V11, _event_and_state(question)[1])
    at_hand = {event.event_id: event for event in state.events}.get

    def call() -> Receipt:
        return receive(
            pdu, V11, keys=keys, auth_events=at_hand, state_before=state, current_state=state
        )

    def result() -> object:
        receipt = call()
        event = None if receipt.redacted or not receipt else receipt.event
        return None if event is None else event.event_id

    return Task(call, result)


def _answer(answer: Answer, keys: KeyRing) -> Task:
    body = answer.body.encode()
    join = Event.from_pdu(answer.join, V11).with_signers(keys.servers)

    def call() -> Audit:
        reader = SendJoinReader(join, asked_to_omit=False, resident="a.example")
        reader.feed(body)
        return reader.finish().audit(keys)

    def result() -> object:
        audit = call()
        good = [*audit.auth_chain.values(), *(audit.state.events if audit.state else ())]
        return {event.event_id: event.to_pdu()["content"] for event in good}

    return Task(call, result)


def _resolved(fork: Fork) -> Task:
    version = KNOWN[fork.version]
    events = {event.event_id: event for event in (Event.from_pdu(p, version) for p in fork.events)}
    states = fork.states
    call = partial(resolve, version, states, events)
    if not fork.walk:
        # Both sides are given what an index or a database knows of the auth chains.
        index, (one, other) = ChainIndex.of(events.values()), states
        call = partial(
            call,
            auth_difference=index.auth_difference(states),
            conflicted_subgraph=index.conflicted_state_subgraph(
                {*one.values()} ^ {*other.values()}
            ),
        )
    return Task(call, lambda: sorted([*place, name] for place, name in call().state.items()))


def _crowd(question: Question, members: int) -> Task:
    _, events = _event_and_state(question)
    crowd = (_member(f"@member{number}:a.example") for number in range(members))
    state = RoomState.of(V11, [*events, *crowd])
    return Task(
        lambda: list(state.events_but_members),
        lambda: sorted(event.event_id for event in state.events_but_members),
    )


def _member(user: str) -> Event:
    """A join of which no more counts than its place."""
    fields = {
        "type": "m.room.member",
        "sender": user,
        "state_key": user,
        "content": {"membership": "join"},
    }
    return Event.from_client_event(fields, V11)
