"""The rules that every event passes: federation, membership, power, state key."""

from __future__ import annotations

from matrix_membership.auth._rule import Category, allows, rejects
from matrix_membership.events import Event
from matrix_membership.membership import JOIN
from matrix_membership.state import RoomState


@rejects(v1="3", v12="4", category=Category.FEDERATION)
def sender_from_unfederated_server(event: Event, state: RoomState) -> bool:
    """The room is not federated and the sender is of another server."""
    # The sender's server counts, for member events too. Synapse compares the target user's server
    # as well.
    if state.create.federate:
        return False
    create = state.create_event
    return create is not None and event.server != create.server


@rejects(v1="6", v6="5", v12="6", category=Category.NOT_JOINED)
def sender_not_joined(event: Event, state: RoomState) -> bool:
    """The sender is not joined."""
    return state.membership_of(event.sender) is not JOIN


# Member events and third-party invites never get here: their sections end with a verdict. So a
# level for `m.room.member` under `events` has no effect.
@rejects(v1="8", v6="7", v12="8", category=Category.POWER)
def sender_below_required_power_level(event: Event, state: RoomState) -> bool:
    """The sender's power level is below the one that this type of event needs."""
    levels = state.power_levels
    # The state key decides, not the type: a type that is usually state may be sent as a message,
    # which needs the level of messages.
    needed = levels.message_level_of if event.state_key is None else levels.state_level_of
    return needed(event.type) > state.power_level_of(event.sender)


# Keeps everybody, the most powerful too, from writing state in the name of another user. MSC3757
# would change that.
@rejects(v1="9", v6="8", v12="9", category=Category.OF_ANOTHER)
def state_key_of_another_user(event: Event, _: RoomState) -> bool:
    """The state key starts with @ and is not the sender."""
    key = event.state_key
    return key is not None and key[:1] == "@" and key != event.sender


@allows(v1="12", v3="11", v6="10", v12="11")
def otherwise(event: Event, state: RoomState) -> bool:
    """Nothing speaks against this event."""
    return True
