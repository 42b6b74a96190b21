"""Rule 1: the create event of a room."""

from __future__ import annotations

from matrix_membership.auth._rule import Category, allows, rejects
from matrix_membership.events import Event
from matrix_membership.events.contents import Create
from matrix_membership.identifiers import server_of
from matrix_membership.room_versions import KNOWN
from matrix_membership.state import RoomState


# None of these rules looks at the room. So they allow a second create event, which `receive`,
# `admit` and the states refuse.
@rejects(v1="1.1", category=Category.MALFORMED)
def has_prev_events(event: Event, _: RoomState) -> bool:
    """The create event has previous events."""
    return bool(event.prev_events)


@rejects(v1="1.2", v12=None, category=Category.MALFORMED)
def room_id_of_another_server(event: Event, _: RoomState) -> bool:
    """The room ID's server is not the sender's."""
    return server_of(event.room_id) != event.server


# Synapse drops such an event when it reads it. Here the rule rejects it, so that the verdict has
# the number of the text.
@rejects(v12="1.2", category=Category.MALFORMED)
def has_room_id(event: Event, _: RoomState) -> bool:
    """The create event has a room ID."""
    return isinstance(event.view, Create) and event.view.has_room_id


@rejects(v1="1.3", category=Category.MALFORMED)
def unknown_room_version(event: Event, _: RoomState) -> bool:
    """The create event names a room version that is not known."""
    named = event.view.room_version if isinstance(event.view, Create) else None
    # The caller read the event by this version, so a custom one is known too.
    return not isinstance(named, str) or (
        named not in KNOWN and named != event.room_version.identifier
    )


# From version 11 on the sender is the creator, and a `creator` in the content has no meaning.
@rejects(v1="1.4", v11=None, category=Category.MALFORMED)
def no_creator(event: Event, _: RoomState) -> bool:
    """The create event names no creator."""
    return isinstance(event.view, Create) and not event.view.names_creator


@rejects(v12="1.4", category=Category.MALFORMED)
def additional_creators_unreadable(event: Event, _: RoomState) -> bool:
    """The additional creators are not a list of user IDs."""
    return isinstance(event.view, Create) and not event.view.additional_creators_readable


@allows(v1="1.5", v11="1.4", v12="1.5")
def otherwise(event: Event, _: RoomState) -> bool:
    """Nothing speaks against this create event."""
    return True


RULES = (
    has_prev_events,
    room_id_of_another_server,
    has_room_id,
    unknown_room_version,
    no_creator,
    additional_creators_unreadable,
    otherwise,
)
