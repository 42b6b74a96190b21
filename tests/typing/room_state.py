"""A misspelt attribute of a state is an error, a real one has its type."""

from __future__ import annotations

from collections.abc import Sequence

from matrix_membership import Event, RoomState
from matrix_membership.identifiers import UserID


def right(state: RoomState, user: UserID) -> Sequence[UserID]:
    level: int = state.power_level_of(user)
    return state.heroes() if level else ()


def wrong(state: RoomState, event: Event) -> None:
    state.heros()  # error: attr-defined
    state.power_level_of(event)  # error: arg-type
    event.state_keys  # error: attr-defined
    event.depth = 3  # error: misc
