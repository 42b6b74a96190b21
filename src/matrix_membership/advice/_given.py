"""Look at what a caller hands in: no JSON, and perhaps a state without members.

A client has its state as JSON, so handing that in is the first mistake of a bot's author. The
type checker sees it only in annotated code.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from matrix_membership.errors import IncompleteState
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


def require_object(content: object) -> None:
    """Raise `TypeError` for content that is not a mapping, such as JSON text."""
    if not isinstance(content, Mapping):
        raise TypeError(f"expected a JSON object as content, got {type(content).__name__}")


def lacks_members(state: RoomState) -> bool:
    """Tell whether a state is partial, or has a malformed event at a member's place.

    Cost: linear in the malformed events.
    """
    # A malformed event that was passed over says nothing of its user, who may be joined all the
    # same. Of a filtered state, any question about a member left out raises by itself.
    return state.is_partial or any(
        entry.type == "m.room.member" and not state.knows(entry.type, entry.state_key or "")
        for entry in state.passed_over
    )


def need_all_members(state: RoomState) -> None:
    """Raise if members may be missing: then what nobody can do is unknown.

    Raises:
        IncompleteState: the state leaves members out.
    """
    if lacks_members(state):
        raise IncompleteState("what hurts in the room", "all members")
