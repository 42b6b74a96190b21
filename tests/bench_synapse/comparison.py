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
    CROWD,
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
    """

    name: str
    sizes: tuple[int, ...]
    theirs: tuple[float, ...]
    ours: tuple[float, ...]
    ratios: tuple[float, ...]

    @property
    def growth(self) -> tuple[float, float]:
        """The exponents with which the times of both grow."""
        return slope(self.sizes, self.theirs), slope(self.sizes, self.ours)


def sides(name: str, names: Mapping[int, str], theirs: Tasks, ours: Tasks, *, rounds: int) -> Sides:
    """Measure both sides at all sizes in turns.

    Args:
        name: what it is called.
        names: the name of the task for each size.
        theirs: the tasks as Synapse does them.
        ours: the tasks as this library does them.
        rounds: how many turns.
    """
    pairs = [(theirs[task].call, ours[task].call) for task in names.values()]
    columns = list(
        zip(*turns([call for pair in pairs for call in pair], rounds=rounds), strict=True)
    )
    their_times, our_times = columns[::2], columns[1::2]
    return Sides(
        name,
        tuple(names),
        tuple(map(statistics.median, their_times)),
        tuple(map(statistics.median, our_times)),
        tuple(
            statistics.median(one / other for one, other in zip(*both, strict=True))
            for both in zip(their_times, our_times, strict=True)
        ),
    )


def checks(work: Work, theirs: Tasks, ours: Tasks, *, rounds: int) -> Iterator[Sides]:
    """The checks that allow an event; what refuses one is compared, not measured."""
    for form in (LISTED, PREPARED):
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


def resolutions(work: Work, theirs: Tasks, ours: Tasks, *, rounds: int) -> Iterator[Sides]:
    """The states of forks resolved, with the auth difference at hand."""
    for room, sizes in work.forks.items():
        names = {places: RESOLVED.format(members=places, room=room) for places in sizes}
        yield sides(room, names, theirs, ours, rounds=rounds)


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
    ("states resolved", 6.0),
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
        form = RESOLVED if found.name.startswith("room version") else ANSWER
        for at, members in enumerate(found.sizes):
            lines.append(_row(form.format(members=members, room=found.name), found, at))
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
