"""Repairs: which event, sent by whom, brings back what a resolution took away.

Candidates are judged by the rules against the resolved state. The user who sent the lost event is
tried first, then the joined users with the most power.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest
from itertools import product
from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue, thaw
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID, ServerName, UserID, server_of
from matrix_membership.membership import INVITE, JOIN, LEAVE, Membership
from matrix_membership.resolution._state_sets import Place
from matrix_membership.state import RoomState

__all__ = ["Repair", "repair_of"]

_SENDERS: Final = 16
"""The largest number of powerful users tried as the sender of a repair."""


@frozen
class Repair:
    """An event that brings back what was lost, or lets its user do so.

    Attributes:
        sender: a user who may send it.
        place: its type and state key.
        content_of: the ID of the lost event, whose content is to be sent again.
        first: the membership that `sender` has to give the user before the user can join again: an
            invite, or for a banned user a leave. None when `sender` can send the lost content at once.
    """

    sender: UserID
    place: Place
    content_of: EventID
    first: Membership | None = None

    def __str__(self) -> str:
        """Name the sender and the event to send, in one line."""
        kind, key = self.place
        if self.first is not None:
            return f"{self.sender} can send {kind} {key!r} with {self.first}, then {key} can join again, as in {self.content_of}"
        return f"{self.sender} can send {kind} {key!r} again, as in {self.content_of}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the repair as a JSON object."""
        return {
            "sender": self.sender,
            "content_of": self.content_of,
            "first": None if self.first is None else str(self.first),
        }


def repair_of(lost: Event, state: RoomState) -> Repair | None:
    """Find who may send a lost event again, or what has to come first.

    Args:
        lost: the event.
        state: the room's state, the whole of it.

    Returns:
        The repair; None when nobody who was tried may send one. Cost: linear in the members.
    """
    place = lost.type, lost.state_key or ""
    senders = _senders(lost, state)
    for sender in senders:
        if _allowed(_again(lost, sender, thaw(lost.content)), state):
            return Repair(sender, place, lost.event_id)
    # Nobody can send a join for somebody else. A member who fell out of a closed room needs an
    # invite first, one who is banned again the end of the ban.
    if lost.membership is JOIN:
        for sender, membership in product(senders, (INVITE, LEAVE)):
            first = _again(lost, sender, {"membership": str(membership)})
            if _allowed(first, state) and _allowed(lost, state.with_event(first)):
                return Repair(sender, place, lost.event_id, membership)
    return None


def _allowed(event: Event, state: RoomState) -> bool:
    """Tell whether the rules allow an event with all the signatures that it needs."""
    via = event.authorised_via
    # The event does not exist yet. Its servers will sign it, and without their names rule 4.2.1
    # would refuse each restricted join.
    signers = {event.server, *([ServerName(server_of(via))] if via else [])}
    return auth.check(event.with_signers(signers), state).allowed


def _again(lost: Event, sender: UserID, content: JsonValue) -> Event:
    """Make an event for the place of a lost one."""
    return Event.from_client_event(
        {"type": lost.type, "sender": sender, "state_key": lost.state_key, "content": content},
        lost.room_version,
    )


def _senders(lost: Event, state: RoomState) -> Sequence[UserID]:
    joined = [UserID(user) for user, event in state.members.items() if event.membership is JOIN]
    powerful = nsmallest(_SENDERS, joined, key=lambda user: (-state.power_level_of(user), user))
    return list(dict.fromkeys([lost.sender, *powerful]))
