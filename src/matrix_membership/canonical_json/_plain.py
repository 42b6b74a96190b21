"""Read and write plain JSON: as C code does it, with nothing looked at twice.

With the extra `speed` orjson does it, which is several times as fast, otherwise the C code of
`json`. Readers check what they get, and writers give values that were checked, so that both give
the same.
"""

# How it works: the choice is made once, when this module is imported. Both readers take the last of
# two duplicate keys and -0 for 0. orjson makes a float of an integer beyond 64 bits, and `json`
# takes any integer; so readers refuse a text with such a number, and read it by
# `canonical_json.read`. orjson writes no integer beyond 64 bits, no key of a class derived from
# `str`, and no lone surrogate: `json` writes the values that it refuses.

from __future__ import annotations

import json
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any, Final, Never

from canonicaljson import encode_canonical_json

try:
    from orjson import OPT_SORT_KEYS, dumps, loads
except ImportError:
    loads = dumps = OPT_SORT_KEYS = None

__all__ = ["encode_plain", "read_plain", "scan_in_list", "scan_plain", "write_plain"]


def _refuse(_: str) -> Never:
    raise ValueError


# `scan_once` is the scanner itself. `decode` would look for white space around the value in Python
# code, and cannot read one event inside a longer text.
scan_plain: Final[Callable[[str, int], tuple[Any, int]]] = vars(
    json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)
)["scan_once"]
"""Read the value at a place in a text, and return it with the place where it ends.

It raises `ValueError` for a number other than an integer.
"""


def read_by_json(data: bytes) -> Any:
    text = data.decode()
    value, end = scan_plain(text, 0)
    if end < len(text):
        raise ValueError
    return value


_CANONICAL: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
)

# JSONEncoder makes a writer in C for each value, and making it costs more than writing a
# small value. So one is made here and kept.
# Its arguments: no check for circles, what to do with other types, how to write text, no
# indent, two separators, sorted keys, no key skipped, no NaN.
_make_writer = getattr(json.encoder, "c_make_encoder", None)
_OPTIONS: Final = (_CANONICAL.default, encode_basestring, None, ":", ",", True, False, False)
_chunks: Final = _make_writer(None, *_OPTIONS) if _make_writer else _CANONICAL.iterencode


def write_by_json(value: Any) -> bytes:
    return "".join(_chunks(value, False)).encode()  # noqa: FBT003 - takes no keywords


# orjson reads whole texts alone. If all up to where the next object seems to begin is a JSON object,
# it is the one that begins here: no object ends in two places.
def _scan_by_orjson(text: str, place: int) -> tuple[Any, int]:
    end = text.find('},{"', place) + 1
    if end:
        try:
            return loads(text[place:end]), end
        except ValueError:
            pass
    return scan_plain(text, place)


def _write_by_orjson(value: Any) -> bytes:
    try:
        written: bytes = dumps(value, None, OPT_SORT_KEYS)
    except TypeError:
        return write_by_json(value)
    return written


read_plain: Final[Callable[[bytes], Any]] = loads or read_by_json
"""Read JSON without a look at its numbers and keys.

It raises `ValueError`, `StopIteration` or `RecursionError` for other text than JSON.
"""

scan_in_list: Final[Callable[[str, int], tuple[Any, int]]] = (
    _scan_by_orjson if loads else scan_plain
)
"""Do what `scan_plain` does for an object in a list of objects, but take any number."""

write_plain: Final[Callable[[Any], bytes]] = _write_by_orjson if dumps else write_by_json
"""Write a value that holds no float, and is known to be one that JSON can hold."""

encode_plain: Final[Callable[[Any], bytes]] = _write_by_orjson if dumps else encode_canonical_json
"""Write such a value by a package of its own, where a microsecond matters less."""
