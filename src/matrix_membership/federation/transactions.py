"""Read a transaction of another server, and answer it.

A transaction carries PDUs and EDUs of any rooms. `read_transaction` checks it as a whole, and
tells which PDUs are to be received, in which order, and which are refused. See
`Transactions`__.

__ https://spec.matrix.org/v1.19/server-server-api/#transactions
"""

# The order: a server sends its events in the order in which it made them, but what it passes on for
# others, or sends again after a pause, comes in any. An event that comes before one that it refers
# to would have the receiver fetch a gap that the same transaction fills. So each event is put after
# those of the transaction that it refers to, and else the order stays as it came.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze
from matrix_membership.errors import InvalidEvent, InvalidJson
from matrix_membership.events import ReadPdu, read_pdu
from matrix_membership.federation.messages import MatrixError
from matrix_membership.hashing import event_id as id_by_hash
from matrix_membership.identifiers import EventID, ServerName, is_event_id
from matrix_membership.receipt import Disposition, Receipt
from matrix_membership.receipt.server_acl import ServerAcl
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState

__all__ = ["Transaction", "read_transaction"]


@frozen
class Transaction:
    """A transaction that another server sent.

    Attributes:
        origin: the server that sent it, as its X-Matrix signature proved.
        pdus: the PDUs to receive, each after those of the transaction that it refers to.
        elsewhere: the PDUs of rooms that this server is not in. One of them may end an invite or
            a knock that it holds.
        edus: the EDUs as they came, without what the access control list of a room denies.
        refused: why a PDU is refused, by its event ID.
        unnamed: why a PDU is refused that has no event ID.
        MOST_PDUS: the PDUs that a transaction may have.
        MOST_EDUS: the EDUs that it may have.

    .. versionadded:: 0.1.0
    """

    MOST_PDUS: ClassVar[int] = 50
    MOST_EDUS: ClassVar[int] = 100

    origin: ServerName
    pdus: tuple[ReadPdu, ...]
    elsewhere: tuple[JsonObject, ...] = ()
    edus: tuple[JsonObject, ...] = ()
    refused: JsonObject = JsonObject()
    unnamed: tuple[str, ...] = ()

    def answer(self, results: Mapping[EventID, Receipt | str | None]) -> dict[str, JsonValue]:
        """Return the body of the answer, whose status is 200 whatever came of the PDUs.

        Args:
            results: what came of each PDU of `pdus`: its receipt; or an error sentence, None
                if it was known already or taken. A dropped or rejected PDU is an error, one
                that is redacted or soft-failed is not.

        Returns:
            The body, with an entry for each PDU that has an event ID.

        >>> Transaction(ServerName("b.example"), ()).answer({EventID("$1:b.example"): None})
        {'pdus': {'$1:b.example': {}}}
        """
        entries: dict[str, str] = dict(self.refused)
        for event_id, result in results.items():
            entries[event_id] = _error_of(result)
        for read in self.pdus:
            entries.setdefault(read.event.event_id, "not processed")
        return {"pdus": {name: {"error": why} if why else {} for name, why in entries.items()}}


def read_transaction(
    body: JsonValue, origin: str, state_of: Callable[[str], RoomState | None]
) -> Transaction | MatrixError:
    """Read the body of a `/send`__ request.

    Keys that the text does not have, such as `pdu_failures` of old servers, are ignored; so is
    the `origin` in the body, which nothing proves.

    Args:
        body: the parsed body.
        origin: the server that sent it, as its X-Matrix signature proved.
        state_of: returns the current state of a room by its ID; None for a room that this
            server is not in. It is asked once for each room.

    Returns:
        The transaction, or the error to answer for one with too many PDUs or EDUs. Cost:
        linear in the size of the transaction, and that of `ServerAcl.of` for each room.

    __ https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid

    .. versionadded:: 0.1.0

    >>> read_transaction({"pdus": []}, "b.example", lambda room_id: None)
    Transaction(origin='b.example', pdus=(), elsewhere=(), edus=(), refused={}, unnamed=())
    """
    try:
        fields = freeze(dict(body)) if isinstance(body, Mapping) else JsonObject()
    except InvalidJson as error:
        return MatrixError.of("M_BAD_JSON", str(error))
    listed: list[Any] = []
    for name, most, absent in (
        ("pdus", Transaction.MOST_PDUS, None),
        ("edus", Transaction.MOST_EDUS, ()),
    ):
        found = fields.get(name, absent)
        if not isinstance(found, tuple) or len(found) > most:
            return MatrixError.of("M_BAD_JSON", f"{name}: expected a list of at most {most}")
        listed.append(found)
    pdus, edus = listed
    sorting = _Sorting(origin, state_of)
    for pdu in pdus:
        sorting.add(pdu)
    return Transaction(
        ServerName(origin),
        tuple(_in_order(sorting.pdus)),
        tuple(sorting.elsewhere),
        tuple(sorting.allowed(edus)),
        freeze({**sorting.refused}),
        tuple(sorting.unnamed),
    )


def _error_of(result: Receipt | str | None) -> str:
    if isinstance(result, Receipt):
        failed = result.disposition in (Disposition.DROPPED, Disposition.REJECTED)
        return str(result) if failed else ""
    return result or ""


class _Sorting:
    """The contents of a transaction, sorted by what is to be done with them."""

    __slots__ = ("elsewhere", "origin", "pdus", "refused", "rooms", "state_of", "unnamed")

    def __init__(self, origin: str, state_of: Callable[[str], RoomState | None]) -> None:
        self.origin = origin
        self.state_of = state_of
        self.rooms: dict[str, tuple[RoomVersion, bool] | None] = {}
        self.pdus: dict[EventID, ReadPdu] = {}
        self.elsewhere: list[JsonObject] = []
        self.refused: dict[EventID, str] = {}
        self.unnamed: list[str] = []

    def room(self, room_id: object) -> tuple[RoomVersion, bool] | None:
        """Return the version of a room and whether it denies the sender, if it is known."""
        if not isinstance(room_id, str):
            return None
        # Once for each room: an access control list may be as large as an event.
        if room_id not in self.rooms:
            state = self.state_of(room_id)
            acl = None if state is None else ServerAcl.of(state)
            denied = acl is not None and not acl.allows(self.origin)
            self.rooms[room_id] = None if state is None else (state.room_version, denied)
        return self.rooms[room_id]

    def denies(self, room_id: object) -> bool:
        """Tell whether a room that this server is in denies the sender."""
        found = self.room(room_id)
        return found is not None and found[1]

    def add(self, pdu: Any) -> None:
        """Sort a PDU."""
        room = self.room(pdu.get("room_id")) if isinstance(pdu, JsonObject) else None
        if room is None:
            self._add_elsewhere(pdu)
            return
        version, denied = room
        try:
            read = read_pdu(pdu, version)
        except InvalidEvent as error:
            self._refuse(_name_of(pdu, version), str(error))
            return
        if denied:
            reason = f"the room's access control list denies {self.origin}"
            self._refuse(read.event.event_id, reason)
            return
        # The first of two copies: one event is received once.
        self.pdus.setdefault(read.event.event_id, read)

    def allowed(self, edus: Iterable[Any]) -> Iterator[JsonObject]:
        """Yield the EDUs, without what they say of rooms that deny their sender."""
        for edu in edus:
            if not isinstance(edu, JsonObject):
                continue
            kind, content = edu.get("edu_type"), edu.get("content")
            if kind not in ServerAcl.EDUS or not isinstance(content, JsonObject):
                yield edu
            elif kind == "m.receipt":
                # Its receipts stand below the IDs of their rooms.
                kept = {room: said for room, said in content.items() if not self.denies(room)}
                yield edu if len(kept) == len(content) else freeze({**edu, "content": kept})
            elif not self.denies(content.get("room_id")):
                yield edu

    def _add_elsewhere(self, pdu: Any) -> None:
        if not isinstance(pdu, JsonObject):
            self.unnamed.append("a PDU is an object")
            return
        self.elsewhere.append(pdu)
        # The version of the room is not known here, and with it the way to name the event.
        self.unnamed.append("this server is not in the room")

    def _refuse(self, event_id: EventID | None, reason: str) -> None:
        if event_id is None:
            self.unnamed.append(reason)
        else:
            self.refused.setdefault(event_id, reason)


def _name_of(pdu: Mapping[str, JsonValue], version: RoomVersion) -> EventID | None:
    """Return the ID of a PDU that cannot be read, to tell its sender which it is."""
    if version.event_id_in_pdu:
        told = pdu.get("event_id")
        return told if is_event_id(told) else None
    try:
        return id_by_hash(pdu, version)
    except (InvalidEvent, InvalidJson):
        return None


def _in_order(pdus: Mapping[EventID, ReadPdu]) -> Iterator[ReadPdu]:
    """Yield each PDU after those that it refers to, and else in the given order."""
    begun: set[EventID] = set()
    done: set[EventID] = set()
    # A list, not recursion; an event is on it twice if others wait for it. In versions 1 and 2
    # events can refer to each other in a circle, because their sender chooses the IDs.
    waiting = list(pdus)[::-1]
    while waiting:
        event_id = waiting[-1]
        if event_id in begun:
            waiting.pop()
            if event_id not in done:
                done.add(event_id)
                yield pdus[event_id]
            continue
        begun.add(event_id)
        earlier = [found for found in pdus[event_id].prev_events if found in pdus]
        waiting.extend(found for found in reversed(earlier) if found not in begun)
