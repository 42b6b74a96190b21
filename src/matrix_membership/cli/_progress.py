"""Show on a terminal how far a command that takes a second has come."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final, TypeVar

_T = TypeVar("_T")

_PATIENCE: Final = 1.0
"""Seconds before a bar is shown: most commands end before."""

_PAUSE: Final = 0.1
"""Seconds between two pictures of a bar."""

_WIDTH: Final = 30
_ERASE: Final = "\r\x1b[K"


@contextmanager
def watched(values: Iterable[_T], total: int, what: str) -> Iterator[Iterable[_T]]:
    """Give values with a bar on standard error, which is gone when the block ends.

    Args:
        values: the values to work on.
        total: how many they are.
        what: their name, in the plural.
    """
    # A log gets no bar.
    if not sys.stderr.isatty():
        yield values
        return
    begun = monotonic()
    try:
        yield _counted(values, begun + _PATIENCE, total, what)
    finally:
        # An error that ended the block has the line to itself.
        if monotonic() >= begun + _PATIENCE:
            sys.stderr.write(_ERASE)


def _counted(values: Iterable[_T], due: float, total: int, what: str) -> Iterator[_T]:
    for done, value in enumerate(values):
        now = monotonic()
        if now >= due:
            due = now + _PAUSE
            bar = ("#" * (_WIDTH * done // max(total, 1)))[:_WIDTH].ljust(_WIDTH, "-")
            sys.stderr.write(f"{_ERASE}[{bar}] {done:,} of {total:,} {what}")
            sys.stderr.flush()
        yield value
