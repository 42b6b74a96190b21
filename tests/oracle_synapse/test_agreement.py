"""Synapse and this library judge the same generated cases, and differ only where it is written.

Each class of disagreement has a name, under which docs/explanation/conformance.md tells what
the specification says and what others do. A disagreement of no class fails the run.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from matrix_membership import RoomState, RoomVersion, auth, conformance
from matrix_membership.auth import Decision
from matrix_membership.room_versions import KNOWN
from tests.generated_cases import GeneratedCase, events_of, generate
from tests.oracle_synapse.client import Case, SynapseOracle

pytestmark = pytest.mark.oracle

CASES = int(os.environ.get("ORACLE_CASES", "24000"))
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "conformance.md"

SWITCHED: Final = {
    name: conformance.compatible(version, *conformance.SYNAPSE) for name, version in KNOWN.items()
}


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


def judged(case: GeneratedCase, version: RoomVersion) -> tuple[Decision, str]:
    """Return the verdict by a version's rules, and the class of a difference, if there is one."""
    events, event = events_of(case, {case.version: version})
    state = RoomState.of(version, events)
    ours = auth.check(event, state)
    return ours, conformance.class_of(event, state, ours)


class TestAgreement:
    def test_with_synapse_but_for_what_is_listed(self) -> None:
        found: Counter[str] = Counter()
        alike: Counter[str] = Counter()
        unlisted = []
        cases = [generate(seed) for seed in range(CASES)]
        with SynapseOracle() as oracle:
            answers = oracle.judge_many(as_case(case) for case in cases)
            for case, answer in zip(cases, answers, strict=True):
                ours, name = judged(case, KNOWN[case.version])
                dropped = "dropped" in answer
                if not dropped and not answer["undecided"] and answer["allowed"] == ours.allowed:
                    found["agreed"] += 1
                else:
                    found["dropped" if dropped else name or "unlisted"] += 1
                    if not (dropped or name):
                        unlisted.append((case.seed, case.version, ours.rule, answer))
                if not dropped:
                    switched, name = judged(case, SWITCHED[case.version])
                    equal = answer["allowed"] == switched.allowed
                    alike["equal" if equal else name or "unlisted"] += 1
        print(f"\n{CASES} cases: {dict(found.most_common())}")
        print(f"with all switches: {dict(alike.most_common())}")
        assert unlisted == []
        # Crashes are no verdicts: most cases must really have been judged by both.
        assert found["agreed"] > 0.8 * CASES
        # What has no switch is how a level or a map of levels is written.
        assert alike.keys() <= {"equal", "odd-level", "odd-level-map"}
        assert alike["equal"] > 0.99 * CASES

    @pytest.mark.parametrize("name", ["dropped", *conformance.CLASSES])
    def test_is_told_of_on_the_page(self, name: str) -> None:
        assert f"`{name}`" in PAGE.read_text("utf-8")
