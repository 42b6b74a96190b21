"""Rule 10 (versions 6 to 11: 9): changes of power levels.

The specification walks through the alterations and tests two conditions on each.
Here each condition is a rule over all alterations: the verdict is the same, the
number cited can differ when several alterations are forbidden.
"""

from __future__ import annotations

from collections.abc import Mapping

from matrix_membership.auth._rule import Category, Section, allows, numbers_of, rejects
from matrix_membership.events import Event
from matrix_membership.events.contents import NAMED_LEVELS, NO_POWER_LEVELS, PowerLevels
from matrix_membership.state import RoomState


# Before version 10 only `users` had to be readable. The other levels counted as their defaults if
# they could not be read.
@rejects(v10="9.1", v12="10.1", category=Category.MALFORMED)
def named_level_not_an_integer(event: Event, _: RoomState) -> bool:
    """A level that the event names is not an integer."""
    return not _new(event).named_readable


@rejects(v10="9.2", v12="10.2", category=Category.MALFORMED)
def map_of_other_than_integers(event: Event, _: RoomState) -> bool:
    """The levels of events or notifications are not all integers."""
    return not _new(event).maps_readable


@rejects(v1="10.1", v6="9.1", v10="9.3", v12="10.3", category=Category.MALFORMED)
def users_unreadable(event: Event, _: RoomState) -> bool:
    """The levels of users are not all levels of user IDs."""
    return not _new(event).users_readable


# A creator's level cannot be lowered, so an entry for one would show a level that does not count.
@rejects(v12="10.4", category=Category.MALFORMED)
def creator_listed(event: Event, state: RoomState) -> bool:
    """A creator of the room is among the users."""
    return not _new(event).users.keys().isdisjoint(state.create.privileged)


@allows(v1="10.2", v6="9.2", v10="9.4", v12="10.5")
def first_power_levels(event: Event, state: RoomState) -> bool:
    """The room has no power levels yet."""
    return not state.power_levels.exists


# A level that is added or removed changes from or to its default. Synapse compares only those that
# are present.
@rejects(v1="10.3.1", v6="9.3.1", v10="9.5.1", v12="10.6.1", category=Category.POWER)
def changes_named_level_above_own(event: Event, state: RoomState) -> bool:
    """A level that is changed was above the sender's."""
    before, after = state.power_levels.named, _new(event).named
    return before != after and _alters_name_above(before, after, event, state)


@rejects(v1="10.3.2", v6="9.3.2", v10="9.5.2", v12="10.6.2", category=Category.POWER)
def sets_named_level_above_own(event: Event, state: RoomState) -> bool:
    """A level is changed to one above the sender's."""
    before, after = state.power_levels.named, _new(event).named
    return before != after and _alters_name_above(after, before, event, state)


# Versions 1 to 5 leave `notifications` unprotected. Version 6 added it to rules 9.4 and 9.5.
@rejects(v1="10.4.1", v6=None, category=Category.POWER)
def changes_event_level_above_own(event: Event, state: RoomState) -> bool:
    """The level of an event type that is changed was above the sender's."""
    before, after = state.power_levels.events, _new(event).events
    return before != after and _alters_above(before, after, event, state)


@rejects(v6="9.4.1", v10="9.6.1", v12="10.7.1", category=Category.POWER)
def changes_event_or_notification_level_above_own(event: Event, state: RoomState) -> bool:
    """The changed level of an event type or notification was above the sender's."""
    before, after = state.power_levels, _new(event)
    return (
        before.events != after.events and _alters_above(before.events, after.events, event, state)
    ) or (
        before.notifications != after.notifications
        and _alters_above(before.notifications, after.notifications, event, state)
    )


@rejects(v1="10.5.1", v6=None, category=Category.POWER)
def sets_event_level_above_own(event: Event, state: RoomState) -> bool:
    """The level of an event type is set above the sender's."""
    before, after = state.power_levels.events, _new(event).events
    return before != after and _alters_above(after, before, event, state)


@rejects(v6="9.5.1", v10="9.7.1", v12="10.8.1", category=Category.POWER)
def sets_event_or_notification_level_above_own(event: Event, state: RoomState) -> bool:
    """The level of an event type or notification is set above the sender's."""
    before, after = state.power_levels, _new(event)
    return (
        before.events != after.events and _alters_above(after.events, before.events, event, state)
    ) or (
        before.notifications != after.notifications
        and _alters_above(after.notifications, before.notifications, event, state)
    )


# Equal level protects too, or two administrators could demote each other. Lowering oneself stays
# allowed.
@rejects(v1="10.6.1", v6="9.6.1", v10="9.8.1", v12="10.9.1", category=Category.POWER)
def changes_user_not_below_own(event: Event, state: RoomState) -> bool:
    """A user whose level is changed was not below the sender."""
    before, level = state.power_levels, state.power_level_of(event.sender)
    if before.highest < level:
        return False
    changed = _changed_from(level, before.users, _new(event).users)
    return bool(changed) and changed != [event.sender]


@rejects(v1="10.7.1", v6="9.7.1", v10="9.9.1", v12="10.10.1", category=Category.POWER)
def sets_user_above_own(event: Event, state: RoomState) -> bool:
    """A user's level is set above the sender's."""
    after, level = _new(event), state.power_level_of(event.sender)
    return after.highest > level and bool(
        _changed_from(level + 1, after.users, state.power_levels.users)
    )


@allows(v1="10.8", v6="9.8", v10="9.10", v12="10.11")
def otherwise(event: Event, _: RoomState) -> bool:
    """The sender may make all these changes."""
    return True


def _new(event: Event) -> PowerLevels:
    return event.view if isinstance(event.view, PowerLevels) else NO_POWER_LEVELS


# The rules compare whole objects first: most changes are of users alone, and then nobody's level is
# looked up.
Levels = Mapping[str, int]


def _alters_name_above(side: Levels, other: Levels, event: Event, state: RoomState) -> bool:
    """Tell if a named level above the sender's differs from the other side."""
    # Presence counts as well as value: writing a default down is an alteration, as in ruma.
    # gomatrixserverlib compares numbers.
    level = state.power_level_of(event.sender)
    return any(
        side.get(name, default) > level and side.get(name) != other.get(name)
        for name, default in NAMED_LEVELS.items()
    )


def _alters_above(side: Levels, other: Levels, event: Event, state: RoomState) -> bool:
    """Tell if the other side lacks or changes a level above the sender's."""
    return bool(_changed_from(state.power_level_of(event.sender) + 1, side, other))


def _changed_from(least: int, side: Levels, other: Levels) -> list[str]:
    """Return the entries of at least a level that the other side lacks or changes."""
    # The level is compared first: few entries are above the sender's, and a look-up on the other
    # side costs more than that. With one user added to 500 it takes 9 us; the other way round, 29.
    get = other.get
    return [name for name, value in side.items() if value >= least and get(name) != value]


POWER_LEVELS = Section(
    event_type="m.room.power_levels",
    numbers=numbers_of({"v1": "10", "v6": "9", "v12": "10"}),
    rules=(
        named_level_not_an_integer,
        map_of_other_than_integers,
        users_unreadable,
        creator_listed,
        first_power_levels,
        changes_named_level_above_own,
        sets_named_level_above_own,
        changes_event_level_above_own,
        changes_event_or_notification_level_above_own,
        sets_event_level_above_own,
        sets_event_or_notification_level_above_own,
        changes_user_not_below_own,
        sets_user_above_own,
        otherwise,
    ),
)
