"""JSON as Matrix means it: immutable values from bytes, canonical bytes from values.

Objects become `JsonObject` (a dict that refuses to change), arrays become tuples.
Two readings exist. The *strict* one is what room versions 6 and later enforce:
no duplicate keys, integers only, none outside ±(2**53 - 1), no `-0`. The *tolerant*
one is for room versions 1 to 5 and for requests: the last of duplicate keys wins,
`-0` is 0, integers may have any size up to a budget, and a number with a fraction
or an exponent keeps its text, so that hashes over it still match. Neither takes
NaN, infinities, lone surrogates, or more nesting than the budget allows.

The canonical form is the one of `the appendices`__.

__ https://spec.matrix.org/v1.19/appendices/#canonical-json
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, Final, Never, Self

from canonicaljson import encode_canonical_json

from matrix_membership._attrs import frozen
from matrix_membership.errors import InvalidJson

__all__ = [
    "DEFAULT_BUDGET",
    "MAX_INTEGER",
    "MIN_INTEGER",
    "Budget",
    "JsonFloat",
    "JsonObject",
    "JsonValue",
    "decode",
    "encode",
    "freeze",
    "read",
    "thaw",
    "write",
]

JsonValue = Any
"""None, a bool, an int, a float, a str, or a list, tuple or mapping of those."""

MAX_INTEGER: Final = 2**53 - 1
MIN_INTEGER: Final = -MAX_INTEGER


@frozen
class Budget:
    """What reading a text may cost.

    Attributes:
        max_bytes: bytes of UTF-8.
        max_depth: objects and arrays inside each other.
        max_digits: characters of one integer, its sign included.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_depth: int = 100
    max_digits: int = 400


DEFAULT_BUDGET: Final = Budget()


class JsonObject(dict[str, JsonValue]):
    """A JSON object that refuses to change.

    It is a dict to everybody who reads, so that encoders take it as it is.
    """

    __slots__ = ()

    def __init_subclass__(cls, **_: object) -> Never:
        raise TypeError(f"JsonObject is sealed: {cls.__name__} cannot extend it")

    def _refuse(self, *_: object, **__: object) -> Never:
        raise TypeError("a JsonObject does not change; dict(value) is a copy that does")

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = _refuse
    __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # dict says None
        return hash(frozenset(self.items()))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[type, tuple[dict[str, JsonValue]]]:
        return (JsonObject, (dict(self),))


class JsonFloat(float):
    """A number with a fraction or an exponent, with the text that it was sent as."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """Read a JSON number, keeping its text."""
        self = super().__new__(cls, text)
        object.__setattr__(self, "text", text)
        return self

    def __init_subclass__(cls, **_: object) -> Never:
        raise TypeError(f"JsonFloat is sealed: {cls.__name__} cannot extend it")

    def __setattr__(self, name: str, value: object) -> Never:
        raise TypeError("a JsonFloat does not change")

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return (JsonFloat, (self.text,))


def decode(
    data: bytes | bytearray | memoryview | str, *, strict: bool, budget: Budget = DEFAULT_BUDGET
) -> JsonValue:
    """Read JSON text into immutable values.

    Args:
        data: UTF-8 bytes, or text.
        strict: whether the text must hold only what canonical JSON can hold.
        budget: what reading may cost.

    Returns:
        None, a bool, an int, a str, a tuple, a `JsonObject`; if not strict a
        `JsonFloat` too.

    Raises:
        InvalidJson: the text is not JSON, or over the budget; or strict forbids
            what it holds.

    >>> decode(b'{"a": [1, 2]}', strict=True)
    {'a': (1, 2)}
    >>> decode(b'{"a": 1, "a": 2}', strict=True)
    Traceback (most recent call last):
      ...
    matrix_membership.errors.InvalidJson: JSON: expected each key once, got 'a'
    """
    return _frozen(read(data, strict=strict, budget=budget)[0])


def encode(value: JsonValue, *, strict: bool = True) -> bytes:
    r"""Write a value as canonical JSON.

    Args:
        value: any JSON value.
        strict: refuse what canonical JSON has no form for (fractions, integers
            outside ±(2**53 - 1)). Otherwise these are written as they were sent,
            which is what events of room versions 1 to 5 are hashed over.

    Returns:
        UTF-8 bytes: keys sorted by code point, no white space, shortest escapes.

    Raises:
        InvalidJson: the value is none that JSON can hold, or strict forbids it.

    >>> encode({"b": "é", "a": [True, None]})
    b'{"a":[true,null],"b":"\xc3\xa9"}'
    """
    has_float = _check(value, strict, DEFAULT_BUDGET.max_depth)
    try:
        return write(value, has_float=has_float)
    except UnicodeEncodeError as error:
        raise InvalidJson("JSON", "text of Unicode scalar values", _surrogate(error)) from error


def freeze(value: JsonValue) -> JsonValue:
    """Make an immutable copy of a JSON value.

    Raises:
        InvalidJson: it is none that JSON can hold.

    >>> freeze({"a": [1]})
    {'a': (1,)}
    """
    _check(value, False, DEFAULT_BUDGET.max_depth)  # noqa: FBT003 - private, and hot
    return _frozen(value)


def thaw(value: JsonValue) -> JsonValue:
    """Make a mutable copy, of plain dicts and lists, of a JSON value.

    >>> thaw(freeze({"a": [1]}))
    {'a': [1]}
    """
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [thaw(item) for item in value]
    return value


def read(
    data: bytes | bytearray | memoryview | str, *, strict: bool, budget: Budget = DEFAULT_BUDGET
) -> tuple[JsonValue, bool]:
    """Read JSON text as `decode` does, but into fresh dicts and lists.

    Returns:
        The value, and whether it holds a `JsonFloat`.

    Raises:
        InvalidJson: as `decode`.
    """
    text = _text(data, budget)
    floats: list[str] = []
    decoder = _STRICT if strict else _tolerant(budget, floats)
    try:
        value = decoder.decode(text)
        # A lone surrogate comes from an escape, or from text that holds one already.
        if "\\u" in text or (isinstance(data, str) and not data.isascii()):
            json.dumps(value, ensure_ascii=False, check_circular=False).encode()
    except json.JSONDecodeError as error:
        raise InvalidJson("JSON", f"JSON text ({error})", text) from error
    except UnicodeEncodeError as error:
        raise InvalidJson("JSON", "text of Unicode scalar values", _surrogate(error)) from error
    return value, bool(floats)


def write(value: JsonValue, *, has_float: bool) -> bytes:
    """Write what `read` gave, without looking at it again.

    Args:
        value: the value.
        has_float: whether it may hold a `JsonFloat`, which takes a slower writer.
    """
    return _written(value).encode() if has_float else encode_canonical_json(value)


def _text(data: bytes | bytearray | memoryview | str, budget: Budget) -> str:
    """The text, when its size and its nesting are within the budget."""
    if not isinstance(data, (bytes, bytearray, memoryview, str)):
        raise TypeError(f"expected bytes or str, got {type(data).__name__}")
    if len(data) > budget.max_bytes:
        raise InvalidJson("JSON", f"at most {budget.max_bytes} bytes", len(data))
    try:
        text = data if isinstance(data, str) else str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJson("JSON", "UTF-8", str(error)) from error
    # Brackets in all bound the nesting from above; only then is it worth measuring.
    if text.count("{") + text.count("[") > budget.max_depth and _depth(text) > budget.max_depth:
        raise InvalidJson("JSON", f"at most {budget.max_depth} levels of nesting", "more")
    return text


_brackets_and_strings = re.compile(r'"(?:[^"\\]|\\.)*+"|[{\[]|[}\]]', re.DOTALL).finditer


def _depth(text: str) -> int:
    depth = deepest = 0
    for found in _brackets_and_strings(text):
        first = text[found.start()]
        if first in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif first in "}]":
            depth -= 1
    return deepest


def _strict_integer(text: str) -> int:
    # 16 digits and a sign: what is longer need not be converted to be refused.
    if len(text) <= len("-9007199254740991") and text != "-0":
        value = int(text)
        if MIN_INTEGER <= value <= MAX_INTEGER:
            return value
    raise InvalidJson("JSON", "an integer from -(2**53)+1 to 2**53-1, no -0", text)


def _no_float(text: str) -> Never:
    raise InvalidJson("JSON", "integers only", text)


def _no_constant(text: str) -> Never:
    raise InvalidJson("JSON", "a JSON value", text)


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise InvalidJson("JSON", "each key once", max(keys, key=keys.count))
    return found


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_int=_strict_integer,
    parse_float=_no_float,
    parse_constant=_no_constant,
)


def _tolerant(budget: Budget, floats: list[str]) -> json.JSONDecoder:
    """A decoder for one reading, which notes the floats that it meets."""

    def integer(text: str) -> int:
        if len(text) > budget.max_digits:
            raise InvalidJson("JSON", f"an integer of at most {budget.max_digits} digits", text)
        return int(text)

    def number(text: str) -> int | JsonFloat:
        if len(text) > budget.max_digits:
            raise InvalidJson("JSON", f"a number of at most {budget.max_digits} digits", text)
        value = JsonFloat(text)
        # The specification's own example of canonical JSON makes 1e10 an integer.
        if "." not in text and abs(value) <= MAX_INTEGER and value.is_integer():
            return int(value)
        floats.append(text)
        return value

    return json.JSONDecoder(parse_int=integer, parse_float=number, parse_constant=_no_constant)


def _check(value: JsonValue, strict: bool, depth: int) -> bool:  # noqa: FBT001 - private, and hot
    """Whether a value that JSON can hold has a float in it."""
    if value is None or isinstance(value, (str, bool)):
        return False
    if isinstance(value, int):
        _check_integer(value, strict)
        return False
    if isinstance(value, float):
        if strict or not (isinstance(value, JsonFloat) or isfinite(value)):
            raise InvalidJson("JSON", "an integer" if strict else "a finite number", value)
        return True
    if not depth:
        raise InvalidJson("JSON", f"at most {DEFAULT_BUDGET.max_depth} levels of nesting", "more")
    # Lists, not generators: all items are to be looked at.
    return any([_check(item, strict, depth - 1) for item in _items(value)])  # noqa: C419 - see above


def _check_integer(value: int, strict: bool) -> None:  # noqa: FBT001 - private, and hot
    if strict and not MIN_INTEGER <= value <= MAX_INTEGER:
        raise InvalidJson("JSON", "an integer from -(2**53)+1 to 2**53-1", value)
    if not -_TOO_LARGE < value < _TOO_LARGE:
        digits = DEFAULT_BUDGET.max_digits
        raise InvalidJson("JSON", f"an integer of at most {digits} digits", value)


_TOO_LARGE: Final = 10**DEFAULT_BUDGET.max_digits


def _items(value: JsonValue) -> Iterable[JsonValue]:
    """The items of an array or an object."""
    if isinstance(value, (list, tuple)):
        return value
    if not isinstance(value, dict):
        raise InvalidJson("JSON", "a value that JSON can hold", value)
    for key in value:
        if not isinstance(key, str):
            raise InvalidJson("JSON", "object keys that are text", key)
    return value.values()


def _frozen(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        if value.__class__ is JsonObject:
            return value
        return JsonObject({key: _frozen(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple([_frozen(item) for item in value])
    return value


def _written(value: JsonValue) -> str:
    """Canonical text, floats as they were sent."""
    if isinstance(value, JsonFloat):
        return value.text
    if isinstance(value, dict):
        items = [f"{_written(key)}:{_written(value[key])}" for key in sorted(value)]
        return "{" + ",".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([_written(item) for item in value]) + "]"
    return json.dumps(value, ensure_ascii=False)


def _surrogate(error: UnicodeEncodeError) -> str:
    return str(error.object[error.start : error.start + 1])
