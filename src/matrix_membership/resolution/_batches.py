"""A mapping that grows as a value: batches of entries, the largest first.

A new batch is merged with those that are not more than twice as large. So n entries are copied
n log n times in all, however small the batches are, and a look-up asks log n dicts.
"""

# An immutable mapping that grows needs a copy for each addition or a tree. A copy costs the square,
# a tree a step of Python at each level. This is the logarithmic method: a few plain dicts, each
# more than twice as large as the next. Python's own dict does the look-ups.

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

__all__ = ["Batches", "found_in", "with_batch"]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

Batches = tuple[Mapping[_Key, _Value], ...]


def with_batch(
    batches: Batches[_Key, _Value], batch: Mapping[_Key, _Value]
) -> Batches[_Key, _Value]:
    """Return the batches with one more, whose entries count before older ones."""
    larger = list(batches)
    while larger and len(larger[-1]) <= 2 * len(batch):
        batch = {**larger.pop(), **batch}
    return (*larger, batch)


def found_in(batches: Batches[_Key, _Value], key: _Key) -> _Value | None:
    """Return the newest value under a key, or None."""
    # The newest batch first: it holds the current entry of a chain that has grown since.
    for batch in reversed(batches):
        value = batch.get(key)
        if value is not None:
            return value
    return None
