"""The values that tell who can do what in a room, and how they are printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.identifiers import UserID
from matrix_membership.membership import Membership
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import CREATOR_POWER_LEVEL

TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "send": "send messages",
        "redact": "redact others' messages",
        "notify": "notify the whole room",
        "invite": "invite",
        "kick": "kick",
        "ban": "ban",
        "unban": "unban",
        "name": "change the name",
        "topic": "change the topic",
        "avatar": "change the avatar",
        "history": "change who sees history",
        "join-rules": "change who may join",
        "acl": "shut servers out",
        "change-levels": "change power levels",
        "upgrade": "upgrade the room",
        "join": "join",
        "knock": "knock",
    }
)
"""The actions by name, with a title for people."""

CELLS: Final = MappingProxyType({True: "yes", False: "no", None: "unknown"})


@frozen
class Answer:
    """The answer to one question, for all members of a rank.

    Attributes:
        action: a name with hyphens that stays the same between releases: `change-levels`.
        allowed: true or false; None if the state leaves out what decides.
        why: the answer in a sentence, with the rule that decided.
        url: the rule's place in the specification; empty if no rule decided.
    """

    action: str
    allowed: bool | None
    why: str
    url: str

    def __str__(self) -> str:
        return f"{TITLES[self.action]}: {self.why}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the answer as a JSON object."""
        return {"action": self.action, "allowed": self.allowed, "why": self.why, "url": self.url}


@frozen
class Need:
    """A power level that an action needs.

    Attributes:
        name: `kick`, or an event type.
        level: the level.
        source: the entry of the power levels that sets it: `state_default`; empty for a default
            of the specification.
    """

    name: str
    level: int
    source: str

    def __str__(self) -> str:
        return f"{self.level} by {self.source or 'default'}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the level as a JSON object."""
        return {"name": self.name, "level": self.level, "source": self.source}


@frozen
class Standing:
    """The things that decide what a joined member may do.

    Attributes:
        level: the power level; 2**53 for the infinite one of a creator in version 12.
        source: where it comes from: `users`, `users_default`, `creator` and so on.
        barred: why other servers refuse all that the member sends; empty if they do not.
    """

    level: int
    source: str
    barred: str = ""

    def __str__(self) -> str:
        barred = f", but {self.barred}" if self.barred else ""
        return f"{level_text(self.level)} by {self.source}{barred}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the standing as a JSON object; an infinite level is null."""
        level = None if self.level >= CREATOR_POWER_LEVEL else self.level
        return {"level": level, "source": self.source, "barred": self.barred}


@frozen
class Rank:
    """The members of one standing, and what they may do.

    Attributes:
        standing: their level and its source.
        members: the first five of them.
        count: the number of all.
        answers: an answer for each action.
    """

    standing: Standing
    members: tuple[UserID, ...]
    count: int
    answers: tuple[Answer, ...]

    @property
    def can(self) -> frozenset[str]:
        """The actions that they may take for certain."""
        return frozenset(answer.action for answer in self.answers if answer.allowed)

    def __str__(self) -> str:
        return f"{self.standing}: {people(self.members, self.count)}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the rank as a JSON object."""
        return {
            **self.standing.to_dict(),
            "members": list(self.members),
            "count": self.count,
            "answers": [answer.to_dict() for answer in self.answers],
        }


@frozen
class Away:
    """A user who has a level of their own, but is not joined.

    Attributes:
        user: the user.
        membership: their membership.
        standing: the level that counts once they join.
    """

    user: UserID
    membership: Membership
    standing: Standing

    def __str__(self) -> str:
        return f"{self.user} ({self.membership}): {self.standing}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return it as a JSON object."""
        return {
            "user": self.user,
            "membership": str(self.membership),
            **self.standing.to_dict(),
        }


@frozen
class Powers:
    """The powers of the members of a room.

    Attributes:
        room_version: the version of the room.
        needs: for each action, the levels that it needs.
        ranks: the members by standing, highest level first. The rank of those without a level
            of their own is always among them.
        away: users with a level of their own who are not joined.
        newcomer: the standing of a user who joins without a level of their own.
        entry: whether a user from outside may join or knock.
        whole: whether all members are at hand.
    """

    room_version: RoomVersion
    needs: tuple[tuple[Need, ...], ...]
    ranks: tuple[Rank, ...]
    away: tuple[Away, ...]
    newcomer: Standing
    entry: tuple[Answer, ...]
    whole: bool

    @property
    def in_charge(self) -> tuple[Rank, ...]:
        """The ranks with a member who may change the power levels, and so can give power."""
        return tuple(rank for rank in self.ranks if rank.count and "change-levels" in rank.can)

    def __str__(self) -> str:
        parts = [f"Who can do what in a room of version {self.room_version}"]
        parts += [part("Ranks", self.ranks)]
        parts += ["\n".join(lines) for lines in self._tables()]
        parts += [part("A user from outside", self.entry)]
        if self.away:
            parts += [part("Power of users who are not joined", self.away)]
        if not self.whole:
            parts += ["There may be more: the state leaves members out."]
        return "\n\n".join(parts)

    def _tables(self) -> Iterator[list[str]]:
        """Yield the matrix, in tables of as many ranks as fit beside each other."""
        for start in range(0, len(self.ranks), _COLUMNS):
            ranks = self.ranks[start : start + _COLUMNS]
            heads = [level_text(rank.standing.level) for rank in ranks]
            widths = [max(8, len(head) + 1) for head in heads]
            yield [_line("Actions", heads, widths, "needs"), *self._rows(ranks, widths)]

    def _rows(self, ranks: Sequence[Rank], widths: Sequence[int]) -> Iterator[str]:
        for index, needs in enumerate(self.needs):
            answers = [rank.answers[index] for rank in ranks]
            # The highest one decides.
            told = str(max(needs, key=lambda need: need.level))
            cells = [CELLS[answer.allowed] for answer in answers]
            yield _line(f"  {TITLES[answers[0].action]}", cells, widths, told)

    def to_dict(self) -> dict[str, JsonValue]:
        """Return all as a JSON object."""
        actions = [answer.action for answer in self.ranks[0].answers]
        return {
            "room_version": self.room_version.identifier,
            "needs": {
                action: [need.to_dict() for need in needs]
                for action, needs in zip(actions, self.needs, strict=True)
            },
            "ranks": [rank.to_dict() for rank in self.ranks],
            "away": [away.to_dict() for away in self.away],
            "entry": [answer.to_dict() for answer in self.entry],
            "whole": self.whole,
        }


_COLUMNS: Final = 4


def _line(title: str, cells: Sequence[str], widths: Sequence[int], needs: str) -> str:
    padded = "".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"{title:<26}{padded}{needs}"


def level_text(level: int) -> str:
    """Return a level for people: that of version 12's creators is infinite."""
    return "infinite" if level >= CREATOR_POWER_LEVEL else str(level)


def people(
    members: Sequence[str], count: int, shown: Callable[[str], str] = str, nobody: str = "nobody"
) -> str:
    """Return members for people: the first ones by name, the others by number."""
    more = count - len(members)
    named = [*map(shown, members), *([f"{more} more"] if more else [])]
    return ", ".join(named) or nobody


def part(title: str, lines: Iterable[object]) -> str:
    """Return a part of a text: its title, and its lines below that."""
    return "\n".join([title, *(f"  {line}" for line in lines)])
