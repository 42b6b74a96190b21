"""New rooms in tests: requests for them, and the rooms as a server keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

from matrix_membership import Event, RoomState, RoomVersion
from matrix_membership.client import (
    CreateRequest,
    NewRoom,
    UpgradedRoom,
    UpgradeRequest,
    create_room,
    read_create_room,
    read_upgrade,
    upgrade_room,
)
from matrix_membership.federation import ResidentRoom
from matrix_membership.identifiers import EventID, RoomID, UserID
from matrix_membership.machine import admit
from tests.builders import ANA, SIGNER_A, event_id
from tests.client.rooms import HERE, asks, body

AT = 1_700_000_000_000
FIRST, NEXT = RoomID("!r:a.example"), RoomID("!next:a.example")


def creates(user: str = ANA, **fields: Any) -> CreateRequest:
    """A user asks for a room."""
    return asks(read_create_room(UserID(user), body=body(**fields)))


def upgrades(user: str, room: ResidentRoom, version: str, **fields: Any) -> UpgradeRequest:
    """A user asks to upgrade a room."""
    told = body(new_version=version, **fields)
    return asks(read_upgrade(UserID(user), room.room_id, body=told))


def created(**fields: Any) -> NewRoom:
    """The room that Ana gets."""
    return asks(create_room(creates(**fields), room_id=FIRST, at=AT))


def upgraded(room: ResidentRoom, version: str, user: str = ANA, **options: Any) -> UpgradedRoom:
    """The upgrade of a room."""
    others = options.pop("additional_creators", ())
    request = upgrades(user, room, version, additional_creators=others)
    return asks(upgrade_room(request, room, room_id=NEXT, at=AT, **options))


def kept(
    version: RoomVersion, events: Iterable[Event], room: ResidentRoom | None = None
) -> ResidentRoom:
    """A room after more events, each of which must follow the one before and be admitted."""
    if room is None:
        room = ResidentRoom(HERE, RoomState.of(version, []), (), 0, lambda _: None)
    known: dict[EventID, Event] = {}
    state, newest, depth = room.state, room.prev_events, room.depth
    for event in events:
        assert (event.prev_events, event.depth) == (newest, depth + 1)
        admission = admit(event, state)
        assert admission, f"{event}: {admission}"
        state, newest, depth = admission.state, (event.event_id,), event.depth
        known[event.event_id] = event
    before = room.get_event
    return ResidentRoom(HERE, state, newest, depth, lambda name: known.get(name) or before(name))


def room_of(new: NewRoom) -> ResidentRoom:
    """A new room as its server keeps it."""
    return kept(new.room_version, new.complete(SIGNER_A))


def a_new_room(**fields: Any) -> ResidentRoom:
    """The room that Ana gets, as its server keeps it."""
    return room_of(created(**fields))


def closed(room: ResidentRoom, upgrade: UpgradedRoom) -> ResidentRoom:
    """The old room after an upgrade."""
    events = [send.template.complete(SIGNER_A) for send in upgrade.closing]
    return kept(room.state.room_version, events, room)


def with_state(
    room: ResidentRoom, kind: str, content: Mapping[str, Any], state_key: str = "", by: str = ANA
) -> ResidentRoom:
    """A room with one more state event, which nobody judges."""
    fields = {"type": kind, "sender": by, "content": content, "state_key": state_key}
    version = room.state.room_version
    name = {"event_id": event_id(crc32(f"{kind} {state_key}".encode()), version)}
    event = Event.from_client_event({**fields, **name, "room_id": room.room_id}, version)
    events = [
        event,
        *(old for old in room.state.events if (old.type, old.state_key) != (kind, state_key)),
    ]
    state = RoomState.of(version, events)
    return ResidentRoom(HERE, state, room.prev_events, room.depth, room.get_event)


def outline(new: NewRoom) -> list[tuple[str, Any]]:
    """The types and contents of a new room's events."""
    return [(str(send.template.get("type")), dict(send.template.content)) for send in new.sends]
