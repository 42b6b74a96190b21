"""What is measured, each figure with the target of the project and what CI holds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, Final

import attrs
from nacl.signing import SigningKey

from matrix_membership import Event, RoomState, auth
from matrix_membership._attrs import evolve
from matrix_membership.auth import rejects
from matrix_membership.federation import (
    JOINING,
    Accepted,
    AwaitingAcceptance,
    ResidentRoom,
    SendJoinResponse,
)
from matrix_membership.federation.resident import answer_send
from matrix_membership.hashing import content_hash
from matrix_membership.identifiers import EventID
from matrix_membership.receipt import receive
from matrix_membership.room_versions import V11, V12, RoomVersion
from matrix_membership.signing import KeyRing
from matrix_membership.state import Storage
from tests.bench.disputes import resolved, resolved_with_index
from tests.bench.measure import (
    Call,
    elapsed_ratio,
    exponent,
    import_times,
    kilobytes,
    microseconds,
    peak,
    ratio,
    slope,
)
from tests.bench.rooms import (
    RING,
    crowded,
    incoming_join,
    incoming_levels,
    levelled,
    member,
    questions,
    real_join,
    really_signed,
)
from tests.builders import BEN, KEYS, a_room
from tests.federation.conversation import accepted, send_request, signed
from tests.federation.signed_rooms import A
from tests.growth.counting import instructions
from tests.growth.inputs import LARGE_PDUS, of_a_pdu

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
        more_is_better: whether the target is the least that is wanted, not the most.
    """

    name: str
    unit: str
    target: float | None
    kept: float | None
    measure: Callable[[], float]
    more_is_better: bool = False

    def met(self, value: float) -> bool:
        """Tell whether a value meets the target, if there is one."""
        if self.target is None:
            return True
        return value >= self.target if self.more_is_better else value <= self.target


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


def hashed() -> Call:
    """The content hash of a real join, as a mapping."""
    pdu = json.loads(real_join())
    assert content_hash(pdu) == pdu["hashes"]["sha256"]
    return lambda: content_hash(pdu)


def judged(kind: str, users: int = 50) -> Call:
    """A check against a prepared state."""
    event, state = questions(users)[kind]
    assert auth.check(event, state).allowed
    return lambda: auth.check(event, state)


@rejects("4.3.3a")
def of_a_stranger(event: Event, _: RoomState) -> bool:
    """The sender is on no list."""
    return event.sender == "@stranger:z.example"


def judged_by_amended_rules() -> Call:
    """The check of a public join in a version with one more rule, which that join runs through."""
    rules = auth.rulebook(V11).insert(of_a_stranger, after="join.while_banned")
    mine = V11.evolve(identifier="org.example.mine", rules=rules)
    event, state = questions(50)["public join"]
    ours = RoomState.of(mine, [_in(mine, found) for found in state.events])
    join = _in(mine, event)
    assert auth.check(join, ours).allowed
    return lambda: auth.check(join, ours)


def _in(version: RoomVersion, event: Event) -> Event:
    return Event.from_pdu(event.pdu, version, event_id=event.event_id)


def judged_from_list() -> Call:
    """A check against the events that an event lists."""
    event, state = questions(50)["public join"]
    listed = [found for place in auth.select_auth_events(event) if (found := state.get(*place))]
    assert auth.check(event, RoomState.of(V11, listed)).allowed
    return lambda: auth.check(event, RoomState.of(V11, listed))


def held(event: Event) -> dict[str, Any]:
    """An event as a host's database gives it."""
    return {**event.to_pdu(), "event_id": event.event_id}


def a_new_join() -> tuple[dict[str, Any], list[Event], RoomState]:
    """A join as a host holds it, the events that it lists, taken over before, and its room."""
    event, state = questions(50)["public join"]
    selected = auth.select_auth_events(event)
    listed = [found for place in selected if (found := state.get(*place))]
    return held(event), [Event.accepted(held(entry), V11) for entry in listed], state


def taken_over(event: Event) -> Call:
    """An event of a host's taken over."""
    fields = held(event)
    return lambda: Event.accepted(fields, V11)


def power_levels_of(users: int) -> Event:
    """The power levels of a room of as many users."""
    event = questions(users)["public join"][1].get("m.room.power_levels")
    assert event is not None
    return event


def judged_for_a_host() -> Call:
    """Both checks of a new join, with cached auth events."""
    join, listed, _ = a_new_join()
    assert auth.judge(Event.accepted(join, V11), listed).allowed
    return lambda: auth.judge(Event.accepted(join, V11), listed)


def judged_by_ids() -> Call:
    """The check of a new join by a host's event IDs: what is needed, the state, the verdict."""
    join, listed, state = a_new_join()
    ids = {(entry.type, entry.state_key or ""): entry.event_id for entry in state.events}
    events = {entry.event_id: entry for entry in listed}

    def call() -> object:
        event = Event.accepted(join, V11)
        return auth.check(event, RoomState.of_ids(ids, events, needed=auth.needed_state(event)))

    assert call(), str(call())
    return call


def needed() -> Call:
    """The events that a check of a new join needs."""
    event = Event.accepted(a_new_join()[0], V11)
    return lambda: auth.needed_state(event)


def received() -> Call:
    """A join of another server, from its bytes to its receipt."""
    return received_as(*incoming_join(), KEYS)


def received_levels(users: int) -> Call:
    """A change of the power levels of a room of as many users, from its bytes to its receipt."""
    return received_as(*incoming_levels(users), RING)


def received_as(pdu: bytes, state: RoomState, keys: KeyRing) -> Call:
    """The receipt of a PDU that follows the newest events of a room."""
    at_hand = {event.event_id: event for event in state.events}.get

    def call() -> object:
        return receive(
            pdu, V11, keys=keys, auth_events=at_hand, state_before=state, current_state=state
        )

    assert call(), str(call())
    return call


def answered(members: int, *, omit: bool = True) -> Call:
    """An answer to send_join, partial or with all members, from the request to its bytes."""
    room = crowded(members)
    return _answered_by(room, signed(room, omit_members=omit))


def servers_after_a_join(members: int) -> Call:
    """The servers in a room where somebody of another server has just come in."""
    state = crowded(members).state
    join = a_room(V11).join("@somebody:elsewhere.example")
    return lambda: state.with_event(join).servers_in_room


def _answered_by(room: ResidentRoom, step: AwaitingAcceptance) -> Call:
    request = send_request(step)

    def call() -> object:
        answer = answer_send(JOINING, request, room, A, keys=KEYS)
        assert isinstance(answer, Accepted)
        assert isinstance(answer.response, SendJoinResponse)
        return answer.response.to_bytes()

    return call


def audited(members: int, mapped: Callable[..., Iterable[Any]] = map) -> Call:
    """A whole answer to send_join read piece by piece and verified."""
    step, data = whole_answer(members)
    view = memoryview(data)

    def call() -> object:
        reader = step.reader()
        for start in range(0, len(data), PIECE):
            reader.feed(bytes(view[start : start + PIECE]))
        audit = reader.finish().audit(RING, map=mapped)
        assert audit.defects == ()
        return audit

    return call


PIECE: Final = 64 * 1024


@cache
def whole_answer(members: int) -> tuple[AwaitingAcceptance, bytes]:
    """A join, and the answer to it with all members."""
    room = really_signed(members)
    step = signed(room, omit_members=False)
    response = accepted(room, step).response
    assert isinstance(response, SendJoinResponse)
    # The room itself is in nobody's way any more: not in memory, and not in the garbage
    # collector's, which looks through all that there is.
    really_signed.cache_clear()
    return step, response.to_bytes()


def peak_of_audit(members: int) -> float:
    """The most memory that reading and verifying an answer takes, as a multiple of the answer."""
    return peak(audited(members)) / len(whole_answer(members)[1])


def gain(members: int, pool: Callable[[], Executor]) -> float:
    """How many times as fast an answer is verified with a pool."""
    with pool() as workers:
        list(workers.map(abs, range(CORES)))  # they are there before the clock runs
        return elapsed_ratio(audited(members), audited(members, workers.map))


CORES: Final = os.cpu_count() or 1


def stored(members: int) -> Call:
    """A partial answer from a storage of look-ups."""
    room = crowded(members)
    events = {event.event_id: event.pdu for event in room.state.events}
    ids = {(event.type, event.state_key): event.event_id for event in room.state.events}
    others = [event.event_id for event in room.state.events_but_members]
    servers = tuple(room.state.servers_in_room)

    def load(event_id: EventID) -> Event | None:
        pdu = events.get(event_id)
        return None if pdu is None else Event.from_pdu(pdu, V11, event_id=event_id)

    def get(event_type: str, state_key: str) -> Event | None:
        event_id = ids.get((event_type, state_key))
        return None if event_id is None else load(event_id)

    def members_in_order(_: object) -> Iterator[Event]:
        found = (load(event_id) for place, event_id in ids.items() if place[0] == "m.room.member")
        return (event for event in found if event is not None)

    storage = Storage(
        get,
        lambda: [event for event_id in others if (event := load(event_id))],
        members_in_order,
        lambda: servers,
    )
    snapshot = evolve(room, state=RoomState.over(V11, storage), get_event=load)
    return _answered_by(snapshot, signed(room))


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


def changed(members: int, changes: int) -> float:
    """Microseconds for each change of a room of as many members."""
    room = crowded(members)
    events = [member(number, crowded(1)) for number in range(members, members + changes)]

    def call() -> object:
        state = room.state
        for event in events:
            state = state.with_event(event)
        return state

    return microseconds(call, rounds=5) / changes


def retained(members: int) -> float:
    """What one more state of a room of as many members holds in memory."""
    room = crowded(members)
    events = [member(number, crowded(1)) for number in range(members, members + 2_000)]
    states = [room.state]

    def next_state(number: int) -> RoomState:
        states.append(states[-1].with_event(events[number]))
        return states[-1]

    return kilobytes(next_state, len(events))


def explained() -> Call:
    """An explanation of a refusal, with what would help."""
    event, state = questions(50)["public join"][0], levelled(50, "invite")
    return lambda: auth.explain(event, state)


def slowest() -> float:
    """Milliseconds of the slowest entry with the largest PDU, of all kinds of PDU."""
    calls = [call for name in LARGE_PDUS for call in of_a_pdu(name).values()]
    return max(microseconds(call, rounds=3) for call in calls) / 1_000


def _ratio_of_levels(users: int) -> float:
    return ratio(received_levels(users), ed25519())


def _count_of_levels(users: int) -> float:
    return counted(received_levels(users))


def _ratio_of_check(kind: str) -> float:
    return ratio(judged(kind), loads)


def _ratio_of_resolution(version: RoomVersion, *, with_chains: bool) -> float:
    places = 1_000
    return ratio(resolved(version, places, with_chains=with_chains), loads, rounds=9) / places


def counted(call: Call) -> float:
    """How many bytecode instructions a call takes once its caches are filled."""
    call()
    return float(instructions(call))


DEPENDENCIES: Final = (
    "attrs, canonicaljson, hashlib, json, nacl.signing, signedjson.key, signedjson.sign"
    + (", orjson" if find_spec("orjson") else "")
)


def imported() -> tuple[float, float]:
    """What importing the package adds to its dependencies: milliseconds, and a multiple of theirs."""
    return import_times("matrix_membership", DEPENDENCIES)


def _event_in_memory() -> float:
    pdus = [member(number, crowded(1)).pdu for number in range(1_000)]
    # A stored event has bytes of its own, which are what is read.
    return kilobytes(lambda n: Event.from_pdu(bytes(bytearray(pdus[n])), V11), len(pdus))


@attrs.frozen
class Sizes:
    """How many members the rooms have that are measured.

    Attributes:
        state: of a room that is at hand or in a storage.
        changed: of a room that changes.
        answer: of an answer that is verified whole.
        large_answer: of a larger one.
        pools: of one that pools verify; None when there are not cores enough to tell.
        disputes: how many places are in dispute where states are resolved.
        rooms: how many members join rooms in which states are resolved, and how long their auth chains are.
    """

    state: int
    changed: int
    answer: int
    large_answer: int
    pools: int | None
    disputes: tuple[int, ...] = (100, 1_000, 10_000)
    rooms: tuple[tuple[int, int], ...] = ((2_000, 1_000), (100_000, 50_000))


def figures(sizes: Sizes) -> tuple[Figure, ...]:
    """All figures."""
    small_and_large = (1_000, sizes.state)
    answers = (sizes.answer, sizes.large_answer)
    multiple, verification = "json.loads of a join", "Ed25519 verification"
    instruction = "bytecode instruction"
    kinds = ("restricted join", "invite", "kick", "ban", "message")
    return (
        Figure("check, public join, list of auth events", multiple, 0.3, 0.3,
               lambda: ratio(judged_from_list(), loads)),
        Figure("check, public join, prepared state", multiple, 0.1, 0.1,
               lambda: ratio(judged("public join"), loads)),
        Figure("check, public join, amended rules, prepared state", multiple, 0.1, 0.1,
               lambda: ratio(judged_by_amended_rules(), loads)),
        *(
            Figure(f"check, {kind}, prepared state", multiple, 0.15, 0.15,
                   partial(_ratio_of_check, kind))
            for kind in kinds
        ),
        Figure("check, growth with users in the power levels, join", "exponent", 0.05, 0.05,
               lambda: exponent(USERS, [judged("public join", users) for users in USERS])),
        Figure("check, growth with users in the power levels, message", "exponent", 0.05, 0.05,
               lambda: exponent(USERS, [judged("message", users) for users in USERS])),
        Figure("a host's member event taken over", multiple, 0.45, 0.6,
               lambda: ratio(taken_over(questions(50)["public join"][0]), loads)),
        Figure("a host's power levels of 500 users taken over", multiple, 0.5, 0.7,
               lambda: ratio(taken_over(power_levels_of(500)), loads)),
        Figure("the state that a check needs, told", multiple, 0.4, 0.4,
               lambda: ratio(needed(), loads)),
        Figure("both checks of a host's new join", multiple, 1.8, 2.2,
               lambda: ratio(judged_for_a_host(), loads)),
        Figure("a host's new join checked by event IDs", multiple, 2, 2.2,
               lambda: ratio(judged_by_ids(), loads)),
        # How these three stand to C code depends on the processor: the same code received an event
        # in 1.45 Ed25519 verifications on one host and in 2.05 on another. What is held is counted.
        Figure("event from JSON, with its ID, counted", instruction, None, 550,
               lambda: counted(lambda: Event.from_pdu(real_join(), V11))),
        Figure("receipt of one event, counted", instruction, None, 1_780, lambda: counted(received())),
        *(
            Figure(f"receipt of power levels of {users} users, counted", instruction, None, kept,
                   partial(_count_of_levels, users))
            for users, kept in ((5, 3_450), (50, 4_150), (500, 7_800))
        ),
        Figure("answer to send_join verified, 500 members, for each, counted", instruction, None, 1_700,
               lambda: counted(audited(500)) / 500),
        Figure("event from JSON, with its ID", multiple, 1.7, None,
               lambda: ratio(lambda: Event.from_pdu(real_join(), V11), loads)),
        Figure("content hash of a mapping", multiple, 0.9, 0.9, lambda: ratio(hashed(), loads)),
        Figure("receipt of one event", verification, 1.75, None, lambda: ratio(received(), ed25519())),
        *(
            Figure(f"receipt of power levels of {users} users", verification, None, None,
                   partial(_ratio_of_levels, users))
            for users in (50, 500)
        ),
        Figure(f"answer to send_join verified, {sizes.answer:,} members, for each", verification,
               1.6, None,
               lambda: ratio(audited(sizes.answer), ed25519(), rounds=3) / sizes.answer),
        Figure(f"answer to send_join verified, {answers[0]:,} to {answers[1]:,} members", "exponent",
               1.08, 1.15,
               lambda: exponent(answers, [audited(size) for size in answers], rounds=3)),
        Figure("answer to send_join verified, peak memory", "body", 3.5, 3.5,
               lambda: peak_of_audit(sizes.answer)),
        *(
            Figure(f"the same, {CORES} {kind} over one core", "as fast", wanted, None,
                   partial(gain, sizes.pools, pool), more_is_better=True)
            for kind, wanted, pool in (
                ("threads", 1.35, partial(ThreadPoolExecutor, CORES)),
                ("processes", 1.5, partial(ProcessPoolExecutor, CORES)),
            )
            if sizes.pools
        ),
        Figure(f"partial answer built, {sizes.state:,} members at hand", "us", 500, None,
               lambda: microseconds(answered(sizes.state))),
        Figure(f"partial answer built, {sizes.state:,} members in a storage", "us", None, None,
               lambda: microseconds(stored(sizes.state))),
        Figure("partial answer built, growth with members at hand", "exponent", 0.05, 0.05,
               lambda: exponent(small_and_large, list(map(answered, small_and_large)))),
        Figure("partial answer built, growth with members in a storage", "exponent", 0.05, 0.05,
               lambda: exponent(small_and_large, list(map(stored, small_and_large)))),
        Figure(f"full answer built, {sizes.changed:,} members, for each", "us", None, None,
               lambda: microseconds(answered(sizes.changed, omit=False), rounds=3) / sizes.changed),
        Figure(f"servers in room after a join, {sizes.state:,} members", "us", None, None,
               lambda: microseconds(servers_after_a_join(sizes.state))),
        Figure(f"heroes, {sizes.state:,} members", "us", 5, None,
               lambda: microseconds(lambda: crowded(sizes.state).state.heroes(excluding=BEN))),
        Figure("heroes, growth with members", "exponent", 0.05, 0.1,
               lambda: exponent(
                   small_and_large, [crowded(size).state.heroes for size in small_and_large])),
        Figure("with_event, for each of 20,000 joins of a room that fills", "us", 5, None,
               lambda: replayed(20_000)),
        Figure(f"with_event, for each of 20,000 joins, {sizes.changed:,} members", "us", 5, None,
               lambda: changed(sizes.changed, 20_000)),
        Figure(f"memory of one state retained, {sizes.changed:,} members", "KB", 2.5, 2.5,
               lambda: retained(sizes.changed)),
        *(
            Figure(f"state resolution, version {version}, auth chains {chains}, for each place",
                   multiple, target, kept,
                   partial(_ratio_of_resolution, version, with_chains=chains == "computed"))
            for version, chains, target, kept in (
                (V11, "at hand", 2.0, 1.6),
                (V11, "computed", 2.2, 1.7),
                (V12, "at hand", 1.9, 1.6),
                (V12, "computed", 2.3, 1.9),
            )
        ),
        Figure("state resolution, growth with the places in dispute", "exponent", 1.08, 1.08,
               lambda: exponent(
                   sizes.disputes,
                   [resolved(V11, places, with_chains=True) for places in sizes.disputes],
                   rounds=5)),
        Figure("state resolution, growth of its memory with the places in dispute", "exponent", 1.05, 1.05,
               lambda: slope(
                   sizes.disputes,
                   [peak(resolved(V11, places, with_chains=True)) for places in sizes.disputes])),
        Figure(f"state resolution, 100 places, {sizes.rooms[-1][0]:,} members, auth chain of {sizes.rooms[-1][1]:,}",
               "ms", 10, None, lambda: microseconds(resolved_with_index(*sizes.rooms[-1])) / 1_000),
        Figure("the same, growth with the room", "exponent", 0.05, 0.1,
               lambda: exponent(
                   [members for members, _ in sizes.rooms],
                   [resolved_with_index(*room) for room in sizes.rooms])),
        Figure("explanation of a refusal", multiple, None, None, lambda: ratio(explained(), loads)),
        Figure("the slowest that one event goes through, PDUs of 65,536 bytes", "ms", 50, None,
               slowest),
        Figure("import of the package without its dependencies", "ms", 90, None,
               lambda: imported()[0]),
        Figure("import of the package without its dependencies, beside them",
               "import of the dependencies", None, 1.1, lambda: imported()[1]),
        Figure("memory of one event", "KB", 1.4, 1.4, _event_in_memory),
    )  # fmt: skip # a table, read by rows
