"""Both sides measured in turns, and the tables of what came of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from tests.bench.measure import slope, turns
from tests.bench.page import shown
from tests.bench_synapse.tasks import (
    ANSWER,
    BOTH,
    CROWD,
    INSIDE,
    KEPT,
    LISTED,
    PREPARED,
    READ,
    RECEIPT,
    RESOLVED,
    Task,
)
from tests.bench_synapse.work import Work

Tasks = Mapping[str, Task]

USERS: Final = 50
"""For as many users in the power levels the targets are set."""
FLAT: Final = 0.05
LINEAR: Final = 1.08
"""The exponents with which a check and an answer may grow."""


@attrs.frozen
class Sides:
    """One piece of work, or one of several sizes, as both sides did it.

    Attributes:
        name: what it is.
        sizes: its sizes; one that is 0 for what has none.
        theirs: nanoseconds that Synapse took, the median for each size.
        ours: the same of this library.
        ratios: the medians of Synapse / this library in each turn, for each size.
        ruma: the nanoseconds that ruma took, where it was asked.
        ratios_to_ruma: the medians of ruma / this library.
    """

    name: str
    sizes: tuple[int, ...]
    theirs: tuple[float, ...]
    ours: tuple[float, ...]
    ratios: tuple[float, ...]
    ruma: tuple[float, ...] = ()
    ratios_to_ruma: tuple[float, ...] = ()

    @property
    def growth(self) -> tuple[float, float]:
        """The exponents with which the times of both grow."""
        return slope(self.sizes, self.theirs), slope(self.sizes, self.ours)


def sides(
    name: str,
    names: Mapping[int, str],
    theirs: Tasks,
    ours: Tasks,
    by_ruma: Tasks | None = None,
    *,
    rounds: int,
) -> Sides:
    """Measure all sides at all sizes in turns.

    Args:
        name: what it is called.
        names: the name of the task for each size.
        theirs: the tasks as Synapse does them.
        ours: the tasks as this library does them.
        by_ruma: the tasks as ruma does them, if it is asked.
        rounds: how many turns.
    """
    engines = [theirs, ours, *([by_ruma] if by_ruma else [])]
    calls = [engine[task].call for task in names.values() for engine in engines]
    columns = list(zip(*turns(calls, rounds=rounds), strict=True))
    times = [columns[number :: len(engines)] for number in range(len(engines))]
    return Sides(
        name,
        tuple(names),
        _medians(times[0]),
        _medians(times[1]),
        _ratios(times[0], times[1]),
        _medians(times[2]) if by_ruma else (),
        _ratios(times[2], times[1]) if by_ruma else (),
    )


Columns = Sequence[Sequence[float]]


def _medians(columns: Columns) -> tuple[float, ...]:
    return tuple(map(statistics.median, columns))


def _ratios(one: Columns, other: Columns) -> tuple[float, ...]:
    return tuple(
        statistics.median(a / b for a, b in zip(*both, strict=True))
        for both in zip(one, other, strict=True)
    )


def checks(work: Work, theirs: Tasks, ours: Tasks, *, rounds: int) -> Iterator[Sides]:
    """The checks that allow an event; what refuses one is compared, not measured."""
    for form in (LISTED, PREPARED, INSIDE, KEPT, BOTH):
        for kind, sizes in work.questions.items():
            names = {users: form.format(kind=kind, users=users) for users in sizes}
            if all(ours[task].result() for task in names.values()):
                name = form.format(kind=kind, users="").removesuffix(",  users")
                yield sides(name, names, theirs, ours, rounds=rounds)


def others(work: Work, theirs: Tasks, ours: Tasks, *, rounds: int) -> Iterator[Sides]:
    """Everything else."""
    receipts = [RECEIPT.format(room=room) for room in work.receipts]
    for name in (READ, *receipts, CROWD.format(crowd=work.crowd)):
        yield sides(name, {0: name}, theirs, ours, rounds=rounds)


def answers(work: Work, theirs: Tasks, ours: Tasks, *, rounds: int) -> Iterator[Sides]:
    """The answers to send_join."""
    for room, sizes in work.answers.items():
        names = {members: ANSWER.format(members=members, room=room) for members in sizes}
        yield sides(room, names, theirs, ours, rounds=rounds)


def resolutions(
    work: Work, theirs: Tasks, ours: Tasks, by_ruma: Tasks | None, *, rounds: int
) -> Iterator[Sides]:
    """The states of forks resolved."""
    for room, sizes in work.forks.items():
        names = {places: RESOLVED.format(members=places, room=room) for places in sizes}
        yield sides(room, names, theirs, ours, by_ruma, rounds=rounds)


def target_of(name: str) -> float | None:
    """How many times as fast this library shall be."""
    found = (target for start, target in TARGETS if name.startswith(start))
    return next(found, None)


TARGETS: Final[Sequence[tuple[str, float]]] = (
    ("public join, list", 15),
    ("public join, prepared", 40),
    ("restricted join, prepared", 25),
    ("invite, prepared", 25),
    ("kick, prepared", 25),
    ("ban, prepared", 25),
    ("message, prepared", 25),
    (READ, 2.0),
    (RECEIPT.partition(",")[0], 2.2),
    ("send_join answer verified, 100,000", 3.0),
    ("send_join answer verified", 2.8),
)


def time(nanoseconds: float) -> str:
    """A time in three digits."""
    if nanoseconds < 1e6:
        return f"{shown(nanoseconds / 1e3)} us"
    return (
        f"{nanoseconds / 1e6:,.0f} ms" if nanoseconds >= 1e8 else f"{shown(nanoseconds / 1e6)} ms"
    )


def times(value: float) -> str:
    """A ratio in three digits."""
    return f"{value:,.0f}" if value >= 1e3 else shown(value)


def exponent(value: float) -> str:
    """An exponent; one that is nearly none has no sign."""
    return f"{round(value, 2) + 0.0:.2f}"


def met(value: float, target: float | None) -> str:
    """The target, and whether a ratio meets it."""
    return "-" if target is None else f"{target:g}: {'yes' if value >= target else 'no'}"


def table_of_checks(measured: Sequence[Sides]) -> str:
    """Checks: the ratios at every size, times and target at the middle one."""
    sizes = measured[0].sizes
    ratios = " | ".join(f"ratio, {users} users" for users in sizes)
    lines = [
        f"| check | Synapse, {USERS} users | here | {ratios} | target at {USERS}: met | growth, Synapse | growth, here | at most {FLAT}: met |",
        "|" + "---|" * (len(sizes) + 7),
    ]
    for found in measured:
        at = sizes.index(USERS)
        theirs, ours = found.growth
        cells = [
            found.name,
            time(found.theirs[at]),
            time(found.ours[at]),
            *map(times, found.ratios),
            met(found.ratios[at], target_of(found.name)),
            exponent(theirs),
            exponent(ours),
            "yes" if ours <= FLAT else "no",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def table_of_others(measured: Sequence[Sides], whole: Sequence[Sides]) -> str:
    """Everything else, with answers at every size and how they grow."""
    lines = [
        "| figure | Synapse | here | ratio | target: met |",
        "|---|---|---|---|---|",
        *(_row(found.name, found, 0) for found in measured),
    ]
    for found in whole:
        for at, members in enumerate(found.sizes):
            lines.append(_row(ANSWER.format(members=members, room=found.name), found, at))
        if len(found.sizes) > 1:
            theirs, ours = found.growth
            held = f"at most {LINEAR}: {'yes' if ours <= LINEAR else 'no'}"
            name = f"the same, growth with size, {found.name}"
            lines.append(f"| {name} | {exponent(theirs)} | {exponent(ours)} | - | {held} |")
    return "\n".join(lines)


def _row(name: str, found: Sides, at: int) -> str:
    ratio = found.ratios[at]
    both = f"{time(found.theirs[at])} | {time(found.ours[at])}"
    return f"| {name} | {both} | {times(ratio)} | {met(ratio, target_of(name))} |"


TIMES_SYNAPSE: Final = 6.0
"""How many times as fast as Synapse states shall be resolved; as fast as ruma at least."""


def table_of_resolutions(measured: Sequence[Sides]) -> str:
    """The states of forks resolved, by Synapse, ruma and this library."""
    ratios = f"Synapse / here | ruma / here | at least {TIMES_SYNAPSE:g} and 1: met"
    lines = [
        f"| states resolved | places in dispute | Synapse | ruma | here | {ratios} |",
        "|" + "---|" * 8,
    ]
    for found in measured:
        for at, places in enumerate(found.sizes):
            met = [found.ratios[at] >= TIMES_SYNAPSE]
            if found.ruma:
                met.append(found.ratios_to_ruma[at] >= 1)
            cells = [
                found.name,
                f"{places:,}",
                time(found.theirs[at]),
                time(found.ruma[at]) if found.ruma else "-",
                time(found.ours[at]),
                times(found.ratios[at]),
                times(found.ratios_to_ruma[at]) if found.ruma else "-",
                ", ".join("yes" if one else "no" for one in met),
            ]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append(_growth_row(found))
    return "\n".join(lines)


def _growth_row(found: Sides) -> str:
    """The exponents without the smallest size, in which the places hardly count."""
    sizes = found.sizes[1:]
    if len(sizes) < len(("one", "other")):
        return f"| {found.name} | growth | - | - | - | - | - | - |"
    theirs, ours = slope(sizes, found.theirs[1:]), slope(sizes, found.ours[1:])
    ruma = exponent(slope(sizes, found.ruma[1:])) if found.ruma else "-"
    held = f"at most {LINEAR}: {'yes' if ours <= LINEAR else 'no'}"
    return (
        f"| {found.name} | growth from {sizes[0]:,} | {exponent(theirs)} | {ruma} | {exponent(ours)}"
        f" | - | - | {held} |"
    )
