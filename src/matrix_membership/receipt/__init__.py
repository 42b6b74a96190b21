"""Receipt: the numbered checks that a PDU from another server goes through.

`receive` runs them in order. It says what to do with the event, by which check and by
which decision. See `Checks performed on receipt of a PDU`__. Before them comes
`receipt.server_acl.permits`: whether the sending server may speak to the room.

__ https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Any, Final

from matrix_membership import auth
from matrix_membership._attrs import evolve
from matrix_membership.auth import Decision
from matrix_membership.auth.auth_events import parts_selected
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, ReadPdu, read_pdu
from matrix_membership.events.facts import NOBODY
from matrix_membership.identifiers import EventID
from matrix_membership.receipt._receipts import Check as Check
from matrix_membership.receipt._receipts import Disposition, Receipt, ReceiptSlots
from matrix_membership.receipt._receipts import Revision as Revision
from matrix_membership.receipt.policy_server import POLICY_TYPE, PolicyServer
from matrix_membership.resolution import state_after
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import (
    ALL_VERIFIED,
    KeyRing,
    missing_signers,
    signature_error,
    unverified,
    verify,
    verify_unseen,
)
from matrix_membership.state import RoomState
from matrix_membership.state.create_event import second_create_event

__all__ = ["Disposition", "Receipt", "needed_places", "receive", "reevaluate"]

AuthEventsAtHand = Mapping[EventID, Event] | Iterable[Event] | Callable[[EventID], Event | None]


# An attribute of an enum class costs four times as much to read as a module's name.
_ACCEPTED: Final = Disposition.ACCEPTED
_REJECTED: Final = Disposition.REJECTED
_NO_KEYS: Final = KeyRing.of({})
_NOTHING: Final[frozenset[EventID]] = frozenset()
_AUTH_EVENTS: Final = Check.AUTH_EVENTS
_STATE_BEFORE: Final = Check.STATE_BEFORE
_CURRENT_STATE: Final = Check.CURRENT_STATE


def needed_places(event: Event) -> frozenset[tuple[str, str]]:
    """Return every place of the state that is read to receive or answer an event.

    Those of `auth.needed_state` and `auth.select_auth_events`, the create event, the policy
    server, and the access control list. A state of these places alone, made by
    `RoomState.of_ids`, gives `receive` the result that the whole state gives, if the servers of
    a room with a policy server are told. `restricted.needed` adds those of a restricted join.

    Args:
        event: the event that comes in, or the one that a template is asked for.

    >>> from matrix_membership.room_versions import V12
    >>> message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
    >>> for place in sorted(needed_places(Event.from_client_event(message, V12))):
    ...     print(*place)
    m.room.create
    m.room.member @ana:a.example
    m.room.policy
    m.room.power_levels
    m.room.server_acl

    .. versionadded:: 0.1.0
    """
    return auth.needed_state(event) | auth.select_auth_events(event) | _READ_OF_ANY_EVENT


_READ_OF_ANY_EVENT: Final = frozenset(
    {("m.room.create", ""), ("m.room.policy", ""), ("m.room.server_acl", "")}
)


def receive(
    pdu: bytes | str | Mapping[str, JsonValue] | ReadPdu,
    room_version: RoomVersion,
    *,
    keys: KeyRing,
    auth_events: AuthEventsAtHand,
    state_before: RoomState | Iterable[RoomState],
    current_state: RoomState,
    rejected: AbstractSet[str] = frozenset(),
    create: Event | None = None,
) -> Receipt:
    """Run the checks on a PDU from another server.

    Args:
        pdu: the PDU as it came, or as an object; or the result of `read_pdu`, when the
            caller read it to find keys and states. It is read once.
        room_version: the version of its room.
        keys: the known keys of the servers that signed it.
        auth_events: the events that it lists, among others; or these by ID; or a function that
            gives an event by its ID, or None for an event that is not at hand.
        state_before: the state of the room before the event, without rejected events; or
            the states after its previous events, which are resolved. Then `auth_events` must
            give the auth chains of these states too. To keep the state before the event,
            resolve it first, by `resolution.resolve`.
        current_state: the current state of the room. Pass the same object as
            `state_before` for an event that follows the newest events: then it is judged
            once.
        rejected: the IDs of rejected events: an auth event among them rejects this one.
            Rejected events in `prev_events` do not matter.
        create: the create event of a room of version 12, unless `state_before` has it.

    Returns:
        The receipt. Cost: one reading, two hashes, the signatures, and at most three
        judgements; that of `resolution.resolve` for several different states.

    Raises:
        TypeError: `read_pdu` read it by another room version.
        IncompleteState: one of several states is over a look-up, or has events without IDs;
            or a filtered state lacks the create event or the policy server: see
            `needed_places`.

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

    .. versionadded:: 0.1.0
    """
    if isinstance(pdu, ReadPdu):
        if pdu.event.room_version != room_version:
            raise TypeError(f"a PDU of {pdu.event.room_version!r}, read for {room_version!r}")
        read = pdu
        event = verify(read, keys)
    else:
        try:
            read = read_pdu(pdu, room_version)
        except InvalidEvent as error:
            return Receipt(Disposition.DROPPED, Check.FORMAT, error=error)
        event = verify_unseen(read, keys)
    # Before the rules, as the checks are numbered: what nobody signed must not decide anything.
    if missing_signers(event):
        return _unsigned(event, keys)
    receipt = _judge(
        event,
        _Room(room_version, auth_events, state_before, current_state, rejected, create),
        redacted=not read.content_hash_matches,
        listed=read.auth_events,
        covered=read.covered,
    )
    kept = receipt.event
    # Rule 4.2.1 rejects a restricted join also when the authorising server's key was just not at
    # hand. The caller has to see that, to fetch it and try again.
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
    state_before: RoomState | Iterable[RoomState],
    current_state: RoomState,
    rejected: AbstractSet[str] = frozenset(),
    create: Event | None = None,
) -> Revision | None:
    """Judge an event again, when more is known than at its provisional receipt.

    Judge many events in the order in which they came, and add those that are rejected now
    to `rejected`: then the events that list them are rejected as well. The other arguments are
    those of `receive`.

    Returns:
        The revision, if the disposition changed or the receipt ceased to be provisional;
        otherwise None, as for a dropped PDU without an event. Judge a receipt again until
        it ceases to be provisional. Cost: that of the judgements; signatures and hash are not
        checked again. An event without a required signature is dropped, as one that was read
        again and not verified.

    >>> from matrix_membership.room_versions import V11
    >>> dropped, empty = Receipt(Disposition.DROPPED, Check.FORMAT), RoomState.of(V11, [])
    >>> reevaluate(dropped, auth_events=[], state_before=empty, current_state=empty) is None
    True

    .. versionadded:: 0.1.0
    """
    event = receipt.event
    if event is None:
        return None
    if missing_signers(event):
        after = _unsigned(event, _NO_KEYS)
    else:
        after = _judge(
            event,
            _Room(event.room_version, auth_events, state_before, current_state, rejected, create),
            redacted=receipt.redacted,
            listed=event.auth_events,
        )
    settled = receipt.provisional and not after.provisional
    if after.disposition is receipt.disposition and not settled:
        return None
    return Revision(receipt, after)


class _Room:
    """The caller's knowledge of the room, for one receipt."""

    __slots__ = ("create", "current_state", "get", "rejected", "state_before", "unresolved")

    def __init__(
        self,
        room_version: RoomVersion,
        auth_events: AuthEventsAtHand,
        state_before: RoomState | Iterable[RoomState],
        current_state: RoomState,
        rejected: AbstractSet[str],
        create: Event | None,
    ) -> None:
        if callable(auth_events):
            self.get = auth_events
        elif isinstance(auth_events, Mapping):  # as `admit` and `resolve` take them
            self.get = auth_events.get
        else:
            self.get = {event.event_id: event for event in auth_events}.get
        # The events without which the state before may be another one.
        self.unresolved: frozenset[EventID] = _NOTHING
        if isinstance(state_before, RoomState):
            self.state_before = state_before
        else:
            self.state_before, self.unresolved = state_after(
                room_version, state_before, self.get, rejected=rejected
            )
        self.current_state = current_state
        self.rejected = rejected
        self.create = create

    def refuses(self, event: Event) -> InvalidEvent | None:
        """Return the error of a create event in a room that has another one."""
        states = [self.state_before, self.current_state]
        if self.create is not None:
            states.append(RoomState.of(event.room_version, [self.create]))
        return second_create_event(event, *states)

    def find(self, listed: tuple[EventID, ...]) -> tuple[list[Event], tuple[EventID, ...]]:
        """Return the events with these IDs that are at hand, and the IDs of the others."""
        # For so few a loop takes two thirds of what `map` and `all` take.
        get, found = self.get, []
        missing: tuple[EventID, ...] = ()
        for event_id in listed:
            event = get(event_id)
            if event is None:
                missing += (event_id,)  # of the ten IDs at most
            else:
                found.append(event)
        return found, missing


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
    """Run checks 4 to 7 on an event that passed the others or was redacted."""
    # The rules would allow a second one: rule 1 does not look at the room.
    if event.type == "m.room.create":
        error = room.refuses(event)
        if error is not None:
            return Receipt(
                Disposition.REJECTED, _AUTH_EVENTS, event=event, error=error, redacted=redacted
            )
    found, missing = room.find(listed)
    failed, decision, provisional = _by_rules(event, room, listed, found, missing)
    owed = NOBODY
    # Only for what passed the rules: it costs a verification, and no signature saves a rejected
    # event. Most rooms have none: one look-up is their whole cost.
    if failed is None and room.current_state.get(POLICY_TYPE) is not None:
        policy = PolicyServer.lacking(event, room.current_state, covered=covered)
        if policy is not None:
            failed, owed = Check.POLICY_SERVER, frozenset({policy.server_name})
            provisional = provisional or policy.in_room is None
    # Check 3, but asked last: being redacted is the mildest outcome, and a later check gives a
    # worse one.
    if failed is None and redacted:
        failed = Check.CONTENT_HASH
    receipt: Any = ReceiptSlots()
    receipt.disposition = _ACCEPTED if failed is None else _FAILED[failed]
    receipt.check, receipt.decision, receipt.event = failed, decision, event
    receipt.error, receipt.redacted, receipt.provisional = None, redacted, provisional
    receipt.missing_auth_events, receipt.missing_signers = missing, owed
    receipt.unverified = ALL_VERIFIED
    receipt.__class__ = Receipt
    return receipt  # type: ignore[no-any-return]  # the line above made it one


def _by_rules(
    event: Event,
    room: _Room,
    listed: tuple[EventID, ...],
    found: list[Event],
    missing: tuple[EventID, ...],
) -> tuple[Check | None, Decision, bool]:
    """Run checks 4 to 6.

    Returns:
        The first failed check. Its decision, else the first undecided one, else the last.
        True if the result may change once the missing events and members are known.
    """
    before, current = room.state_before, room.current_state
    # In version 12 no event lists it, so it comes from the caller or from the state.
    create = room.create or before.create_event
    # The state before nearly always holds the listed events: then one judgement serves for both.
    same = not missing and create is before.create_event and _selects(before, event, found)
    if same and not room.rejected and _is_in_order(event, create, found):
        by_list = auth.check(event, before)
        if by_list.allowed and current is before:  # as nearly always
            return None, by_list, bool(room.unresolved)
    else:
        by_list = auth.judge(
            event,
            found,
            create=create,
            rejected=room.rejected,
            missing=missing,
            listed_ids=listed,
            state=before if same else None,
        )
    # The list is judged before the state: an event has to be allowed by what its own sender claims.
    if not by_list.allowed and not by_list.undecided:
        return _AUTH_EVENTS, by_list, _hangs_on_missing(by_list, missing, create)
    by_state = by_list if same else auth.check(event, before)
    return _by_states(event, room, by_list, by_state, provisional=bool(missing))


def _by_states(
    event: Event, room: _Room, by_list: Decision, by_state: Decision, *, provisional: bool
) -> tuple[Check | None, Decision, bool]:
    """Run checks 5 and 6, after the decision of check 4."""
    before, current = room.state_before, room.current_state
    provisional = provisional or bool(room.unresolved) or before.is_partial or by_state.undecided
    if not by_state.allowed and not by_state.undecided:
        return _STATE_BEFORE, by_state, provisional
    decision = by_list if by_list.undecided else by_state
    # An event that follows the newest ones has the same state twice, and is judged once for both.
    if current is not before:
        by_state = auth.check(event, current)
        provisional = provisional or current.is_partial or by_state.undecided
        if not by_state.allowed and not by_state.undecided:
            return _CURRENT_STATE, by_state, provisional
        decision = decision if decision.undecided else by_state
    return None, decision, provisional


def _selects(state: RoomState, event: Event, found: list[Event]) -> bool:
    """Tell whether a state holds exactly the listed events in the places selected.

    Then the judgement by the state is also the one by the list: rules read no other
    places. Identity is compared, because a redacted copy equals its event.
    """
    # Amended rules may read more, or select less than they read.
    if event.room_version.rules is not None:
        return False
    (_, types), places = parts_selected(event)
    held = state.in_places(types, places)
    # In a state that is not whole a missing member looks like an absent one, and other missing events
    # raise. So it cannot show that it holds the listed events.
    if held is None:
        return False
    # Loops, not sorted identities: for three events 0.15 us, not 0.45. No event is held twice, so one
    # listed twice is left over.
    left = len(found)
    for entry in held:
        if entry is not None:
            for other in found:
                if other is entry:
                    break
            else:
                return False
            left -= 1
    return left == 0


def _is_in_order(event: Event, create: Event | None, found: list[Event]) -> bool:
    """Tell whether the rules allow a list of exactly what the state before selects.

    It may be False for a list that they allow: then they run on it.
    """
    # Rules 2.1 to 2.4 cannot fire (version 12: 3.1 to 3.3): each event has a place of its own, which
    # is one of those selected, and the create event is among them. So the room is left to look at,
    # by 2.5, in version 12 by 2 and 3.4. Gathering what these rules read, and running them, took
    # 260 of the 2,540 instructions of a receipt. Amended rules may ask for more.
    version, room_id = event.room_version, event.room_id
    if version.rules is not None or create is None:
        return False
    if version.room_id_is_create_event and room_id[1:] != create.event_id[1:]:
        return False
    for entry in found:  # noqa: SIM110 - as in rule 2.5
        if entry.room_id != room_id:
            return False
    return True


def _hangs_on_missing(
    decision: Decision, missing: tuple[EventID, ...], create: Event | None
) -> bool:
    """Tell whether a rejection may end once the missing listed events are there."""
    if decision.rule == "auth_events.room_id_of_no_accepted_create_event":
        return create is None
    if decision.rule == "auth_events.no_create_event":
        return bool(missing)
    # The other rules on the list reject something in it, and no further event mends that.
    return bool(missing) and not decision.rule.startswith(("auth_events.", "create."))
