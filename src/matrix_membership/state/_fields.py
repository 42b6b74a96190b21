"""The slots of a room state while it is made, and its views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from matrix_membership.events import Event
from matrix_membership.events.contents import NO_POWER_LEVELS, Create, PowerLevels
from matrix_membership.identifiers import RoomID, ServerName
from matrix_membership.membership import JoinRule, Membership
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state._members import Roster
from matrix_membership.state._persistent_map import SmallMap
from matrix_membership.state._storage import GetEvent, Stored
from matrix_membership.state._views import NO_CREATE, NO_JOIN_RULES, levels_of_users

__all__ = ["NOT_TO_PREPARE", "TO_PREPARE", "Fields", "fill_in_views"]

NOT_TO_PREPARE: Final = (None, False, None)
TO_PREPARE: Final = (None, True, None)


class Fields:
    """The slots of a state while it is made: the same object, not yet sealed.

    `RoomState` refuses assignment. Filling its slots by `object.__setattr__` takes 1.9 us;
    filling these and then setting `__class__` takes 0.4, and a check takes 0.8.
    """

    __slots__ = (
        "__weakref__",
        "_keyed",
        "_lookup",
        "_members",
        "_roster",
        "_servers",
        "_single",
        "_stored",
        "_unseen",
        "allow",
        "create",
        "create_event",
        "get_member",
        "is_partial",
        "join_rule",
        "power_level_of",
        "power_levels",
        "prepared",
        "room_version",
    )

    room_version: RoomVersion
    create: Create
    create_event: Event | None
    join_rule: JoinRule
    allow: tuple[RoomID, ...]
    power_levels: PowerLevels
    power_level_of: Callable[[str], int]
    is_partial: bool
    prepared: tuple[Any, Any, Any]
    get_member: Callable[[Any], Event | None]
    _unseen: Membership
    _members: Mapping[str, Event] | None
    # All events but members, by type: those with the state key "", and by other state keys.
    _single: SmallMap[Event]
    _keyed: SmallMap[SmallMap[Event]]
    _roster: Roster
    _servers: frozenset[ServerName] | None
    _lookup: GetEvent
    _stored: Stored | None


def fill_in_views(state: Fields) -> None:
    """Fill in what the create event, power levels and join rules of a listed state say."""
    get: Any = state._single.get  # an event of one of these types has the view of its type
    event = state.create_event = get("m.room.create")
    create = state.create = NO_CREATE if event is None else event.view
    whole = event is not None and create.federate and not state.is_partial
    state.prepared = TO_PREPARE if whole else NOT_TO_PREPARE
    event = get("m.room.power_levels")
    levels = state.power_levels = NO_POWER_LEVELS if event is None else event.view
    simple = event is not None and not create.privileged
    state.power_level_of = levels.level_of if simple else levels_of_users(create, levels)
    event = get("m.room.join_rules")
    rules = NO_JOIN_RULES if event is None else event.view
    state.join_rule = rules.join_rule
    state.allow = rules.allow
