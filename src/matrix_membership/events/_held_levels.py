"""View the power levels that a host holds, as far as a rule asks."""

# How it works: a power-levels event of a large room names thousands of users, and a check asks
# for two. So the view of a host's content starts with empty slots, for which Python calls
# `_fill_in`. The three functions look into the content itself. All else is read at once, when a
# rule compares two power-levels events.

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeGuard

from matrix_membership.canonical_json import JsonValue
from matrix_membership.events.contents import (
    NAMED_LEVELS,
    NO_LEVELS,
    PowerLevels,
    PowerLevelSlots,
    level_of,
    power_levels_view,
)
from matrix_membership.identifiers import UserID
from matrix_membership.room_versions import RoomVersion


def held_power_levels(content: Mapping[str, JsonValue], room_version: RoomVersion) -> PowerLevels:
    """View power levels that a host holds, and read of them only what is asked."""
    levels: Any = object.__new__(PowerLevels)
    _keep(levels, "held", (content, room_version))
    _keep(levels, "exists", True)  # noqa: FBT003 - a field
    made: PowerLevels = levels
    return made


def names_a_server(value: object) -> TypeGuard[UserID]:
    """Tell whether a value can name a user, for those who look no further.

    A host may hold users of servers whose names the grammar forbids, with an underscore for
    example.
    """
    return isinstance(value, str) and value[:1] == "@" and ":" in value


def _name_servers(values: Collection[object]) -> bool:
    return all(map(names_a_server, values))


_keep: Final = object.__setattr__
_ATTRIBUTES: Final = frozenset({*PowerLevelSlots.__annotations__} - {"held"})
_FUNCTIONS: Final = MappingProxyType(
    {
        "level_of": ("users", "users_default"),
        "message_level_of": ("events", "events_default"),
        "state_level_of": ("events", "state_default"),
    }
)


def _fill_in(levels: Any, name: str) -> Any:
    """Read an attribute of held power levels that was not needed until now."""
    if name not in _ATTRIBUTES:
        raise AttributeError(f"PowerLevels has no attribute {name!r}")
    content, room_version = levels.held
    if name in _FUNCTIONS:
        field_name, default = _FUNCTIONS[name]
        listed = content.get(field_name)
        known = listed if isinstance(listed, Mapping) else NO_LEVELS
        _keep(levels, name, _look_into(known, getattr(levels, default), room_version))
    elif name in NAMED_LEVELS:
        level = level_of(content.get(name), room_version)
        _keep(levels, name, NAMED_LEVELS[name] if level is None else level)
    else:
        whole = power_levels_view(content, room_version, _name_servers)
        for part in (*PowerLevels.__match_args__, "highest"):
            _keep(levels, part, getattr(whole, part))
    return getattr(levels, name)


# As in `state`: with a `__getattr__` in the class body type checkers accept every attribute.
type.__setattr__(PowerLevels, "__getattr__", _fill_in)


def _look_into(
    listed: Mapping[str, JsonValue], default: int, room_version: RoomVersion
) -> Callable[[str], int]:
    get = listed.get

    def look_up(key: str) -> int:
        value = get(key)
        if value.__class__ is int:
            return value
        if value is None:
            return default
        level = level_of(value, room_version)
        return default if level is None else level

    return look_up
