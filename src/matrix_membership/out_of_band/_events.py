"""What an event on an out-of-band membership shows by itself: signatures, sender, power."""

from __future__ import annotations

from typing import Final

from matrix_membership.events import MEMBER_KINDS, Event
from matrix_membership.identifiers import server_of
from matrix_membership.membership import BAN, INVITE, KNOCK, LEAVE
from matrix_membership.signing import missing_signers
from matrix_membership.state import RoomState

__all__ = [
    "ASKED_OR_ASKING",
    "KINDS",
    "is_by_wrong_sender",
    "is_signed",
    "shows_power_of",
    "slot",
    "supposed_join",
]

ASKED_OR_ASKING: Final = (INVITE, KNOCK)
KINDS: Final = tuple(MEMBER_KINDS[membership] for membership in (INVITE, KNOCK, LEAVE, BAN))


def slot(event: Event) -> str:
    """Return the slot of an invite or a knock: a slot holds one event at a time.

    It is the sender's server, if that server signed. An invite that only a third party
    signed has a slot of its own: anybody can write a server's name into its sender.
    """
    return event.server if event.server in event.signed_by else event.event_id


def is_signed(event: Event) -> bool:
    """Tell whether an event has its required signatures and one of a server concerned.

    The sender's server does not have to sign an invite that a third party signed. Then
    the user's own server must have signed it, as it does when it accepts an invite.
    """
    concerned = {event.server, server_of(event.state_key or "")}
    return not missing_signers(event) and not concerned.isdisjoint(event.signed_by)


def is_by_wrong_sender(event: Event) -> bool:
    """Tell whether the sender cannot send this: a knock for another user, an own invite or ban."""
    by_user = event.sender == event.state_key
    return event.membership is not LEAVE and by_user is not (event.membership is KNOCK)


def shows_power_of(user: str, state: RoomState) -> bool:
    """Tell whether a state shows the power level of a user, so that no default is needed."""
    if state.create_event is None:
        return False
    return state.power_levels.exists or user in state.create.privileged


def supposed_join(event: Event) -> Event:
    """Return a join of the sender: without it the rules reject the event for that alone."""
    return Event.from_client_event(
        {
            "type": "m.room.member",
            "sender": event.sender,
            "state_key": event.sender,
            "content": {"membership": "join"},
        },
        event.room_version,
    )
