"""Proposals that Synapse implements: an amended rulebook judges as Synapse does."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any, Final

import attrs
import pytest

from matrix_membership import RoomState, RoomVersion, auth
from proposals import msc3757
from tests.generated_cases import USERS, GeneratedCase, events_of, generate
from tests.oracle_synapse.client import SynapseOracle
from tests.oracle_synapse.test_agreement import as_case, class_of

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
            ours = auth.check(event, RoomState.of(version, state))
            judged = not answer.get("crash") and "dropped" not in answer
            if judged and answer["allowed"] == ours.allowed:
                found[f"agreed on {ours.rule.partition('.')[0]}"] += 1
                continue
            name = class_of(case, ours, answer)
            found[name or "unlisted"] += 1
            if name is None:
                unlisted.append((case.seed, case.event.get("state_key"), ours.rule, answer))
    print(f"\n{version}: {dict(found.most_common())}")
    assert unlisted == []
    # The verdicts must rest on the amended rule often enough to say something about it.
    assert found["agreed on msc3757"] > 0.02 * len(cases)
