"""Facts that an event out of band shows by itself, or beside the held event."""

from __future__ import annotations

from collections.abc import Collection, Container
from typing import Final

from matrix_membership.events import MEMBER_KINDS, Event
from matrix_membership.identifiers import EventID, ServerName, server_of
from matrix_membership.membership import BAN, INVITE, KNOCK, LEAVE, Transition, transition
from matrix_membership.out_of_band._verdicts import Reason
from matrix_membership.signing import missing_signers

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


def is_elsewhere(event: Event, held: Event) -> bool:
    """Tell whether an event is not about the membership that a held one gives."""
    return (
        event.room_id != held.room_id
        or event.state_key != held.state_key
        or event.kind not in KINDS
        # Invites may name different versions: a stranger's invite can claim any version.
        or not (event.room_version == held.room_version or event.membership in ASKED_OR_ASKING)
    )


def move(held: Event, event: Event) -> Transition:
    """Return the change of membership that an event makes after a held one."""
    by_self = event.sender == held.state_key
    return transition(held.membership or LEAVE, event.membership or LEAVE, by_self=by_self)


def cannot_follow(held: Event, event: Event) -> bool:
    """Tell whether an event cannot come after a held one, or changes nothing."""
    if event.sender == held.state_key and event.membership is LEAVE:
        return held.membership not in ASKED_OR_ASKING
    if event.membership in ASKED_OR_ASKING:
        # An unban before an invite is not sent to this server: only a listed ban counts.
        return move(held, event) is Transition.UNEXPECTED and held.event_id in event.auth_events
    return move(held, event) is Transition.UNCHANGED


def is_proof(event: Event, held: Event) -> bool:
    """Tell whether an event that came with the held one is a signed PDU of its room."""
    return (
        bool(event.pdu)
        and event.room_id == held.room_id
        # Another version redacts otherwise, so its signatures can be good on an event of other
        # content.
        and event.room_version == held.room_version
        and not missing_signers(event)
        and event.server in event.signed_by  # a third party signs for any sender
    )


def why_void(
    event: Event, before: Event, held: Collection[Event], replaced: Container[EventID]
) -> Reason | None:
    """Return why an event is void in every state of the room, or None.

    `before` is the one of the held events that it replaces; `replaced` are earlier ones.
    """
    # A stranger's invite can list any event, so it proves nothing about other servers.
    came_before = event.event_id in replaced or any(
        event.event_id in one.auth_events and slot(one) == slot(event) for one in held
    )
    for wrong, reason in (
        (is_elsewhere(event, before), Reason.ELSEWHERE),
        (event in held, Reason.HELD_ALREADY),
        (came_before, Reason.REPLACED),
        (not is_signed(event), Reason.UNSIGNED),
        (is_by_wrong_sender(event), Reason.WRONG_SENDER),
        (cannot_follow(before, event), Reason.NO_SUCH_MOVE),
    ):
        if wrong:
            return reason
    return None
