"""Read the parts of messages strictly: objects, lists of events, frozen JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from matrix_membership.canonical_json import JsonObject, JsonValue, encode, freeze
from matrix_membership.errors import InvalidJson, InvalidMessage


def object_of(value: JsonValue, where: str) -> Mapping[str, JsonValue]:
    """Return a value that is an object; raise `InvalidMessage` for any other."""
    if not isinstance(value, Mapping):
        raise InvalidMessage(where, "an object", value)
    return value


def objects_of(value: JsonValue, where: str) -> Iterator[JsonObject]:
    """Yield the entries of a list of objects, or raise `InvalidMessage`."""
    if not isinstance(value, (list, tuple)):
        raise InvalidMessage(where, "a list of events", value)
    for index, entry in enumerate(value):
        yield frozen_of(object_of(entry, f"{where}[{index}]"), f"{where}[{index}]")


def frozen_of(value: Mapping[str, JsonValue], where: str) -> Any:
    """Return an immutable copy, or raise `InvalidMessage` if it is not JSON."""
    try:
        return freeze(dict(value))
    except InvalidJson as error:
        raise InvalidMessage(where, "JSON values", str(error)) from error


def bytes_of(value: Mapping[str, JsonValue]) -> bytes:
    """Return an event as the bytes that `Event.from_pdu` reads, however wrong it is."""
    # Not strict: what the room version forbids has to reach the reader of the event, which names it
    # as the defect of this event. Refused here, one bad event would cost the whole answer.
    return encode(value, strict=False)


def unpaired(body: JsonValue) -> JsonValue:
    """Return the object of a v1 answer, which is the pair of 200 and the object."""
    # By its form, not by the endpoint that was asked: an object is never taken for the pair, so the
    # caller has one thing less to pass on.
    if isinstance(body, (list, tuple)) and len(body) == 2 and body[0] == 200:  # noqa: PLR2004 - a pair
        return body[1]
    return body
