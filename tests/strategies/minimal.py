"""What a strategy can draw: anything that is wanted, or the smallest of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import Phase, find, settings
from hypothesis.strategies import SearchStrategy

_Value = TypeVar("_Value")


def minimal(
    strategy: SearchStrategy[_Value], wanted: Callable[[_Value], bool] = lambda _: True
) -> _Value:
    """The smallest value of a strategy that is wanted."""
    how = settings(max_examples=3000, database=None, report_multiple_bugs=False)
    return find(strategy, wanted, settings=how)


def any_of(strategy: SearchStrategy[_Value], wanted: Callable[[_Value], bool]) -> _Value:
    """Some value of a strategy that is wanted: the first one drawn."""
    how = settings(
        max_examples=5000, database=None, report_multiple_bugs=False, phases=[Phase.generate]
    )
    return find(strategy, wanted, settings=how)
