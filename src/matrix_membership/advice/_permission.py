"""The answer to a question about what a user may do."""

from __future__ import annotations

from collections.abc import Iterable

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.events import Event
from matrix_membership.identifiers import RoomID
from matrix_membership.membership import JOIN
from matrix_membership.state import RoomState


@frozen
class Permission:
    """The answer to a question. It is true only if the user may do it for certain.

    Attributes:
        event: the event that would be sent.
        state: the state that it was judged against.
        decision: the verdict of the rules; None if no event can be made without what the
            state leaves out.
        missing: what the state leaves out; empty if the verdict does not depend on it.
        hangs_on: the rooms that decide, if the user is joined to one of them: for a join to
            a restricted room.
        objection: what makes the answer a no, in a sentence, if it is not the decision.

    .. versionadded:: 0.1.0
    """

    event: Event
    state: RoomState
    decision: auth.Decision | None
    missing: str = ""
    hangs_on: tuple[RoomID, ...] = ()
    objection: str = ""

    @classmethod
    def of(cls, event: Event, state: RoomState) -> Permission:
        """Judge an event against a state."""
        decision = auth.check(event, state)
        return cls(event, state, decision, ", ".join(decision.missing))

    def __bool__(self) -> bool:
        if self.objection or self.unknown:
            return False
        return self.decision is not None and self.decision.allowed

    @property
    def unknown(self) -> bool:
        """True if the answer depends on something that is not at hand."""
        # An objection stands whatever the rest of the state says.
        if self.objection:
            return False
        if self.missing or self.hangs_on:
            return True
        return self.decision is None or self.decision.undecided

    def __str__(self) -> str:
        if self.objection:
            return f"no: {self.objection}"
        if self.missing:
            return f"unknown: the state that is at hand leaves out {self.missing}"
        if self.hangs_on:
            rooms = " or ".join(self.hangs_on)
            return f"unknown: hangs on whether {self.event.sender} is joined to {rooms}"
        return told_with(self.decision, self.shortfalls)

    @property
    def shortfalls(self) -> tuple[str, ...]:
        """The levels that fell short: `@ben:b.example has 0, ban needs 50`."""
        if self.decision is None:
            return ()
        return tuple(map(str, auth.shortfalls(self.event, self.state, self.decision)))

    @property
    def explanation(self) -> auth.Explanation | None:
        """The reasons in full; None if the state leaves out what the rules read.

        Cost: some hundred checks.
        """
        return None if self.decision is None else auth.explain(self.event, self.state)

    @property
    def remedies(self) -> tuple[auth.Remedy, ...]:
        """The changes that would help, the smallest first. Cost: as `explanation`."""
        # After them the rules would allow the event, but an objection to a kick says that the
        # event would be another move.
        if self.objection and self.event.membership is not JOIN:
            return ()
        explanation = self.explanation
        return () if explanation is None else explanation.remedies

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the answer as a JSON object, without the remedies, which cost more."""
        return {
            "allowed": bool(self),
            "unknown": self.unknown,
            "text": str(self),
            "event": self.event.document,
            "decision": None if self.decision is None else self.decision.to_dict(),
            "missing": self.missing,
            "hangs_on": list(self.hangs_on),
            "objection": self.objection,
            "shortfalls": list(self.shortfalls),
        }


def told_with(decision: auth.Decision | None, shortfalls: Iterable[str]) -> str:
    """Return a verdict for people, with the levels that fell short."""
    numbers = "; ".join(shortfalls)
    return f"{decision} ({numbers})" if numbers else str(decision)
