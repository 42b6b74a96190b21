"""JSON as Matrix means it: read as immutable values, written as canonical bytes.

Objects become `JsonObject` (a dict that refuses to change), arrays become tuples.
Two readings exist. The *strict* one is what room versions 6 and later enforce:
no duplicate keys, integers only, none outside ±(2**53 - 1), no `-0`. The *tolerant*
one is for room versions 1 to 5 and for requests: the last of duplicate keys wins,
`-0` is 0, integers may have any size up to a budget, and a number with a fraction
or an exponent keeps its text, so that hashes over it still match; but `1e10` is an
integer, as canonical JSON has it. Neither takes NaN, infinities, lone surrogates, or more
nesting than the budget allows.

The canonical form is the one of `the appendices`__.

__ https://spec.matrix.org/v1.19/appendices/#canonical-json
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any, Final, Never, Self

from matrix_membership.canonical_json._plain import encode_plain
from matrix_membership.canonical_json._plain import read_plain as read_plain
from matrix_membership.canonical_json._plain import scan_in_list as scan_in_list
from matrix_membership.canonical_json._plain import scan_plain as scan_plain
from matrix_membership.canonical_json._plain import write_plain as write_plain
from matrix_membership.canonical_json._text import DEFAULT_BUDGET as DEFAULT_BUDGET
from matrix_membership.canonical_json._text import MAX_INTEGER as MAX_INTEGER
from matrix_membership.canonical_json._text import MIN_INTEGER as MIN_INTEGER
from matrix_membership.canonical_json._text import Budget, JsonValue, surrogate
from matrix_membership.canonical_json._text import JsonFloat as JsonFloat
from matrix_membership.canonical_json._text import read as read
from matrix_membership.errors import InvalidJson

__all__ = ["Budget", "JsonObject", "JsonValue", "decode", "encode", "freeze"]


class JsonObject(dict[str, JsonValue]):
    """A JSON object that refuses to change.

    It is a dict, so that encoders take it as it is. It guards against mistakes, not against
    hostile code in the same process: a subclass cannot refuse `dict.update(value, ...)`.

    .. versionadded:: 0.1.0
    """

    __slots__ = ()

    def __new__(cls, *items: Any, **more: JsonValue) -> Self:
        """Make an object of what `dict` takes."""
        made = _unfilled(cls)
        _fill(made, *items, **more)
        return made

    def __init__(self, *_: object, **__: object) -> None:
        # Python calls it after `__new__`, and callers can call it again. Without this method,
        # `dict.__init__` would change the object then.
        pass

    def __init_subclass__(cls, **_: object) -> Never:
        raise TypeError(f"JsonObject is sealed: {cls.__name__} cannot extend it")

    def _refuse(self, *_: object, **__: object) -> Never:
        raise TypeError("a JsonObject does not change; dict(value) is a copy that does")

    # To a type checker these take what no caller has, so that `event.content["x"] = 1` is an error
    # before it runs. None of them returns `Never`: mypy skips all code after such a call. They are
    # declared one by one, because two type checkers infer different types otherwise.
    __setitem__: Callable[[Never, Never], None] = _refuse  # type: ignore[assignment]  # dict's take more
    __delitem__: Callable[[Never], None] = _refuse  # type: ignore[assignment]  # the same
    __ior__: Callable[[Never], Self] = _refuse  # type: ignore[assignment]  # the same
    __setattr__: Callable[..., None] = _refuse
    __delattr__: Callable[..., None] = _refuse
    clear: Callable[[Never], None] = _refuse  # type: ignore[assignment]  # dict's take nothing
    pop: Callable[[Never], JsonValue] = _refuse  # type: ignore[assignment]  # dict's take more
    popitem: Callable[[Never], tuple[str, JsonValue]] = _refuse  # type: ignore[assignment]  # dict's take nothing
    setdefault: Callable[[Never], JsonValue] = _refuse  # type: ignore[assignment]  # dict's take more
    update: Callable[[Never], None] = _refuse  # type: ignore[assignment]  # the same

    def __hash__(self) -> int:  # type: ignore[override]  # dict says None
        return hash(frozenset(self.items()))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[type, tuple[dict[str, JsonValue]]]:
        return (JsonObject, (dict(self),))


_unfilled: Final = dict.__new__
_fill: Final = dict.update


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

    .. versionadded:: 0.1.0
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
        InvalidJson: JSON cannot hold the value, or strict forbids it.

    >>> encode({"b": "é", "a": [True, None]})
    b'{"a":[true,null],"b":"\xc3\xa9"}'

    .. versionadded:: 0.1.0
    """
    # Checked before it is written: the encoder turns keys that are numbers into text, and writes
    # integers of any size, which this reader would refuse.
    has_float = _check(value, strict, DEFAULT_BUDGET.max_depth)
    try:
        return _written(value).encode() if has_float else encode_plain(value)
    except UnicodeEncodeError as error:
        raise InvalidJson("JSON", "text of Unicode scalar values", surrogate(error)) from error


def freeze(value: JsonValue) -> JsonValue:
    """Make an immutable copy of a JSON value.

    Lone surrogates in text are not looked for: `encode` refuses them.

    Raises:
        InvalidJson: JSON cannot hold the value.

    >>> freeze({"a": [1]})
    {'a': (1,)}

    .. versionadded:: 0.1.0
    """
    _check(value, False, DEFAULT_BUDGET.max_depth)  # noqa: FBT003 - private, and hot
    return _frozen(value)


def object_of(fields: Mapping[str, JsonValue]) -> JsonObject:
    """Make a `JsonObject` of values that do not change."""
    # Without the two calls of its class: 0.3 us, not 0.8.
    made: Any = _unfilled(JsonObject)
    _fill(made, fields)
    found: JsonObject = made
    return found


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


def write(value: JsonValue, *, has_float: bool) -> bytes:
    """Write what `read` gave, without looking at it again.

    Args:
        value: the value.
        has_float: whether it may hold a `JsonFloat`, which takes a slower writer.
    """
    return _written(value).encode() if has_float else write_plain(value)


def _check(value: JsonValue, strict: bool, depth: int) -> bool:  # noqa: FBT001 - private, and hot
    """Check that JSON can hold a value; tell whether it has a float in it."""
    if isinstance(value, (dict, list, tuple)):
        return _check_items(value, strict, depth)
    return _check_scalar(value, strict)


# Most values are texts and small integers: they are passed over here, without a call for each. With
# one, a member event took 3.3 us, and takes 2.0; power levels of 500 users took 85, and take 40.
def _check_items(value: JsonValue, strict: bool, depth: int) -> bool:  # noqa: FBT001 - as `_check`
    if not depth:
        most = f"at most {DEFAULT_BUDGET.max_depth} levels of nesting"
        raise InvalidJson("JSON", most, "more")
    below = depth - 1
    has_float = False
    for item in _items(value) if isinstance(value, dict) else value:
        kind = item.__class__
        if kind is str or (kind is int and MIN_INTEGER <= item <= MAX_INTEGER):
            continue
        if kind is dict or kind is list:
            # Called first: after a float was found, the rest has to be checked too.
            has_float = _check_items(item, strict, below) or has_float
        elif item is not None:
            has_float = _check(item, strict, below) or has_float
    return has_float


def _check_scalar(value: JsonValue, strict: bool) -> bool:  # noqa: FBT001 - as `_check`
    if value is None or isinstance(value, (str, bool)):
        return False
    if isinstance(value, int):
        _check_integer(value, strict)
        return False
    if not isinstance(value, float):
        raise InvalidJson("JSON", "a value that JSON can hold", value)
    if strict or not (isinstance(value, JsonFloat) or isfinite(value)):
        raise InvalidJson("JSON", "an integer" if strict else "a finite number", value)
    return True


_TEXTS: Final = frozenset({str})


def _check_integer(value: int, strict: bool) -> None:  # noqa: FBT001 - private, and hot
    if strict and not MIN_INTEGER <= value <= MAX_INTEGER:
        raise InvalidJson("JSON", "an integer from -(2**53)+1 to 2**53-1", value)
    if not _TOO_SMALL < value < _TOO_LARGE:
        digits = DEFAULT_BUDGET.max_digits
        raise InvalidJson("JSON", f"an integer of at most {digits} digits", value)


# The budget counts the sign: what is written here must be readable here.
_TOO_LARGE: Final = 10**DEFAULT_BUDGET.max_digits
_TOO_SMALL: Final = -(10 ** (DEFAULT_BUDGET.max_digits - 1))


def _items(value: dict[Any, JsonValue]) -> Iterable[JsonValue]:
    """Return the values of an object whose keys are text."""
    if not _TEXTS.issuperset(map(type, value)):
        for key in value:
            if not isinstance(key, str):
                raise InvalidJson("JSON", "object keys that are text", key)
    return value.values()


def _frozen(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        if value.__class__ is JsonObject:
            return value
        # As `JsonObject` does it, without a call of Python code for each object.
        made: Any = _unfilled(JsonObject)
        _fill(made, {key: _frozen(item) for key, item in value.items()})
        return made
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
