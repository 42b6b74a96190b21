"""Membership knock, from room version 7 on."""

from __future__ import annotations

from matrix_membership.auth._rule import Category, Section, allows, numbers_of, rejects
from matrix_membership.events import Event
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, JoinRule
from matrix_membership.state import RoomState


# The text of versions 8 and 9 names knock alone. `knock_restricted` came with version 10.
@rejects(v7="4.6.1", v8="4.7.1", v10=None, category=Category.JOIN_RULE)
def join_rule_is_not_knock(event: Event, state: RoomState) -> bool:
    """The join rule is not knock."""
    return state.join_rule is not JoinRule.KNOCK


@rejects(v10="4.7.1", v12="5.7.1", category=Category.JOIN_RULE)
def join_rule_is_not_knock_or_knock_restricted(event: Event, state: RoomState) -> bool:
    """The join rule is neither knock nor knock_restricted."""
    return state.join_rule not in (JoinRule.KNOCK, JoinRule.KNOCK_RESTRICTED)


@rejects(v7="4.6.2", v8="4.7.2", v12="5.7.2", category=Category.OF_ANOTHER)
def of_another_user(event: Event, _: RoomState) -> bool:
    """The sender is not the user who is to knock."""
    return event.sender != event.state_key


# A user who has knocked may knock again: the text names only ban, invite and join.
@allows(v7="4.6.3", v8="4.7.3", v12="5.7.3")
def from_outside(event: Event, state: RoomState) -> bool:
    """The user is neither banned, nor invited, nor joined."""
    return state.membership_of(event.sender) not in (BAN, INVITE, JOIN)


@rejects(v7="4.6.4", v8="4.7.4", v12="5.7.4", category=Category.ALREADY_JOINED)
def otherwise(event: Event, _: RoomState) -> bool:
    """The user is banned, invited or joined."""
    return True


KNOCK_SECTION = Section(
    membership=KNOCK,
    numbers=numbers_of({"v7": "4.6", "v8": "4.7", "v12": "5.7"}),
    rules=(
        join_rule_is_not_knock,
        join_rule_is_not_knock_or_knock_restricted,
        of_another_user,
        from_outside,
        otherwise,
    ),
)
