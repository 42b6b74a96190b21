"""The events of a large answer as slices of its text, found at the speed of the C scanner.

A PDU that is kept as it came need not be written again, and whoever reads it reads it
strictly: so here nothing is asked of it but where it ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from json import JSONDecoder
from typing import Final

from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidMessage

__all__ = ["sliced"]

_WHERE: Final = "send_join answer"
_LISTS: Final = ("state", "auth_chain")
_skip: Final[Callable[[str, int], re.Match[str]]] = re.compile(r"[ \t\n\r]*").match  # type: ignore[assignment]  # it always matches


def _no_constant(name: str) -> JsonValue:
    raise ValueError(name)


_scan: Final = JSONDecoder(parse_constant=_no_constant).raw_decode


def sliced(
    data: bytes, *, max_bytes: int
) -> tuple[dict[str, JsonValue], dict[str, tuple[bytes, ...]]] | None:
    """Split the body of an answer.

    Args:
        data: the body.
        max_bytes: how long it may be.

    Returns:
        Its keys without the events, and the events' slices by key: `state`,
        `auth_chain`, and `event` when there is one. None for a body that is no object,
        such as the pair that the first version of the endpoint answers.

    Raises:
        InvalidMessage: it is no JSON, too long, or holds what is no object where an
            event should be.
    """
    if len(data) > max_bytes:
        raise InvalidMessage(_WHERE, f"at most {max_bytes} bytes", len(data))
    try:
        text = data.decode()
        start = _skip(text, 0).end()
        if text[start : start + 1] != "{":
            return None
        return _object(text, start + 1)
    except InvalidMessage:
        raise
    except (ValueError, RecursionError, IndexError) as error:
        raise InvalidMessage(_WHERE, "JSON", str(error)) from error


def _object(text: str, place: int) -> tuple[dict[str, JsonValue], dict[str, tuple[bytes, ...]]]:
    body: dict[str, JsonValue] = {}
    events: dict[str, tuple[bytes, ...]] = {}
    place = _skip(text, place).end()
    ended = text[place] == "}"
    while not ended:
        key, place = _scan(text, place)
        if not isinstance(key, str) or key in body or key in events:
            raise ValueError(f"a key that is none, or stands twice: {key!r}")
        place = _after(text, place, ":")
        if key in _LISTS and text[place] == "[":
            events[key], place = _array(text, place + 1, key)
        elif key == "event" and text[place] == "{":
            _, end = _scan(text, place)
            events[key], place = (text[place:end].encode(),), end
        else:
            body[key], place = _scan(text, place)
        place = _skip(text, place).end()
        ended = text[place] == "}"
        if not ended:
            place = _after(text, place, ",")
    if _skip(text, place + 1).end() != len(text):
        raise ValueError("something after the end")
    return body, events


def _array(text: str, place: int, key: str) -> tuple[tuple[bytes, ...], int]:
    found: list[bytes] = []
    place = _skip(text, place).end()
    ended = text[place] == "]"
    while not ended:
        value, end = _scan(text, place)
        if not isinstance(value, dict):
            raise InvalidMessage(f"{_WHERE}.{key}[{len(found)}]", "an object", value)
        found.append(text[place:end].encode())
        place = _skip(text, end).end()
        ended = text[place] == "]"
        if not ended:
            place = _after(text, place, ",")
    return tuple(found), place + 1


def _after(text: str, place: int, sign: str) -> int:
    """The place of what comes after a sign."""
    place = _skip(text, place).end()
    if text[place] != sign:
        raise ValueError(f"expected {sign!r} at {place}, got {text[place]!r}")
    return _skip(text, place + 1).end()
