"""One finding of `lint`, and its weight."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from matrix_membership._attrs import Word, frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.events import Event
from matrix_membership.state import RoomState


class Weight(Word):
    """The weight of a finding: it hurts now, it may hurt, or it is good to know."""

    HURTS = "hurts"
    MAY_HURT = "may hurt"
    NOTE = "note"


@frozen
class Finding:
    """One thing in a room that hurts, or may.

    Attributes:
        kind: a name with hyphens that stays the same between releases.
        weight: its weight.
        event: the state event to mend; None if one is missing.
        concerns: the users, servers, rooms or keys affected.
        sentence: what happens to whom.
        remedy: how to mend it.
    """

    kind: str
    weight: Weight
    event: Event | None
    concerns: tuple[str, ...]
    sentence: str
    remedy: str

    def __str__(self) -> str:
        about = f" [{', '.join(self.concerns)}]" if self.concerns else ""
        return f"{self.weight}: {self.sentence}{about}; {self.remedy}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the finding as a JSON object; its event by type, state key and ID."""
        event = self.event
        mend: dict[str, JsonValue] | None = None
        if event is not None:
            event_id = event.event_id or None
            mend = {"type": event.type, "state_key": event.state_key, "event_id": event_id}
        return {
            "kind": self.kind,
            "weight": str(self.weight),
            "event": mend,
            "concerns": list(self.concerns),
            "sentence": self.sentence,
            "remedy": self.remedy,
        }


Check = Callable[[RoomState], Iterable[Finding]]
"""A function that looks for one thing in the state of a room."""
