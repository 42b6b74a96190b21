"""JSON text into dicts and lists: budgets, numbers, duplicate keys.

`canonical_json.decode` makes the result immutable. `read` looks at each value once: the
hooks of the decoder notice unusual numbers, and cost nothing when there are none.
"""

# How it works: the C scanner of `json` does the reading, and what it is too lenient about is
# checked around it. Nesting is bounded before it starts, by counting brackets, since the scanner
# calls itself for each level. Numbers come through hooks. The tolerant reading tries a decoder
# whose hooks raise at the first unusual number, and reads again with slower ones only then.
# Duplicate keys are lost in a dict, so the strict decoder gets pairs. Surrogates are found by
# encoding the result, and only if the text could hold one.

from __future__ import annotations

import json
import re
from typing import Any, Final, Never, Self

from matrix_membership._attrs import frozen
from matrix_membership.errors import InvalidJson

__all__ = [
    "DEFAULT_BUDGET",
    "MAX_INTEGER",
    "MIN_INTEGER",
    "Budget",
    "JsonFloat",
    "JsonValue",
    "read",
    "surrogate",
]

JsonValue = Any
"""None, a bool, an int, a float, a str, or a list, tuple or dict of those.

A function that takes a `Mapping` of them takes any class of mapping, but dicts inside it.
"""

MAX_INTEGER: Final = 2**53 - 1
MIN_INTEGER: Final = -MAX_INTEGER


@frozen
class Budget:
    """Limits on the text that is read.

    Attributes:
        max_bytes: bytes of UTF-8; of text, characters.
        max_depth: objects and arrays inside each other.
        max_digits: characters of one number, its sign included. The strict reading has a limit
            of its own.

    .. versionadded:: 0.1.0
    """

    max_bytes: int = 64 * 1024 * 1024
    # The deepest event that Synapse takes, itself counted: measured, by its parser. A server that
    # takes less lacks state events that others have.
    max_depth: int = 127
    max_digits: int = 400


DEFAULT_BUDGET: Final = Budget()


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
    has_float = False
    try:
        if strict:
            value = _parsed(_STRICT, text)
        else:
            value, has_float = _read_tolerantly(text, budget)
        # A lone surrogate comes from an escape, or from text that holds one already.
        if ("\\" in text and "\\u" in text) or (isinstance(data, str) and not data.isascii()):
            json.dumps(value, ensure_ascii=False, check_circular=False).encode()
    except json.JSONDecodeError as error:
        raise InvalidJson("JSON", f"JSON text ({error})", text) from error
    except UnicodeEncodeError as error:
        raise InvalidJson("JSON", "text of Unicode scalar values", surrogate(error)) from error
    return value, has_float


def _parsed(decoder: json.JSONDecoder, text: str) -> JsonValue:
    """Parse a text.

    `raw_decode` spares the search for white space before it, a third of the time.
    """
    try:
        value, end = decoder.raw_decode(text)
    except json.JSONDecodeError:
        return decoder.decode(text)
    if end < len(text) and text[end:].strip(_WHITE_SPACE):
        return decoder.decode(text)  # which says what is wrong
    return value


_WHITE_SPACE: Final = " \t\n\r"


def _read_tolerantly(text: str, budget: Budget) -> tuple[JsonValue, bool]:
    if budget.max_digits >= _FEW_DIGITS:
        try:
            return _parsed(_USUAL, text), False
        except _UnusualNumberError:
            pass
    floats: list[str] = []
    return _parsed(_tolerant(budget, floats), text), bool(floats)


def _text(data: bytes | bytearray | memoryview | str, budget: Budget) -> str:
    """Return the text, after checking that size and nesting are within the budget."""
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


# A string without an end counts as a string. If the end were required, every escaped
# quotation mark after it would be tried as a beginning: 64 KiB took 8.6 s.
_brackets_and_strings = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[{\[]|[}\]]', re.DOTALL).finditer


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
    if len(text) <= _FEW_DIGITS and text != "-0":
        return int(text)
    # A longer text is refused without converting it, which takes quadratic time.
    if len(text) <= _MOST_DIGITS and text != "-0":
        value = int(text)
        if MIN_INTEGER <= value <= MAX_INTEGER:
            return value
    raise InvalidJson("JSON", "an integer from -(2**53)+1 to 2**53-1, no -0", text)


_FEW_DIGITS: Final = 15
"""So many characters of an integer are within any limit."""

_MOST_DIGITS: Final = len(str(MIN_INTEGER))


def _no_float(text: str) -> Never:
    raise InvalidJson("JSON", "integers only", text)


def _no_constant(text: str) -> Never:
    raise InvalidJson("JSON", "a JSON value", text)


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidJson("JSON", "each key once", _first_again(pairs))
    return found


# Each key is taken out once. Counting each key among all pairs took 44 s for 512 KiB of keys.
def _first_again(pairs: list[tuple[str, JsonValue]]) -> str:
    """Return the first key that comes a second time."""
    left = dict(pairs)
    return next(key for key, _ in pairs if left.pop(key, pairs) is pairs)


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_int=_strict_integer,
    parse_float=_no_float,
    parse_constant=_no_constant,
)


class _UnusualNumberError(Exception):
    """A number that has to be looked at twice."""


def _usual_integer(text: str) -> int:
    if len(text) > _FEW_DIGITS:
        raise _UnusualNumberError
    return int(text)


def _no_usual_number(_: str) -> Never:
    raise _UnusualNumberError


_USUAL: Final = json.JSONDecoder(
    parse_int=_usual_integer, parse_float=_no_usual_number, parse_constant=_no_constant
)


def _tolerant(budget: Budget, floats: list[str]) -> json.JSONDecoder:
    """Make a decoder for one reading, which notes the floats that it meets."""

    def integer(text: str) -> int:
        if len(text) > budget.max_digits:
            raise InvalidJson("JSON", f"an integer of at most {budget.max_digits} digits", text)
        return int(text)

    def number(text: str) -> int | JsonFloat:
        if len(text) > budget.max_digits:
            raise InvalidJson("JSON", f"a number of at most {budget.max_digits} digits", text)
        value = JsonFloat(text)
        # The specification's own example of canonical JSON makes 1e10 an integer.
        # With a negative exponent it has a fraction, which a float may be too short for: 1e-400.
        if "." not in text and "-" not in text[1:] and abs(value) <= MAX_INTEGER:
            return int(value)
        floats.append(text)
        return value

    return json.JSONDecoder(parse_int=integer, parse_float=number, parse_constant=_no_constant)


def surrogate(error: UnicodeEncodeError) -> str:
    """Return the character that cannot be written."""
    return str(error.object[error.start : error.start + 1])
