"""Admitting events: decision, the name of the move, and the state after it."""

from __future__ import annotations

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.auth import Decision
from matrix_membership.events import Event
from matrix_membership.membership import Transition, transition
from matrix_membership.state import RoomState

__all__ = ["Admission", "admit"]


@frozen
class Admission:
    """What became of an event that came to a room.

    It is true when the event was admitted.

    Attributes:
        decision: the decision on it.
        transition: of an admitted member event, what it did to the user.
        state: the state after it; the very same one when it was rejected.
    """

    decision: Decision
    transition: Transition | None
    state: RoomState

    def __bool__(self) -> bool:
        return self.decision.allowed


def admit(event: Event, state: RoomState) -> Admission:
    """Judge an event against a state, and take it in if it is allowed.

    Args:
        event: any event.
        state: the state before it.

    Returns:
        The admission. Cost: that of `auth.check` and `RoomState.with_event`.

    Raises:
        IncompleteState: the event is allowed, and the state is over a mere look-up, which
            cannot be changed.

    >>> from matrix_membership.room_versions import V11
    >>> room = RoomState.of(V11, [])
    >>> create = {"type": "m.room.create", "sender": "@a:a", "state_key": "", "content": {}}
    >>> admit(Event.from_client_event(create | {"room_id": "!r:a"}, V11), room).state
    <state of !r:a, version 11>
    """
    decision = auth.check(event, state)
    if not decision.allowed:
        return Admission(decision, None, state)
    return Admission(decision, transition_of(event, state), state.with_event(event))


def transition_of(event: Event, state: RoomState) -> Transition | None:
    """What a member event does to its user; None for all other events.

    A join that says what the one before it said changes nothing.
    """
    user, membership = event.state_key, event.membership
    if user is None or membership is None:
        return None
    before = state.membership_of(user)
    move = transition(before, membership, by_self=event.sender == user)
    if move is Transition.PROFILE_CHANGED:
        current = state.get("m.room.member", user)
        if current is not None and current.content == event.content:
            return Transition.UNCHANGED
    return move
