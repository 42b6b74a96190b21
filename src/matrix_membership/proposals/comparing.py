"""What differs between two room versions: rules, and verdicts over situations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.auth import Decision, Rule
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.proposals.situations import Situation, situations
from matrix_membership.room_versions import RoomVersion


@frozen
class RuleChange:
    """A rule that differs between two versions.

    Attributes:
        change: `added`, `removed`, `reworded` or `renumbered`. A reworded rule gives way to
            another one under the same number, or keeps its name and changes what it does.
        number_before: its number before; empty for an added rule.
        number_after: its number after; empty for a removed rule.
        name_before: its name before; empty for an added rule.
        name_after: its name after; empty for a removed rule.
        text: the fact that holds when the rule fires, as it is after the change if it is
            still there.
    """

    change: str
    number_before: str
    number_after: str
    name_before: str
    name_after: str
    text: str

    def __str__(self) -> str:
        numbers = " -> ".join(dict.fromkeys(filter(None, (self.number_before, self.number_after))))
        names = " -> ".join(dict.fromkeys(filter(None, (self.name_before, self.name_after))))
        return f"{self.change:<10} {numbers:<18} {names}: {self.text}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the change as a JSON object."""
        return {
            "change": self.change,
            "number_before": self.number_before or None,
            "number_after": self.number_after or None,
            "name_before": self.name_before or None,
            "name_after": self.name_after or None,
            "text": self.text,
        }


@frozen
class VerdictChange:
    """Events that one version allows and the other rejects, for one pair of rules.

    Attributes:
        before: the decision of the first version.
        after: the decision of the second one.
        situation: the first situation in which they differ so.
        count: the number of situations that differ so.
    """

    before: Decision
    after: Decision
    situation: Situation
    count: int

    def __str__(self) -> str:
        situation = str(self.situation).replace("\n", "\n    ")
        return (
            f"{self.before}\n{self.after}\n  in {self.count} situations, such as\n    {situation}"
        )

    def explanations(self) -> tuple[auth.Explanation, auth.Explanation]:
        """Explain both decisions. Cost: that of two calls of `auth.explain`."""
        before, after = self.before.room_version, self.after.room_version
        return _explained(self.situation, before), _explained(self.situation, after)

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the change as a JSON object, both sides explained."""
        before, after = self.explanations()
        return {
            "before": before.to_dict(),
            "after": after.to_dict(),
            "situation": self.situation.to_dict(),
            "count": self.count,
        }


@frozen
class Comparison:
    """The differences between two room versions.

    Attributes:
        before: the first version.
        after: the second version.
        rules: the rules that differ, in the order of the lists.
        verdicts: the verdicts that differ: one for each pair of rules, most frequent first.
        compared: the number of situations that were judged by both versions.
    """

    before: RoomVersion
    after: RoomVersion
    rules: tuple[RuleChange, ...]
    verdicts: tuple[VerdictChange, ...]
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
            "compared": self.compared,
        }


def compare(before: RoomVersion, after: RoomVersion, cases: Iterable[Situation] = ()) -> Comparison:
    """Compare two room versions.

    Args:
        before: a version.
        after: another one, such as a version of your own.
        cases: more situations to judge, after the list of `situations`. One that a version
            cannot read is passed over.

    Returns:
        The rules that differ, and for each pair of rules (before, after) whose verdicts
        differ the first situation that shows it. Cost: about a second, and linear in the
        number of cases.

    >>> from matrix_membership.room_versions import V9, V10
    >>> comparison = compare(V9, V10)
    >>> [str(change) for change in comparison.rules if change.change == "reworded"][0]
    ... # doctest: +NORMALIZE_WHITESPACE
    'reworded 4.7.1 knock.join_rule_is_not_knock ->
    knock.join_rule_is_not_knock_or_knock_restricted: The join rule is neither knock nor knock_restricted.'
    """
    found: dict[tuple[str, str], list[VerdictChange]] = {}
    counts: dict[tuple[str, str], int] = {}
    compared = 0
    for situation in chain(situations(), cases):
        try:
            decisions = situation.decision_in(before), situation.decision_in(after)
        except InvalidEvent:  # without an event there is nothing to judge
            continue
        compared += 1
        first, second = decisions
        if first.allowed is second.allowed:
            continue
        pair = first.rule, second.rule
        counts[pair] = counts.get(pair, 0) + 1
        if pair not in found:
            found[pair] = [VerdictChange(first, second, situation, 1)]
    changes = [
        VerdictChange(shown.before, shown.after, shown.situation, counts[pair])
        for pair, (shown,) in found.items()
    ]
    changes.sort(key=lambda change: -change.count)
    return Comparison(before, after, _rule_changes(before, after), tuple(changes), compared)


def _explained(situation: Situation, room_version: RoomVersion) -> auth.Explanation:
    return auth.explain(situation.event_in(room_version), situation.state_in(room_version))


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
    if rule.applies is not rule_after.applies or rule.allows is not rule_after.allows:
        return RuleChange("reworded", number, number_after, name, name, text)
    if number != number_after:
        return RuleChange("renumbered", number, number_after, name, name, text)
    return None


def _replaced(gone: Mapping[str, tuple[str, Rule]], number: str, rule: Rule) -> str | None:
    """Return the rule that had a number before, with the same verdict."""
    for name, (number_before, before) in gone.items():
        if number_before == number and before.allows is rule.allows:
            return name
    return None
