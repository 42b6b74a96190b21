"""The page on which what was measured stands."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "performance.md"


def shown(value: float | None) -> str:
    """A figure in three digits."""
    return "-" if value is None else f"{value:.3g}"


def write_between(begin: str, end: str, table: str) -> None:
    """Put a table in the place of the one that stands on the page between two comments."""
    text = PAGE.read_text("utf-8")
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise LookupError(f"{PAGE.name} has no place for a table between {begin} and {end}")
    PAGE.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}", "utf-8")
