"""The usual PDU: what a short way through all checks can be found for.

It has the keys that the format asks for and hardly any other, no escapes, and no number
but integers of a few digits. Such a PDU is decoded without hooks, and looked through once:
two quotation marks stand around every text, so a text that holds twice as many of them
as the decoded PDU has keys and texts has lost none on the way, and so has no key twice.
All other PDUs take the long way, `events.format.check_format`, which also says what is
wrong with them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final, Never

from matrix_membership.canonical_json import DEFAULT_BUDGET, MAX_INTEGER, JsonValue
from matrix_membership.events.format import MAX_AUTH_EVENTS, MAX_PDU_BYTES, MAX_PREV_EVENTS
from matrix_membership.identifiers import (
    MAX_BYTES,
    EventID,
    RoomID,
    are_event_ids,
    is_room_id,
    is_user_id,
)
from matrix_membership.room_versions import RoomVersion

__all__ = ["KnownNames", "is_usual", "scan_usual", "usual_document"]


def usual_document(data: bytes, room_version: RoomVersion) -> dict[str, JsonValue] | None:
    """Decode a PDU and check it: size, JSON as strict as can be, nesting, format.

    Returns:
        The PDU; None for one that is not usual, or not right.
    """
    # A large one has far more to be read than the short way spares, and would be read twice.
    if len(data) > _SURELY_SHORT_PDU:
        return None
    try:
        text = data.decode()
        document, end = scan_usual(text, 0)
    except (ValueError, RecursionError, StopIteration):
        return None
    return document if end == len(text) and is_usual(document, text, room_version) else None


def is_usual(
    document: JsonValue, text: str, room_version: RoomVersion, known: KnownNames | None = None
) -> bool:
    """Whether that which `scan_usual` made of a text is a usual PDU, and right.

    Args:
        document: what it made.
        text: the text.
        room_version: the version of the PDU's room.
        known: names that need not be looked at again.
    """
    if (
        document.__class__ is not dict
        or room_version.event_id_in_pdu
        or len(text) > _SURELY_SHORT_PDU
        or "\\" in text
    ):
        return False
    try:
        event_type, sender, room_id, content, depth, sent, listed, before, hashes, signatures = (
            _always_there(document)
        )
    except KeyError:  # a create event of version 12 has no room ID
        return False
    # One that is null makes a key that is not counted.
    get = document.get
    state_key, origin, unsigned = get("state_key"), get("origin"), get("unsigned")
    of_text = (state_key is not None) + (origin is not None)
    keys = _ALWAYS + of_text + (unsigned is not None)
    if (
        len(document) != keys
        or event_type.__class__ is not str
        or len(event_type) > _SURELY_SHORT
        or (
            state_key is not None
            and (state_key.__class__ is not str or len(state_key) > _SURELY_SHORT)
        )
        or (origin is not None and origin.__class__ is not str)
        or (unsigned is not None and unsigned.__class__ is not dict)
        or content.__class__ is not dict
        or depth.__class__ is not int
        # Zero may have been written as -0, here and below.
        or not 0 < depth <= room_version.max_depth
        or sent.__class__ is not int
        or not 0 < sent <= MAX_INTEGER
        or listed.__class__ is not list
        or len(listed) > MAX_AUTH_EVENTS
        or before.__class__ is not list
        or len(before) > MAX_PREV_EVENTS
        or hashes.__class__ is not dict
        or hashes.get("sha256").__class__ is not str
        or signatures.__class__ is not dict
        or not is_user_id(sender)
        or not (
            is_room_id(room_id) and are_event_ids(listed + before)
            if known is None
            else known.are_good(room_id, listed, before)
        )
    ):
        return False
    # All keys; type, sender and room ID; state key and origin; references; what stands below.
    texts = keys + 3 + of_text + len(listed) + len(before) + len(content) + len(signatures)
    below = [*content.values(), *signatures.values()]
    if unsigned:
        texts += len(unsigned)
        below += unsigned.values()
    if len(hashes) == 1:
        texts += 2
    else:
        texts += len(hashes)
        below += hashes.values()
    return text.count('"') == 2 * (texts + _texts_in(below))


def _texts_in(below: list[JsonValue]) -> int:
    """How many of these values are texts, and how many keys and texts are in them.

    Returns:
        The number; a negative one when a number may have been written in another way, or
        when they are nested too deep.
    """
    texts = nested = 0
    for item in below:
        kind = item.__class__
        if kind is str:
            texts += 1
        elif kind is dict:
            nested += 1
            texts += len(item)
            below += item.values()
        elif kind is list:
            nested += 1
            below += item
        elif kind is int and not 0 < item < _LARGE:
            return _NONE_HAS
    # Nesting is within the budget where there is too little to nest.
    return texts if nested < _FEW else _NONE_HAS


class KnownNames:
    """Names in PDUs of one room, most of which have the same: seen once, held once.

    Attributes:
        room_id: the ID of the room.
        lists: lists of auth events, each under itself; their IDs were looked at.
        share: `setdefault` of the texts that are held.
    """

    __slots__ = ("lists", "room_id", "share")

    def __init__(self, room_id: RoomID) -> None:
        self.room_id = room_id
        self.lists: dict[tuple[EventID, ...], tuple[EventID, ...]] = {}
        texts: dict[Any, Any] = {}
        self.share = texts.setdefault

    def are_good(
        self, room_id: JsonValue, auth_events: list[JsonValue], prev_events: list[JsonValue]
    ) -> bool:
        """Whether the format takes these names."""
        try:
            known = tuple(auth_events) in self.lists
        except TypeError:  # not of texts
            return False
        return (room_id == self.room_id or is_room_id(room_id)) and are_event_ids(
            prev_events if known else auth_events + prev_events
        )

    def listed(self, auth_events: tuple[EventID, ...]) -> tuple[EventID, ...]:
        """A list of auth events of a PDU whose format was checked, the one that is held."""
        held = self.lists.get(auth_events)
        if held is None:
            held = tuple(map(self.share, auth_events, auth_events))
            self.lists[held] = held
        return held


_always_there: Final = itemgetter(
    "type",
    "sender",
    "room_id",
    "content",
    "depth",
    "origin_server_ts",
    "auth_events",
    "prev_events",
    "hashes",
    "signatures",
)
_ALWAYS: Final = 10
"""How many keys every PDU has, from version 3 on."""

_FEW: Final = DEFAULT_BUDGET.max_depth - 2
"""So many objects and arrays, in an object of an event, are within the budget."""

_NONE_HAS: Final = -MAX_PDU_BYTES

_SURELY_SHORT: Final = MAX_BYTES // 4
_SURELY_SHORT_PDU: Final = MAX_PDU_BYTES // 4
"""So many characters are within the limit, which counts bytes."""

_LARGE: Final = 10**15


def _refuse(_: str) -> Never:
    raise ValueError


scan_usual: Final[Callable[[str, int], tuple[JsonValue, int]]] = vars(
    json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)
)["scan_once"]
