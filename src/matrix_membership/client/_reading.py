"""Read the body of a client's request, or answer its fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import ParamSpec, TypeVar

from matrix_membership.canonical_json import JsonObject, JsonValue, decode
from matrix_membership.errors import InvalidJson, InvalidMessage
from matrix_membership.federation.messages import MatrixError

P = ParamSpec("P")
R = TypeVar("R")


class _Wrong(Exception):
    """A fault of the request, raised by the readers of fields."""

    def __init__(self, error: MatrixError) -> None:
        super().__init__(error)
        self.error = error


def reader(read: Callable[P, R]) -> Callable[P, R | MatrixError]:
    """Make a reader return the error to answer, where it would raise one."""

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> R | MatrixError:
        try:
            return read(*args, **kwargs)
        except InvalidMessage as error:
            return MatrixError.of("M_INVALID_PARAM", str(error))
        except _Wrong as wrong:
            return wrong.error

    return reading


def fields_in(body: bytes, *, must: bool = False) -> JsonObject:
    """Return the fields of a body; an empty body has none, unless there must be one."""
    if not body and not must:
        return JsonObject()
    try:
        # Strict, although room versions 1 to 5 take floats. A client's content goes into events of
        # any version, and the client should be told of the fault.
        value = decode(body, strict=True)
    except InvalidJson as error:
        raise _Wrong(MatrixError.of("M_NOT_JSON", str(error))) from error
    if not isinstance(value, JsonObject):
        sentence = str(InvalidMessage("body", "an object", value))
        raise _Wrong(MatrixError.of("M_BAD_JSON", sentence))
    return value


def required(fields: Mapping[str, JsonValue], name: str, expected: str) -> JsonValue:
    """Return a field that must be there."""
    if name not in fields:
        error = MatrixError.of("M_MISSING_PARAM", f"{name}: expected {expected}, got nothing")
        raise _Wrong(error)
    return fields[name]
