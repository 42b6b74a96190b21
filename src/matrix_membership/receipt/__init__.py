"""Receipt: the numbered checks that a PDU from another server goes through.

`receive` runs them in order and says what to do with the event, by which check and by
which decision. See `Checks performed on receipt of a PDU`__. What stands before them,
whether the server that sends may speak to the room at all, is `receipt.server_acl.permits`.

__ https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from types import MappingProxyType
from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import evolve, frozen
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, ReadPdu, document_as_read, references
from matrix_membership.identifiers import EventID, ServerName
from matrix_membership.receipt.listed_events import judge_by_listed_events
from matrix_membership.receipt.policy_server import PolicyServer
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import (
    ALL_VERIFIED,
    KeyRing,
    Unverified,
    missing_signers,
    read_and_verify,
    signature_error,
    unverified,
    verify_read,
)
from matrix_membership.state import RoomState
from matrix_membership.state.create_event import second_create_event

__all__ = ["Check", "Disposition", "Receipt", "Revision", "receive", "reevaluate"]

AuthEventsAtHand = Iterable[Event] | Callable[[EventID], Event | None]


class Disposition(Enum):
    """What becomes of a PDU, from best to worst.

    - `ACCEPTED`: it is an event of the room like any other.
    - `REDACTED`: likewise, but without what its content hash does not vouch for.
    - `SOFT_FAILED`: it counts in the room's history and in state resolution, but is not
      shown to clients, and no event of one's own refers to it.
    - `REJECTED`: it is kept for the room's history only. Others may refer to it.
    - `DROPPED`: as if it had never come.
    """

    ACCEPTED = "accepted"
    REDACTED = "redacted"
    SOFT_FAILED = "soft-failed"
    REJECTED = "rejected"
    DROPPED = "dropped"

    def __str__(self) -> str:
        return self._value_


class Check(Enum):
    """The checks by their numbers."""

    FORMAT = 1
    SIGNATURES = 2
    CONTENT_HASH = 3
    AUTH_EVENTS = 4
    STATE_BEFORE = 5
    CURRENT_STATE = 6
    POLICY_SERVER = 7

    def __str__(self) -> str:
        return f"{self._value_} ({self._name_.lower().replace('_', ' ')})"


# An attribute of an enum class costs four times as much to read as a module's name.
_ACCEPTED: Final = Disposition.ACCEPTED
_REJECTED: Final = Disposition.REJECTED
_NO_KEYS: Final = KeyRing.of({})
_AUTH_EVENTS: Final = Check.AUTH_EVENTS
_STATE_BEFORE: Final = Check.STATE_BEFORE
_CURRENT_STATE: Final = Check.CURRENT_STATE


@frozen
class Receipt:
    """What becomes of a PDU, and why.

    It is true when the event is to be used like any other: accepted or redacted. An
    event that failed the content hash and then another check has the worse of the
    two dispositions, and `redacted` says that its content is gone.

    Attributes:
        disposition: what becomes of it.
        check: the check that it failed, by which it has its disposition; None when it
            passed all.
        decision: the decision of the rules: the one that rejected it; otherwise one
            that is undecided, if there was one; otherwise the last. None for an event
            that was dropped or refused before the rules were asked.
        event: the event with the servers that signed it, redacted if its content hash
            was wrong; None when it was dropped.
        error: why it was dropped, or rejected as a second create event, which the rules do
            not look for; otherwise None.
        redacted: its content hash was wrong.
        provisional: the checks were made on partial state or without some auth events,
            so that `reevaluate` may come to another result.
        missing_auth_events: the IDs of the events that it lists and that were not at
            hand.
        missing_signers: servers whose signature it owes: of a dropped event those that
            the keys did not verify, of a soft-failed one the room's policy server.
        unverified: of an event that was dropped by its signatures, or rejected and lacks
            the signature of its authorising server: which keys could help if they were
            fetched (`unverified.needs`), and whose signature is bad, so that none can.
    """

    disposition: Disposition
    check: Check | None = None
    decision: Decision | None = None
    event: Event | None = None
    error: InvalidEvent | None = None
    redacted: bool = False
    provisional: bool = False
    missing_auth_events: tuple[EventID, ...] = ()
    missing_signers: frozenset[ServerName] = frozenset()
    unverified: Unverified = ALL_VERIFIED

    def __bool__(self) -> bool:
        return self.disposition in (Disposition.ACCEPTED, Disposition.REDACTED)

    def __str__(self) -> str:
        said = f"provisionally {self.disposition}" if self.provisional else str(self.disposition)
        if self.check is None:
            return said
        why = f"{said} by check {self.check}"
        owed = ", ".join(sorted(self.missing_signers))
        if self.error is not None:
            return f"{why}: {self.error}"
        if owed:
            return f"{why}: no good signature of {owed}"
        return why if self.decision is None or self else f"{why}: {self.decision}"


@frozen
class Revision:
    """What a re-evaluation changed.

    Attributes:
        before: what was said of the event before.
        after: what is to be said of it now.
    """

    before: Receipt
    after: Receipt

    def __str__(self) -> str:
        return f"{self.before.disposition} before, now {self.after}"


def receive(
    pdu: bytes | str | Mapping[str, JsonValue] | ReadPdu,
    room_version: RoomVersion,
    *,
    keys: KeyRing,
    auth_events: AuthEventsAtHand,
    state_before: RoomState,
    current_state: RoomState,
    rejected: AbstractSet[str] = frozenset(),
    create: Event | None = None,
) -> Receipt:
    """Run the checks on a PDU from another server.

    Args:
        pdu: the PDU as it came, or as an object; or what `read_pdu` made of it, when
            the caller looked into it to find keys and states. It is read once.
        room_version: the version of its room.
        keys: the keys of the servers that signed it, as far as they are known.
        auth_events: events among which those that it lists are found, or a function
            that gives an event by its ID, or None for one that is not at hand.
        state_before: the state of the room before the event, its own rejected events
            left out.
        current_state: the current state of the room; the same object as `state_before`
            when the event follows the newest events, and then it is not judged twice.
        rejected: the IDs of events that were rejected: an auth event among them rejects
            this one. Events that it merely follows do not matter.
        create: the create event of a room of version 12, unless `state_before` has it.

    Returns:
        The receipt. Cost: one reading, two hashes, the signatures, and at most three
        judgements.

    Raises:
        TypeError: what `read_pdu` made is of another room version.

    >>> from matrix_membership.room_versions import V11
    >>> empty = RoomState.of(V11, [])
    >>> print(
    ...     receive(
    ...         "[]",
    ...         V11,
    ...         keys=KeyRing.of({}),
    ...         auth_events=[],
    ...         state_before=empty,
    ...         current_state=empty,
    ...     )
    ... )
    dropped by check 1 (format): PDU: expected an object, got []
    """
    if isinstance(pdu, ReadPdu):
        if pdu.event.room_version is not room_version:
            raise TypeError(f"a PDU of {pdu.event.room_version!r}, read for {room_version!r}")
        event, document = verify_read(pdu, keys), document_as_read(pdu)
        covered, matches = pdu.covered, pdu.content_hash_matches
    else:
        try:
            event, document, covered, matches = read_and_verify(pdu, room_version, keys)
        except InvalidEvent as error:
            return Receipt(Disposition.DROPPED, Check.FORMAT, error=error)
    if missing_signers(event):
        return _unsigned(event, keys)
    receipt = _judge(
        event,
        _Room(auth_events, state_before, current_state, rejected, create),
        redacted=not matches,
        listed=references(document, "auth_events", room_version),
        covered=covered,
    )
    kept = receipt.event
    if receipt.disposition is _REJECTED and kept is not None and kept.authorising_server:
        return evolve(receipt, unverified=unverified(kept, keys))
    return receipt


def _unsigned(event: Event, keys: KeyRing) -> Receipt:
    return Receipt(
        Disposition.DROPPED,
        Check.SIGNATURES,
        error=signature_error(event),
        missing_signers=missing_signers(event),
        unverified=unverified(event, keys),
    )


def reevaluate(
    receipt: Receipt,
    *,
    auth_events: AuthEventsAtHand,
    state_before: RoomState,
    current_state: RoomState,
    rejected: AbstractSet[str] = frozenset(),
    create: Event | None = None,
) -> Revision | None:
    """Judge an event again, now that more is known: of provisional receipts, the truth.

    Whoever goes through many events does so in the order in which they came, and adds
    to `rejected` what is rejected now: events whose auth events are among them follow.

    Args:
        receipt: what was said of the event.
        auth_events: as for `receive`.
        state_before: likewise.
        current_state: likewise.
        rejected: likewise.
        create: likewise.

    Returns:
        The change; None when the disposition stays, and for a dropped PDU, which left
        nothing to judge. Cost: that of the judgements; signatures and hash stay verified.
        An event that lacks a required signature, as one that was read anew and not
        verified, is dropped.

    >>> from matrix_membership.room_versions import V11
    >>> dropped, empty = Receipt(Disposition.DROPPED, Check.FORMAT), RoomState.of(V11, [])
    >>> reevaluate(dropped, auth_events=[], state_before=empty, current_state=empty) is None
    True
    """
    event = receipt.event
    if event is None:
        return None
    if missing_signers(event):
        after = _unsigned(event, _NO_KEYS)
    else:
        after = _judge(
            event,
            _Room(auth_events, state_before, current_state, rejected, create),
            redacted=receipt.redacted,
            listed=event.auth_events,
        )
    return None if after.disposition is receipt.disposition else Revision(receipt, after)


class _Room:
    """What is known of the room, as the caller gave it; lives no longer than one receipt."""

    __slots__ = ("auth_events", "create", "current_state", "rejected", "state_before")

    def __init__(
        self,
        auth_events: AuthEventsAtHand,
        state_before: RoomState,
        current_state: RoomState,
        rejected: AbstractSet[str],
        create: Event | None,
    ) -> None:
        self.auth_events = auth_events
        self.state_before = state_before
        self.current_state = current_state
        self.rejected = rejected
        self.create = create

    def refuses(self, event: Event) -> InvalidEvent | None:
        """What speaks against a create event: that the room has another one."""
        states = [self.state_before, self.current_state]
        if self.create is not None:
            states.append(RoomState.of(event.room_version, [self.create]))
        return second_create_event(event, *states)

    def find(self, listed: Iterable[EventID]) -> tuple[list[Event], tuple[EventID, ...]]:
        """The events with these IDs that are at hand, and the IDs of the others."""
        if callable(self.auth_events):
            get = self.auth_events
        else:
            get = {event.event_id: event for event in self.auth_events}.get
        found, missing = [], []
        for event_id in listed:
            event = get(event_id)
            if event is None:
                missing.append(event_id)
            else:
                found.append(event)
        return found, tuple(missing)


_FAILED: Final = MappingProxyType(
    {
        Check.CONTENT_HASH: Disposition.REDACTED,
        Check.AUTH_EVENTS: Disposition.REJECTED,
        Check.STATE_BEFORE: Disposition.REJECTED,
        Check.CURRENT_STATE: Disposition.SOFT_FAILED,
        Check.POLICY_SERVER: Disposition.SOFT_FAILED,
    }
)


def _judge(
    event: Event,
    room: _Room,
    *,
    redacted: bool,
    listed: tuple[EventID, ...],
    covered: bytes | None = None,
) -> Receipt:
    """Checks 4 to 7, on an event that passed the others or was redacted."""
    if event.type == "m.room.create":
        error = room.refuses(event)
        if error is not None:
            return Receipt(
                Disposition.REJECTED, _AUTH_EVENTS, event=event, error=error, redacted=redacted
            )
    found, missing = room.find(listed)
    failed, decision, provisional = _by_rules(event, room, found, missing)
    owed: frozenset[ServerName] = frozenset()
    if failed is None:
        policy = PolicyServer.lacking(event, room.current_state, covered=covered)
        if policy is not None:
            failed, owed = Check.POLICY_SERVER, frozenset({policy.server_name})
            provisional = provisional or policy.in_room is None
    if failed is None and redacted:
        failed = Check.CONTENT_HASH
    return Receipt(
        _ACCEPTED if failed is None else _FAILED[failed],
        failed,
        decision,
        event,
        redacted=redacted,
        provisional=provisional,
        missing_auth_events=missing,
        missing_signers=owed,
    )


def _by_rules(
    event: Event,
    room: _Room,
    found: list[Event],
    missing: tuple[EventID, ...],
) -> tuple[Check | None, Decision, bool]:
    """Checks 4 to 6.

    Returns:
        The first that failed; its decision, or else the first that is undecided, or the
        last; whether that may change when all is known that they need.
    """
    before, current = room.state_before, room.current_state
    selected = auth.select_auth_events(event)
    create = room.create or before.create_event
    # The state before nearly always holds the listed events: then one judgement serves for both.
    same = not missing and create is before.create_event and _selects(before, selected, found)
    by_list = judge_by_listed_events(
        event,
        found,
        create=create,
        rejected=room.rejected,
        missing=missing,
        selected=selected,
        state=before if same else None,
    )
    if not by_list.allowed and not by_list.undecided:
        return _AUTH_EVENTS, by_list, _hangs_on_missing(by_list, missing, create)
    by_state = by_list if same else auth.check(event, before)
    provisional = bool(missing) or before.is_partial
    if not by_state.allowed and not by_state.undecided:
        return _STATE_BEFORE, by_state, provisional
    decision = by_list if by_list.undecided else by_state
    if current is not before:
        by_state = auth.check(event, current)
        provisional = provisional or current.is_partial
        if not by_state.allowed and not by_state.undecided:
            return _CURRENT_STATE, by_state, provisional
        decision = decision if decision.undecided else by_state
    return None, decision, provisional


def _selects(state: RoomState, selected: Iterable[tuple[str, str]], found: list[Event]) -> bool:
    """Whether what a state has in the places selected is what an event lists.

    Then the judgement by the state is one by that list: rules read no other places. They
    are the same objects, not equal ones: of one event there may be a redacted copy.
    """
    if state.is_partial:
        return False
    get, get_member = state.get, state.get_member
    there = 0
    for event_type, state_key in selected:
        event = get_member(state_key) if event_type == _MEMBER else get(event_type, state_key)
        if event is not None:
            for listed in found:
                if listed is event:
                    break
            else:
                return False
            there += 1
    return there == len(found)


_MEMBER: Final = "m.room.member"


def _hangs_on_missing(
    decision: Decision, missing: tuple[EventID, ...], create: Event | None
) -> bool:
    """Tell whether a rejection by listed events may end once the missing ones are at hand."""
    if decision.rule == "auth_events.room_id_of_no_accepted_create_event":
        return create is None
    if decision.rule == "auth_events.no_create_event":
        return bool(missing)
    # The other rules on the list reject what is in it, which no further event mends.
    return bool(missing) and not decision.rule.startswith(("auth_events.", "create."))
