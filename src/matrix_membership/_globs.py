"""Patterns with `*` and `?`, matched in linear time. See `Glob-style matching`__.

__ https://spec.matrix.org/v1.19/appendices/#glob-style-matching
"""

# How it works: a list may hold thousands of patterns, and each event of a transaction is tested.
# Plain names and `*.name` are looked up in sets, by every length of ending that the list has. Only
# patterns with more wildcards are compared one by one. Each of those is matched in one pass from
# the left. It never goes back: after a star, the first place that fits a part is as good as any
# later one.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import ascii_uppercase
from types import MappingProxyType
from typing import Final


class Globs:
    """The patterns of a list, sorted by the work that it takes to match them.

    Most patterns are a name, or a star before a name. A look-up finds these, so that a
    name is compared one by one only with the patterns that have more wildcards. Upper and
    lower case of the ASCII letters match each other.

    Attributes:
        names: patterns without a wildcard.
        ends: the part after the star, for patterns whose only star is their first character.
        sizes: the lengths of `ends`.
        others: all other patterns.
    """

    __slots__ = ("ends", "names", "others", "sizes")

    def __init__(self, patterns: Iterable[str]) -> None:
        names: set[str] = set()
        ends: set[str] = set()
        # A dict keeps the order of the event, and drops repeated patterns, which would make every
        # comparison longer.
        others: dict[str, None] = {}
        for pattern in map(_lower, patterns):
            end = pattern[1:]
            if "?" in pattern or "*" in end:
                others[pattern] = None
            elif pattern.startswith("*"):
                ends.add(end)
            else:
                names.add(pattern)
        self.names = frozenset(names)
        self.ends = frozenset(ends)
        self.sizes = frozenset(map(len, ends))
        self.others = tuple(others)

    def match(self, name: str) -> bool:
        """Tell whether a pattern matches a name. Cost: linear in `sizes` and in `others`."""
        name = _lower(name)
        if name in self.names:
            return True
        length = len(name)
        if any(name[length - size :] in self.ends for size in self.sizes if size <= length):
            return True
        places = _places(name) if self.others else {}
        return any(_matches(pattern, name, places) for pattern in self.others)


Places = Mapping[str, int]
"""The places of each character of a name: bit n is set for place n."""


def _places(name: str) -> Places:
    found: dict[str, int] = {}
    for place, character in enumerate(name):
        found[character] = found.get(character, 0) | 1 << place
    return found


def _matches(pattern: str, name: str, places: Places) -> bool:
    """Tell whether a glob matches.

    Each part between two stars is searched once, from the left. A regular expression
    would try all places for all parts, and an attacker can write the pattern.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return len(first) == len(name) and _find(first, name, places, 0, len(name)) == 0
    *middle, last = rest
    position, end = len(first), len(name) - len(last)
    if (
        position > end
        or _find(first, name, places, 0, position) != 0
        or _find(last, name, places, end, len(name)) != end
    ):
        return False
    for part in middle:
        position = _find(part, name, places, position, end)
        if position < 0:
            return False
        position += len(part)
    return True


def _find(part: str, name: str, places: Places, start: int, end: int) -> int:
    """Return the first place of a part of a pattern within a name, or -1.

    All places are tried at once, as bits of a number: trying them in turn would cost the
    length of the name for each question mark.
    """
    if "?" not in part:
        return name.find(part, start, end)
    found = (1 << max(0, end - len(part) + 1 - start)) - 1 << start
    for offset, character in enumerate(part):
        if character != "?":
            found &= places.get(character, 0) >> offset
        if not found:
            return -1
    return (found & -found).bit_length() - 1


def _lower(text: str) -> str:
    """Return the text with its ASCII letters in lower case.

    Server names have no other letters, and by Unicode the Kelvin sign becomes a k.
    """
    # The branch is for speed: `translate` looks up each character.
    return text.lower() if text.isascii() else text.translate(_LOWER)


_LOWER: Final = MappingProxyType({ord(letter): letter.lower() for letter in ascii_uppercase})
