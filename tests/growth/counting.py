"""Work, counted: bytecode instructions and bytes, which are the same on a busy machine.

What one instruction has C code do is not counted: `slow` tests bound its time, and
memory shows what is copied.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from math import log
from types import FrameType
from typing import Any

__all__ = ["Call", "allocated", "exponent", "instructions"]

Call = Callable[[], object]


def instructions(call: Call) -> int:
    """How many bytecode instructions a call takes, in all functions that it calls."""
    counted = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal counted
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        counted += event == "opcode"
        return trace

    # The collector runs callbacks and finalisers of others, Hypothesis' among them, at any moment:
    # counted too, they made constant work look like growth once in 23,000 tests. It is not run
    # here first: beside the heap of a whole run of tests that took a second for each count.
    gc.disable()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
        gc.enable()
    return counted


def allocated(call: Call) -> int:
    """How many bytes a call holds at most beside what was there."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = call()
        peak = tracemalloc.get_traced_memory()[1]
        del kept
    finally:
        tracemalloc.stop()
    return peak


def exponent(sizes: Sequence[int], works: Sequence[int]) -> float:
    """The power of the size that the work grows by, what it costs in any case left out.

    Args:
        sizes: four sizes, each twice the one before.
        works: the work for each.

    Returns:
        The power: 1 for linear work, 2 for the square; 0 where it does not grow.
    """
    first, last = works[1] - works[0], works[3] - works[2]
    if last <= works[3] * _NOTHING:
        return 0.0
    return log(last / max(first, 1), sizes[2] / sizes[0])


_NOTHING = 0.02
"""A growth of so small a part of the work is none."""
