"""Check the template of a resident server, complete it and sign it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent, InvalidJson, RemoteProtocolError
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation.drafts import chosen_id
from matrix_membership.identifiers import RoomID, UserID, is_user_id
from matrix_membership.membership import JOIN, Membership
from matrix_membership.signing import Signer

_AUTHORISER: Final = "join_authorised_via_users_server"


def completed(
    template: EventTemplate,
    membership: Membership,
    user: UserID,
    room: RoomID,
    *,
    content: Mapping[str, JsonValue],
    signer: Signer,
    at: int,
) -> Event:
    """Return the member event of a template, hashed and signed.

    It takes only three things from the template: the references, the depth and, on a join, the
    authorising user. Anything else would let the resident server choose what the user says.

    Raises:
        RemoteProtocolError: the template is for something else, or cannot become an event.
    """
    # gomatrixserverlib and tuwunel overwrite a wrong value, Synapse the membership. A server that
    # answers another question cannot be relied on for the references either, so here it is refused.
    _check(template, membership, user, room)
    fields: dict[str, Any] = {
        "type": "m.room.member",
        "room_id": room,
        "sender": user,
        "state_key": user,
        "content": _content(template, membership, content),
        # Version 11 took it out of the event format, but the schemas of send_* still require it.
        "origin": signer.server_name,
        "origin_server_ts": at,
        **{name: template.get(name) for name in ("depth", "auth_events", "prev_events")},
    }
    event_id = None
    if template.room_version.event_id_in_pdu:
        event_id = chosen_id(fields, signer.server_name)
    try:
        return EventTemplate.of(fields, template.room_version).complete(signer, event_id=event_id)
    except (InvalidEvent, InvalidJson) as error:
        raise RemoteProtocolError("a template of an event", str(error)) from error


def _content(
    template: EventTemplate, membership: Membership, content: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """Return the user's content, with the authorising user that the template names."""
    said = {key: content[key] for key in content if key != _AUTHORISER}
    said["membership"] = str(membership)
    authoriser = template.content.get(_AUTHORISER)
    # Keep the key on joins only: by its rule, any event with the key needs that server's
    # signature, and a knock or leave would never get it.
    restricted = membership is JOIN and template.room_version.restricted_joins
    if authoriser is None or not restricted:
        return said
    if not is_user_id(authoriser):
        raise RemoteProtocolError("a template whose authorising user is a user ID", authoriser)
    return {**said, _AUTHORISER: authoriser}


def _check(template: EventTemplate, membership: Membership, user: UserID, room: RoomID) -> None:
    """Raise `RemoteProtocolError` if the template is not for what was asked."""
    for field, came, asked in (
        ("type", template.get("type"), "m.room.member"),
        ("room_id", template.get("room_id"), room),
        ("sender", template.get("sender"), user),
        ("state_key", template.get("state_key"), user),
        ("membership", template.content.get("membership"), str(membership)),
    ):
        if came != asked:
            raise RemoteProtocolError(f"a template whose {field} is {asked}", came)
