"""Compare two room versions: their rules, and their verdicts over situations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from matrix_membership import auth
from matrix_membership._attrs import evolve, frozen
from matrix_membership.auth import Decision, Rule
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import MEMBER_KINDS
from matrix_membership.identifiers import UserID
from matrix_membership.proposals._page import page_of
from matrix_membership.proposals.changes import Move, RuleChange, VerdictChange
from matrix_membership.proposals.situations import Situation, situations
from matrix_membership.room_versions import RoomVersion, require_room_version


@frozen
class Comparison:
    """The differences between two room versions.

    Attributes:
        before: the first version.
        after: the second version.
        rules: the rules that differ, in the order of the lists.
        verdicts: the verdicts that differ: one for each pair of rules, most frequent first.
        moves: the moves of membership whose verdict differs in some situation.
        compared: the number of situations that were judged by both versions.
    """

    before: RoomVersion
    after: RoomVersion
    rules: tuple[RuleChange, ...]
    verdicts: tuple[VerdictChange, ...]
    moves: frozenset[Move]
    compared: int

    def __str__(self) -> str:
        """Return the differences as a text."""
        heading = f"Room version {self.before} compared with {self.after}"
        rules = [str(change) for change in self.rules] or ["no rule differs"]
        verdicts = [str(change) for change in self.verdicts] or ["no verdict differs"]
        told = f"Verdicts, in {self.compared} situations"
        return "\n\n".join([heading, "\n".join(["Rules", *rules]), told, *verdicts])

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the differences as a JSON object."""
        return {
            "before": self.before.identifier,
            "after": self.after.identifier,
            "rules": [change.to_dict() for change in self.rules],
            "verdicts": [change.to_dict() for change in self.verdicts],
            "moves": [
                [str(move.before), str(move.after), move.by_self, move.allowed]
                for move in sorted(self.moves, key=str)
            ],
            "compared": self.compared,
        }

    def to_html(self) -> str:
        """Return the differences as a page of HTML that needs no other file.

        Cost: as the explanations of both decisions of each verdict that differs.
        """
        return page_of(
            self.before, self.after, self.rules, self.verdicts, self.moves, self.compared
        )


def compare(before: RoomVersion, after: RoomVersion, cases: Iterable[Situation] = ()) -> Comparison:
    """Compare two room versions.

    Args:
        before: a version.
        after: another one, such as a version of your own.
        cases: more situations to judge, after the list of `situations`. One that a version
            cannot read is passed over. The rules on auth events are listed, but not tried: a
            situation has none.

    Returns:
        The rules that differ, and for each pair of rules (before, after) whose verdicts
        differ the smallest situation that shows it: the smallest one judged, with only
        the parts that the two decisions need. Cost: about a second, and one for each
        thousand cases.

    >>> from matrix_membership.room_versions import V9, V10
    >>> comparison = compare(V9, V10)
    >>> [str(change) for change in comparison.rules if change.change == "reworded"][0]
    ... # doctest: +NORMALIZE_WHITESPACE
    'reworded 4.7.1 knock.join_rule_is_not_knock ->
    knock.join_rule_is_not_knock_or_knock_restricted: The join rule is neither knock nor knock_restricted.'

    .. versionadded:: 0.1.0
    """
    require_room_version(before)
    require_room_version(after)
    found: dict[tuple[str, str], VerdictChange] = {}
    moves: set[Move] = set()
    compared = 0
    own = sorted({*before.own_join_rules, *after.own_join_rules})
    for situation in chain(situations(own), cases):
        decisions = _decisions(situation, before, after)
        if decisions is None:
            continue
        compared += 1
        first, second = decisions
        # Two rules with the same verdict split no room. The list of rules shows them.
        if first.allowed is second.allowed:
            continue
        moves |= _moves(situation, second)
        # Hundreds of situations can differ for one reason: the smallest of them is kept.
        pair = first.rule, second.rule
        known = found.get(pair, VerdictChange(first, second, situation, 0))
        smallest = min(known.situation, situation, key=lambda either: either.size)
        found[pair] = evolve(known, count=known.count + 1, situation=smallest)
    changes = [_shrunk(change) for change in found.values()]
    changes.sort(key=lambda change: -change.count)
    rules = _rule_changes(before, after)
    return Comparison(before, after, rules, tuple(changes), frozenset(moves), compared)


def _shrunk(change: VerdictChange) -> VerdictChange:
    """Leave out of the situation what the two decisions do not need."""
    before, after = change.before, change.after

    def shows(situation: Situation) -> bool:
        decisions = _decisions(situation, before.room_version, after.room_version)
        return decisions == (before, after)

    return evolve(change, situation=shrunk(change.situation, shows))


def _decisions(
    situation: Situation, before: RoomVersion, after: RoomVersion
) -> tuple[Decision, Decision] | None:
    """Judge by both versions. Without an event there is nothing to judge: None."""
    try:
        return situation.decision_in(before), situation.decision_in(after)
    except InvalidEvent:
        return None


def _moves(situation: Situation, after: Decision) -> set[Move]:
    """Return the move that a member event makes."""
    event = situation.event_in(after.room_version)
    if event.kind not in MEMBER_KINDS.values() or event.membership is None:
        return set()
    had = situation.state_in(after.room_version).membership_of(UserID(str(event.state_key)))
    return {Move(had, event.membership, event.sender == event.state_key, after.allowed)}


def _rule_changes(before: RoomVersion, after: RoomVersion) -> tuple[RuleChange, ...]:
    """Return the rules that differ, those of the second list first."""
    old = {rule.name: (number, rule) for number, rule in auth.rulebook(before)}
    new = {rule.name: (number, rule) for number, rule in auth.rulebook(after)}
    gone = {name: entry for name, entry in old.items() if name not in new}
    changes: list[RuleChange] = []
    for name, (number, rule) in new.items():
        if name in old:
            if (change := _kept(*old[name], number, rule)) is not None:
                changes.append(change)
            continue
        replaced = _replaced(gone, number, rule)
        if replaced is None:
            changes.append(RuleChange("added", "", number, "", name, rule.text))
        else:
            del gone[replaced]
            changes.append(RuleChange("reworded", number, number, replaced, name, rule.text))
    for name, (number, rule) in gone.items():
        changes.append(RuleChange("removed", number, "", name, "", rule.text))
    return tuple(changes)


def _kept(number: str, rule: Rule, number_after: str, rule_after: Rule) -> RuleChange | None:
    """Return the change of a rule that keeps its name; None if it is the same."""
    name, text = rule.name, rule_after.text
    # By identity: versions with the same wording share a function, and a new wording is a new one.
    if rule.applies is not rule_after.applies or rule.allows is not rule_after.allows:
        return RuleChange("reworded", number, number_after, name, name, text)
    if number != number_after:
        return RuleChange("renumbered", number, number_after, name, name, text)
    return None


def _replaced(gone: Mapping[str, tuple[str, Rule]], number: str, rule: Rule) -> str | None:
    """Return the rule that had a number before, with the same verdict."""
    for name, (number_before, before) in gone.items():
        # A guess that readers of both texts would make too: the same number and verdict, in other
        # words.
        if number_before == number and before.allows is rule.allows:
            return name
    return None


# ------------------------------------------------------------------ smaller situations


def shrunk(situation: Situation, shows: Callable[[Situation], bool]) -> Situation:
    """Leave out all that a situation does not need.

    Args:
        situation: the situation.
        shows: tells whether another one shows the same.

    Returns:
        The situation with only those parts that it needs. Cost: at most one question for
        each pair of its parts.
    """
    for smaller in _smaller(situation):
        if shows(smaller):
            return shrunk(smaller, shows)
    return situation


def _smaller(situation: Situation) -> Iterator[Situation]:
    """Yield the situation without one of its parts: whole events first, then keys."""
    state = situation.state
    # From the end: what comes last depends on what comes first, seldom the other way round.
    for index in reversed(range(len(state))):
        yield evolve(situation, state=(*state[:index], *state[index + 1 :]))
    for index, event in enumerate(state):
        for smaller in _without_a_key(event):
            yield evolve(situation, state=(*state[:index], smaller, *state[index + 1 :]))
    for smaller in _without_a_key(situation.event):
        yield evolve(situation, event=smaller)


def _without_a_key(event: JsonObject) -> Iterator[JsonObject]:
    """Yield an event without one part of its content."""
    for content in _lesser(event["content"]):
        yield JsonObject({**event, "content": content})


def _lesser(value: JsonValue) -> Iterator[JsonValue]:
    """Yield a value without one of its keys or entries, at any depth."""
    if isinstance(value, Mapping):
        for key in value:
            yield JsonObject({name: inner for name, inner in value.items() if name != key})
        for key, inner in value.items():
            for lesser in _lesser(inner):
                yield JsonObject({**value, key: lesser})
    elif isinstance(value, tuple):
        for index in range(len(value)):
            yield (*value[:index], *value[index + 1 :])
