"""Read the parts of messages strictly: texts, objects, lists, frozen JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeGuard, TypeVar

from matrix_membership.canonical_json import JsonObject, JsonValue, encode, freeze
from matrix_membership.errors import InvalidJson, InvalidMessage
from matrix_membership.identifiers import is_room_id, is_user_id

_Value = TypeVar("_Value")


def _reader(
    good: Callable[[object], TypeGuard[_Value]], expected: str
) -> Callable[[JsonValue, str], _Value]:
    """Make a function that returns a good value, and raises for any other."""

    def read(value: JsonValue, where: str) -> _Value:
        if not good(value):
            raise InvalidMessage(where, expected, value)
        return value

    return read


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def _is_object(value: object) -> TypeGuard[Mapping[str, JsonValue]]:
    return isinstance(value, Mapping)


def _is_list(value: object) -> TypeGuard[list[JsonValue] | tuple[JsonValue, ...]]:
    return isinstance(value, (list, tuple))


text_of: Final = _reader(_is_text, "text")
user_id_of: Final = _reader(is_user_id, "a user ID")
room_id_of: Final = _reader(is_room_id, "a room ID")
object_of: Final = _reader(_is_object, "an object")
entries_of: Final = _reader(_is_list, "a list")


def list_of(value: JsonValue, where: str) -> tuple[JsonValue, ...]:
    """Return the frozen entries of a list; an absent list counts as empty."""
    if value is None:
        return ()
    return _frozen(entries_of(value, where), where)  # type: ignore[no-any-return]  # a list


def objects_of(value: JsonValue, where: str) -> Iterator[JsonObject]:
    """Yield the frozen entries of a list of objects, or raise `InvalidMessage`."""
    if not isinstance(value, (list, tuple)):
        raise InvalidMessage(where, "a list of events", value)
    for index, entry in enumerate(value):
        yield frozen_of(entry, f"{where}[{index}]")


def frozen_of(value: JsonValue, where: str) -> JsonObject:
    """Return an immutable copy of an object; raise for anything else."""
    return _frozen(dict(object_of(value, where)), where)  # type: ignore[no-any-return]  # an object


def _frozen(value: JsonValue, where: str) -> Any:
    try:
        return freeze(value)
    except InvalidJson as error:
        raise InvalidMessage(where, "JSON values", str(error)) from error


def can_be_written(value: JsonValue) -> bool:
    """Tell whether a value that was read can be written into a message."""
    # JSON can spell half of a surrogate pair, and UTF-8 cannot. What is passed on would fail where
    # its sender is long gone, such as in a queue.
    try:
        encode(value, strict=False)
    except InvalidJson:
        return False
    return True


def unpaired(body: JsonValue) -> JsonValue:
    """Return the object of a v1 answer, which is the pair of 200 and the object."""
    # By its form, not by the endpoint that was asked: an object cannot be taken for the pair, so
    # the caller need not name the endpoint.
    match body:
        case [200, answer]:
            return answer
        case _:
            return body
