"""A state over a look-up, made by events that are at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from matrix_membership.events import Event
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState
from matrix_membership.state._fields import fill_in_views, looked_up
from matrix_membership.state._storage import LookUp


# Eight slots filled by `__getattr__`, one by one, took 18 us for each of the states that a resolution
# makes; filled at once they take 3.
def over_standing(
    standing: Iterable[Event],
    room_version: RoomVersion,
    get: LookUp,
    get_member: Callable[[str], Event | None],
) -> RoomState:
    """Make a state over a look-up as `RoomState.over` does, with `prepare`.

    Args:
        standing: its create event, power levels and join rules, as far as it has them.
        room_version: the version of the room.
        get: the look-up, which gives the same events.
        get_member: the same for member events, by user.
    """
    state: Any = looked_up(room_version, get, None, partial=False)
    state.get_member = get_member
    state._single = {event.type: event for event in standing}
    fill_in_views(state)
    state.__class__ = RoomState
    return state  # type: ignore[no-any-return]  # the line above made it one
