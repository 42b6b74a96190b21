"""CPU time, in turns with what it is compared to, so that a busy machine slows both.

pytest-benchmark measures one function at a time; a ratio of two such figures is as noisy as the machine between them.
"""

from __future__ import annotations

import gc
import math
import os
import statistics
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter_ns, process_time_ns
from typing import Protocol

Call = Callable[[], object]

SLICE = 4_000_000
"""Nanoseconds that one turn takes at least: the clock ticks in the order of one."""


def repeats(call: Call) -> int:
    """How often a call is made in one turn."""
    call()  # the first one may make what the others find made
    count = 1
    while True:
        spent = taken(call, count)
        if spent >= SLICE:
            return count
        count = max(count * 2, int(count * SLICE / max(spent, 1)))


class Elsewhere(Protocol):
    """A call that another process makes, and measures itself."""

    def __call__(self) -> object:
        """Make the call."""

    def taken(self, count: int) -> int:
        """Make it so often, and return the nanoseconds of CPU time that it took there."""


def taken(call: Call | Elsewhere, count: int) -> int:
    """Return the CPU time of so many calls, in nanoseconds."""
    if hasattr(call, "taken"):
        return call.taken(count)
    start = process_time_ns()
    for _ in range(count):
        call()
    return process_time_ns() - start


@contextmanager
def settled() -> Iterator[None]:
    """Keep what is there already out of the garbage collector's way, as a server does once it has started.

    Otherwise a call that makes many objects pays for looking through those of the benchmark.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def turns(calls: Sequence[Call], *, rounds: int) -> list[list[float]]:
    """How many nanoseconds each call took in each round: in every one, all take a turn."""
    counts = [repeats(call) for call in calls]
    with settled():
        return [
            [taken(call, count) / count for call, count in zip(calls, counts, strict=True)]
            for _ in range(rounds)
        ]


def ratio(call: Call, base: Call, *, rounds: int = 15) -> float:
    """How many times as long a call takes as another one: the median over turns."""
    return statistics.median(one / other for one, other in turns((call, base), rounds=rounds))


def best(measured: Callable[[], float], *, tries: int = 3, most: bool = False) -> float:
    """The best of some medians: whatever else a machine does only makes a figure worse."""
    found = [measured() for _ in range(tries)]
    return max(found) if most else min(found)


def microseconds(call: Call, *, rounds: int = 9) -> float:
    """How long a call takes, the median over turns."""
    count = repeats(call)
    with settled():
        return statistics.median(taken(call, count) / count for _ in range(rounds)) / 1000


def exponent(sizes: Sequence[int], calls: Sequence[Call], *, rounds: int = 9) -> float:
    """With which power of the size the time grows: the calls of all sizes take turns."""
    times = turns(calls, rounds=rounds)
    return slope(sizes, [statistics.median(column) for column in zip(*times, strict=True)])


def slope(sizes: Sequence[int], times: Sequence[float]) -> float:
    """The slope between logarithms, by least squares."""
    return statistics.linear_regression(
        [math.log(size) for size in sizes], [math.log(time) for time in times]
    ).slope


def kilobytes(make: Callable[[int], object], count: int) -> float:
    """What each of many values holds in memory, in units of 1,000 bytes."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [make(number) for number in range(count)]
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held / len(kept) / 1000


def peak(call: Call) -> float:
    """The most memory that a call holds at once, in bytes."""
    call()  # what is made once and kept
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    call()
    held = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return held


def elapsed_ratio(call: Call, other: Call, *, rounds: int = 5) -> float:
    """How many times as long a call takes as another one by the clock on the wall: the median over turns."""
    found = []
    with settled():
        for _ in range(rounds):
            times = []
            for one in (call, other):
                start = perf_counter_ns()
                one()
                times.append(perf_counter_ns() - start)
            found.append(times[0] / times[1])
    return statistics.median(found)


def import_time(statement: str) -> float:
    """Return the CPU milliseconds that a statement takes in a fresh process."""
    timed = (
        f"import time; start = time.process_time(); {statement}; print(time.process_time() - start)"
    )
    # Bytecode is read, as where a package is installed, even if this process writes none.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", timed]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return 1000 * float(run.stdout)


def import_times(package: str, dependencies: str, *, rounds: int = 21) -> tuple[float, float]:
    """Return what importing a package adds to its dependencies: in CPU milliseconds, and as a multiple of theirs.

    Both are medians over rounds in which the two processes take turns.
    """
    import_time(f"import {dependencies}, {package}")  # writes the bytecode that the others read
    pairs = [
        (import_time(f"import {dependencies}"), import_time(f"import {dependencies}, {package}"))
        for _ in range(rounds)
    ]
    return (
        statistics.median(whole - base for base, whole in pairs),
        statistics.median((whole - base) / base for base, whole in pairs),
    )
