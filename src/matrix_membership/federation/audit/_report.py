"""What is found out about an answer to send_join: its events, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

from matrix_membership._attrs import constant, frozen, slots
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.events import Event
from matrix_membership.events.contents import Create
from matrix_membership.events.event import with_evidence
from matrix_membership.events.facts import Facts
from matrix_membership.identifiers import EventID, ServerName
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState

__all__ = ["OTHER_VERSION", "Audit", "Defect", "Entry", "EntrySlots", "Severity", "other_version"]

OTHER_VERSION: Final = "other_room_version"


class Severity(Enum):
    """What a defect does to an answer."""

    FATAL = "fatal"
    DROPPED = "dropped"
    REDACTED = "redacted"
    NOTED = "noted"

    def __str__(self) -> str:
        return self._value_


@frozen
class Defect:
    """Something wrong with an answer.

    Attributes:
        severity: what it does to the answer.
        code: its name, such as `unknown_key` (a fetched key could save the event) or
            `bad_signature` (none could: a known key says so, or it is not signed).
        detail: a sentence for people.
        event_id: the event on which it hangs; empty when on none.
        root: of an event that fell with another one, the first that fell.
        decision: the decision that rejected the event, if one did.
    """

    severity: Severity
    code: str
    detail: str
    event_id: str = ""
    root: str = ""
    decision: Decision | None = None

    def __str__(self) -> str:
        where = f" {self.event_id}" if self.event_id else ""
        return f"{self.severity}{where}: {self.detail}"


def other_version(create: Facts, announced: RoomVersion) -> Defect | None:
    """The defect of a create event that is not of the room version that make_join named."""
    named = create.view.room_version if isinstance(create.view, Create) else None
    if named == announced.identifier:
        return None
    detail = (
        f"the create event names room version {named!r}, make_join named {announced.identifier!r}"
    )
    return Defect(Severity.FATAL, OTHER_VERSION, detail)


@frozen
class Audit:
    """What an answer is worth. It is true when the room can be joined with it.

    Attributes:
        event: the join, with the signatures that the answer added and that are good.
        state: the room after the join; None when a defect is fatal.
        auth_chain: the events that authorise state and join, by ID.
        servers: the servers in the room, as far as the answer says.
        defects: all that is wrong, the fatal first.
        needs: for each server, key IDs that were unknown and that events were dropped
            for. Fetched, they could save them.
    """

    event: Event
    state: RoomState | None
    auth_chain: Mapping[EventID, Event]
    servers: frozenset[ServerName]
    defects: tuple[Defect, ...]
    needs: Mapping[ServerName, frozenset[str]] = JsonObject()  # type: ignore[assignment]  # empty

    def __bool__(self) -> bool:
        return self.state is not None

    def __str__(self) -> str:
        if not self.defects:
            return "no defects"
        return "\n".join(map(str, self.defects))


@slots
class EntrySlots(Facts):
    """The slots of an entry while it is being made, as `Facts` are an event's."""

    auth_events: tuple[EventID, ...]
    covered: bytes
    hash_matches: bool
    sent: int | None
    signatures: tuple[JsonValue, ...]


@constant
class Entry(EntrySlots):
    """One PDU of the answer, read: the facts of its event, and what is left to check of it.

    It has the attributes of an `events.Event` that nobody signed yet, in the form in
    which it is to be kept: redacted if its content hash is wrong. And it has these:

    Attributes:
        covered: the bytes that its signatures cover.
        signatures: its signatures, as they came: server, key ID, signature; and so on.
        sent: when it was sent, if its keys must have been valid then.
        auth_events: the IDs of the events that authorise it.
        hash_matches: whether the content that came is the one that was hashed.
    """

    def __init__(self) -> None:
        raise TypeError("an Entry is made by a SendJoinReader")

    def __repr__(self) -> str:
        return f"<entry {self.event!r}>"

    def __reduce__(self) -> tuple[object, ...]:
        return (_unpickled, tuple([getattr(self, name) for name in _SLOTS]))

    @property
    def event(self) -> Event:
        """The event, signed by nobody yet."""
        return with_evidence(self, self.signed_by)

    @property
    def signed(self) -> Iterator[tuple[ServerName, str, JsonValue]]:
        """Its signatures: server, key ID, signature of each."""
        flat = iter(self.signatures)
        return zip(flat, flat, flat, strict=True)


_UNSEALED: Final[Any] = EntrySlots
_SLOTS: Final[tuple[str, ...]] = _UNSEALED.__match_args__


def _unpickled(*values: object) -> Entry:
    entry = _UNSEALED()
    for name, value in zip(_SLOTS, values, strict=True):
        setattr(entry, name, value)
    entry.__class__ = Entry
    return entry  # type: ignore[no-any-return]  # the line above made it one
