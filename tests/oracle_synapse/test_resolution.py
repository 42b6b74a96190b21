"""Synapse and this library resolve the same generated rooms, and differ only where it is written."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest

from matrix_membership.resolution import Outcome, Resolution, resolve
from tests.interop.synapse import synapse_python
from tests.resolution.room_graphs import Case, a_case, with_own_ids
from tests.sources import ROOT

pytestmark = pytest.mark.oracle

CASES: Final = int(os.environ.get("ORACLE_CASES", "24000")) // 12
PAGE: Final = ROOT / "docs" / "explanation" / "conformance.md"
DRIVER: Final = Path(__file__).with_name("resolution_driver.py")

Answer = dict[str, Any]


def as_line(case: Case) -> str:
    """The case as the driver takes it."""
    room_id = next((event.room_id for event in case.events.values()), "!r:a.example")
    return json.dumps(
        {
            "version": case.version.identifier,
            "room_id": room_id,
            "events": {name: event.to_pdu() for name, event in case.events.items()},
            "rejected": sorted(case.rejected),
            "states": [[[*place, name] for place, name in s.items()] for s in case.state_sets],
        }
    )


def answers(cases: Iterable[Case], tmp: Path) -> list[Answer]:
    """What Synapse makes of them. The cases travel in a file, so that no pipe is ever full."""
    file = tmp / "cases.jsonl"
    file.write_text("".join(f"{as_line(case)}\n" for case in cases), "utf-8")
    with file.open("rb") as lines:
        done = subprocess.run(
            [synapse_python(), "-I", str(DRIVER)],
            stdin=lines,
            capture_output=True,
            timeout=1800,
            check=True,
        )
    return [json.loads(line) for line in done.stdout.splitlines()]


def _holds_rejected(case: Case) -> bool:
    return any(name in case.rejected for state in case.state_sets for name in state.values())


CREATE: Final = ("m.room.create", "")

CLASSES: Final[Mapping[str, Callable[[Case, Answer, Resolution], bool]]] = MappingProxyType(
    {
        "resolution-not-compared": lambda _, answer, __: "not_compared" in answer,
        "resolution-rejected": lambda case, _, __: _holds_rejected(case),
        "resolution-create": lambda _, __, found: CREATE in found.conflicted,
        "resolution-missing": lambda _, __, found: bool(found.missing),
        "resolution-cycle": lambda _, __, found: any(
            entry.outcome is Outcome.UNORDERED for entry in found.story.considered
        ),
    }
)
"""By the name under which conformance.md lists it."""


def test_agrees_with_synapse_but_for_what_is_listed(tmp_path: Path) -> None:
    found: Counter[str] = Counter()
    unlisted = []
    cases = [with_own_ids(a_case(seed)) for seed in range(CASES)]
    for seed, (case, answer) in enumerate(zip(cases, answers(cases, tmp_path), strict=True)):
        assert "fault" not in answer, (seed, answer)
        ours = resolve(case.version, case.state_sets, case.events, rejected=case.rejected)
        theirs = {(kind, key): name for kind, key, name in answer.get("state", ())}
        if "state" in answer and dict(ours.state) == theirs:
            found["agreed"] += 1
            continue
        name = next(
            (name for name, holds in CLASSES.items() if holds(case, answer, ours)), "unlisted"
        )
        found[name] += 1
        if name == "unlisted":
            unlisted.append((seed, str(case.version)))
    print(f"\n{CASES} rooms: {dict(found.most_common())}")
    assert unlisted == []
    assert found["agreed"] > 0.8 * CASES


@pytest.mark.parametrize("name", CLASSES)
def test_is_told_of_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE.read_text("utf-8")
