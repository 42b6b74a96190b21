"""Membership leave: leaving, kicking, unbanning, rejecting and withdrawing."""

from __future__ import annotations

from matrix_membership.auth._rule import Category, Section, allows, numbers_of, rejects
from matrix_membership.events import Event
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from matrix_membership.state import RoomState


@allows(v1="5.4.1", v6="4.4.1", v7=None)
def of_oneself_from_invite_or_join(event: Event, state: RoomState) -> bool:
    """The user leaves a room to which they are invited or joined."""
    return event.sender == event.state_key and state.membership_of(event.sender) in (INVITE, JOIN)


@allows(v7="4.4.1", v8="4.5.1", v12="5.5.1")
def of_oneself_from_invite_join_or_knock(event: Event, state: RoomState) -> bool:
    """The user leaves a room to which they are invited, joined, or have knocked."""
    return event.sender == event.state_key and state.membership_of(event.sender) in (
        INVITE,
        JOIN,
        KNOCK,
    )


# A banned user must not lift the ban by leaving. A leave by a user who is not in the room is
# rejected too, which gomatrixserverlib allows.
@rejects(v1="5.4.1", v6="4.4.1", v8="4.5.1", v12="5.5.1", category=Category.NOT_JOINED)
def of_oneself_otherwise(event: Event, _: RoomState) -> bool:
    """The user has nothing to leave."""
    return event.sender == event.state_key


@rejects(v1="5.4.2", v6="4.4.2", v8="4.5.2", v12="5.5.2", category=Category.NOT_JOINED)
def sender_not_joined(event: Event, state: RoomState) -> bool:
    """The sender is not joined."""
    return state.membership_of(event.sender) is not JOIN


# The ban level alone does not unban. The next rule asks for the kick level and more power as well,
# where gomatrixserverlib stops here.
@rejects(v1="5.4.3", v6="4.4.3", v8="4.5.3", v12="5.5.3", category=Category.POWER)
def sender_may_not_unban(event: Event, state: RoomState) -> bool:
    """The user is banned and the sender is below the ban level."""
    return (
        state.membership_of(event.state_key or "") is BAN
        and state.power_level_of(event.sender) < state.power_levels.ban
    )


@allows(v1="5.4.4", v6="4.4.4", v8="4.5.4", v12="5.5.4")
def sender_may_kick(event: Event, state: RoomState) -> bool:
    """The sender has the kick level and more power than the user."""
    level = state.power_level_of(event.sender)
    return level >= state.power_levels.kick and state.power_level_of(event.state_key or "") < level


@rejects(v1="5.4.5", v6="4.4.5", v8="4.5.5", v12="5.5.5", category=Category.POWER)
def otherwise(event: Event, _: RoomState) -> bool:
    """The sender is below the kick level or has no more power than the user."""
    return True


LEAVE_SECTION = Section(
    membership=LEAVE,
    numbers=numbers_of({"v1": "5.4", "v6": "4.4", "v8": "4.5", "v12": "5.5"}),
    rules=(
        of_oneself_from_invite_or_join,
        of_oneself_from_invite_join_or_knock,
        of_oneself_otherwise,
        sender_not_joined,
        sender_may_not_unban,
        sender_may_kick,
        otherwise,
    ),
)
