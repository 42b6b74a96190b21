"""Guided by coverage, atheris looks for a recipe on which an entry raises anything but our errors, or does too much work.

What it finds is written twice: as crash-…, which `python -m tests.fuzz crash-…` runs again, and as finding-….json, a
recipe to read. Moved to `tests/data/fuzz`, that file is an ordinary test from then on.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from typing import Final

import atheris

with atheris.instrument_imports(include=["matrix_membership"]):
    from tests.fuzz.recipes import chosen, kept
    from tests.fuzz.work import Finding, hold
    from tests.sources import ROOT

FINDINGS: Final = ROOT / "build" / "fuzz"
KEPT: Final = tuple(kept().values())


def run(data: bytes) -> None:
    """Make one call, and write down the recipe when it is a finding."""
    recipe = chosen(data, KEPT)
    try:
        hold(recipe)
    except Finding:
        text = recipe.to_json()
        name = sha256(text.encode()).hexdigest()[:16]
        (FINDINGS / f"finding-{name}.json").write_text(text, "utf-8")
        raise


if __name__ == "__main__":
    FINDINGS.mkdir(parents=True, exist_ok=True)
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()
