"""The keys of an event that survive its redaction, as a table per room version.

Every event ID and every signature depends on this table, since both are computed over the
redacted event. It follows the *Redactions* section of `each room version`__.

__ https://spec.matrix.org/v1.19/rooms/
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import constant, evolve
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.room_versions import NEWEST_RULES, RoomVersion, require_room_version

__all__ = ["redact"]

ALL: Final = frozenset({"*"})
"""Stands in the table where every key of the content survives."""


@constant
class Survivors:
    """The keys that survive redaction in some room versions.

    Attributes:
        top_level: keys of the event itself.
        content: keys of the content, by event type.
        signed_of_third_party_invite: a member event's `third_party_invite`
            survives, reduced to its `signed`.
    """

    top_level: frozenset[str]
    content: Mapping[str, frozenset[str]]
    signed_of_third_party_invite: bool


_TOP_LEVEL: Final = frozenset(
    {
        "event_id",
        "type",
        "room_id",
        "sender",
        "state_key",
        "content",
        "hashes",
        "signatures",
        "depth",
        "prev_events",
        "auth_events",
        "origin_server_ts",
    }
)

_CONTENT_V1: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "m.room.member": frozenset({"membership"}),
        "m.room.create": frozenset({"creator"}),
        "m.room.join_rules": frozenset({"join_rule"}),
        "m.room.power_levels": frozenset(
            {
                "ban",
                "events",
                "events_default",
                "kick",
                "redact",
                "state_default",
                "users",
                "users_default",
            }
        ),
        "m.room.aliases": frozenset({"aliases"}),
        "m.room.history_visibility": frozenset({"history_visibility"}),
    }
)


def _changed(
    before: Mapping[str, frozenset[str]], **more: frozenset[str]
) -> Mapping[str, frozenset[str]]:
    return MappingProxyType({**before, **{f"m.room.{name}": keys for name, keys in more.items()}})


_CONTENT_V6 = _changed(_CONTENT_V1, aliases=frozenset())
_CONTENT_V8 = _changed(_CONTENT_V6, join_rules=frozenset({"join_rule", "allow"}))
# Version 8 forgot this key: a redacted join to a restricted room no longer names who authorised it,
# and the rules reject it.
_CONTENT_V9 = _changed(
    _CONTENT_V8, member=frozenset({"membership", "join_authorised_via_users_server"})
)
# Before version 11, redacting the power levels dropped the invite level, so that any member could
# invite. The create event lost its room version.
_CONTENT_V11 = _changed(
    _CONTENT_V9,
    create=ALL,
    power_levels=_CONTENT_V1["m.room.power_levels"] | {"invite"},
    redaction=frozenset({"redacts"}),
)
# Nobody writes these keys today. They stay in the table because old events with them have their IDs
# and signatures.
_UNTIL_V10: Final = _TOP_LEVEL | {"prev_state", "origin", "membership"}

_CHANGES: Final[Mapping[int, Survivors]] = MappingProxyType(
    {
        1: Survivors(_UNTIL_V10, _CONTENT_V1, signed_of_third_party_invite=False),
        6: Survivors(_UNTIL_V10, _CONTENT_V6, signed_of_third_party_invite=False),
        8: Survivors(_UNTIL_V10, _CONTENT_V8, signed_of_third_party_invite=False),
        9: Survivors(_UNTIL_V10, _CONTENT_V9, signed_of_third_party_invite=False),
        11: Survivors(_TOP_LEVEL, _CONTENT_V11, signed_of_third_party_invite=True),
    }
)

_TABLE: Final[Mapping[int, Survivors]] = MappingProxyType(
    {
        number: _CHANGES[max(first for first in _CHANGES if first <= number)]
        for number in range(1, NEWEST_RULES + 1)
    }
)

_NOTHING: Final[frozenset[str]] = frozenset()


def survivors(room_version: RoomVersion) -> Survivors:
    """Return the keys that survive in a room version."""
    if room_version.redaction_content:
        return _amended(room_version)
    return _TABLE[room_version.redaction_rules]


@cache
def _amended(room_version: RoomVersion) -> Survivors:
    """Return the table of a version of one's own, with its changes."""
    table = _TABLE[room_version.redaction_rules]
    content = {**table.content, **dict(room_version.redaction_content)}
    for event_type, keys in content.items():
        if "*" in keys:
            content[event_type] = ALL  # recognised by identity
    return evolve(table, content=MappingProxyType(content))


def redact(pdu: Mapping[str, JsonValue], room_version: RoomVersion) -> dict[str, JsonValue]:
    """Strip an event down to the keys that the protocol needs.

    `unsigned` does not survive; `signatures` do, and stay valid, since they cover
    the redacted form.

    Args:
        pdu: an event in federation format. It is not changed.
        room_version: the version of its room.

    Returns:
        A new dict; values that survive whole are shared with `pdu`.

    Raises:
        InvalidEvent: the type is not text or the content is not an object.

    >>> from matrix_membership.room_versions import V9
    >>> redact({"type": "m.room.member", "content": {"membership": "join", "a": 1}}, V9)
    {'type': 'm.room.member', 'content': {'membership': 'join'}}

    .. versionadded:: 0.1.0
    """
    if room_version.__class__ is not RoomVersion:  # spares good ones a call
        require_room_version(room_version)
    event_type, content = pdu.get("type"), pdu.get("content")
    if not isinstance(event_type, str):
        raise InvalidEvent("type", "text", event_type)
    if not isinstance(content, Mapping):
        raise InvalidEvent("content", "an object", content)
    table = survivors(room_version)
    redacted = {key: value for key, value in pdu.items() if key in table.top_level}
    redacted["content"] = redacted_content(event_type, content, table)
    return redacted


def redacted_content(
    event_type: str, content: Mapping[str, JsonValue], table: Survivors
) -> Mapping[str, JsonValue]:
    """Return the part of a content that survives, for an event of this type."""
    kept = table.content.get(event_type, _NOTHING)
    if kept is ALL:
        return content
    redacted = {key: value for key, value in content.items() if key in kept}
    # Without `signed`, a redacted third-party invite would be judged as a plain one. It would lack
    # the signature of its sender's server. gomatrixserverlib drops it, and computes another event
    # ID.
    if table.signed_of_third_party_invite and event_type == "m.room.member":
        invite = content.get("third_party_invite")
        # The specification leaves two cases open. An invite that is not an object is dropped
        # whole; one without `signed` becomes an empty object.
        if isinstance(invite, Mapping):
            redacted["third_party_invite"] = {
                key: value for key, value in invite.items() if key == "signed"
            }
    return redacted
