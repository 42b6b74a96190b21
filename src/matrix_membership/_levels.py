"""Levels: how the room versions write the numbers of `m.room.power_levels`."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Final

from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.room_versions import RoomVersion

__all__ = ["NO_LEVELS", "level_of", "levels_of", "out_of_range"]

# A JsonObject, unlike a mapping proxy, can be pickled.
NO_LEVELS: Final[Mapping[str, int]] = JsonObject()


def level_of(value: JsonValue, room_version: RoomVersion) -> int | None:
    """Read one power level by the grammar of a room version.

    Args:
        value: what stands in the event.
        room_version: versions 1 to 9 take decimal text too, versions 1 to 5 floats,
            cut at the point.

    Returns:
        The level, or None for what is none.

    >>> from matrix_membership.room_versions import V5, V10
    >>> level_of(" +050 ", V5), level_of(50.57, V5), level_of("50", V10), level_of(True, V10)
    (50, 50, None, None)
    """
    if value.__class__ is int:
        return int(value)
    if room_version.integer_levels:
        return None
    if isinstance(value, str):
        return _level_in(value.strip(_WHITE_SPACE))
    if isinstance(value, float) and room_version.float_levels and isfinite(value):
        return int(value)
    return None


def levels_of(value: JsonValue, room_version: RoomVersion) -> tuple[Mapping[str, int], bool, bool]:
    """The levels of a map that can be read; whether all can; whether no float is too large."""
    if not isinstance(value, Mapping):
        return NO_LEVELS, False, True
    levels = {}
    in_range = True
    for key, item in value.items():
        level = level_of(item, room_version)
        if level is not None:
            levels[key] = level
        elif out_of_range(item):
            in_range = False
    return JsonObject(levels), len(levels) == len(value), in_range


# Python's \s and str.strip know more white space than the Unicode property that
# other implementations strip, and int() knows underscores and other digits.
_WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + ("\u2028\u2029\u202f\u205f\u3000")
)
_DIGITS: Final = 400
"""How many digits a level in text may have, zeros before it not counted."""


def _level_in(text: str) -> int | None:
    """The level that a text without white space around it is."""
    sign = text[:1] if text[:1] in ("+", "-") else ""
    bare = text[len(sign) :]
    # A regular expression would try each of many zeros as the end of those that do not count.
    digits = bare.lstrip("0") or bare[-1:]
    if len(digits) > _DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    return int(sign + digits)


def out_of_range(value: JsonValue) -> bool:
    """Whether it is a float that binary64 cannot hold."""
    return isinstance(value, float) and not isfinite(value)
