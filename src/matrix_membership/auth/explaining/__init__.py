"""Explain a verdict: every rule tried, what it read, and what would help.

The same rules run in the same order as in a check, each against a copy of the state that
notes what is looked up. So an explanation cannot differ from the verdict. It is made for
people, and takes a hundred times longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from matrix_membership._attrs import frozen
from matrix_membership.auth._program import is_silent_for_lack_of
from matrix_membership.auth._rule import MALFORMED, Applies, Decision, Rule, Section, number_in
from matrix_membership.auth._rulebook import rulebook
from matrix_membership.auth._suppositions import suppositions
from matrix_membership.auth.auth_events import AuthEvents
from matrix_membership.auth.explaining._facts import Fact, facts
from matrix_membership.auth.explaining._remedies import Judge, find_remedies
from matrix_membership.auth.explaining._remedies import Remedy as Remedy
from matrix_membership.auth.explaining.levels import Shortfall, shortfalls
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.identifiers import RoomID, ServerName
from matrix_membership.restricted import rooms_to_check, servers_that_can_authorise
from matrix_membership.state import PassedOver, RoomState

StateKey = tuple[str, str]


@frozen
class TriedRule:
    """A rule of the list, or the condition of a numbered group, that was tried.

    Attributes:
        number: its number in this room version.
        name: the rule's name; empty for the condition of a numbered group.
        text: the fact that holds when it fires, or the condition.
        verdict: the verdict of the rule if it fires: `allow` or `reject`; empty for a
            condition.
        fired: whether the rule fired, or the condition holds; None if the state leaves out
            what it reads.
        read: the types and state keys that were looked up.
    """

    number: str
    name: str
    text: str
    verdict: str
    fired: bool | None
    read: tuple[StateKey, ...]

    def __str__(self) -> str:
        fired = self.verdict or "yes" if self.fired else "-"
        outcome = "unknown" if self.fired is None else fired
        return f"{self.number:<9} {self.name or '(condition)':<55} {outcome:<7} {self.text}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return it as a JSON object."""
        return {
            "number": self.number,
            "rule": self.name,
            "text": self.text,
            "verdict": self.verdict,
            "fired": self.fired,
            "read": [list(place) for place in self.read],
        }


@frozen
class Explanation:
    """A verdict with its reasons. It is true if the event is allowed.

    Attributes:
        event: the event that was judged.
        decision: the verdict, the same as from `check`.
        steps: the rules tried, in order; the last one decided, or is the one at which the
            verdict is undecided.
        facts: the memberships, levels and join rule that they read, with origins.
        evidence: the state events that they read.
        rooms: for a join to a restricted room, the rooms whose members may join.
        servers: for such a join, the servers that could authorise it, the server of the
            most powerful user first.
        remedies: changes after which the event would be allowed, the smallest first; empty
            if it is allowed or undecided, or if nothing helps.
        levels: for a rejection for want of power, at most three comparisons of the level had
            with the level needed.
        passed_over: the malformed events that the state was made without.
    """

    event: Event
    decision: Decision
    steps: tuple[TriedRule, ...]
    facts: tuple[Fact, ...]
    evidence: tuple[Event, ...]
    rooms: tuple[RoomID, ...]
    servers: tuple[ServerName, ...]
    remedies: tuple[Remedy, ...]
    levels: tuple[Shortfall, ...]
    passed_over: tuple[PassedOver, ...] = ()

    def __bool__(self) -> bool:
        return self.decision.allowed

    @property
    def shortfalls(self) -> tuple[str, ...]:
        """The `levels` in words: `@ben:b.example has 0, ban needs 50`."""
        return tuple(map(str, self.levels))

    def __str__(self) -> str:
        """Return a page for people."""
        parts = (
            ("", [str(self.decision), *self.shortfalls, self.decision.url]),
            ("Rules tried", self.steps),
            ("Facts", self.facts),
            ("State events read", map(_line, self.evidence)),
            ("Rooms whose members may join", self.rooms),
            ("Servers that can authorise the join", self.servers),
            ("What would help", self._help()),
            ("Malformed events that were passed over", self.passed_over),
        )
        return "\n\n".join(
            "\n".join([title, *(f"  {row}" for row in listed)] if title else listed)
            for title, rows in parts
            if (listed := [str(row) for row in rows])
        )

    def _help(self) -> list[str]:
        if self.remedies:
            return [remedy.sentence for remedy in self.remedies]
        if self.decision.allowed:
            return []
        if self.decision.undecided:
            return [f"a state that tells {' and '.join(self.decision.missing)}"]
        return ["no small change of the room or of the event"]

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the explanation as a JSON object."""
        return {
            **self.decision.to_dict(),
            "event": _summary(self.event),
            "steps": [step.to_dict() for step in self.steps],
            "facts": [fact.to_dict() for fact in self.facts],
            "evidence": [_summary(event) for event in self.evidence],
            "rooms": list(self.rooms),
            "servers": list(self.servers),
            "remedies": [remedy.to_dict() for remedy in self.remedies],
            "shortfalls": list(self.shortfalls),
            "passed_over": [_told(entry) for entry in self.passed_over],
        }


def _told(entry: PassedOver) -> dict[str, JsonValue]:
    return {
        "index": entry.index,
        "type": entry.type,
        "state_key": entry.state_key,
        "event_id": entry.event_id or None,
        "error": str(entry.error),
    }


def _line(event: Event) -> str:
    key = f" {event.state_key!r}" if event.state_key else ""
    return f"{event.type}{key} by {event.sender} {event.event_id}".rstrip()


def _summary(event: Event) -> dict[str, JsonValue]:
    return {
        "event_id": event.event_id or None,
        "type": event.type,
        "state_key": event.state_key,
        "sender": event.sender,
    }


# The engine comes as an argument: `auth` imports this module, so this module cannot import it.
def explained(event: Event, state: RoomState, judge: Judge) -> Explanation:
    """Judge an event, and gather all that the verdict rests on.

    Args:
        event: any event.
        state: the state to judge it against.
        judge: the engine, `auth.check`.
    """
    decision = judge(event, state)
    remedies: tuple[Remedy, ...] = ()
    book = rulebook(event.room_version)
    if event.kind == "m.room.create":
        tried = try_rules(book.create, event, lambda _: state)
    # As in `auth.check`: a whole state without a create event is what rule 2.4 rejects, and in
    # version 12 rule 2.
    elif state.knows("m.room.create") and state.create_event is None:
        auth_events = AuthEvents.of(event, (), frozenset(), None, listed=())
        tried = try_rules(book.auth_events, event, lambda _: auth_events)
    else:
        # A page shows one run of the rules. The first supposition stands for all: in it the users
        # left out are invited.
        supposed = next(suppositions(event, state))[1]
        tried = try_rules(book.state_dependent, event, _watched(supposed))
        if not (decision.allowed or decision.undecided):
            remedies = find_remedies(event, state, judge)
    read = _once([place for rule in tried for place in rule.read])
    rooms, servers = _rooms_and_servers(event, state)
    return Explanation(
        event=event,
        decision=decision,
        steps=tried,
        facts=tuple(facts(event, state, read)),
        # From the real state: the member events of a supposed one are made up, and prove nothing.
        evidence=_events_at(read, state),
        rooms=rooms,
        servers=servers,
        remedies=remedies,
        levels=shortfalls(event, state, decision),
        passed_over=state.passed_over,
    )


def try_rules(
    rules: Iterable[Rule | Section], event: Event, against: Callable[[list[StateKey]], Any]
) -> tuple[TriedRule, ...]:
    """Try rows in order until one decides.

    Args:
        rules: the rows.
        event: the event to judge.
        against: makes the state to judge it against; that state notes in the given list
            what is looked up.
    """
    tried: list[TriedRule] = []
    _try(rules, event, against, tried)
    return tuple(tried)


def _try(
    rules: Iterable[Rule | Section],
    event: Event,
    against: Callable[[list[StateKey]], Any],
    tried: list[TriedRule],
) -> bool:
    kind = "" if " " in event.type else event.kind  # no section is about a type with a space
    for row in rules:
        # A rulebook holds the rows of its version alone, so each has a number.
        number = number_in(row.numbers, event.room_version.auth_rules) or ""
        read: list[StateKey] = []
        if isinstance(row, Rule):
            fired = _tried(row.applies, event, against(read), row.name)
            verdict = "allow" if row.allows else "reject"
            tried.append(TriedRule(number, row.name, row.text, verdict, fired, _once(read)))
            # A rule that cannot be tried ends the list too: what comes behind it counts only if it
            # stays silent.
            if fired is not False:
                return True
        # The rule on malformed members is tried on all of them, although their kind settles it.
        elif row.membership is MALFORMED or row.is_about(kind):
            if row.when is not None:
                entered = _tried(row.when, event, against(read))
                tried.append(TriedRule(number, "", row.text, "", entered, _once(read)))
                if entered is None:
                    return True
                if not entered:
                    continue
            if _try(row.rules, event, against, tried):
                return True
    return False


def _tried(applies: Applies, event: Event, state: Any, rule: str = "") -> bool | None:
    """Tell whether a rule fires or a condition holds; None if unknown."""
    try:
        return applies(event, state)
    except IncompleteState as incomplete:
        return False if is_silent_for_lack_of(incomplete, rule) else None


def _once(read: list[StateKey]) -> tuple[StateKey, ...]:
    return tuple(dict.fromkeys(read))


def evidence_for(event: Event, state: RoomState, judge: Judge) -> tuple[Event, ...]:
    """Return the state events that the rules read of an event. Cost: that of a check."""
    read: list[StateKey] = []
    judge(event, _watched(state)(read))
    return _events_at(_once(read), state)


def _events_at(places: Iterable[StateKey], state: RoomState) -> tuple[Event, ...]:
    found = (state.get(*place) for place in places if state.knows(*place))
    return tuple(event for event in found if event is not None)


# A fresh copy for each rule. A state over a look-up keeps what it has read, so a later rule that
# reads the same would seem to read nothing.
def _watched(state: RoomState) -> Callable[[list[StateKey]], RoomState]:
    """Return a function that makes copies of a state which note what is looked up."""

    def against(read: list[StateKey]) -> RoomState:
        def get(event_type: str, state_key: str) -> Event | None:
            read.append((event_type, state_key))
            return state.get(event_type, state_key)

        return RoomState.over(state.room_version, get, partial=state.is_partial)

    return against


def _rooms_and_servers(
    event: Event, state: RoomState
) -> tuple[tuple[RoomID, ...], tuple[ServerName, ...]]:
    rooms: tuple[RoomID, ...] = ()
    servers: tuple[ServerName, ...] = ()
    if event.kind == "m.room.member join":
        with suppress(IncompleteState):  # a list of some servers would pass for a list of all
            rooms = rooms_to_check(state)
            servers = servers_that_can_authorise(state) if rooms else ()
    return rooms, servers
