"""Refuse JSON in place of a state or an event.

A client has its state as JSON, so handing that in is the first mistake of a bot's author. The
type checker sees it only in annotated code.
"""

from __future__ import annotations

from matrix_membership.events import Event
from matrix_membership.state import RoomState


def require_state(value: object) -> None:
    """Refuse anything else than a state.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, RoomState):
        kind = type(value).__name__
        raise TypeError(f"expected a RoomState, as read_state makes of JSON, got {kind}")


def require_event(value: object) -> None:
    """Refuse anything else than an event.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, Event):
        kind = type(value).__name__
        raise TypeError(f"expected an Event, as Event.from_client_event makes of JSON, got {kind}")
