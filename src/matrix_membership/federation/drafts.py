"""Drafting a state event of a room that this server is in, ready to be signed.

It refers to the newest events and to those that authorise it: see `Auth events
selection`__. In room versions 1 and 2 it also gets its ID, made from what it says.

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
from matrix_membership.identifiers import EventID
from matrix_membership.membership import INVITE, JOIN

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
        event_type: its type.
        state_key: its state key.
        sender: who sends it.
        content: its content; who vouches is left out where nobody has to.
        at: the time now, in milliseconds since 1970.

    Returns:
        A template that only lacks hashes and a signature.

    Raises:
        InvalidEvent: the sender is no user ID, the content holds what JSON cannot, or
            the room has no create event.
    """
    version = room.state.room_version
    fields = draft_fields(room, event_type, state_key, sender=sender, content=content, at=at)
    if event_type == "m.room.member":
        # The handshakes' schemas still ask for it.
        fields["origin"] = room.server_name
    if version.event_id_in_pdu:
        opaque = urlsafe_b64encode(sha256(encode(fields, strict=False)).digest())[:43].decode()
        fields["event_id"] = f"${opaque}:{room.server_name}"
    return EventTemplate.of(fields, version)


def draft_fields(
    room: ResidentRoom,
    event_type: str,
    state_key: str,
    *,
    sender: str,
    content: Mapping[str, JsonValue],
    at: int,
) -> dict[str, JsonValue]:
    """The fields of a draft that come from the room, without an ID: what a template says.

    Takes what `draft` takes.

    Raises:
        InvalidEvent: as there.
    """
    version = room.state.room_version
    fields: dict[str, JsonValue] = {
        "type": event_type,
        "room_id": room.room_id,
        "sender": sender,
        "state_key": state_key,
        "content": _content(room, event_type, state_key, content),
        "origin_server_ts": at,
        "depth": min(room.depth + 1, version.max_depth),
        "prev_events": _referred(room.prev_events, room),
    }
    event = Event.from_client_event(fields, version)
    found = [room.state.get(*place) for place in sorted(auth.select_auth_events(event))]
    fields["auth_events"] = _referred([entry.event_id for entry in found if entry], room)
    return fields


def _content(
    room: ResidentRoom, event_type: str, state_key: str, content: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """The content, without a name of who vouches where nobody has to.

    That user's server would have to sign all the same: by the letter of the rule, an event
    that carries the key owes the signature.
    """
    kept = dict(content)
    if event_type == "m.room.member":
        needed = room.state.membership_of(state_key) not in (JOIN, INVITE)
        if kept.get("membership") != "join" or not needed:
            kept.pop("join_authorised_via_users_server", None)
    return kept


def _referred(event_ids: Iterable[EventID], room: ResidentRoom) -> list[JsonValue]:
    """References in the version's format; in versions 1 and 2 with a hash."""
    if not room.state.room_version.event_id_in_pdu:
        return list(event_ids)
    return [[event_id, _hashes(event_id, room)] for event_id in event_ids]


def _hashes(event_id: EventID, room: ResidentRoom) -> dict[str, str]:
    event = room.get_event(event_id)
    if event is None or not event.pdu:
        return {}
    return {"sha256": reference_hash(event.document, room.state.room_version)}
