"""The explanations of every rule's case, as pages, and of a few as JSON: a text that can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from matrix_membership import RoomState, auth
from matrix_membership.auth import Explanation
from tests.builders import versions_having
from tests.rule_cases import CASES

FILE: Final = Path(__file__).parent / "explanations.txt"

HEADER: Final = """\
What auth.explain says of the case of every rule (tests/rule_cases.py), in the newest version that has it.
Made by `python -m tests.golden`; a test makes it again and compares."""

IN_JSON: Final = ("join.authoriser_may_not_invite", "leave.otherwise")


def text() -> str:
    """The whole file."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield HEADER
    for rule in CASES:
        case = CASES[rule](versions_having(rule)[-1])
        if isinstance(case.against, RoomState):
            explanation = auth.explain(case.event, case.against)
            yield f"\n{'=' * 100}\n{rule}\n"
            yield str(explanation)
            if rule in IN_JSON:
                yield from _json(explanation)


def _json(explanation: Explanation) -> Iterator[str]:
    for key, value in explanation.to_dict().items():
        entries = value if isinstance(value, list) else [value]
        yield f"\n{key}:"
        yield from (f"    {json.dumps(entry, default=dict)}" for entry in entries)
