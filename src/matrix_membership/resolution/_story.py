"""The story of a resolution: the events that were considered, and their outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from matrix_membership._attrs import frozen
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonValue
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID, UserID
from matrix_membership.resolution._mainline import OFF_MAINLINE
from matrix_membership.resolution._records import Outcome, Rank, Record, Stage, without_end
from matrix_membership.resolution._state_sets import Place
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import CREATOR_POWER_LEVEL

__all__ = ["Considered", "Dispute", "Story", "story_of"]


@frozen
class Considered:
    """One event that was considered.

    Attributes:
        number: its number in the order in which events were considered, from 1; 0 for one that
            never had its turn.
        event_id: its ID.
        place: its type and state key; None for an event that is not at hand and that no state has.
        sender: who sent it; None for an event that is not at hand.
        membership: of a member event, the membership that it gives.
        stage: the step of the algorithm in which it had its turn.
        why: what put it where it stands in the order, in words.
        outcome: what became of it.
        decision: the decision of the rules, if they were asked.
        wins: it stands in the resolved state.
    """

    number: int
    event_id: EventID
    place: Place | None
    sender: UserID | None
    membership: str | None
    stage: Stage | None
    why: str
    outcome: Outcome
    decision: Decision | None
    wins: bool

    def __str__(self) -> str:
        """Tell the event, the reason for its position, and its outcome, in one line."""
        what = self.event_id if self.place is None else _named(self.place, self.membership)
        sender = f" by {self.sender}" if self.sender else ""
        why = f" ({self.why})" if self.why else ""
        end = "stands" if self.wins else str(self.outcome)
        if self.outcome is Outcome.TAKEN and not self.wins:
            end = "taken, then replaced"
        if self.outcome is Outcome.REFUSED:
            end = str(self.decision)
            if self.wins:
                # Algorithm 1 lets the last one stand; in the others the states have it in common.
                replayed = self.stage in (Stage.POWER_EVENTS, Stage.MAINLINE)
                why_it_stands = "no state disputes it" if replayed else "none was allowed"
                end += f"; {why_it_stands}, so it stands"
        return f"{what}{sender}{why}: {end}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the event and its outcome as a JSON object."""
        decision = self.decision
        return {
            "number": self.number,
            "event_id": self.event_id,
            "type": self.place[0] if self.place else None,
            "state_key": self.place[1] if self.place else None,
            "sender": self.sender,
            "membership": self.membership,
            "stage": str(self.stage) if self.stage else None,
            "why": self.why,
            "outcome": str(self.outcome),
            "rule": decision.rule if decision is not None else None,
            "rule_number": decision.number if decision is not None else None,
            "wins": self.wins,
        }


@frozen
class Dispute:
    """A place that was not the same in all states.

    Attributes:
        place: its type and state key.
        winner: the ID of the event that stands there now; None when none does.
        candidates: the events that were considered for it, in their order.
    """

    place: Place
    winner: EventID | None
    candidates: tuple[Considered, ...]

    def __str__(self) -> str:
        """Tell the place, the event that stands there, and its candidates, one a line."""
        lines = [f"{_named(self.place, None)}: {self.winner or 'nothing stands here'}"]
        for entry in self.candidates:
            number = f"{entry.number}. " if entry.number else ""
            lines.append(f"  {number}{entry.event_id} {entry}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the place with its candidates as a JSON object."""
        return {
            "type": self.place[0],
            "state_key": self.place[1],
            "winner": self.winner,
            "candidates": [entry.to_dict() for entry in self.candidates],
        }


@frozen
class Story:
    """The account of a resolution.

    Attributes:
        room_version: the version of the room.
        algorithm: the algorithm.
        considered: all events that were considered, in order.
        disputes: each place that was not the same in all states, sorted.
    """

    room_version: RoomVersion
    algorithm: str
    considered: tuple[Considered, ...]
    disputes: tuple[Dispute, ...]

    def __str__(self) -> str:
        """Tell the events in order, then the winner of each place."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        version, count = self.room_version, len(self.disputes)
        yield f"state resolution {self.algorithm}, room version {version}: places in dispute: {count}"
        stage: Stage | None = None
        for entry in self.considered:
            if entry.number:
                if entry.stage is not stage:
                    stage = entry.stage
                    yield f"{stage}:"
                yield f"  {entry.number}. {entry}"
        for dispute in self.disputes:
            yield str(dispute)

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the story as a JSON object."""
        return {
            "room_version": self.room_version.identifier,
            "algorithm": self.algorithm,
            "considered": [entry.to_dict() for entry in self.considered],
            "disputes": [dispute.to_dict() for dispute in self.disputes],
        }


def story_of(
    room_version: RoomVersion,
    algorithm: str,
    records: tuple[Record, ...],
    conflicted: Mapping[Place, tuple[EventID, ...]],
    state: Mapping[Place, EventID],
    events: Mapping[EventID, Event],
) -> Story:
    """Tell the story of some records. Cost: n log n in it."""
    # A missing event has no type to show, but the states said where it stands. So the story can
    # name the place of an event that nobody could look up.
    listed = {event_id: place for place, ids in conflicted.items() for event_id in ids}
    considered = list(_considered(records, listed, state, events))
    seen = {entry.event_id for entry in considered}
    rest = without_end(None, listed.keys() - seen, Outcome.UNDISPUTED)
    considered += _considered((rest,), listed, state, events)
    by_place: dict[Place | None, list[Considered]] = {}
    for entry in considered:
        by_place.setdefault(entry.place, []).append(entry)
    disputes = [
        Dispute(place, state.get(place), tuple(by_place.get(place, ())))
        for place in sorted(conflicted)
    ]
    return Story(room_version, algorithm, tuple(considered), tuple(disputes))


def _considered(
    records: tuple[Record, ...],
    listed: Mapping[EventID, Place],
    state: Mapping[Place, EventID],
    events: Mapping[EventID, Event],
) -> Iterator[Considered]:
    number = 0
    for stage, ranks, ends in records:
        for rank, end in zip(ranks, ends, strict=True):
            event_id = rank[2]
            event = events.get(event_id)
            place = listed.get(event_id)
            if event is not None:
                place = event.type, event.state_key or ""
            decision = end if isinstance(end, Decision) else None
            # Numbers count turns, so that "12." in the text and in the picture mean the same event.
            had_a_turn = end not in (Outcome.MISSING, Outcome.UNORDERED, Outcome.UNDISPUTED)
            number += had_a_turn
            yield Considered(
                number=number if had_a_turn else 0,
                event_id=event_id,
                place=place,
                sender=event.sender if event else None,
                membership=str(event.membership) if event and event.membership else None,
                stage=stage,
                why=_why(stage, rank) if had_a_turn else "",
                outcome=_outcome(end),
                decision=decision,
                wins=place is not None and state.get(place) == event_id,
            )


def _outcome(end: Decision | Outcome) -> Outcome:
    if isinstance(end, Outcome):
        return end
    return Outcome.TAKEN if end.allowed else Outcome.REFUSED


def _why(stage: Stage | None, rank: Rank) -> str:
    first, second, _ = rank
    if stage is Stage.POWER_EVENTS:
        level = "infinite" if first == -CREATOR_POWER_LEVEL else -first
        return f"power level {level}, sent at {second}"
    if stage is Stage.MAINLINE:
        position = "off the mainline" if first == -OFF_MAINLINE else f"mainline position {-first}"
        return f"{position}, sent at {second}"
    return f"depth {first}, hash {str(second)[:8]}"


def _named(place: Place, membership: str | None) -> str:
    """Name a place in a few words: the type, the membership, the state key."""
    return " ".join(part for part in (place[0], membership, place[1]) if part)
