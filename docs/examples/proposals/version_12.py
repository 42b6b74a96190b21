"""Room version 12, made of version 11 and amendments. It judges as `V12` does.

The rules that stay take the numbers of version 12: rule 2 is new, so that every later one
moves by one.
"""

from __future__ import annotations

from matrix_membership import V11, Event, RoomState, auth
from matrix_membership.auth import rejects
from matrix_membership.auth.auth_events import AuthEvents
from matrix_membership.events.contents import Create, PowerLevels


@rejects()
def has_room_id(event: Event, _: RoomState) -> bool:
    """The create event has a room ID."""
    return isinstance(event.view, Create) and event.view.has_room_id


@rejects("1.4")
def additional_creators_unreadable(event: Event, _: RoomState) -> bool:
    """The additional creators are not a list of user IDs."""
    return isinstance(event.view, Create) and not event.view.additional_creators_readable


# The rules on auth events get a value of their own in place of the state: it has the create
# event, which no event of this version lists, as `create`, and the rejected ones as `rejected`.
@rejects("2")
def room_id_of_no_accepted_create_event(event: Event, listed: AuthEvents) -> bool:
    """The room ID is not that of an accepted create event."""
    create = listed.create
    if create is None or create.type != "m.room.create" or create.event_id in listed.rejected:
        return True
    return event.room_id[1:] != create.event_id[1:]


@rejects("10.4")
def creator_listed(event: Event, state: RoomState) -> bool:
    """A creator of the room is among the users."""
    users = event.view.users if isinstance(event.view, PowerLevels) else {}
    return any(user in users for user in state.create.privileged)


_CREATORS = 4
"""The place of the new rule in the chapter on power levels: 10.4."""


def _next(number: str) -> str:
    """Return the number that a rule of version 11 has in version 12."""
    chapter, *place = number.split(".")
    if chapter == "9" and place and int(place[0]) >= _CREATORS:
        place[0] = str(int(place[0]) + 1)
    return ".".join([str(int(chapter) + 1), *place])


_V11 = auth.rulebook(V11).remove("auth_events.no_create_event")

_MOVED = {
    "create.otherwise": "1.5",
    **{name: _next(number) for name, number in _V11.numbers.items() if number[:2] != "1."},
    "auth_events.of_another_room": "3.4",
}

VERSION = V11.evolve(
    identifier="12",
    specification="v12",
    room_id_is_create_event=True,
    privileged_creators=True,
    state_resolution="2.1",
    rules=_V11.renumber(_MOVED)
    .replace("create.room_id_of_another_server", has_room_id)
    .insert(additional_creators_unreadable, before="create.otherwise")
    .insert(room_id_of_no_accepted_create_event, before="auth_events.duplicates")
    .insert(creator_listed, after="power_levels.users_unreadable"),
)
"""The version. Its name is that of `V12`, so that both read the same events."""
