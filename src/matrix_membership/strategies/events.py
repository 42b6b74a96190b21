"""Strategies for events: PDUs hashed and signed by their sender's server.

`events` draws well-formed events, of one type if asked. `malformed_events` draws
nearly valid ones, `arbitrary_events` events with any JSON as their content, and
`malformed_pdus` PDUs that `Event.from_pdu` refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import MAX_INTEGER, MIN_INTEGER, JsonValue
from matrix_membership.events import Event
from matrix_membership.events.format import MAX_AUTH_EVENTS, MAX_PDU_BYTES, MAX_PREV_EVENTS
from matrix_membership.identifiers import MAX_BYTES
from matrix_membership.membership import Membership
from matrix_membership.room_versions import RoomVersion
from matrix_membership.strategies._fields import (
    DrawFields,
    any_fields,
    arbitrary_fields,
    completed,
    join_rules_fields,
    malformed_fields,
    member_fields,
    power_levels_fields,
    reference,
    signed_invite,
    signer_of,
    surroundings,
    third_party_invite_fields,
)
from matrix_membership.strategies.identifiers import room_versions, user_ids

__all__ = [
    "arbitrary_events",
    "events",
    "malformed_events",
    "malformed_pdus",
    "signer_of",
    "third_party_invites",
]


@frozen
class ThirdPartyInvitation:
    """A third-party invite, and the invite of a user made of it.

    Attributes:
        stored: the `m.room.third_party_invite` event, with the keys.
        answer: the invite of the user: it holds the same token, signed by one of the
            keys.
    """

    stored: Event
    answer: Event


@st.composite
def third_party_invites(
    draw: DrawFn, *, room_version: RoomVersion | None = None
) -> ThirdPartyInvitation:
    """Draw third-party invites, with real keys and signatures.

    Args:
        draw: passed by Hypothesis.
        room_version: the version of the room; None for any.

    >>> from hypothesis import find
    >>> find(third_party_invites(), lambda invitation: True).answer.view.token
    'token'

    .. versionadded:: 0.1.0
    """
    version = room_version or draw(room_versions())
    around = surroundings(draw, version)
    stored = third_party_invite_fields(draw, version, around["sender"])
    answer = signed_invite(draw(user_ids()), stored["state_key"])
    later = {"depth": around["depth"] + 1}
    if version.event_id_in_pdu:
        later["event_id"] = around["event_id"].replace("$", "$answer.", 1)
    return ThirdPartyInvitation(
        completed({**around, **stored}, version), completed({**around, **answer, **later}, version)
    )


def events(
    *,
    room_version: RoomVersion | None = None,
    type: str | None = None,
    membership: Membership | None = None,
) -> SearchStrategy[Event]:
    """Draw any events: those that the auth rules read, other state events, messages.

    Args:
        room_version: the version of the room; None for any.
        type: `m.room.member`, `m.room.power_levels` or `m.room.join_rules`, to draw only
            such events; None for any.
        membership: the membership in member events, and then only these are drawn; None for
            any of the room version.

    Raises:
        TypeError: the type is another one.

    >>> from hypothesis import find
    >>> find(events(type="m.room.member"), lambda event: True).type
    'm.room.member'

    .. versionadded:: 0.1.0
    """
    if membership is not None:
        return _of(partial(member_fields, membership=membership), room_version)
    if type not in _FIELDS:
        raise TypeError(f"type: expected one of {', '.join(filter(None, _FIELDS))}, got {type!r}")
    return _of(_FIELDS[type], room_version)


_FIELDS: Final[Mapping[str | None, DrawFields]] = MappingProxyType(
    {
        None: any_fields,
        "m.room.member": member_fields,
        "m.room.power_levels": power_levels_fields,
        "m.room.join_rules": join_rules_fields,
    }
)


def malformed_events(*, room_version: RoomVersion | None = None) -> SearchStrategy[Event]:
    """Draw events with one wrong or missing value in their content.

    They have the format of a PDU, so only the auth rules can reject them.

    Args:
        room_version: the version of the room; None for any.

    >>> from hypothesis import find
    >>> find(malformed_events(), lambda event: True).content_hash_matches
    True

    .. versionadded:: 0.1.0
    """
    return _of(malformed_fields, room_version)


def arbitrary_events(*, room_version: RoomVersion | None = None) -> SearchStrategy[Event]:
    """Draw events of known types, with any JSON as content and any state key.

    Args:
        room_version: the version of the room; None for any.

    >>> from hypothesis import find
    >>> find(arbitrary_events(), lambda event: True).content_hash_matches
    True

    .. versionadded:: 0.1.0
    """
    return _of(arbitrary_fields, room_version)


@st.composite
def malformed_pdus(
    draw: DrawFn, *, room_version: RoomVersion | None = None
) -> tuple[RoomVersion, dict[str, JsonValue]]:
    """Draw nearly valid PDUs that break the format of their room version.

    Args:
        draw: passed by Hypothesis.
        room_version: the version of the room; None for any.

    Returns:
        Pairs of a room version and a PDU that `Event.from_pdu` refuses.

    >>> from hypothesis import find
    >>> version, pdu = find(malformed_pdus(), lambda drawn: True)
    >>> isinstance(pdu, dict)
    True

    .. versionadded:: 0.1.0
    """
    version = room_version or draw(room_versions())
    pdu = draw(events(room_version=version)).to_pdu()
    # In version 12 a create event has no room ID, so a PDU that lacks it would be well-formed.
    if pdu["type"] == "m.room.create" and version.room_id_is_create_event:
        pdu["room_id"] = "!room:a.example"
        pdu["type"] = "m.room.name"
    field, value = draw(st.sampled_from(tuple(_faults(version))))
    return version, {key: item for key, item in {**pdu, field: value}.items() if item is not None}


@st.composite
def _of(
    draw: DrawFn,
    fields: DrawFields,
    room_version: RoomVersion | None,
) -> Event:
    version = room_version or draw(room_versions())
    around = surroundings(draw, version)
    return completed({**around, **fields(draw, version, around["sender"])}, version)


def _faults(version: RoomVersion) -> Iterator[tuple[str, JsonValue]]:
    """Yield fields with a value that breaks the format; None leaves the field out."""
    needed = ("content", "type", "sender", "room_id", "depth", "origin_server_ts")
    for field in (*needed, "hashes", "signatures", "auth_events", "prev_events"):
        yield field, None
    for field in ("type", "sender", "state_key", "room_id", "auth_events", "prev_events"):
        yield from ((field, 7), (field, {}))
    for field in ("content", "hashes", "signatures", "unsigned", "depth", "origin_server_ts"):
        yield from ((field, "7"), (field, []), (field, True))
    # 128 characters are 256 bytes. The limit is in bytes, and some servers count characters in old
    # versions.
    yield from (("type", "é" * 128), ("state_key", "a" * (MAX_BYTES + 1)))
    yield from (("hashes", {}), ("hashes", {"sha256": 7}))
    yield from (("depth", -1), ("depth", version.max_depth + 1))
    yield from (("origin_server_ts", MAX_INTEGER + 1), ("origin_server_ts", MIN_INTEGER - 1))
    good = reference("$event:a.example", version)
    yield "auth_events", [good] * (MAX_AUTH_EVENTS + 1)
    yield "prev_events", [good] * (MAX_PREV_EVENTS + 1)
    yield from (("auth_events", [7]), ("prev_events", ["event"]), ("prev_events", [["$e:a", 7]]))
    yield "event_id", ("event" if version.event_id_in_pdu else "$event:a.example")
    yield "content", {"body": "a" * MAX_PDU_BYTES}
