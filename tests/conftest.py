"""What holds for every test."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# A deadline measures how busy the machine is. A failure prints what replays it.
settings.register_profile("here", settings.default, deadline=None, print_blob=True)
# For one more interpreter: what differs there does not hide in rare cases.
settings.register_profile("few", settings.get_profile("here"), max_examples=10)
settings.load_profile(os.environ.get("EXAMPLES", "here"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that are asked for.

    `LONG=no` leaves out what is marked `long`. `SHARE=2/3` keeps every third test, from the second
    on: so several interpreters run all tests between them.
    """
    if os.environ.get("LONG") == "no":
        items[:] = [item for item in items if item.get_closest_marker("long") is None]
    first, _, of = os.environ.get("SHARE", "1/1").partition("/")
    items[:] = items[int(first) - 1 :: int(of)]
