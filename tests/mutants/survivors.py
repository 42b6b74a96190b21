"""The mutants that no test can kill, each with its reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parent / "survivors.txt"
MARK: Final = "  # "


def read(text: str) -> dict[str, str]:
    """The reason of each mutant, by its name.

    Raises:
        ValueError: a mutant has no reason, or two.
    """
    explained: dict[str, str] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, reason = line.partition(MARK)
            if not reason.strip() or name in explained:
                raise ValueError(f"no reason, or two: {line}")
            explained[name] = reason
    return explained


def compare(
    survived: Collection[str], explained: Mapping[str, str], made: Collection[str]
) -> list[str]:
    """What is wrong: survivors without a reason, and reasons without a survivor."""
    return [
        *(f"survived, unexplained: {name}" for name in survived if name not in explained),
        *(
            f"explained, but {'killed' if name in made else 'there is none'}: {name}"
            for name in explained
            if name not in survived
        ),
    ]
