"""The result of receiving a PDU: its fate, and the check that gave it."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from matrix_membership._attrs import Word, frozen, slots
from matrix_membership.auth import Decision
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID, ServerName
from matrix_membership.signing import ALL_VERIFIED, Unverified


class Disposition(Word):
    """The fate of a PDU, from best to worst.

    - `ACCEPTED`: it is an event of the room like any other.
    - `REDACTED`: the same, but its content is redacted, because its hash is wrong.
    - `SOFT_FAILED`: it counts in the room's history and in state resolution, but clients
      do not see it, and new events of this server do not refer to it.
    - `REJECTED`: it is kept for the room's history only. Other events may refer to it.
    - `DROPPED`: the server acts as if it had never come.

    .. versionadded:: 0.1.0
    """

    ACCEPTED = "accepted"
    REDACTED = "redacted"
    SOFT_FAILED = "soft-failed"
    REJECTED = "rejected"
    DROPPED = "dropped"


class Check(Enum):
    """The checks on receipt, by their numbers in the specification."""

    FORMAT = 1
    SIGNATURES = 2
    CONTENT_HASH = 3
    AUTH_EVENTS = 4
    STATE_BEFORE = 5
    CURRENT_STATE = 6
    POLICY_SERVER = 7

    def __str__(self) -> str:
        return f"{self._value_} ({self._name_.lower().replace('_', ' ')})"


@slots
class _Slots:
    # Filled like `events.facts.Facts`: in 0.5 us, where the constructor of `Receipt` takes 1.7.
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


@frozen
class Receipt(_Slots):
    """The fate of a PDU, and the reason.

    It is true for an event that is used like any other: accepted or redacted. An event
    that failed the content hash and then another check has the worse disposition of the
    two, and `redacted` is true.

    Attributes:
        disposition: its fate.
        check: the failed check that gave the disposition; None when it passed all.
        decision: the decision of the rules: the one that rejected it, else the first
            undecided one, else the last. None for an event that was dropped or refused
            before the rules ran.
        event: the event with the servers that signed it, redacted if its content hash
            was wrong; None for a dropped PDU of a wrong format.
        error: why it was dropped, or rejected as a second create event, which the rules
            allow; otherwise None.
        redacted: whether its content hash was wrong.
        provisional: whether the state was partial, the decision is undecided, or auth events
            or events to resolve the state before it were missing, so that `reevaluate` may give
            another result.
        missing_auth_events: the IDs of the listed events that were not at hand.
        missing_signers: the servers whose signature is missing: for a dropped event its
            required signers, for a soft-failed one the room's policy server.
        unverified: why signatures are missing, for an event that was dropped by check 2,
            or rejected without the signature of its authorising server. The keys in
            `unverified.needs` could help if they were fetched.

    .. versionadded:: 0.1.0
    """

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
    """The change that a re-evaluation made: of the disposition, or of `provisional`.

    Attributes:
        before: the receipt that was given.
        after: the receipt that holds now.
    """

    before: Receipt
    after: Receipt

    def __str__(self) -> str:
        if self.before.disposition is self.after.disposition:
            return f"provisionally {self.before.disposition} before, now {self.after} for good"
        return f"{self.before.disposition} before, now {self.after}"


ReceiptSlots: Final[Any] = _Slots
"""Make the slots of a receipt, to be filled in."""
