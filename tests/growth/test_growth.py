"""Work and memory grow no faster than the input, at every public entry."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from time import process_time
from typing import Any

import pytest

from matrix_membership import Event
from matrix_membership.errors import InvalidEvent
from matrix_membership.room_versions import V11
from tests.entries import ENTRIES, WITHIN
from tests.growth.counting import allocated, exponent, instructions
from tests.growth.inputs import COPIED, IN_C, LARGE_PDUS, SHAPES, WORST, Make, of_a_pdu, of_entry

pytestmark = pytest.mark.long

SIZES = (50, 100, 200, 400)
MOST = 1.25
"""Sorting and trees add a logarithm; the square is 2."""


def grown(make: Make, sizes: tuple[int, ...] = SIZES) -> float:
    # This is done once in a process: caches are filled, and Python 3.13 counts another number of
    # instructions where code is traced for the first time. Python 3.11 does not, and to count once
    # more was a third of the work.
    make(3)()
    largest = make(sizes[-1])
    if sys.version_info >= (3, 12):
        instructions(largest)
    else:
        largest()
    return exponent(sizes, [instructions(make(size)) for size in sizes])


@pytest.mark.parametrize("name", WORST)
def test_of_the_worst_known_input_is_linear(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Below this limit work is the product of two sizes.
    monkeypatch.setattr("matrix_membership.advice._servers.MOST_COMPARISONS", 1_000)
    assert grown(WORST[name]) < MOST


@pytest.mark.parametrize("name", [*ENTRIES, *WITHIN])
@pytest.mark.parametrize("shape", SHAPES)
def test_of_any_value_is_linear(name: str, shape: str) -> None:
    assert grown(of_entry(name, shape)) < MOST


@pytest.mark.parametrize("name", COPIED)
def test_of_copying_is_linear(name: str) -> None:
    sizes = (250, 500, 1_000, 2_000)
    COPIED[name](3)()
    assert exponent(sizes, [allocated(COPIED[name](size)) for size in sizes]) < MOST


@pytest.mark.parametrize("name", LARGE_PDUS)
def test_of_the_largest_pdu_is_bounded(name: str) -> None:
    """CI counts, `make bench` measures: 50 ms are more than two million instructions."""
    for entry, call in of_a_pdu(name).items():
        call()
        assert instructions(call) < MOST_INSTRUCTIONS, entry


MOST_INSTRUCTIONS = 2_000_000


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview, bytes.decode])
def test_of_what_is_too_large_no_copy_is_made(form: Callable[[bytes], Any]) -> None:
    data = form(b"[" * 3_000_000)
    with pytest.raises(InvalidEvent):
        Event.from_pdu(data, V11)

    def call() -> None:
        with suppress(InvalidEvent):
            Event.from_pdu(data, V11)

    assert allocated(call) < 100_000


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_C)
def test_of_c_code_is_short(name: str) -> None:
    """With 64 KiB the square takes seconds, a line milliseconds: no machine is that busy."""
    call = IN_C[name](32_000)
    start = process_time()
    call()
    assert process_time() - start < 1
