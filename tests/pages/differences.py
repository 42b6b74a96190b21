"""The page of differences: each room version compared with the one before it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from matrix_membership.proposals import compare
from matrix_membership.proposals.comparing import Comparison
from tests.builders import VERSIONS
from tests.sources import ROOT

FILE: Final = ROOT / "docs" / "reference" / "differences.md"

HEAD: Final = """\
# Differences between versions

Each room version is compared with the one before it: the rules that differ, and the events that one version allows and
the other rejects. `matrix-membership compare 11 12 --html page.html` writes a comparison as a page of its own, with both
sides explained. The newest version comes first.

Rules that only take another number are counted, not listed.
"""


def text() -> str:
    """The page."""
    sections = ["\n".join(_section(compare(*pair))) for pair in list(pairwise(VERSIONS))[::-1]]
    return "\n".join([HEAD, *sections])


def _section(comparison: Comparison) -> Iterator[str]:
    yield f"## {comparison.before} and {comparison.after}\n"
    told = [change for change in comparison.rules if change.change != "renumbered"]
    moved = len(comparison.rules) - len(told)
    if not comparison.rules:
        yield "The rules are the same.\n"
    if told:
        yield "| rule | before | after | change |\n|---|---|---|---|"
        for change in told:
            names = " → ".join(
                f"`{name}`"
                for name in dict.fromkeys((change.name_before, change.name_after))
                if name
            )
            yield f"| {names} | {change.number_before} | {change.number_after} | {change.change} |"
        yield ""
    if moved:
        yield f"{moved} rules take another number.\n"
    if not comparison.verdicts:
        yield f"In {comparison.compared:,} situations, no verdict differs.\n"
    for verdict in comparison.verdicts:
        yield f"{verdict.before}; {verdict.after} (situations: {verdict.count}):\n"
        yield "```text"
        yield str(verdict.situation)
        yield "```\n"
