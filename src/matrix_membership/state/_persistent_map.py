"""A persistent map: `with_item` returns a new map and leaves the old one valid.

It is a stack of plain dicts, newest first: a small one that every change copies,
over larger ones that are never changed. A full small dict is laid on the stack;
neighbours merge when the upper one has grown to a sixteenth of the lower one. So a
change costs amortised O(log n) with small constants, a look-up a few dict look-ups,
and a retained version one dict of at most sixteen entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar, cast

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_RATIO: Final = 16
# A mark in place of a value: the levels below belong to older maps too, and cannot lose the key.
GONE: Final = object()


class PersistentMap(Generic[_Key, _Value]):
    """An immutable map whose iteration order is the order of last change.

    Attributes:
        levels: its dicts, newest first; the first that has a key counts.
    """

    __slots__ = ("_size", "levels")
    levels: tuple[dict[_Key, _Value], ...]
    _size: int

    def __init__(self, items: Mapping[_Key, _Value] | None = None) -> None:
        """Make a map of these items, in their order. Copies them."""
        self.levels = (dict(items or {}),)
        self._size = len(self.levels[0])

    @classmethod
    def owning(cls, items: dict[_Key, _Value]) -> PersistentMap[_Key, _Value]:
        """Make a map of a dict that its owner no longer changes."""
        made: PersistentMap[_Key, _Value] = cls.__new__(cls)
        made.levels = (items,)
        made._size = len(items)
        return made

    def get(self, key: _Key) -> _Value | None:
        """Return the value under a key, or None."""
        for level in self.levels:
            value = level.get(key)
            if value is not None:
                return None if value is GONE else value
        return None

    def with_item(self, key: _Key, value: _Value) -> PersistentMap[_Key, _Value]:
        """Return the map with a value under a key, last in order."""
        return self.changed(key, value, self.get(key) is None)

    def without(self, key: _Key) -> PersistentMap[_Key, _Value]:
        """Return the map without a key."""
        if self.get(key) is None:
            return self
        # Readers of a level know the mark: typed, it would be in every signature here.
        return self.changed(key, cast("_Value", GONE), -1)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[_Key]:
        return (key for key, _ in self.items())

    def values(self) -> Iterator[_Value]:
        """Return the values, in the order of their last change."""
        return (value for _, value in self.items())

    def items(self) -> Iterator[tuple[_Key, _Value]]:
        """Return keys and values, in the order of their last change."""
        levels = self.levels
        for index in range(len(levels) - 1, 0, -1):
            newer = levels[:index]
            for key, value in levels[index].items():
                # Loops, not `any`: a generator for each item takes three times as long.
                for level in newer:
                    if key in level:
                        break
                else:
                    if value is not GONE:
                        yield key, value
        for key, value in levels[0].items():
            if value is not GONE:
                yield key, value

    def changed(self, key: _Key, value: _Value, more: int) -> PersistentMap[_Key, _Value]:
        """Do what `with_item` does, for a caller who knows how many items come to it."""
        levels = self.levels
        newest = levels[0]
        if len(levels) > 1 and len(newest) < _RATIO:
            newest = newest.copy()
            # A dict leaves a key that is set again where it stood. Taken out first, it comes last,
            # as the order of memberships wants.
            if key in newest:
                del newest[key]
            newest[key] = value
            levels = (newest, *levels[1:])
        else:
            levels = ({key: value}, *_settled(levels))
        changed: PersistentMap[_Key, _Value] = PersistentMap.__new__(PersistentMap)
        changed.levels = levels
        changed._size = self._size + more
        return changed


def _settled(levels: tuple[dict[_Key, _Value], ...]) -> tuple[dict[_Key, _Value], ...]:
    """Merge neighbours, until each level is far larger than the one above."""
    # So a map of a million items has five or six, and a look-up as many steps at most.
    while len(levels) > 1 and len(levels[0]) * _RATIO >= len(levels[1]):
        upper, lower, *rest = levels
        levels = (_merged(upper, lower, is_base=not rest), *rest)
    return levels


def _merged(
    upper: dict[_Key, _Value], lower: dict[_Key, _Value], *, is_base: bool
) -> dict[_Key, _Value]:
    # In C, where no key has to move or to go: 16 items over 64 take 2.5 us, in the loop 4.
    if not is_base and lower.keys().isdisjoint(upper):
        return lower | upper
    merged = lower.copy()
    for key, value in upper.items():
        merged.pop(key, None)
        # The base is the lowest level: a mark there would hide nothing.
        if value is not GONE or not is_base:
            merged[key] = value
    return merged


SmallMap = dict[str, _Value] | PersistentMap[str, _Value]
"""A dict that is never changed, or the persistent map that it became when it had grown."""


def with_item(items: SmallMap[_Value], key: str, value: _Value) -> SmallMap[_Value]:
    """Return the map with a value under a key. Cost: amortised constant.

    A room's own power alone keeps it from having thousands of types and state keys:
    copying a dict for each of them would cost their square.
    """
    if isinstance(items, PersistentMap):
        return items.with_item(key, value)
    if len(items) < _FEW:
        return {**items, key: value}
    return PersistentMap.owning(items).with_item(key, value)


_FEW: Final = 64
"""So many items are copied faster than a persistent map is changed, and looked up faster."""
