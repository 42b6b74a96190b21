"""What an event out of band shows by itself: signatures, sender, power."""

from __future__ import annotations

from typing import Final

from matrix_membership.events import MEMBER_KINDS, Event
from matrix_membership.identifiers import ServerName, server_of
from matrix_membership.membership import BAN, INVITE, KNOCK, LEAVE
from matrix_membership.signing import missing_signers
from matrix_membership.state import RoomState

ASKED_OR_ASKING: Final = (INVITE, KNOCK)
KINDS: Final = tuple(MEMBER_KINDS[membership] for membership in (INVITE, KNOCK, LEAVE, BAN))


def slot(event: Event) -> str:
    """Return the slot of an invite or a knock: a slot holds one event at a time.

    It is the sender's server, if that server signed. An invite that only a third party
    signed has a slot of its own: anybody can write a server's name into its sender.
    """
    return event.server if event.server in event.signed_by else event.event_id


def gives_way(held: Event, event: Event, servers: frozenset[ServerName]) -> bool:
    """Tell whether an invite or a knock replaces a held one.

    It replaces what the same server sent. An invite of a server that the caller named also
    replaces the knock: it is the answer to the knock.

    Args:
        held: the held invite or knock.
        event: the invite or knock that came.
        servers: the servers that the caller named for the held one.
    """
    if slot(held) == slot(event):
        return True
    # Only servers that the caller named: otherwise a stranger's invite would end the knock, and the
    # answer to it would find nothing that it could replace.
    return held.membership is KNOCK and slot(event) in servers


def is_signed(event: Event) -> bool:
    """Tell whether an event is signed as required and by a server concerned.

    The sender's server does not have to sign an invite that a third party signed. Then
    the user's own server must have signed it, as it does when it accepts an invite.
    """
    concerned = {event.server, server_of(event.state_key or "")}
    return not missing_signers(event) and not concerned.isdisjoint(event.signed_by)


def is_by_wrong_sender(event: Event) -> bool:
    """Tell whether the sender cannot send this.

    It is a knock for another user, or an invite or ban of oneself.
    """
    by_user = event.sender == event.state_key
    # A leave may come from either side: the user leaves, or somebody removes them.
    return event.membership is not LEAVE and by_user is not (event.membership is KNOCK)


def is_proof(event: Event, held: Event) -> bool:
    """Tell whether an event of the room's description is a signed PDU of its room.

    Args:
        event: the event.
        held: the invite or the knock that it came with.
    """
    return (
        bool(event.pdu)
        and event.room_id == held.room_id
        # Another version redacts otherwise, so its signatures can be good on an event of other
        # content.
        and event.room_version == held.room_version
        and not missing_signers(event)
        and event.server in event.signed_by  # a third party signs for any sender
    )


def shows_power_of(user: str, state: RoomState) -> bool:
    """Tell whether a state shows a user's power level, without a default."""
    if state.create_event is None:
        return False
    # What was not told must not become a default: by it a moderator has 0, and the ban looks
    # forged.
    return state.power_levels.exists or user in state.create.privileged


def supposed_join(event: Event) -> Event:
    """Return a join of the sender, without which the rules reject the event."""
    # In client format, which needs no signature: this event is neither sent nor kept.
    return Event.from_client_event(
        {
            "type": "m.room.member",
            "sender": event.sender,
            "state_key": event.sender,
            "content": {"membership": "join"},
        },
        event.room_version,
    )
