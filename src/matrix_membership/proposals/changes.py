"""The differences between two room versions, piece by piece."""

from __future__ import annotations

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonValue
from matrix_membership.membership import Membership
from matrix_membership.proposals.situations import Situation
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
        situation: the smallest situation in which they differ so.
        count: the number of situations that differ so.
    """

    before: Decision
    after: Decision
    situation: Situation
    count: int

    def __str__(self) -> str:
        situation = str(self.situation).replace("\n", "\n    ")
        return f"{self.before}\n{self.after}\n  situations: {self.count}, such as\n    {situation}"

    def explanations(self) -> tuple[auth.Explanation, auth.Explanation]:
        """Explain both decisions. Cost: that of two calls of `auth.explain`."""
        # Made when they are asked for: an explanation costs some hundred checks, and a text needs
        # none.
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
class Move:
    """A move of membership whose verdict differs between two versions.

    Attributes:
        before: the membership before; leave for a user never seen.
        after: the membership that the event gives.
        by_self: whether the user makes the move.
        allowed: whether the second version allows it.
    """

    before: Membership
    after: Membership
    by_self: bool
    allowed: bool


def _explained(situation: Situation, room_version: RoomVersion) -> auth.Explanation:
    return auth.explain(situation.event_in(room_version), situation.state_in(room_version))
