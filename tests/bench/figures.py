"""What is measured, each figure with the target of the project and what CI holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Final

import attrs
from nacl.signing import SigningKey

from matrix_membership import Event, RoomState, auth
from matrix_membership.federation import JOINING, Accepted, SendJoinResponse
from matrix_membership.federation.audit import examine
from matrix_membership.federation.resident import answer_send
from matrix_membership.receipt import receive
from matrix_membership.room_versions import V11
from tests.bench.measure import Call, exponent, kilobytes, microseconds, ratio
from tests.bench.rooms import crowded, levelled, member, questions, real_join, really_signed
from tests.builders import BEN, KEYS
from tests.federation.conversation import accepted, send_request, signed
from tests.federation.signed_rooms import A

USERS: Final = (5, 50, 500)


@attrs.frozen
class Figure:
    """One figure.

    Attributes:
        name: what it is.
        unit: of what it is a multiple, or its unit.
        target: the target.
        kept: what CI asserts: the target where it is met, else a bound that is kept.
        measure: measures it.
    """

    name: str
    unit: str
    target: float | None
    kept: float | None
    measure: Callable[[], float]


def loads() -> object:
    """One `json.loads` of a real join."""
    return json.loads(real_join())


def ed25519() -> Call:
    """One verification of a signature over an event's bytes."""
    message = bytes(600)
    key = SigningKey(bytes(32))
    signature: bytes = key.sign(message).signature
    check: Callable[[bytes, bytes], bytes] = key.verify_key.verify
    return lambda: check(message, signature)


def judged(kind: str, users: int = 50) -> Call:
    """A check against a prepared state."""
    event, state = questions(users)[kind]
    assert auth.check(event, state).allowed
    return lambda: auth.check(event, state)


def judged_from_list() -> Call:
    """A check against the events that an event lists."""
    event, state = questions(50)["public join"]
    listed = [found for place in auth.select_auth_events(event) if (found := state.get(*place))]
    assert auth.check(event, RoomState.of(V11, listed)).allowed
    return lambda: auth.check(event, RoomState.of(V11, listed))


def received() -> Call:
    """A join of another server, from its bytes to its receipt."""
    room = really_signed(0)
    step = signed(room)
    answer = accepted(room, step)
    pdu, state = answer.event.pdu, room.state
    at_hand = {event.event_id: event for event in state.events}.get

    def call() -> object:
        return receive(
            pdu, V11, keys=KEYS, auth_events=at_hand, state_before=state, current_state=state
        )

    assert call(), str(call())
    return call


def answered(members: int) -> Call:
    """A partial answer to send_join, from the request to its bytes."""
    room = crowded(members)
    step = signed(room)
    request = send_request(step)

    def call() -> object:
        answer = answer_send(JOINING, request, room, A, keys=KEYS)
        assert isinstance(answer, Accepted)
        assert isinstance(answer.response, SendJoinResponse)
        return answer.response.to_bytes()

    return call


def audited(members: int) -> Call:
    """A whole answer to send_join read and verified on one core."""
    room = really_signed(members)
    step = signed(room, omit_members=False)
    response = accepted(room, step).response
    assert isinstance(response, SendJoinResponse)
    data = response.to_bytes()

    def call() -> object:
        read = SendJoinResponse.from_bytes(data)
        audit = examine(read, step.event, asked_to_omit=False, resident="a.example").audit(KEYS)
        assert audit.state is not None
        return audit

    return call


def replayed(members: int) -> float:
    """Microseconds for each join of a room that fills."""
    room = crowded(1)
    events = [member(number, room) for number in range(members)]

    def call() -> object:
        state = room.state
        for event in events:
            state = state.with_event(event)
        return state

    return microseconds(call, rounds=3) / members


def explained() -> Call:
    """An explanation of a refusal, with what would help."""
    event, state = questions(50)["public join"][0], levelled(50, "invite")
    return lambda: auth.explain(event, state)


def _ratio_of_check(kind: str) -> float:
    return ratio(judged(kind), loads)


def _event_in_memory() -> float:
    pdus = [member(number, crowded(1)).pdu for number in range(1_000)]
    # A stored event has bytes of its own, which are what is read.
    return kilobytes(lambda n: Event.from_pdu(bytes(bytearray(pdus[n])), V11), len(pdus))


def figures(large: int, answer: int) -> tuple[Figure, ...]:
    """All figures.

    Args:
        large: members of the largest room.
        answer: members in the answer that is verified whole.
    """
    sizes = (1_000, large)
    multiple, verification = "json.loads of a join", "Ed25519 verification"
    kinds = ("restricted join", "invite", "kick", "ban", "message")
    return (
        Figure("check, public join, list of auth events", multiple, 0.3, 0.33,
               lambda: ratio(judged_from_list(), loads)),
        Figure("check, public join, prepared state", multiple, 0.1, 0.1,
               lambda: ratio(judged("public join"), loads)),
        *(
            Figure(f"check, {kind}, prepared state", multiple, 0.15, 0.15,
                   partial(_ratio_of_check, kind))
            for kind in kinds
        ),
        Figure("check, growth with users in the power levels, join", "exponent", 0.05, 0.05,
               lambda: exponent(USERS, [judged("public join", users) for users in USERS])),
        Figure("check, growth with users in the power levels, message", "exponent", 0.05, 0.05,
               lambda: exponent(USERS, [judged("message", users) for users in USERS])),
        Figure("event from JSON, with its ID", multiple, 2.6, 2.6,
               lambda: ratio(lambda: Event.from_pdu(real_join(), V11), loads)),
        Figure("receipt of one event", verification, 1.75, 1.9, lambda: ratio(received(), ed25519())),
        Figure(f"answer to send_join verified, {answer:,} members, for each", verification, 1.6, 2.3,
               lambda: ratio(audited(answer), ed25519(), rounds=3) / answer),
        Figure(f"partial answer built, {large:,} members", "us", 500, None,
               lambda: microseconds(answered(large))),
        Figure("partial answer built, growth with members", "exponent", 0.05, 0.05,
               lambda: exponent(sizes, [answered(size) for size in sizes])),
        Figure(f"heroes, {large:,} members", "us", 5, None,
               lambda: microseconds(lambda: crowded(large).state.heroes(excluding=BEN))),
        Figure("heroes, growth with members", "exponent", 0.05, 0.1,
               lambda: exponent(
                   sizes, [crowded(size).state.heroes for size in sizes])),
        Figure("with_event, for each of 20,000 joins", "us", 5, None, lambda: replayed(20_000)),
        Figure("explanation of a refusal", multiple, None, None, lambda: ratio(explained(), loads)),
        Figure("memory of one event", "KB", 1.4, 1.4, _event_in_memory),
    )  # fmt: skip
