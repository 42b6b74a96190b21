"""Membership join, restricted rooms included."""

from __future__ import annotations

from matrix_membership.auth._rule import Category, Section, allows, numbers_of, rejects
from matrix_membership.events import Event
from matrix_membership.membership import BAN, INVITE, JOIN, JoinRule
from matrix_membership.state import RoomState

# As in `membership`: an attribute of an enum class is slow to read, and every join reads one.
_PUBLIC = JoinRule.PUBLIC
_INVITE = JoinRule.INVITE
_KNOCK = JoinRule.KNOCK
_RESTRICTED = JoinRule.RESTRICTED
_KNOCK_RESTRICTED = JoinRule.KNOCK_RESTRICTED


# The text puts this before the rule on bans, so a creator who was banned can come back with only
# the create event in `prev_events`. It asks for the state key, not the sender; gomatrixserverlib
# asks for both. A stricter reading would split the room.
@allows(v1="5.2.1", v6="4.2.1", v8="4.3.1", v12="5.3.1")
def first_join_of_the_creator(event: Event, state: RoomState) -> bool:
    """The creator joins right after the create event."""
    if event.state_key != state.create.creator:
        return False
    # The cheap question came first: an event is read again for its previous events, and almost no
    # join is the creator's.
    create = state.create_event
    return create is not None and event.prev_events == (create.event_id,)


@rejects(v1="5.2.2", v6="4.2.2", v8="4.3.2", v12="5.3.2", category=Category.OF_ANOTHER)
def of_another_user(event: Event, _: RoomState) -> bool:
    """The sender is not the user who is to join."""
    return event.sender != event.state_key


@rejects(v1="5.2.3", v6="4.2.3", v8="4.3.3", v12="5.3.3", category=Category.BANNED)
def while_banned(event: Event, state: RoomState) -> bool:
    """The sender is banned."""
    return state.membership_of(event.sender) is BAN


@allows(v1="5.2.4", v6="4.2.4", v7=None)
def invited_to_invite_room(event: Event, state: RoomState) -> bool:
    """The join rule is invite, and the user is invited or joined."""
    return state.join_rule is _INVITE and state.membership_of(event.sender) in (INVITE, JOIN)


@allows(v7="4.2.4", v8="4.3.4", v12="5.3.4")
def invited_to_invite_or_knock_room(event: Event, state: RoomState) -> bool:
    """The join rule is invite or knock, and the user is invited or joined."""
    rule = state.join_rule
    return (rule is _INVITE or rule is _KNOCK) and state.membership_of(event.sender) in (
        INVITE,
        JOIN,
    )


@allows(v8="4.3.5.1", v12="5.3.5.1")
def invited_to_restricted_room(event: Event, state: RoomState) -> bool:
    """The room is restricted, and the user is invited or joined."""
    return state.membership_of(event.sender) in (JOIN, INVITE)


# The rules never ask whether the user is in an allowed room: they cannot see other rooms. The
# authorising server looked, and rule 4.2.1 asked for its signature.
@rejects(v8="4.3.5.2", v12="5.3.5.2", category=Category.AUTHORISER)
def authoriser_may_not_invite(event: Event, state: RoomState) -> bool:
    """No joined user who may invite authorises the join."""
    authoriser = event.authorised_via
    if not authoriser:
        return True
    # Reads the member event, not `membership_of`: this rule decides every restricted join, and
    # is the longest of them. One call less counts.
    member = state.get_member(authoriser)
    return (
        member is None
        or member.membership is not JOIN
        or state.power_level_of(authoriser) < state.power_levels.invite
    )


@allows(v8="4.3.5.3", v12="5.3.5.3")
def authorised_by_a_member(event: Event, _: RoomState) -> bool:
    """A joined user who may invite authorises the join."""
    return True


@allows(v1="5.2.5", v6="4.2.5", v8="4.3.6", v12="5.3.6")
def public_room(event: Event, state: RoomState) -> bool:
    """The join rule is public."""
    return state.join_rule is _PUBLIC


@rejects(v1="5.2.6", v6="4.2.6", v8="4.3.7", v12="5.3.7", category=Category.NOT_INVITED)
def otherwise(event: Event, _: RoomState) -> bool:
    """No other rule allows this join."""
    return True


# Two conditions, since the text changed: in versions 8 and 9 `knock_restricted` is an unknown join
# rule, which lets in nobody.
def _restricted(event: Event, state: RoomState) -> bool:
    return state.join_rule is _RESTRICTED


def _restricted_or_knock_restricted(event: Event, state: RoomState) -> bool:
    rule = state.join_rule
    return rule is _RESTRICTED or rule is _KNOCK_RESTRICTED


_OF_RESTRICTED_ROOMS = (
    invited_to_restricted_room,
    authoriser_may_not_invite,
    authorised_by_a_member,
)

JOIN_SECTION = Section(
    membership=JOIN,
    numbers=numbers_of({"v1": "5.2", "v6": "4.2", "v8": "4.3", "v12": "5.3"}),
    rules=(
        first_join_of_the_creator,
        of_another_user,
        while_banned,
        invited_to_invite_room,
        invited_to_invite_or_knock_room,
        Section(
            when=_restricted,
            text="the join rule is restricted",
            numbers=numbers_of({"v8": "4.3.5", "v10": None}),
            rules=_OF_RESTRICTED_ROOMS,
        ),
        Section(
            when=_restricted_or_knock_restricted,
            text="the join rule is restricted or knock_restricted",
            numbers=numbers_of({"v10": "4.3.5", "v12": "5.3.5"}),
            rules=_OF_RESTRICTED_ROOMS,
        ),
        public_room,
        otherwise,
    ),
)
