"""Drawn JSON: any value, and contents with one malformed value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from matrix_membership.canonical_json import MAX_INTEGER, MIN_INTEGER, JsonValue
from matrix_membership.events.contents import NAMED_LEVELS
from matrix_membership.room_versions import RoomVersion

Fields = dict[str, JsonValue]
"""Fields of a PDU, or a content."""

_TEXT: Final = st.text(max_size=20)


def json_values(*, floats: bool = False) -> SearchStrategy[JsonValue]:
    """Draw any value of canonical JSON.

    Args:
        floats: whether to draw floats too, which room versions 1 to 5 accept.

    >>> from hypothesis import find
    >>> find(json_values(), lambda value: isinstance(value, dict))
    {}
    """
    return _VALUES[floats]


def json_objects(*, floats: bool = False) -> SearchStrategy[dict[str, JsonValue]]:
    """Draw any object of canonical JSON.

    Args:
        floats: whether to draw floats too, which room versions 1 to 5 accept.

    >>> from hypothesis import find
    >>> find(json_objects(), lambda value: True)
    {}
    """
    return _OBJECTS[floats]


def _json(scalars: SearchStrategy[JsonValue]) -> SearchStrategy[JsonValue]:
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
        max_leaves=8,
    )


_SCALARS: Final[SearchStrategy[JsonValue]] = st.one_of(
    st.none(), st.booleans(), st.integers(MIN_INTEGER, MAX_INTEGER), st.text()
)
_FLOATS: Final = st.floats(allow_nan=False, allow_infinity=False)
_VALUES: Final = (_json(_SCALARS), _json(st.one_of(_SCALARS, _FLOATS)))
_OBJECTS: Final = tuple(st.dictionaries(_TEXT, values, max_size=5) for values in _VALUES)


KEYS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "m.room.member": ("membership", "third_party_invite", "join_authorised_via_users_server"),
        "m.room.join_rules": ("join_rule", "allow"),
        "m.room.power_levels": (*NAMED_LEVELS, "users", "events", "notifications"),
        "m.room.third_party_invite": ("public_key", "public_keys"),
        "m.room.create": ("creator", "additional_creators", "m.federate", "room_version"),
        "m.room.aliases": ("aliases",),
        "m.room.redaction": ("redacts",),
    }
)
"""The keys that the auth rules or clients read, by event type."""

# A mark of its own, since None is a value that JSON has.
_GONE: Final = object()


def _odd(*more: float) -> SearchStrategy[object]:
    """Draw values that are malformed for nearly every key."""
    return st.sampled_from(
        (
            # Python's `int` takes "5_0", " 7 " and True, so engines in Python read levels in them.
            *(_GONE, None, False, True, 0, -1, MAX_INTEGER, "", "50", " 7 ", "5_0", "Join", "@ben"),
            *([], {}, [None], {"": None}, {"@ben": 50}, {"@ben:a.example": "50"}, {"signed": {}}),
            *more,
        )
    )


_ODD: Final = _odd()
_ODD_OR_FLOATS: Final = _odd(0.5, 1e300)
_Path = tuple[str | int, ...]


def exchanged(draw: DrawFn, event_type: str, content: Fields, version: RoomVersion) -> Fields:
    """Return a content with one value replaced by a malformed one, or removed."""
    known = [(key,) for key in KEYS.get(event_type, ("body",))]
    # Shrinking goes to the first: a fault at the top of a content is easier to read.
    paths = dict.fromkeys([*known, *_paths(content)])
    new = draw(_ODD_OR_FLOATS if version.float_levels else _ODD)
    changed: Fields = _put(content, draw(st.sampled_from(tuple(paths))), new)
    return changed


def _paths(value: JsonValue) -> Iterator[_Path]:
    """Yield the paths of all values inside a value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inside:
        yield (key,)
        if isinstance(item, dict | list):
            yield from ((key, *rest) for rest in _paths(item))


def _put(value: JsonValue, path: _Path, new: object) -> JsonValue:
    """Return a copy with another value at one path."""
    key, *rest = path
    items = dict(value.items() if isinstance(value, dict) else enumerate(value))
    items[key] = _put(items[key], tuple(rest), new) if rest else new
    kept = {key: item for key, item in items.items() if item is not _GONE}
    return kept if isinstance(value, dict) else list(kept.values())
