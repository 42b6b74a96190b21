"""The usual PDU: what a short way through all checks can be found for.

It has the keys that the format asks for and hardly any other, no escapes, and no number
but integers of a few digits. Such a PDU is decoded without hooks, and looked through once:
two quotation marks stand around every text, so a text that holds twice as many of them
as the decoded PDU has keys and texts has lost none on the way, and so has no key twice.
All other PDUs take the long way, which also says what is wrong with them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, Never

from matrix_membership._json_text import DEFAULT_BUDGET, JsonValue
from matrix_membership.event_format import MAX_PDU_BYTES, check_format
from matrix_membership.room_versions import RoomVersion

__all__ = ["is_usual", "scan_usual", "usual_document"]


def usual_document(data: bytes, room_version: RoomVersion) -> dict[str, JsonValue] | None:
    """Decode a PDU and check it: size, JSON as strict as can be, nesting, format.

    Returns:
        The PDU; None for one that is not usual, or not right.
    """
    try:
        text = str(data, "utf-8")
        document, end = scan_usual(text, 0)
    except (ValueError, RecursionError, StopIteration):
        return None
    return document if end == len(text) and is_usual(document, text, room_version) else None


def is_usual(document: JsonValue, text: str, room_version: RoomVersion) -> bool:
    """Whether that which `scan_usual` made of a text is a usual PDU, and right."""
    try:
        if len(text) > _SURELY_SHORT or not _has_usual_keys(document, room_version):
            return False
        check_format(document, room_version)
        return _lost_no_text(document, text)
    except ValueError:
        return False


def _has_usual_keys(document: JsonValue, room_version: RoomVersion) -> bool:
    """Whether its keys are those that the templates of `_pdu_text` write, if format holds."""
    if document.__class__ is not dict or room_version.event_id_in_pdu:
        return False
    usual = _ALWAYS + ("state_key" in document) + ("unsigned" in document)
    if "origin" in document:
        usual += 1
        if document["origin"].__class__ is not str:
            return False
    # In version 12 a create event may have anything in the place of a room ID, or nothing.
    return len(document) == usual and document.get("room_id").__class__ is str


def _lost_no_text(document: dict[str, JsonValue], text: str) -> bool:
    """Whether a PDU of usual keys has all keys and texts of the text that it was decoded from.

    Raises:
        ValueError: it holds a number that may have been written in another way.
    """
    if "\\" in text:
        return False
    # All keys; type, sender and room ID; references; then what stands below.
    texts = 3 + len(document) + len(document["auth_events"]) + len(document["prev_events"])
    texts += ("state_key" in document) + ("origin" in document)
    below = [document["content"], document["signatures"]]
    if len(document["hashes"]) == 1:
        texts += 2
    else:
        below.append(document["hashes"])
    if document.get("unsigned"):
        below.append(document["unsigned"])
    for value in below:
        if value.__class__ is dict:
            texts += len(value)
            items = value.values()
        else:
            items = value
        for item in items:
            kind = item.__class__
            if kind is str:
                texts += 1
            elif kind is dict or kind is list:
                below.append(item)
            # Zero may have been written as -0.
            elif kind is int and not 0 < item < _LARGE:
                return False
    # Nesting is within the budget where there is too little to nest.
    return text.count('"') == 2 * texts and len(below) < DEFAULT_BUDGET.max_depth


_SURELY_SHORT: Final = MAX_PDU_BYTES // 4
"""So many characters are within the limit, which counts bytes."""

_ALWAYS: Final = 10
"""How many keys every PDU has, from version 3 on."""

_LARGE: Final = 10**15


def _refuse(_: str) -> Never:
    raise ValueError


scan_usual: Final[Callable[[str, int], tuple[JsonValue, int]]] = vars(
    json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)
)["scan_once"]
