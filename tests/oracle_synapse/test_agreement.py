"""Synapse and this library judge the same generated cases, and differ only where it is written.

Each class of disagreement has a name, under which docs/explanation/conformance.md tells what
the specification says and what others do. A disagreement of no class fails the run.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest

from matrix_membership import RoomState, auth
from matrix_membership.auth import Decision
from matrix_membership.room_versions import KNOWN
from tests.generated_cases import NAMED, GeneratedCase, events_of, generate
from tests.oracle_synapse.client import Answer, Case, SynapseOracle

pytestmark = pytest.mark.oracle

CASES = int(os.environ.get("ORACLE_CASES", "24000"))
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "conformance.md"

Holds = Callable[[GeneratedCase, Decision, Answer], bool]


def _levels(case: GeneratedCase) -> Any:
    pdu = case.by_place.get(("m.room.power_levels", ""))
    return {} if pdu is None else pdu["content"]


def _all_levels(content: Any) -> Iterator[Any]:
    for name in NAMED:
        if name in content:
            yield content[name]
    for name in ("users", "events", "notifications"):
        if isinstance(content.get(name), dict):
            yield from content[name].values()


def _contents(case: GeneratedCase) -> list[Any]:
    found = [_levels(case)]
    if case.event["type"] == "m.room.power_levels":
        found.append(case.event["content"])
    return found


def _odd_level(case: GeneratedCase) -> bool:
    return any(
        isinstance(level, bool) or not isinstance(level, int)
        for content in _contents(case)
        for level in _all_levels(content)
    )


def _odd_map(case: GeneratedCase) -> bool:
    return any(
        not isinstance(content.get(name, {}), dict)
        or (name == "users" and any(not str(user).startswith("@") for user in content[name]))
        for content in _contents(case)
        for name in ("users", "events", "notifications")
        if name in content
    )


def _unsigned_by_authoriser(case: GeneratedCase, ours: Decision, _: Answer) -> bool:
    return (
        ours.rule == "member.unsigned_by_the_authoriser"
        and case.event["content"].get("membership") != "join"
    )


def _federation(case: GeneratedCase, _: Decision, answer: Answer) -> bool:
    create = case.state[0][1]["content"]
    return "m.federate" in create and "unfederatable" in (answer.get("error") or "")


def _alterations(case: GeneratedCase, ours: Decision, _: Answer) -> bool:
    return case.event["type"] == "m.room.power_levels" and ours.rule.endswith(
        "_named_level_above_own"
    )


def _other_state_key(case: GeneratedCase, _ours: Decision, _answer: Answer) -> bool:
    return case.event["type"] == "m.room.power_levels" and case.event.get("state_key") != ""


def _odd_redacts(case: GeneratedCase, ours: Decision, _: Answer) -> bool:
    return ours.rule == "redaction.otherwise" and not isinstance(case.event.get("redacts"), str)


def _malformed_member(case: GeneratedCase, _ours: Decision, _answer: Answer) -> bool:
    content, key = case.event["content"], case.event.get("state_key")
    return case.event["type"] == "m.room.member" and (
        not isinstance(content.get("membership"), str)
        or key is None
        or ":" not in key
        or "third_party_invite" in content
        or not isinstance(content.get("join_authorised_via_users_server", ""), str)
    )


CLASSES: Final[Mapping[str, Holds]] = MappingProxyType(
    {
        "dropped": lambda _case, _ours, answer: "dropped" in answer,
        "authoriser-signature": _unsigned_by_authoriser,
        "federate": _federation,
        "power-level-alterations": _alterations,
        "power-levels-state-key": _other_state_key,
        "odd-level": lambda case, _ours, _answer: _odd_level(case),
        "odd-level-map": lambda case, _ours, _answer: _odd_map(case),
        "malformed-member": _malformed_member,
        "redaction-target": _odd_redacts,
    }
)
"""By the name under which conformance.md lists it."""


def as_case(case: GeneratedCase) -> Case:
    """The case as the driver takes it. Of a create event rule 1 is the whole judgement."""
    is_create = case.event["type"] == "m.room.create"
    return {
        "id": str(case.seed),
        "version": case.version,
        "event": case.event,
        "event_id": case.event_id,
        "auth_events": [] if is_create else [list(entry) for entry in case.state],
        "kind": "auth_events" if is_create else "state",
        "signed_by": sorted(case.signed_by),
    }


def class_of(case: GeneratedCase, ours: Decision, answer: Answer) -> str | None:
    """The class of a disagreement; None for one that nobody has listed."""
    return next((name for name, holds in CLASSES.items() if holds(case, ours, answer)), None)


def decided(case: GeneratedCase) -> Decision:
    """What this library says."""
    state, event = events_of(case)
    return auth.check(event, RoomState.of(KNOWN[case.version], state))


class TestAgreement:
    def test_with_synapse_but_for_what_is_listed(self) -> None:
        found: Counter[str] = Counter()
        unlisted = []
        cases = [generate(seed) for seed in range(CASES)]
        with SynapseOracle() as oracle:
            answers = oracle.judge_many(as_case(case) for case in cases)
            for case, answer in zip(cases, answers, strict=True):
                ours = decided(case)
                judged = not answer.get("crash") and "dropped" not in answer
                if judged and answer["allowed"] == ours.allowed:
                    found["agreed"] += 1
                    continue
                name = class_of(case, ours, answer)
                found[name or "unlisted"] += 1
                if name is None:
                    unlisted.append((case.seed, case.version, ours.rule, answer))
        print(f"\n{CASES} cases: {dict(found.most_common())}")
        assert unlisted == []
        # Crashes are no verdicts: most cases must really have been judged by both.
        assert found["agreed"] > 0.8 * CASES

    @pytest.mark.parametrize("name", CLASSES)
    def test_is_told_of_on_the_page(self, name: str) -> None:
        assert f"`{name}`" in PAGE.read_text("utf-8")
