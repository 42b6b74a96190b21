"""Refuse JSON in place of a state or an event.

A client has its state as JSON, so handing that in is the first mistake of a bot's author. The
type checker sees it only in annotated code.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from matrix_membership.events import Event
from matrix_membership.state import RoomState

_EXPECTED: Final = MappingProxyType(
    {
        Event: "an Event, as Event.from_client_event makes of JSON",
        RoomState: "a RoomState, as read_state makes of JSON",
    }
)


def require(kind: type[Event | RoomState], value: object) -> None:
    """Raise `TypeError` for anything but a value of this kind."""
    if not isinstance(value, kind):
        raise TypeError(f"expected {_EXPECTED[kind]}, got {type(value).__name__}")
