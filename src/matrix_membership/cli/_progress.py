"""Show on a terminal how far a command that takes a second has come.

With the extra `cli`, rich draws the bar and tells the time that is left; otherwise it is plain.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pkgutil import resolve_name
from time import monotonic
from typing import Any, Final, TypeVar

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
        total: their number.
        what: their name, in the plural.
    """
    # A log gets no bar.
    if not sys.stderr.isatty():
        yield values
        return
    bar = _Bar(total, what)
    try:
        yield bar.count(values)
    finally:
        # An error that ended the block has the line to itself.
        bar.end()


class _Bar:
    def __init__(self, total: int, what: str) -> None:
        self._total, self._what = total, what
        self._due = monotonic() + _PATIENCE
        self._show: Callable[[int], None] | None = None
        self.end: Callable[[], None] = lambda: None

    def count(self, values: Iterable[_T]) -> Iterator[_T]:
        for done, value in enumerate(values):
            now = monotonic()
            if now >= self._due:
                self._due = now + _PAUSE
                self._shown()(done)
            yield value

    def _shown(self) -> Callable[[int], None]:
        if self._show is None:
            try:
                # By name: it is an extra, and most commands show no bar.
                rich = resolve_name("rich.progress")
            except ModuleNotFoundError:
                self._show, self.end = self._plain, lambda: _write(_ERASE)
            else:
                self._show, self.end = self._rich(rich)
        return self._show

    def _rich(self, rich: Any) -> tuple[Callable[[int], None], Callable[[], None]]:
        console = resolve_name("rich.console:Console")(stderr=True)
        columns = (rich.BarColumn(), rich.MofNCompleteColumn(), rich.TextColumn(self._what))
        bar = rich.Progress(
            *columns,
            rich.TimeRemainingColumn(),
            console=console,
            transient=True,
            auto_refresh=False,
        )
        task = bar.add_task(self._what, total=self._total)
        bar.start()
        return lambda done: bar.update(task, completed=done, refresh=True), bar.stop

    def _plain(self, done: int) -> None:
        filled = "#" * (_WIDTH * done // max(self._total, 1))
        bar = filled[:_WIDTH].ljust(_WIDTH, "-")
        _write(f"{_ERASE}[{bar}] {done:,} of {self._total:,} {self._what}")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
