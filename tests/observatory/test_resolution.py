"""ruma and this library resolve the same generated rooms, and differ only where it is written.

Of versions 2 to 12: ruma does not have the algorithm of version 1.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any, Final

import pytest

from matrix_membership.resolution import Outcome, Resolution, resolve
from tests.builders import VERSIONS
from tests.observatory.marks import needs_ruma
from tests.observatory.ruma import Ruma
from tests.resolution.room_graphs import Case, a_case
from tests.sources import ROOT

pytestmark = [pytest.mark.observatory, needs_ruma]

CASES: Final = int(os.environ.get("OBSERVATORY_CASES", "5500"))
PAGE: Final = ROOT / "docs" / "explanation" / "conformance.md"
COMPARED: Final = [version for version in VERSIONS if version.state_resolution != "1"]

CREATE: Final = ("m.room.create", "")
RULES: Final = ("m.room.join_rules", "")
SHIFT: Final = 5
"""Generated times can be before 1970, which ruma does not read: added, their order is the same."""

Answer = dict[str, Any]


def asked(case: Case) -> dict[str, Any]:
    """The case as the program takes it."""
    events = {name: event.to_pdu() for name, event in case.events.items()}
    for pdu in events.values():
        pdu["origin_server_ts"] += SHIFT
    return {
        "room_version": case.version.identifier,
        "events": events,
        "rejected": sorted(case.rejected),
        "states": [[[*place, name] for place, name in s.items()] for s in case.state_sets],
    }


def has_a_cycle(case: Case) -> bool:
    """Some events authorise each other, and both sides do as they like: not asked."""
    edges = {name: event.auth_events for name, event in case.events.items()}
    try:
        TopologicalSorter(edges).prepare()
    except CycleError:
        return True
    return False


def _holds_rejected(case: Case) -> bool:
    return any(name in case.rejected for state in case.state_sets for name in state.values())


def _replays_rejected(found: Resolution) -> bool:
    return any(entry.outcome is Outcome.REJECTED for entry in found.story.considered)


CLASSES: Final[Mapping[str, Callable[[Case, Answer, Resolution], bool]]] = MappingProxyType(
    {
        "resolution-no-answer": lambda _, answer, __: "error" in answer,
        "resolution-rejected": lambda case, _, found: (
            _holds_rejected(case) or _replays_rejected(found)
        ),
        "resolution-create": lambda _, __, found: CREATE in found.conflicted,
        "resolution-missing": lambda _, __, found: bool(found.missing),
        "resolution-no-join-rules": lambda _, __, found: RULES not in found.state,
    }
)
"""By the name under which conformance.md lists it."""

SOUND: Final = ("agreed", "resolution-no-join-rules")
"""The outcomes for rooms in which nothing is wrong on purpose."""


def test_agrees_with_ruma_but_for_what_is_listed() -> None:
    found: Counter[str] = Counter()
    unlisted = []
    with Ruma() as ruma:
        for seed in range(CASES):
            case = a_case(seed, COMPARED[seed % len(COMPARED)])
            if has_a_cycle(case):
                found["not asked"] += 1
                continue
            answer = ruma.ask("resolve", **asked(case))
            ours = resolve(case.version, case.state_sets, case.events, rejected=case.rejected)
            theirs = {(kind, key): name for kind, key, name in answer.get("state", ())}
            name = "agreed"
            if dict(ours.state) != theirs:
                holds = (name for name, holds in CLASSES.items() if holds(case, answer, ours))
                name = next(holds, "unlisted")
            found[name] += 1
            if name == "unlisted" or (case.sound and name not in SOUND):
                unlisted.append((seed, str(case.version), name))
    print(f"\n{CASES} rooms: {dict(found.most_common())}")
    assert unlisted == []
    assert found["agreed"] > 0.8 * CASES


@pytest.mark.parametrize("name", CLASSES)
def test_is_told_of_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE.read_text("utf-8")
