"""The bar: on a terminal only, after a second, and gone at the end."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from itertools import count

import pytest

from matrix_membership.cli import _progress
from matrix_membership.cli._progress import watched


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Make standard error a terminal, on which each look at the clock takes so many seconds."""

    def made(seconds: float) -> None:
        clock = count()
        monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: True)
        monkeypatch.setattr(_progress, "monotonic", lambda: next(clock) * seconds)

    return made


@pytest.fixture
def without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    # As the import system has it for a module that is not there.
    monkeypatch.setitem(sys.modules, "rich", None)


def work(total: int, good: int = 9) -> list[int]:
    with watched(map(range(good).__getitem__, range(total)), total, "rooms") as values:
        return list(values)


def test_is_not_for_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert work(3) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_is_not_for_what_is_quick(
    capsys: pytest.CaptureFixture[str], terminal: Callable[[float], None]
) -> None:
    terminal(0.001)
    assert work(5) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("without_rich")
def test_comes_after_a_second_and_goes(
    capsys: pytest.CaptureFixture[str], terminal: Callable[[float], None]
) -> None:
    terminal(0.6)
    assert work(4) == [0, 1, 2, 3]
    shown = capsys.readouterr().err.split("\r\x1b[K")
    assert shown == [
        "",
        "[#######-----------------------] 1 of 4 rooms",
        "[###############---------------] 2 of 4 rooms",
        "[######################--------] 3 of 4 rooms",
        "",
    ]


def test_is_by_rich_where_that_is(
    capsys: pytest.CaptureFixture[str],
    terminal: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("rich", reason="`make test-all` has no extras")
    monkeypatch.setenv("TERM", "xterm")
    terminal(0.6)
    assert work(4) == [0, 1, 2, 3]
    shown = capsys.readouterr().err
    assert re.findall(r"\d/4 rooms", re.sub(r"\x1b\[[0-9;]*m", "", shown))[-1] == "3/4 rooms"
    # It goes up a line and erases it.
    assert shown.endswith("\x1b[1A\x1b[2K")


@pytest.mark.usefixtures("without_rich")
def test_makes_room_for_an_error(
    capsys: pytest.CaptureFixture[str], terminal: Callable[[float], None]
) -> None:
    terminal(0.6)
    with pytest.raises(IndexError):
        work(9, good=4)
    assert capsys.readouterr().err.endswith("] 3 of 9 rooms\r\x1b[K")


def test_of_nothing_is_nothing(
    capsys: pytest.CaptureFixture[str], terminal: Callable[[float], None]
) -> None:
    terminal(0.1)
    assert work(0) == []
    assert capsys.readouterr().err == ""
