"""The two facts that resolution reads of an event: its auth events and its time.

An `Event` keeps the bytes of its PDU and reads them again for each of these. A resolution
of 10,000 places would spend more time on that than on everything else. So both are read at
once, and from most PDUs without decoding the JSON.
"""

from __future__ import annotations

from typing import Final

from matrix_membership.events import Event
from matrix_membership.events.format import references
from matrix_membership.identifiers import EventID

__all__ = ["Links", "links_of"]

Links = tuple[tuple[EventID, ...], int]
"""The auth events and `origin_server_ts` of an event."""

_BEGIN: Final = b'{"auth_events":["'
_SENT: Final = b"origin_server_ts"
_ONCE: Final = len(("before", "after"))
_BACKSLASH: Final = ord("\\")
_LISTED: Final = len('"$",') + 43
"""Characters of an event ID that is a hash, in a list: its sigil, two quotes and a comma."""

Lists = dict[bytes, tuple[EventID, ...]]
"""Lists of auth events that were read before, by their bytes."""


def links_of(event: Event, lists: Lists | None = None) -> Links:
    """Read the auth events and `origin_server_ts` of an event.

    Of a PDU in canonical form, both are found in the bytes. The auth events stand first in it. The
    format makes sure that the event has the other key: if the name occurs once, and nothing is
    written with a backslash, it is that key. In all other cases the JSON is decoded.

    Args:
        event: the event.
        lists: lists that were read before; it grows. Members who joined one after the other list
            the same events: each list is then split, and held, once.

    Returns:
        Both; an event in client format has no auth events. Cost: linear in the size of the
        event; of a PDU in canonical form of versions 3 and later a tenth of decoding it.
    """
    parts = event.pdu.split(_SENT)
    # A text in the content can hold anything, this name included. A second occurrence is therefore
    # not searched for the right one.
    if len(parts) != _ONCE or _BACKSLASH in event.pdu:
        return _decoded(event)
    before, after = parts
    text = before[: before.find(b'"]')]
    listed = None if lists is None else lists.get(text)
    if listed is None:
        listed = tuple([EventID(name) for name in text[len(_BEGIN) :].decode().split('","')])
        # White space between them would make fewer and longer ones.
        length = len(_BEGIN) + len(listed) * _LISTED - len('","')
        if len(text) != length or not text.startswith(_BEGIN):
            return _decoded(event)
        if lists is not None:
            lists[text] = listed
    number = after[len('":') : after.find(b",")]
    return (listed, int(number)) if number.isdigit() else _decoded(event)


def _decoded(event: Event) -> Links:
    """Read both from the JSON.

    The scan leaves these: versions 1 and 2, whose references are pairs with a hash, white space,
    and events that a caller made without a PDU.
    """
    if event.host_form is not None:
        return event.auth_events, event.origin_server_ts
    document = event.to_pdu() if event.pdu else event.document
    sent = document.get("origin_server_ts")
    listed = references(document, "auth_events", event.room_version)
    return listed, sent if isinstance(sent, int) else 0
