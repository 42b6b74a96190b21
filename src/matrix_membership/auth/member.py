"""Member events (rule 5; versions 6 to 11: 4): entry checks, then chapters."""

from __future__ import annotations

from matrix_membership.auth._rule import MALFORMED, Category, Section, numbers_of, rejects
from matrix_membership.auth.ban import BAN_SECTION
from matrix_membership.auth.invite import INVITE_SECTION
from matrix_membership.auth.join import JOIN_SECTION
from matrix_membership.auth.knock import KNOCK_SECTION
from matrix_membership.auth.leave import LEAVE_SECTION
from matrix_membership.events import Event
from matrix_membership.state import RoomState


@rejects(v1="5.1", v6="4.1", v12="5.1", category=Category.MALFORMED)
def no_state_key_or_membership(event: Event, _: RoomState) -> bool:
    """The event has no user ID as its state key, or no membership."""
    # The text asks for a state key and is silent on its form. Synapse wants a colon, ruma a user
    # ID. Here it has to be a user ID: nothing else can have a membership. Reading the event found
    # out which it is; of an event that a host accepted, any text that names a server passes.
    return event.kind == MALFORMED


# Comes before the memberships are told apart, so it holds for leaves and bans too. Synapse and
# gomatrixserverlib ask for this signature on joins only.
@rejects(v8="4.2.1", v12="5.2.1", category=Category.AUTHORISER)
def unsigned_by_the_authoriser(event: Event, _: RoomState) -> bool:
    """The authorising user's server has not signed the event."""
    server = event.authorising_server
    return server is not None and server not in event.signed_by


@rejects(v1="5.6", v6="4.6", v7="4.7", v8="4.8", v12="5.8", category=Category.MALFORMED)
def unknown_membership(event: Event, _: RoomState) -> bool:
    """The membership is not one that this room version knows."""
    return True


MEMBER = Section(
    event_type="m.room.member",
    numbers=numbers_of({"v1": "5", "v6": "4", "v12": "5"}),
    rules=(
        # A section of its own, found by kind: a readable member event never has to run it.
        Section(
            membership=MALFORMED,
            numbers=no_state_key_or_membership.numbers,
            rules=(no_state_key_or_membership,),
        ),
        unsigned_by_the_authoriser,
        JOIN_SECTION,
        INVITE_SECTION,
        LEAVE_SECTION,
        BAN_SECTION,
        KNOCK_SECTION,
        unknown_membership,
    ),
)
