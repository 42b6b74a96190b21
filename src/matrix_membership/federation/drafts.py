"""Draft a state event of a room that this server is in, ready to be signed.

A draft refers to the newest events and to its auth events: see `Auth events selection`__. In
room versions 1 and 2 it also gets an ID, made from a hash of its fields.

__ https://spec.matrix.org/v1.19/server-server-api/#auth-events-selection
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256

from matrix_membership import auth
from matrix_membership.canonical_json import JsonValue, encode
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.hashing import reference_hash
from matrix_membership.identifiers import EventID, server_of
from matrix_membership.membership import INVITE, JOIN
from matrix_membership.room_versions import RoomVersion

__all__ = ["draft"]


def draft(
    room: ResidentRoom,
    event_type: str,
    state_key: str,
    *,
    sender: str,
    content: Mapping[str, JsonValue],
    at: int,
) -> EventTemplate:
    """Draft a state event.

    Args:
        room: the room.
        event_type: the type of the event.
        state_key: its state key.
        sender: the user ID of its sender.
        content: its content. `join_authorised_via_users_server` is removed where the rules
            do not ask for it.
        at: the current time in milliseconds since 1970, for `origin_server_ts`.

    Returns:
        A template that lacks only hashes and a signature. Cost: linear in the content.

    Raises:
        InvalidEvent: the sender is not a user ID, the content has a value that JSON cannot
            express, or the state has no create event.

    .. versionadded:: 0.1.0
    """
    version = room.state.room_version
    fields = draft_fields(room, event_type, state_key, sender=sender, content=content, at=at)
    if event_type == "m.room.member":
        # The spec's schemas of make_* and send_* still require it.
        fields["origin"] = room.server_name
    if version.event_id_in_pdu:
        fields["event_id"] = chosen_id(fields, room.server_name)
    return EventTemplate.of(fields, version)


def draft_create(
    room_version: RoomVersion,
    *,
    sender: str,
    content: Mapping[str, JsonValue],
    at: int,
    room_id: str,
) -> EventTemplate:
    """Draft the create event of a room, with which the room begins.

    Args:
        room_version: the version of the room.
        sender: the user ID of its creator.
        content: its content, as it is to be.
        at: the current time in milliseconds since 1970, for `origin_server_ts`.
        room_id: the ID of the room. From version 12 on it is not read: the room has the ID of
            this event.

    Returns:
        A template that lacks only hashes and a signature.

    Raises:
        InvalidEvent: the content has a value that JSON cannot express.
    """
    fields: dict[str, JsonValue] = {
        "type": "m.room.create",
        "sender": sender,
        "state_key": "",
        "content": dict(content),
        "origin_server_ts": at,
        "depth": 1,
        "prev_events": [],
        "auth_events": [],
    }
    if not room_version.room_id_is_create_event:
        fields["room_id"] = room_id
    template = EventTemplate.of(fields, room_version)
    if not room_version.event_id_in_pdu:
        return template
    return template.with_fields(event_id=chosen_id(template.fields, server_of(sender)))


def draft_fields(
    room: ResidentRoom,
    event_type: str,
    state_key: str,
    *,
    sender: str,
    content: Mapping[str, JsonValue],
    at: int,
) -> dict[str, JsonValue]:
    """Return the fields of a draft without its ID, as make_join's template."""
    version = room.state.room_version
    fields: dict[str, JsonValue] = {
        "type": event_type,
        "room_id": room.room_id,
        "sender": sender,
        "state_key": state_key,
        "content": _content(room, event_type, state_key, content),
        "origin_server_ts": at,
        # A hostile event can have the greatest depth that the format allows. Without the bound,
        # nobody could write a valid event after it.
        "depth": min(room.depth + 1, version.max_depth),
        "prev_events": _referred(room.prev_events, room),
    }
    event = Event.from_client_event(fields, version)
    # Sorted, so that the events of a room list the same in the same order. A server that judges
    # many of them can then judge a list once.
    found = [room.state.get(*place) for place in sorted(auth.select_auth_events(event))]
    fields["auth_events"] = _referred([entry.event_id for entry in found if entry], room)
    return fields


def chosen_id(fields: Mapping[str, JsonValue], server: str) -> str:
    """Return an event ID for versions 1 and 2, whose servers choose it."""
    # A hash, because this package has no randomness: the same draft gets the same ID.
    digest = sha256(encode(fields, strict=False)).digest()
    return f"${urlsafe_b64encode(digest)[:43].decode()}:{server}"


def _content(
    room: ResidentRoom, event_type: str, state_key: str, content: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """Return the content, without the authorising user where the rules need none.

    By the letter of the rule, any event with the key needs the signature of that user's
    server, even if its sender is joined or invited already. A useless key would cost the event.
    """
    kept = dict(content)
    if event_type == "m.room.member":
        outside = room.state.membership_of(state_key) not in (JOIN, INVITE)
        needed = outside and room.state.room_version.restricted_joins
        if kept.get("membership") != "join" or not needed:
            kept.pop("join_authorised_via_users_server", None)
    return kept


def _referred(event_ids: Iterable[EventID], room: ResidentRoom) -> list[JsonValue]:
    """Return references in the format of the room version.

    In versions 1 and 2 they have a hash.
    """
    if not room.state.room_version.event_id_in_pdu:
        return list(event_ids)
    return [[event_id, _hashes(event_id, room)] for event_id in event_ids]


def _hashes(event_id: EventID, room: ResidentRoom) -> dict[str, str]:
    """Return the hash in a reference; empty for an event not stored as a PDU."""
    event = room.get_event(event_id)
    if event is None or not event.pdu:
        return {}
    return {"sha256": reference_hash(event.document, room.state.room_version)}
