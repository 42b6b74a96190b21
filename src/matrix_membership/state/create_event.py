"""A room has one create event: what speaks against a second one."""

from __future__ import annotations

from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event
from matrix_membership.hashing import signed_bytes
from matrix_membership.state import RoomState


# Not a rule: a verdict that other servers do not give would split the room. It stands beside the
# rules, where a server takes events into its state.
def second_create_event(event: Event, *states: RoomState) -> InvalidEvent | None:
    """Return what speaks against a create event in a room that has one already.

    Rule 1 of the authorisation rules does not look at the state. By its letter, any user of
    the room ID's server could replace the create event, even one who is banned. An event of
    this type with any other state key, or with none, counts as a second one too.

    Returns:
        An error that names both. None if a state has this very event, if no state has a create
        event, and for events of other types. Cost: constant; in versions 1 and 2, where an ID is
        not a hash, linear in the two create events.

    >>> from matrix_membership.room_versions import V11
    >>> create = {"type": "m.room.create", "sender": "@a:a", "state_key": "", "content": {}}
    >>> first = Event.from_client_event(create | {"event_id": "$1:a"}, V11)
    >>> second = Event.from_client_event(create | {"event_id": "$2:a"}, V11)
    >>> print(second_create_event(second, RoomState.of(V11, [first])))
    m.room.create: expected $1:a, the create event that the room has, got '$2:a'
    """
    if event.type != "m.room.create":
        return None
    for state in states:
        first = state.create_event
        if first is not None and not is_same_event(event, first):
            expected = f"{first.event_id}, the create event that the room has"
            return InvalidEvent("m.room.create", expected, event.event_id)
    return None


def is_same_event(event: Event, other: Event) -> bool:
    """Tell whether two events are one, by their IDs or by all that signatures cover."""
    if event is other:
        return True
    if event.event_id != other.event_id:
        return False
    if event.event_id and not event.room_version.event_id_in_pdu:
        return True
    # The ID proves nothing: what redaction leaves of them has to be the same.
    version = event.room_version
    return signed_bytes(event.document, version) == signed_bytes(other.document, version)
