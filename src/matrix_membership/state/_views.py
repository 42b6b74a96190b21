"""The views of a state, with defaults filled in.

They say what its create event, power levels and join rules say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from matrix_membership.events import Event
from matrix_membership.events.contents import Create, JoinRules, PowerLevels
from matrix_membership.membership import JoinRule

CREATOR_POWER_LEVEL: Final = 2**53
"""The infinite level of version 12's creators: one more than the highest possible level."""

FIRST_CREATOR_POWER_LEVEL: Final = 100
"""The creator's level while the room has no power levels event."""

# Federated, because rooms are by default, and an invite's stripped state may lack its create event.
NO_CREATE: Final = Create(
    creator=None,
    names_creator=False,
    privileged=frozenset(),
    additional_creators_readable=True,
    federate=True,
    room_version="1",
    has_room_id=False,
)
NO_JOIN_RULES: Final = JoinRules(JoinRule.INVITE, ())

_View = TypeVar("_View")


def view_of(event: Event | None, kind: type[_View], default: _View) -> _View:
    """Return the view of an event that a look-up gave, or else the default."""
    return event.view if event is not None and isinstance(event.view, kind) else default


def levels_of_users(create: Create, levels: PowerLevels) -> Callable[[str], int]:
    """Return the function that gives the power level of a user."""

    # Creators are tested first: adding them to the levels would copy these.
    def level_of(user: str) -> int:
        if user in create.privileged:
            return CREATOR_POWER_LEVEL
        if levels.exists:
            return levels.level_of(user)
        return FIRST_CREATOR_POWER_LEVEL if user == create.creator else 0

    return level_of
