"""The rooms of public reports: `tests/data/reports` holds each with the right answer and the reason."""

from __future__ import annotations

import json
from typing import Any

from matrix_membership import RoomState, read_state
from tests.sources import ROOT

FOLDER = ROOT / "tests" / "data" / "reports"


def report(name: str) -> dict[str, Any]:
    """A report by the name of its file."""
    read: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return read


def state_of(name: str) -> RoomState:
    """The state of the room that a report is about."""
    return read_state(report(name)["input"]["events"])
