"""Admit events: the decision, the transition, and the state after the event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import Word, frozen
from matrix_membership.auth import Decision
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID, ServerName
from matrix_membership.membership import Transition, transition
from matrix_membership.resolution import state_after
from matrix_membership.signing import missing_signers, signature_error
from matrix_membership.state import RoomState
from matrix_membership.state.create_event import second_create_event

__all__ = ["Evidence", "admit"]


class Evidence(Word):
    """The evidence that an event comes from its sender.

    - `SIGNATURES`: it is a PDU, and `signed_by` has every required signer.
    - `CALLER`: it came in client format, which has no signatures. It counts because the
      caller trusts the server that gave it, as a bot does.
    - `MISSING`: it is a PDU, and `signed_by` lacks a required signer.

    .. versionadded:: 0.1.0
    """

    SIGNATURES = "signatures"
    CALLER = "the caller's trust"
    MISSING = "missing"


# An attribute of an enum class costs four times as much to read as a module's name.
_SIGNATURES: Final = Evidence.SIGNATURES
_CALLER: Final = Evidence.CALLER
_MISSING: Final = Evidence.MISSING
_NOBODY: Final[frozenset[ServerName]] = frozenset()
_NO_EVENTS: Final[Mapping[EventID, Event]] = MappingProxyType({})


@frozen
class Admission:
    """The result of admitting an event to a room.

    It is true when the event was admitted; `str` says why, or why not.

    Attributes:
        decision: the decision of the rules. They may allow an event that is refused
            for another reason: see `error`.
        transition: for an admitted member event, the change of the user's membership.
        state: the state after it; the state before it when it was not admitted, as the same
            object if there was one.
        evidence: the evidence that it comes from its sender.
        error: why it was refused apart from the rules: a required signature is missing,
            or it is a second create event. Otherwise None.
        missing_signers: for a PDU, the required signers that `signed_by` lacks.
    """

    decision: Decision
    transition: Transition | None
    state: RoomState
    evidence: Evidence
    error: InvalidEvent | None = None
    missing_signers: frozenset[ServerName] = _NOBODY

    def __bool__(self) -> bool:
        return self.error is None and self.decision.allowed

    def __str__(self) -> str:
        if self.error is not None:
            return f"refused: {self.error}"
        trusted = " (in client format: nothing was verified)" if self.evidence is _CALLER else ""
        return f"{self.decision}{trusted}"


def admit(
    event: Event,
    state: RoomState | Iterable[RoomState],
    *,
    events: Mapping[EventID, Event] | Callable[[EventID], Event | None] = _NO_EVENTS,
) -> Admission:
    """Judge an event against a state, and add it to the state if it is allowed.

    A PDU must have its required signatures in `signed_by`: `signing.verify` puts them
    there, or `Event.with_signers` for an event that was verified earlier. An event in
    client format is admitted without signatures, and `Admission.evidence` says so. A
    second create event is always refused.

    Args:
        event: any event.
        state: the state before it, or the states after its previous events: these are
            resolved.
        events: the events by ID, or a function that gives an event by its ID or None: those
            in the auth chains of several states. Otherwise it is not read.

    Returns:
        The admission. Cost: that of `auth.check` and `RoomState.with_event`; for several
        different states also that of `resolution.resolve`, which tells what is missing.

    Raises:
        IncompleteState: the event is allowed, and the state is over a look-up function,
            which cannot be changed; or one of several states is.

    >>> from matrix_membership.room_versions import V11
    >>> room = RoomState.of(V11, [])
    >>> create = {"type": "m.room.create", "sender": "@a:a", "state_key": "", "content": {}}
    >>> admit(Event.from_client_event(create | {"room_id": "!r:a"}, V11), room).state
    <state of !r:a, version 11>
    >>> pdu = create | {
    ...     "room_id": "!r:a",
    ...     "depth": 1,
    ...     "origin_server_ts": 0,
    ...     "prev_events": [],
    ...     "auth_events": [],
    ...     "hashes": {"sha256": ""},
    ...     "signatures": {},
    ... }
    >>> print(admit(Event.from_pdu(pdu, V11), room))
    refused: signatures: expected good signatures of a, got []

    .. versionadded:: 0.1.0
    """
    if not isinstance(state, RoomState):
        state, _ = state_after(event.room_version, state, events)
    # Judged even if signatures are missing, so that an admission tells both.
    decision = auth.check(event, state)
    missing = missing_signers(event) if event.pdu else _NOBODY
    evidence = _MISSING if missing else _SIGNATURES if event.pdu else _CALLER
    error = signature_error(event) if missing else second_create_event(event, state)
    if error is not None or not decision.allowed:
        return Admission(decision, None, state, evidence, error, missing)
    # The move is read from the state before: in the one after, both ends are the same.
    move, after = transition_of(event, state), state.with_event(event)
    return Admission(decision, move, after, evidence)


def transition_of(event: Event, state: RoomState) -> Transition | None:
    """Return the transition of a member event; None for all other events.

    A join with the same content as the one before it is `UNCHANGED`.
    """
    user, membership = event.state_key, event.membership
    if user is None or membership is None:
        return None
    before = state.membership_of(user)
    move = transition(before, membership, by_self=event.sender == user)
    if move is Transition.PROFILE_CHANGED:
        current = state.get("m.room.member", user)
        if current is not None and current.content == event.content:
            return Transition.UNCHANGED
    return move
