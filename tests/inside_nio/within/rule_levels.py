"""A plugin of pytest: power levels that matrix-nio reads are answered by the rules.

Everybody who is asked about is joined to the room; its version is that of `ROOM_VERSION`.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from nio.events.room_events import PowerLevelsEvent

from bot_adapters import RuleLevels
from matrix_membership import KNOWN, Event, RoomState, read_event

VERSION = KNOWN[os.environ["ROOM_VERSION"]]
CREATOR = "@creator:localhost"

theirs = PowerLevelsEvent.from_dict
read: list[RuleLevels] = []


def by_rules(parsed: dict[str, Any]) -> Any:
    """Read an event as matrix-nio does, with the adapter for its levels."""
    event = theirs(parsed)
    if isinstance(event, PowerLevelsEvent):
        state = room_with(read_event(parsed, VERSION))
        event.power_levels = RuleLevels(lambda: state)
        read.append(event.power_levels)
    return event


def room_with(levels: Event) -> RoomState:
    """Return the state of a room with these levels."""

    def get(kind: str, key: str) -> Event | None:
        contents = {
            "m.room.create": {"room_version": VERSION.identifier, "creator": CREATOR},
            "m.room.member": {"membership": "join"},
        }
        if kind not in contents:
            return levels if kind == levels.type else None
        sender = key or CREATOR
        fields = {"type": kind, "sender": sender, "state_key": key, "content": contents[kind]}
        return read_event(fields, VERSION)

    return RoomState.over(VERSION, get)


PowerLevelsEvent.from_dict = by_rules


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how often it was asked."""
    terminalreporter.write_line(f"{len(read)} by the rules")
