"""Measure the time of each engine for the same work, in turns, in one run: `make observatory-speed`.

Every peer measures its own CPU time, without what it prepared before; nothing of a pipe or of JSON around a case counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

import attrs

from matrix_membership import Event, RoomState, auth
from matrix_membership.canonical_json import encode, thaw
from matrix_membership.events import read_pdu
from matrix_membership.federation import SendJoinReader
from matrix_membership.hashing import content_hash, signed_bytes
from matrix_membership.room_versions import V11
from matrix_membership.signing import KeyRing, verify
from tests.bench.figures import received_as
from tests.bench.measure import Call, settled, taken
from tests.bench.rooms import incoming_join, incoming_levels, levelled, questions, real_join
from tests.bench_synapse.rooms import CAPTURED, ROOMS, SIGNERS, answer
from tests.bench_synapse.work import Answer
from tests.builders import ANA, SIGNER_A, a_room
from tests.observatory.engines import ENGINES, Peer, at_hand
from tests.observatory.page import write
from tests.observatory.questions import Question

__all__ = ["Work", "works"]

HERE: Final = "here"
SLICE: Final = 4_000_000
"""Nanoseconds that one turn takes at least."""
USERS: Final = (5, 50, 500)
LEVELS: Final[Mapping[str, str]] = {
    "id": "JSON to event with ID",
    "hash": "the same, content hash checked",
    "signatures": "the same, signature verified too",
}
KEYS: Final[dict[str, dict[str, str]]] = {
    **{server: dict(keys) for server, keys in CAPTURED.keys.items()},
    **{one.server_name: {one.key_id: one.verify_key} for one in SIGNERS},
}


@attrs.frozen
class Work:
    """One piece of work.

    Attributes:
        table: under which heading it is listed.
        name: its name on the page.
        question: the question for the other engines.
        here: does it here.
        verdict: the answer that every engine must give.
        each: the number of events; times are for one.
        without: the engines that are not asked.
    """

    table: str
    name: str
    question: Question
    here: Call
    verdict: Any
    each: int = 1
    without: tuple[str, ...] = ()


def works(members: Sequence[int]) -> Iterator[Work]:
    """Yield all of it."""
    yield from _checks()
    yield from _reading()
    yield from _receipts()
    for count in members:
        yield _whole_answer(count)


def _checks() -> Iterator[Work]:
    for users in USERS:
        asked = {**questions(users), "power levels": _changed_levels(users)}
        for kind, (event, state) in asked.items():
            yield _check(kind, users, event, state, listed=False)
        for kind in ("public join", "message"):
            yield _check(kind, users, *asked[kind], listed=True)


def _changed_levels(users: int) -> tuple[Event, RoomState]:
    state = levelled(users)
    current = state.get("m.room.power_levels")
    assert current is not None
    content: Any = {**thaw(current.content), "invite": 10}
    return a_room(V11).event("m.room.power_levels", ANA, content, ""), state


def _check(kind: str, users: int, event: Event, state: RoomState, *, listed: bool) -> Work:
    events = [*state.events]
    call: Call = partial(auth.check, event, state)
    if listed:
        places = auth.select_auth_events(event)
        events = [found for place in places if (found := state.get(*place))]
        call = partial(_by_list, event, events)
    question = {
        "area": "rules",
        "room_version": "11",
        "pdu": thaw(event.to_pdu()),
        "event_id": event.event_id,
        "state": [[one.event_id, thaw(one.to_pdu())] for one in events],
        "signed_by": sorted(event.signed_by),
        "listed": listed,
    }
    form = "list of auth events" if listed else "prepared state"
    name = f"{kind}, {form}, {users} users"
    without = ("Synapse",) if kind == "power levels" else ()
    return Work("Checks", name, question, call, verdict=True, without=without)


def _by_list(event: Event, events: Sequence[Event]) -> object:
    return auth.check(event, RoomState.of(V11, events))


def _reading() -> Iterator[Work]:
    for level, what in LEVELS.items():
        yield _read(f"{what}: a join", real_join(), level)
    for users in USERS:
        event, _ = _changed_levels(users)
        pdu = _signed(thaw(event.to_pdu()))
        name = f"read, content hash and signature checked: power levels of {users} users"
        yield _read(name, encode(pdu), "signatures")


def _signed(pdu: Any) -> Any:
    pdu |= {"hashes": {"sha256": content_hash(pdu)}, "signatures": {}}
    signature = SIGNER_A.signature_over(signed_bytes(pdu, V11))
    return {**pdu, "signatures": {SIGNER_A.server_name: {SIGNER_A.key_id: signature}}}


def _read(name: str, pdu: bytes, level: str) -> Work:
    ring = KeyRing.of(KEYS)
    calls: Mapping[str, Callable[[], object]] = {
        "id": lambda: Event.from_pdu(pdu, V11).event_id,
        "hash": lambda: read_pdu(pdu, V11).content_hash_matches,
        "signatures": lambda: verify(read_pdu(pdu, V11), ring),
    }
    question = {
        "area": "read",
        "room_version": "11",
        "text": pdu.decode(),
        "level": level,
        "keys": KEYS,
    }
    return Work("Reading", name, question, calls[level], Event.from_pdu(pdu, V11).event_id)


def _receipts() -> Iterator[Work]:
    yield _receipt("a join", *incoming_join())
    for users in USERS:
        name = f"power levels of {users} users"
        yield _receipt(name, *incoming_levels(users), without=("Synapse",))


def _receipt(name: str, pdu: bytes, state: RoomState, *, without: tuple[str, ...] = ()) -> Work:
    question = {
        "area": "receipt",
        "room_version": "11",
        "text": pdu.decode(),
        "state": [[one.event_id, thaw(one.to_pdu())] for one in state.events],
        "keys": KEYS,
    }
    call = received_as(pdu, state, KeyRing.of(KEYS))
    event_id = Event.from_pdu(pdu, V11).event_id
    return Work("Receipt", name, question, call, event_id, without=without)


def _whole_answer(members: int) -> Work:
    whole = answer(ROOMS["50 users in the power levels"], members)
    body = json.loads(whole.body)
    # Each after those that it lists.
    events = sorted((*body["auth_chain"], *body["state"]), key=lambda pdu: pdu["depth"])
    texts = list(dict.fromkeys(json.dumps(pdu, ensure_ascii=False) for pdu in events))
    question = {"area": "answer", "room_version": "11", "texts": texts, "keys": KEYS}
    name = f"answer to send_join of {members:,} members, for each event"
    return Work("Reading", name, question, _audit(whole), len(texts), each=len(texts))


def _audit(whole: Answer) -> Call:
    ring, body = KeyRing.of(KEYS), whole.body.encode()
    join = Event.from_pdu(whole.join, V11).with_signers(ring.servers)

    def call() -> object:
        reader = SendJoinReader(join, asked_to_omit=False, resident="a.example")
        reader.feed(body)
        return reader.finish().audit(ring)

    return call


# ------------------------------------------------------------------ measuring


@attrs.frozen
class There:
    """The work as a peer does it."""

    peer: Peer
    question: Question

    def __call__(self) -> object:
        """Do it once."""
        return self.peer.ask(self.question)

    def taken(self, count: int) -> int:
        """Do it so often, and return the nanoseconds of CPU time that it took there."""
        found: int = self.peer.ask({**self.question, "repeat": count})["ns"]
        return found


def measure(work: Work, peers: Sequence[Peer], *, rounds: int) -> dict[str, float]:
    """Return the nanoseconds of each engine, medians over turns; of those that come to the same."""
    calls: dict[str, Any] = {HERE: work.here}
    for peer in peers:
        if peer.engine.name in work.without:
            continue
        answered = peer.ask(work.question)
        if "verdict" not in answered:
            continue
        if answered["verdict"] != work.verdict:
            raise SystemExit(f"{work.name}: not the same came of it by {peer.engine.name}")
        calls[peer.engine.name] = There(peer, work.question)
    counts = {name: _repeats(call) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    with settled():
        for _ in range(rounds):
            for name, call in calls.items():
                times[name].append(taken(call, counts[name]) / counts[name] / work.each)
    return {name: statistics.median(found) for name, found in times.items()}


def _machine() -> str:
    """A busy machine slows all, but not all alike."""
    load = os.getloadavg()[1]
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.0f} while they were measured;"
        f" CPython {platform.python_version()},"
        f" {'with' if find_spec('orjson') else 'without'} the extra `speed`"
    )


def _repeats(call: Any) -> int:
    taken(call, 1)
    count = 1
    while (found := taken(call, count)) < SLICE:
        count = max(count * 2, int(count * SLICE / max(found, 1)))
    return count


def main() -> None:
    """Measure, print, and write into the page where all engines were asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--members", type=int, nargs="+", default=(100, 1_000))
    parser.add_argument("--no-page", action="store_true")
    asked = parser.parse_args()
    engines = at_hand()
    for engine in ENGINES:
        if engine not in engines:
            print(f"left out: {engine.name}, as {engine.variable} names no program")
    found = []
    with ExitStack() as running:
        peers = [running.enter_context(Peer(engine)) for engine in engines]
        for work in works(asked.members):
            times = measure(work, peers, rounds=asked.rounds)
            found.append({"table": work.table, "name": work.name, "ns": times})
            print(
                work.name, {name: f"{ns / 1000:.3g} us" for name, ns in times.items()}, flush=True
            )
    if not asked.no_page and len(engines) == len(ENGINES):
        write({"speed": found, "rounds": asked.rounds, "machine": _machine()})


if __name__ == "__main__":
    main()
