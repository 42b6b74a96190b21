"""Rooms of signed events, for handshakes in which signatures and event IDs count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from matrix_membership._attrs import evolve
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation.drafts import draft
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import EventID
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import KeyRing, Signer
from matrix_membership.state import RoomState
from tests.builders import ANA, SIGNER_A, SIGNER_B

AT: Final = 1_700_000_000_000

A: Final = SIGNER_A
B: Final = SIGNER_B
NO_KEYS: Final = KeyRing.of({})


def a_signed_room(version: RoomVersion, **more: Any) -> ResidentRoom:
    """A room of Ana's, who is alone in it; its create event may say more."""
    content: dict[str, Any] = {"room_version": version.identifier, **more}
    if version.creator_in_content:
        content["creator"] = ANA
    fields: dict[str, Any] = {
        "type": "m.room.create",
        "sender": ANA,
        "state_key": "",
        "content": content,
        "origin_server_ts": AT,
        "depth": 1,
        "prev_events": [],
        "auth_events": [],
    }
    if not version.room_id_is_create_event:
        fields["room_id"] = "!r:a.example"
    if version.event_id_in_pdu:
        fields["event_id"] = "$create:a.example"
    create = EventTemplate.of(fields, version).complete(A)
    room = ResidentRoom(
        A.server_name, RoomState.of(version, []), (), 0, {create.event_id: create}.get
    )
    return with_member(after(room, create), ANA, "join")


def after(room: ResidentRoom, event: Event) -> ResidentRoom:
    """The room after an event, whatever the rules say of it."""

    def get_event(event_id: str) -> Event | None:
        return event if event_id == event.event_id else room.get_event(EventID(event_id))

    return evolve(
        room,
        state=room.state.with_event(event),
        prev_events=(event.event_id,),
        depth=event.depth,
        get_event=get_event,
    )


def with_state(
    room: ResidentRoom,
    event_type: str,
    content: Mapping[str, Any],
    *,
    sender: str = ANA,
    state_key: str = "",
    signer: Signer = A,
) -> ResidentRoom:
    """The room with one more state event."""
    template = draft(room, event_type, state_key, sender=sender, content=content, at=AT)
    return after(room, template.complete(signer))


def with_member(room: ResidentRoom, user: str, membership: str) -> ResidentRoom:
    """The room with a user who has a membership, by their own doing."""
    content = {"membership": membership}
    return with_state(room, "m.room.member", content, sender=user, state_key=user)


def seen_from(room: ResidentRoom, server: Signer) -> ResidentRoom:
    """The same room as another server knows it."""
    return evolve(room, server_name=server.server_name)
