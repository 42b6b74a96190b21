"""What a call may cost, and what it cost.

Memory has a bound for each byte of the input. Time has one too, but processors differ, and other programs run beside: a
call that is over it is compared with the same call on a quarter of the input. Linear work then takes a quarter of the
time, quadratic work a sixteenth.
"""

from __future__ import annotations

import time
import tracemalloc
from typing import Any, Final

import attrs

from tests.entries import total
from tests.fuzz.recipes import CALLS, Recipe

BASE_SECONDS: Final = 0.1
SECONDS_PER_BYTE: Final = 3e-6
LONGEST_SECONDS: Final = 10.0
BASE_BYTES: Final = 4 * 1024 * 1024
BYTES_PER_BYTE: Final = 200
MOST_TIMES_QUARTER: Final = 8.0
"""Between linear work, four times that of a quarter of the input, and quadratic work, 16 times."""
ATTEMPTS: Final = 3


class Finding(AssertionError):
    """An entry raised something else, or did too much work."""


@attrs.frozen
class Work:
    """What a call took.

    Attributes:
        size: characters of the input.
        seconds: of the processor.
        peak: bytes that were allocated at one time, beyond those at its start.
    """

    size: int
    seconds: float
    peak: int

    @property
    def is_long(self) -> bool:
        """It took longer than such an input should."""
        return self.seconds > BASE_SECONDS + SECONDS_PER_BYTE * self.size

    @property
    def is_large(self) -> bool:
        """It allocated more than such an input should."""
        return self.peak > BASE_BYTES + BYTES_PER_BYTE * self.size


def hold(recipe: Recipe) -> Work:
    """Call an entry, and see that it gives a value or one of our errors within its bounds.

    Returns:
        The work that it took.

    Raises:
        Finding: the entry raised anything else, or was over a bound.
    """
    value, size = recipe.value, len(recipe.text)
    work = Work(size, _seconds(recipe, value), _peak(recipe, value))
    if work.is_large:
        raise Finding(f"{recipe.entry}: {work.peak} bytes at one time, for {size} characters")
    if work.is_long:
        _hold_growth(recipe, value)
    return work


def _hold_growth(recipe: Recipe, value: Any) -> None:
    """Compare with a quarter of the input: 4 times the time is linear, 16 times is the square.

    The first call also paid for caches, so both are made anew.
    """
    whole = _least_seconds(recipe, value)
    quarter = recipe.halved.halved
    part = _least_seconds(recipe, quarter.value)
    if whole > LONGEST_SECONDS or (whole > BASE_SECONDS and whole > MOST_TIMES_QUARTER * part):
        raise Finding(
            f"{recipe.entry}: {whole:.2f} s for {len(recipe.text)} characters, {part:.2f} s for "
            f"{len(quarter.text)}"
        )


def _least_seconds(recipe: Recipe, value: Any) -> float:
    return min(_seconds(recipe, value) for _ in range(ATTEMPTS))


def _seconds(recipe: Recipe, value: Any) -> float:
    before = time.process_time()
    _call(recipe, value)
    return time.process_time() - before


def _peak(recipe: Recipe, value: Any) -> int:
    tracemalloc.start()
    try:
        _call(recipe, value)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _call(recipe: Recipe, value: Any) -> None:
    try:
        said = total(CALLS[recipe.entry], value, recipe.version)
    except Exception as error:
        raise Finding(f"{recipe.entry}: {error!r:.200}") from error
    if said == "an error without a sentence":
        raise Finding(f"{recipe.entry}: {said}")
