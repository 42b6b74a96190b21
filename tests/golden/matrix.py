"""The membership matrix: every move, judged in every situation, as a text that can be read.

All combinations are judged. A dimension is left out of a line only when the decisions
in that line are the same along it, and what depends on two of them at once is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Final, NamedTuple

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.auth import Decision
from matrix_membership.room_versions import KNOWN
from tests.builders import ANA, BEN, CAY, Room, a_room

FILE: Final = Path(__file__).parent / "membership_matrix.txt"

VERSIONS: Final = tuple(
    version for version in KNOWN.values() if version.auth_rules == int(version.identifier)
)
"""The versions that brought a rule list of their own."""

SENDER, TARGET, AUTHORISER = BEN, CAY, ANA

SEEN: Final = ("leave", "invite", "join", "ban", "knock")
NEVER_SEEN: Final = "never seen"
MEMBERSHIPS: Final = (*SEEN, NEVER_SEEN)

RULES: Final = (
    "none",
    "public",
    "invite",
    "knock",
    "private",
    "restricted",
    "restricted*",
    "kn_restr",
    "kn_restr*",
)


class Power(NamedTuple):
    """What sender and target may, against an invite, kick and ban level of 50."""

    sender: int
    target: int
    kick: int = 50
    ban: int = 50
    creators: tuple[str, ...] = ()


POWERS: Final[Mapping[str, Power]] = {
    **{
        f"{against_level}{against_target}": Power(50 + level, 50 + level - rank)
        for against_level, level in (("-", -1), ("=", 0), ("+", 1))
        for against_target, rank in (("<", -1), ("=", 0), (">", 1))
    },
    "kick51": Power(50, 49, kick=51),
    "ban51": Power(50, 49, ban=51),
}
CREATORS: Final[Mapping[str, Power]] = {
    "c>": Power(0, 49, creators=(SENDER,)),
    "<c": Power(51, 0, creators=(TARGET,)),
    "cc": Power(0, 0, creators=(SENDER, TARGET)),
}

HEADER: Final = """\
The membership matrix. Made by `python -m tests.golden`; a test makes it again and compares.

A move is a member event: the membership wanted, who sends it (the user of the event or another one), and the
memberships before it, of the sender and of the user. A cell is the verdict, + or -, and the number of the rule.

Everything is judged against every membership (also of a user never seen, which is the same as leave in every cell),
every join rule, and every power. A line shows one of the last two where the decisions depend on it, and neither where
they do not; no move depends on both.

join rule  none: the room has no join rules.  kn_restr: knock_restricted.  *: a joined member of the invite level
           authorises the join and their server signed; without * the event names nobody.
power      first sign: the sender is below (-), at (=) or above (+) the level needed: invite, kick and ban level are 50.
           second sign: the sender is below (<), level with (=) or above (>) the user.
           kick51, ban51: the sender is at 50 and above the user, but that one level is 51.
           c> <c cc: the sender, the user or both are creators of a version 12 room.

Versions not shown: 2 is as 1, 4 and 5 are as 3, 9 is as 8."""


class Line(NamedTuple):
    """One move: a label, and its decisions by join rule and power."""

    wanted: str
    by: str
    sender: str
    target: str
    decisions: Mapping[tuple[str, str], Decision]


def as_leave(membership: str) -> str:
    """The membership, where never seen is leave."""
    return "leave" if membership == NEVER_SEEN else membership


def cell(decision: Decision) -> str:
    """A decision in short."""
    return f"{'+' if decision else '-'}{decision.number}"


class Matrix:
    """All moves of one version."""

    def __init__(self, version: RoomVersion) -> None:
        self.version = version
        self.powers = {**POWERS, **(CREATORS if version.privileged_creators else {})}
        self.room = a_room(version)
        self.creates = {
            name: a_room(version, additional_creators=[ANA, *power.creators]).events[0]
            for name, power in self.powers.items()
        }
        self.levels = {name: self._levels(power) for name, power in self.powers.items()}
        self.rules = {rule: self._rule(rule.removesuffix("*")) for rule in RULES}
        self.members = {
            (user, membership): self._only(self.room.with_member(user, membership))
            for user in (SENDER, TARGET)
            for membership in SEEN
        }

    def _only(self, room: Room) -> Event:
        return room.events[-1]

    def _levels(self, power: Power) -> Event:
        users = {ANA: 100, SENDER: power.sender, TARGET: power.target}
        levels = {"invite": 50, "kick": power.kick, "ban": power.ban}
        return self._only(self.room.with_levels(users, **levels))

    def _rule(self, name: str) -> Event | None:
        if name == "none":
            return None
        return self._only(self.room.with_join_rule(name.replace("kn_restr", "knock_restricted")))

    def state(self, rule: str, power: str, memberships: Mapping[str, str]) -> RoomState:
        """The state of one situation."""
        events = [
            self.creates[power],
            self.room.events[1],
            self.levels[power],
            self.rules[rule],
            *[self.members.get(pair) for pair in memberships.items()],
        ]
        return RoomState.of(self.version, [event for event in events if event is not None])

    def event(self, wanted: str, target: str, *, authorised: bool) -> Event:
        """The event of one move."""
        content = {"join_authorised_via_users_server": AUTHORISER} if authorised else {}
        return self.room.member(SENDER, target, wanted, signed_by=["a.example"], **content)

    def lines(self) -> Iterator[Line]:
        """All moves."""
        for by, target in (("self", SENDER), ("other", TARGET)):
            events = {
                (wanted, authorised): self.event(wanted, target, authorised=authorised)
                for wanted in SEEN
                for authorised in (False, True)
            }
            judged = {
                (wanted, *before): self._judged(wanted, before, by, events)
                for before in self._befores(by)
                for wanted in SEEN
            }
            for (wanted, sender, user), decisions in judged.items():
                as_seen = judged[wanted, as_leave(sender), as_leave(user)]
                assert decisions == as_seen, "never seen is not as leave"
                if NEVER_SEEN not in (sender, user):
                    yield Line(wanted, by, sender, user, decisions)

    def _befores(self, by: str) -> list[tuple[str, str]]:
        if by == "self":
            return [(membership, membership) for membership in MEMBERSHIPS]
        return list(product(MEMBERSHIPS, MEMBERSHIPS))

    def _judged(
        self,
        wanted: str,
        before: tuple[str, str],
        by: str,
        events: Mapping[tuple[str, bool], Event],
    ) -> Mapping[tuple[str, str], Decision]:
        memberships = {SENDER: before[0]} | ({} if by == "self" else {TARGET: before[1]})
        return {
            (rule, power): auth.check(
                events[wanted, rule.endswith("*")], self.state(rule, power, memberships)
            )
            for rule in RULES
            for power in self.powers
        }


def folded(line: Line, columns: Sequence[str], axis: int) -> list[str] | None:
    """The cells along one dimension, or None when the other one matters too."""
    cells = [
        {cell(given) for key, given in line.decisions.items() if key[axis] == column}
        for column in columns
    ]
    if any(len(found) > 1 for found in cells):
        return None
    return [next(iter(found)) for found in cells]


def label(line: Line) -> str:
    """The words that a line begins with."""
    return f"{line.wanted:<7} {line.by:<6} {line.sender:<7} {line.target:<7}"


def rows(title: str, columns: Sequence[str], lines: Sequence[tuple[Line, list[str]]]) -> list[str]:
    """A table of lines with one dimension."""
    head = f"{'wanted':<7} {'by':<6} {'sender':<7} {'user':<7}"
    headed = [f"{head} {' '.join(f'{name:<11}' for name in columns)}".rstrip()]
    written = [
        f"{label(line)} {' '.join(f'{text:<11}' for text in cells)}".rstrip()
        for line, cells in lines
    ]
    return ["", title, *headed, *written]


def section(version: RoomVersion) -> list[str]:
    """The tables of one version."""
    matrix = Matrix(version)
    constant: list[tuple[Line, list[str]]] = []
    by_rule: list[tuple[Line, list[str]]] = []
    by_power: list[tuple[Line, list[str]]] = []
    powers = tuple(matrix.powers)
    for line in sorted(matrix.lines(), key=lambda line: SEEN.index(line.wanted)):
        along_rules, along_powers = folded(line, RULES, 0), folded(line, powers, 1)
        if along_rules is not None and along_powers is not None:
            constant.append((line, along_rules[:1]))
        elif along_rules is not None:
            by_rule.append((line, along_rules))
        elif along_powers is not None:
            by_power.append((line, along_powers))
        else:
            raise AssertionError(f"depends on join rule and power: {label(line)}")
    return [
        "",
        f"==== room version {version} ====",
        *rows("whatever the join rule and the power", ("always",), constant),
        *rows("by join rule, whatever the power", RULES, by_rule),
        *rows("by power, whatever the join rule", powers, by_power),
    ]


def text() -> str:
    """The whole matrix."""
    sections = [line for version in VERSIONS for line in section(version)]
    return "\n".join([HEADER, *sections]) + "\n"
