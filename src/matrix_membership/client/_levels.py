"""Power levels of new rooms, of replacements, and of replaced rooms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from matrix_membership.canonical_json import MAX_INTEGER, MIN_INTEGER, JsonValue, encode, thaw
from matrix_membership.errors import InvalidJson
from matrix_membership.events.contents import NAMED_LEVELS
from matrix_membership.identifiers import is_user_id
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState

ADMIN: Final = 100
_TOMBSTONE: Final = "m.room.tombstone"
_OWNER: Final = 150
_REPLACED: Final = 50
"""The level that a replaced room needs for messages and invites."""

_FIRST_EVENTS: Final[Mapping[str, JsonValue]] = MappingProxyType(
    {
        "m.room.avatar": 50,
        "m.room.canonical_alias": 50,
        "m.room.encryption": ADMIN,
        "m.room.history_visibility": ADMIN,
        "m.room.name": 50,
        "m.room.power_levels": ADMIN,
        "m.room.server_acl": ADMIN,
    }
)


def first_levels(
    room_version: RoomVersion,
    admins: Iterable[str],
    override: Mapping[str, JsonValue],
    *,
    all_invite: bool,
) -> dict[str, JsonValue]:
    """Return the power levels of a new room; keys of the client replace whole keys."""
    events = dict(_FIRST_EVENTS)
    if not room_version.privileged_creators:
        events[_TOMBSTONE] = ADMIN
    content: dict[str, JsonValue] = {
        **NAMED_LEVELS,
        "invite": 0 if all_invite else 50,
        "events": events,
        "users": {} if room_version.privileged_creators else dict.fromkeys(admins, ADMIN),
        **override,
    }
    return content


def with_tombstone(
    content: Mapping[str, JsonValue], room_version: RoomVersion
) -> dict[str, JsonValue]:
    """Return power levels by which only creators replace the room by default.

    From version 12 on, the level for tombstones must be above `state_default`.
    """
    events, state_default = content.get("events", {}), content.get("state_default", 50)
    # Malformed levels are left to the rules, which reject the event.
    if not room_version.privileged_creators or not isinstance(events, Mapping):
        return dict(content)
    if _TOMBSTONE in events or state_default.__class__ is not int:
        return dict(content)
    level = min(max(_OWNER, state_default + 1), MAX_INTEGER)
    return {**content, "events": {**events, _TOMBSTONE: level}}


def told_levels(state: RoomState) -> dict[str, JsonValue]:
    """Return a room's power levels in a form that every room version reads alike.

    Levels in text and floats become integers, and all are within the range of canonical JSON.
    """
    event, levels = state.get("m.room.power_levels"), state.power_levels
    if event is None:
        # Without the event the creator alone has power, which ends with the first such event.
        admins = [] if state.create.privileged else [state.create.creator]
        return {**NAMED_LEVELS, "events": {}, "users": dict.fromkeys(filter(None, admins), ADMIN)}
    users: dict[str, int] = {}
    users.update(entry for entry in levels.users.items() if is_user_id(entry[0]))
    maps: dict[str, Mapping[str, int]] = {
        "users": users,
        "events": levels.events,
        "notifications": levels.notifications,
    }
    told = {"users": {}, **thaw(event.content), **_in_range(levels.named)}
    return {**told, **{name: _in_range(read) for name, read in maps.items() if name in told}}


def replaced_levels(state: RoomState) -> dict[str, JsonValue]:
    """Return power levels by which fewer may write to a replaced room and invite."""
    event, levels = state.get("m.room.power_levels"), state.power_levels
    least = min(max(_REPLACED, levels.users_default + 1), MAX_INTEGER)
    raised = {name: max(least, getattr(levels, name)) for name in ("events_default", "invite")}
    return {**(told_levels(state) if event is None else event.content), **raised}


def carried_levels(
    state: RoomState, room_version: RoomVersion, user: str, creators: Iterable[str]
) -> dict[str, JsonValue]:
    """Return the power levels of a room's replacement, which `user` makes.

    Creators have no entry where they have infinite power anyhow. A creator whose infinite power
    ends with the room version gets the highest level of the room instead.
    """
    told = told_levels(state)
    users = dict(told["users"])
    if room_version.privileged_creators:
        for creator in (user, *creators):
            users.pop(creator, None)
        events, state_default = told.get("events", {}), told.get("state_default", 50)
        # Before version 12 an equal could replace a room. Here that would take it from its
        # creators, above whom nobody stands.
        least = state_default + 1 if state.create.privileged else _OWNER
        if events.get(_TOMBSTONE, MAX_INTEGER) < max(least, state_default + 1):
            told["events"] = {kind: events[kind] for kind in events if kind != _TOMBSTONE}
    elif user in state.create.privileged:
        users[user] = max([ADMIN, *_all_levels(told)])
    levels = with_tombstone({**told, "users": users}, room_version)
    # An unknown key that the version cannot hold would cost the room all its levels.
    return {key: value for key, value in levels.items() if _fits(value, room_version)}


def raised_levels(
    levels: Mapping[str, JsonValue], user: str, types: Iterable[str]
) -> dict[str, JsonValue] | None:
    """Return power levels by which a user may send state events of some types.

    Returns:
        The levels; None if the user may send them already.
    """
    default, events = levels.get("state_default", 50), levels.get("events", {})
    needed = max(events.get(event_type, default) for event_type in types)
    users = levels["users"]
    if users.get(user, levels.get("users_default", 0)) >= needed:
        return None
    return {**levels, "users": {**users, user: needed}}


def _fits(value: JsonValue, room_version: RoomVersion) -> bool:
    try:
        encode(value, strict=room_version.strict_json)
    except InvalidJson:
        return False
    return True


def _in_range(levels: Mapping[str, int]) -> dict[str, JsonValue]:
    return {key: max(MIN_INTEGER, min(level, MAX_INTEGER)) for key, level in levels.items()}


def _all_levels(levels: Mapping[str, JsonValue]) -> list[int]:
    named = [levels[name] for name in NAMED_LEVELS if name in levels]
    return [*named, *levels.get("events", {}).values(), *levels["users"].values()]
