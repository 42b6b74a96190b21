"""Tell what events would do to a room, before anybody sends them.

Each event is judged by the rules on the state after those before it. An event that is
rejected changes nothing, as on every server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.advice._given import require
from matrix_membership.advice._permission import told_with
from matrix_membership.advice._powers import (
    TITLES,
    Answer,
    Powers,
    Standing,
    level_text,
    part,
    people,
)
from matrix_membership.advice.powers import SHOWN, Standings, who_can
from matrix_membership.auth.explaining import evidence_for
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.identifiers import UserID
from matrix_membership.membership import JOIN
from matrix_membership.receipt.server_acl import permits
from matrix_membership.state import RoomState

__all__ = ["what_if"]


@frozen
class Step:
    """One event and its verdict. It is true if the event takes effect.

    Attributes:
        event: the event.
        decision: the verdict of the rules on the state before it.
        objection: why other servers refuse an event that the rules allow; empty if they do not.
        shortfalls: the levels that fell short: `@ben:b.example has 0, ban needs 50`.
        evidence: the state events that the rules read.
    """

    event: Event
    decision: auth.Decision
    objection: str
    shortfalls: tuple[str, ...]
    evidence: tuple[Event, ...]

    def __bool__(self) -> bool:
        return self.decision.allowed and not self.objection

    def __str__(self) -> str:
        place = f" {self.event.state_key}" if self.event.state_key else ""
        return f"{self.event.type}{place} by {self.event.sender}: {self.verdict}"

    @property
    def verdict(self) -> str:
        """The verdict with its reason, in a sentence."""
        if self.objection:
            return f"no: {self.objection}"
        return told_with(self.decision, self.shortfalls)

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the step as a JSON object."""
        return {
            "event": self.event.document,
            "decision": self.decision.to_dict(),
            "objection": self.objection,
            "shortfalls": list(self.shortfalls),
        }


@frozen
class Difference:
    """Users who can do more or less than before.

    Attributes:
        members: the first of them; nobody for a user who would join without a level of their
            own, if the room has none such.
        count: the number of them.
        before: their standing before; None if they are not joined.
        after: their standing after.
        gained: the actions that only the room after the events lets them take.
        lost: those that only the room before lets them take.
    """

    members: tuple[UserID, ...]
    count: int
    before: Standing | None
    after: Standing | None
    gained: tuple[str, ...]
    lost: tuple[str, ...]

    @property
    def who(self) -> str:
        """The users, for people."""
        return people(self.members, self.count) if self.count else "a user who joins"

    def __str__(self) -> str:
        gained = ", ".join(TITLES[action] for action in self.gained)
        lost = ", ".join(TITLES[action] for action in self.lost)
        told = [f"may now {gained}"] if gained else []
        told += [f"may no longer {lost}"] if lost else []
        return f"{self.who} ({self.moved}): {'; '.join(told) or 'may do the same'}"

    @property
    def moved(self) -> str:
        """The levels before and after, for people."""
        before, after = (
            level_text(standing.level) if standing else "not joined"
            for standing in (self.before, self.after)
        )
        return before if before == after else f"{before} to {after}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the difference as a JSON object."""
        return {
            "who": self.who,
            "members": list(self.members),
            "count": self.count,
            "before": None if self.before is None else self.before.to_dict(),
            "after": None if self.after is None else self.after.to_dict(),
            "gained": list(self.gained),
            "lost": list(self.lost),
        }


@frozen
class WhatIf:
    """The effect of events on a room. It is true if all of them take effect.

    Attributes:
        steps: the events with their verdicts.
        state: the state after them.
        before: the powers of all before them.
        after: the powers of all after them.
        differences: the users who can do more or less, highest level first.
        entry: the answers to a user from outside that differ, before and after.
    """

    steps: tuple[Step, ...]
    state: RoomState
    before: Powers
    after: Powers
    differences: tuple[Difference, ...]
    entry: tuple[tuple[Answer, Answer], ...]

    def __bool__(self) -> bool:
        return all(self.steps)

    def __str__(self) -> str:
        title = f"What would be in a room of version {self.state.room_version}"
        parts = [title, part("Events", self.steps)]
        if self.differences:
            parts += [part("Who can do more or less", self.differences)]
        if self.entry:
            told = [f"{before}\n    then {after.why}" for before, after in self.entry]
            parts += [part("A user from outside", told)]
        if not self.differences and not self.entry:
            parts += ["Nobody can do more or less than before."]
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, JsonValue]:
        """Return all as a JSON object."""
        return {
            "steps": [step.to_dict() for step in self.steps],
            "differences": [difference.to_dict() for difference in self.differences],
            "entry": [[before.to_dict(), after.to_dict()] for before, after in self.entry],
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
        }


def what_if(state: RoomState, events: Iterable[Event]) -> WhatIf:
    """Tell what events would do to a room.

    Args:
        state: the current state of the room.
        events: the events, in the order in which they would be sent. The servers in
            `Event.signed_by` count as having signed.

    Returns:
        The verdict on each, and who can do what before and after. Cost: that of `who_can`,
        twice, and of `RoomState.with_event` for each event.

    Raises:
        IncompleteState: as from `who_can`.
        TypeError: the state or an event is something else, such as JSON.

    >>> from matrix_membership.room_versions import V11
    >>> message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
    >>> event = Event.from_client_event(message, V11)
    >>> print(what_if(RoomState.of(V11, []), [event]).steps[0])
    m.room.message by @ana:a.example: rejected by rule 2.4 of room version 11: the auth events contain no create event

    .. versionadded:: 0.1.0
    """
    require(RoomState, state)
    after, steps = state, []
    for event in events:
        require(Event, event)
        steps.append(_step(event, after))
        if steps[-1]:
            after = after.with_event(event)
    told = who_can(state), who_can(after)
    return WhatIf(
        tuple(steps), after, *told, tuple(differences(state, after, *told)), entries(*told)
    )


def _step(event: Event, state: RoomState) -> Step:
    decision, objection = auth.check(event, state), ""
    # Stripped state leaves the list out as a rule, and most rooms have none.
    with suppress(IncompleteState):
        if not permits(state, event.server):
            objection = f"the access control list bans {event.server}"
    shortfalls = tuple(map(str, auth.shortfalls(event, state, decision)))
    return Step(event, decision, objection, shortfalls, evidence_for(event, state, auth.check))


def differences(
    state: RoomState, changed: RoomState, before: Powers, after: Powers
) -> Iterator[Difference]:
    """Yield the users who can do more or less in the second room."""
    groups: dict[tuple[Standing | None, Standing | None], list[UserID]] = {}
    old, new = Standings(state), Standings(changed)
    for user in dict.fromkeys([*state.joined_members(), *changed.joined_members()]):
        pair = (
            old.of(user) if state.membership_of(user) is JOIN else None,
            new.of(user) if changed.membership_of(user) is JOIN else None,
        )
        groups.setdefault(pair, []).append(user)
    groups.setdefault((before.newcomer, after.newcomer), [])
    could: dict[Standing | None, frozenset[str]] = {
        rank.standing: rank.can for rank in before.ranks
    }
    can: dict[Standing | None, frozenset[str]] = {rank.standing: rank.can for rank in after.ranks}
    for (had, has), users in sorted(groups.items(), key=_by_level):
        lost = could.get(had, frozenset()) - can.get(has, frozenset())
        gained = can.get(has, frozenset()) - could.get(had, frozenset())
        if had != has or lost or gained:
            yield Difference(
                tuple(users[:SHOWN]),
                len(users),
                had,
                has,
                tuple(action for action in TITLES if action in gained),
                tuple(action for action in TITLES if action in lost),
            )


def _by_level(group: tuple[tuple[Standing | None, ...], object]) -> list[int]:
    return [-standing.level if standing else 0 for standing in group[0]]


def entries(before: Powers, after: Powers) -> tuple[tuple[Answer, Answer], ...]:
    """Return the answers to a user from outside that differ."""
    pairs = zip(before.entry, after.entry, strict=True)
    return tuple((old, new) for old, new in pairs if _meaning(old) != _meaning(new))


def _meaning(answer: Answer) -> tuple[bool | None, str]:
    # Without the rule's number, which another room version may give to the same rule.
    return answer.allowed, answer.why.partition(": ")[2]
