"""Proposals that Synapse implements: an amended rulebook judges as Synapse does."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any, Final

import attrs
import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.conformance import class_of
from proposals import msc3757, msc4242
from tests.generated_cases import USERS, GeneratedCase, Pdu, events_of, generate
from tests.oracle_synapse.client import Answer, SynapseOracle
from tests.oracle_synapse.test_agreement import as_case

pytestmark = pytest.mark.oracle

CASES: Final = int(os.environ.get("PROPOSAL_CASES", "20000"))

KEYS: Final = (
    *USERS,
    *(f"{user}_" for user in USERS),
    *(f"{user}_device" for user in USERS),
    *(f"{user}_device_two" for user in USERS),
    "@ana_bee:a.example_device",
    "@ana:a.example device",
    "@ana",
    "@:a.example_x",
    "@ana:_x",
    "@_x",
    "@",
    "",
    "x",
)


def owned_state(seed: int, version: RoomVersion) -> GeneratedCase:
    """The case of a seed in a version of one's own; in most the event is state of a user."""
    case = generate(seed, f"{version.auth_rules}")
    (create_id, create), *others = case.state
    content = {**create["content"], "room_version": version.identifier}
    state = ((create_id, {**create, "content": content}), *others)
    rng = random.Random(f"owned {seed}")
    event: dict[str, Any] = case.event
    if event["type"] != "m.room.create" and rng.random() < 0.7:
        event = {**event, "type": "org.example.own", "content": {}, "state_key": rng.choice(KEYS)}
    return attrs.evolve(case, version=version.identifier, state=state, event=event)


def outcome(event: Event, state: RoomState, ours: auth.Decision, answer: Answer) -> str:
    """Name the verdict that both give, or the class of their difference; empty if unlisted."""
    if "dropped" in answer:
        return "dropped"
    if not answer["undecided"] and answer["allowed"] == ours.allowed:
        return f"agreed on {ours.rule.partition('.')[0]}"
    return class_of(event, state, ours)


@pytest.mark.parametrize("version", [msc3757.ON_V10, msc3757.ON_V11], ids=str)
def test_owned_state_is_judged_alike(version: RoomVersion) -> None:
    known = {version.identifier: version}
    found: Counter[str] = Counter()
    unlisted = []
    cases = [owned_state(seed, version) for seed in range(CASES // 2)]
    with SynapseOracle() as oracle:
        answers = oracle.judge_many(map(as_case, cases))
        for case, answer in zip(cases, answers, strict=True):
            state, event = events_of(case, known)
            room = RoomState.of(version, state)
            ours = auth.check(event, room)
            name = outcome(event, room, ours, answer)
            found[name or "unlisted"] += 1
            if not name:
                unlisted.append((case.seed, case.event.get("state_key"), ours.rule, answer))
    print(f"\n{version}: {dict(found.most_common())}")
    assert unlisted == []
    # The verdicts must rest on the amended rule often enough to say something about it.
    assert found["agreed on msc3757"] > 0.02 * len(cases)


VERSION: Final = msc4242.VERSION
STATE_DAG: Final = VERSION.identifier
FAULTS: Final = (*(None,) * 6, "message", "rejected", "another room", "twice", "none")


def in_state_dag(seed: int) -> tuple[GeneratedCase, list[tuple[str, Pdu]], frozenset[str]]:
    """The case of a seed as one of a state DAG.

    Returns:
        The case, the events in its `prev_state_events`, and the IDs of those that were rejected.
    """
    case = generate(seed, "12")
    rng = random.Random(f"state DAG {seed}")
    (create_id, create), *others = case.state
    content = {**create["content"], "room_version": STATE_DAG}
    state = ((create_id, {**create, "content": content}), *others)
    followed = list(state[-1:])
    rejected: frozenset[str] = frozenset()
    match rng.choice(FAULTS):
        case "message":
            pdu = {key: value for key, value in followed[0][1].items() if key != "state_key"}
            followed = [("$" + "m" * 43, pdu | {"type": "m.room.message"})]
        case "rejected":
            pdu = followed[0][1] | {"type": "m.room.topic", "state_key": "rejected"}
            pdu["room_id"] = case.event.get("room_id", f"!{create_id[1:]}")
            followed = [("$" + "r" * 43, pdu)]
            rejected = frozenset({followed[0][0]})
        case "another room":
            pdu = followed[0][1] | {"type": "m.room.topic", "room_id": "!" + "o" * 43}
            followed = [("$" + "o" * 43, pdu | {"state_key": ""})]
        case "twice":
            followed *= 2
        case "none":
            followed = []
    event = case.event
    if event["type"] == "m.room.create":
        followed = []
    return attrs.evolve(case, version=STATE_DAG, state=state, event=event), followed, rejected


def as_state_dag(
    case: GeneratedCase, followed: list[tuple[str, Pdu]], rejected: frozenset[str]
) -> dict[str, Any]:
    """The case as the driver takes it: no event lists auth events."""

    def without_auth_events(pdu: Pdu, prev_state_events: list[str]) -> Pdu:
        kept = {key: value for key, value in pdu.items() if key != "auth_events"}
        return kept | {"prev_state_events": prev_state_events}

    known = {VERSION.identifier: VERSION}
    state, event = events_of(case, known)
    before = RoomState.of(VERSION, state)
    calculated = msc4242.calculated_auth_events(event, before)
    needed = {case.state[0][0], *(found.event_id for found in calculated)}
    is_create = case.event["type"] == "m.room.create"
    return {
        **as_case(case),
        "kind": "state_dag",
        "event": without_auth_events(case.event, [event_id for event_id, _ in followed]),
        "auth_events": [
            [event_id, without_auth_events(pdu, [])]
            for event_id, pdu in (() if is_create else case.state)
            if event_id in needed
        ],
        "prev_state_events": [
            [event_id, without_auth_events(pdu, [])] for event_id, pdu in dict(followed).items()
        ],
        "rejected": sorted(rejected),
    }


def test_state_dags_are_judged_alike() -> None:
    found: Counter[str] = Counter()
    unlisted = []
    cases = [in_state_dag(seed) for seed in range(CASES // 2)]
    with SynapseOracle() as oracle:
        answers = oracle.judge_many([as_state_dag(*case) for case in cases])
        for (case, followed, rejected), answer in zip(cases, answers, strict=True):
            state, event = events_of(case, {STATE_DAG: VERSION})
            before = RoomState.of(VERSION, state)
            listed = [Event.from_pdu(pdu, VERSION, event_id=name) for name, pdu in followed]
            ours = msc4242.check(event, before, listed, rejected=rejected)
            selected = answer.get("selected")
            if event.kind != "m.room.member" and selected is not None:
                # All types and keys, of which only those in the state are calculated. The room ID
                # names the create event.
                places = {tuple(place) for place in selected} - {("m.room.create", "")}
                there = {place for place in places if before.get(*place) is not None}
                calculated = msc4242.calculated_auth_events(event, before)
                same = there == {(each.type, each.state_key) for each in calculated}
                found["same auth events" if same else "other auth events"] += 1
            name = outcome(event, before, ours, answer)
            found[name or "unlisted"] += 1
            if not name:
                unlisted.append((case.seed, case.event.get("state_key"), ours.rule, answer))
    print(f"\n{VERSION}: {dict(found.most_common())}")
    assert unlisted == []
    assert found["other auth events"] == 0
    for name in ("same auth events", "agreed on auth_events", "agreed on msc4242"):
        assert found[name] > 0.03 * len(cases)
