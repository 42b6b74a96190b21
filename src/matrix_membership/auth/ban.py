"""Membership ban."""

from __future__ import annotations

from matrix_membership.auth._rule import Category, Section, allows, numbers_of, rejects
from matrix_membership.events import Event
from matrix_membership.membership import BAN, JOIN
from matrix_membership.state import RoomState


@rejects(v1="5.5.1", v6="4.5.1", v8="4.6.1", v12="5.6.1", category=Category.NOT_JOINED)
def sender_not_joined(event: Event, state: RoomState) -> bool:
    """The sender is not joined."""
    return state.membership_of(event.sender) is not JOIN


# The target's membership is never asked for. A user who left, or was never seen, can be banned
# before coming, and a banned one again with another reason.
@allows(v1="5.5.2", v6="4.5.2", v8="4.6.2", v12="5.6.2")
def sender_may_ban(event: Event, state: RoomState) -> bool:
    """The sender has the ban level and more power than the user."""
    level = state.power_level_of(event.sender)
    return level >= state.power_levels.ban and state.power_level_of(event.state_key or "") < level


@rejects(v1="5.5.3", v6="4.5.3", v8="4.6.3", v12="5.6.3", category=Category.POWER)
def otherwise(event: Event, _: RoomState) -> bool:
    """The sender is below the ban level or has no more power than the user."""
    return True


BAN_SECTION = Section(
    membership=BAN,
    numbers=numbers_of({"v1": "5.5", "v6": "4.5", "v8": "4.6", "v12": "5.6"}),
    rules=(sender_not_joined, sender_may_ban, otherwise),
)
