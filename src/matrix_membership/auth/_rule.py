"""Rules as values: a rule, a section of rules, a decision.

A rule is a function of an event and the state, with a verdict and a number in each
room version that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Any, Final

from attrs import field

from matrix_membership._attrs import constant, evolve, frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidRulebook
from matrix_membership.events import MEMBER_KINDS, Event
from matrix_membership.membership import Membership
from matrix_membership.room_versions import RoomVersion

SPECIFICATION: Final = "https://spec.matrix.org/v1.19"
DOCUMENTATION: Final = ""
"""The address of this library's site, with the slash at its end; empty until it has one."""
# A readable member event has a longer kind (`m.room.member join`), so the bare type is free for the
# malformed ones.
MALFORMED: Final = "m.room.member"
"""The kind of a member event whose membership or state key cannot be read."""

Applies = Callable[[Event, Any], bool]
Numbers = Mapping[int, str | None]


class Category(StrEnum):
    """The reason for a rejection, in a word that is the same in all versions.

    A host maps it to its own errors. Every rule that rejects has one; the values stay the same,
    and compare equal to their texts.

    .. versionadded:: 0.1.0
    """

    ALLOWED = "allowed"
    """The event is allowed."""
    UNDECIDED = "undecided"
    """The verdict depends on events that a partial state leaves out."""
    MALFORMED = "malformed"
    """The event itself has a form that no room allows."""
    AUTH_EVENTS = "auth events"
    """Its list of auth events is wrong, or one of them was rejected."""
    FEDERATION = "federation"
    """The room is not federated, and the sender is of another server."""
    OF_ANOTHER = "of another"
    """Only another user, or another server, may send this."""
    BANNED = "banned"
    """The user is banned."""
    NOT_JOINED = "not joined"
    """The sender is not joined, or has nothing to leave."""
    NOT_INVITED = "not invited"
    """The join rule lets in invited users only, or nobody."""
    ALREADY_JOINED = "already joined"
    """The user is joined already; invited or banned are told by the same rules."""
    JOIN_RULE = "join rule"
    """The join rule does not let anybody knock."""
    AUTHORISER = "authoriser"
    """No user who may invite, or not their server, authorises the restricted join."""
    THIRD_PARTY_INVITE = "third-party invite"
    """The third-party invite is unknown, or another user's, or not signed by its keys."""
    POWER = "power"
    """Somebody's power level is too low: `auth.explain` tells had and needed levels."""
    OTHER = "other"
    """A rule of one's own that names no category, or a list in which no rule fires."""


@frozen
class Decision:
    """The verdict on an event, with the rule that gave it.

    A decision is true if the event is allowed, and false if it is rejected or undecided. So
    `decision or error` loses a decision that rejects: compare with None, or ask `allowed`.

    Attributes:
        allowed: whether the event is allowed.
        rule: the rule's name, the same in all room versions: `join.while_banned`.
        number: the rule's number in this room version, as the specification prints it.
        room_version: the version whose rules were applied.
        text: the fact that held when the rule fired, in one sentence.
        undecided: whether the verdict depends on what a partial state leaves out. An
            undecided event is not allowed.
        missing: of an undecided event, what it depends on: types, each with its state key
            unless that is empty, such as `m.room.join_rules`.
        category: why, in a word to be mapped to a host's own errors.

    .. versionadded:: 0.1.0
    """

    allowed: bool
    rule: str
    number: str
    room_version: RoomVersion
    text: str
    undecided: bool = False
    missing: tuple[str, ...] = ()
    # Not compared: it follows from the rule.
    category: Category = field(default=Category.OTHER, eq=False)

    def __bool__(self) -> bool:
        return self.allowed

    def __str__(self) -> str:
        verdict = (
            "undecided at" if self.undecided else "allowed by" if self.allowed else "rejected by"
        )
        fact = self.text[:1].lower() + self.text[1:].rstrip(".")
        return f"{verdict} rule {self.number} of room version {self.room_version}: {fact}"

    def undecided_for_lack_of(self, *missing: str) -> Decision:
        """Return the decision as one that depends on events left out of the state."""
        # Never allowed: a caller who tests only the truth of a decision must not let an undecided
        # event in.
        return evolve(
            self, allowed=False, undecided=True, missing=missing, category=Category.UNDECIDED
        )

    @property
    def url(self) -> str:
        """The address of the rule list that the number refers to."""
        return f"{SPECIFICATION}/rooms/{self.room_version.specification}/#authorisation-rules"

    @property
    def docs_url(self) -> str:
        """The address of the rule in this library's documentation.

        It is relative to the site's first page: join it to the address where you serve the site. A
        rule of your own is not there.

        .. versionadded:: 0.1.0
        """
        anchor = f"{self.room_version.specification}-{self.number}"
        return f"{DOCUMENTATION}reference/rules.html#{anchor}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the decision as a JSON object."""
        return {
            "allowed": self.allowed,
            "undecided": self.undecided,
            "missing": list(self.missing),
            "rule": self.rule,
            "number": self.number,
            "category": str(self.category),
            "room_version": self.room_version.identifier,
            "text": self.text,
            "url": self.url,
        }


@constant
class Rule:
    """One row of the specification's list.

    Attributes:
        name: its name, the same in all room versions.
        allows: its verdict when it fires.
        numbers: its number from a version on; None where it ends.
        text: the fact that holds when it fires.
        applies: the function that tells whether it fires.
        category: the category of its decisions.

    .. versionadded:: 0.1.0
    """

    name: str
    allows: bool
    numbers: Numbers
    text: str
    applies: Applies
    category: Category = Category.OTHER

    def __call__(self, event: Event, state: Any) -> bool:
        """Tell whether the rule fires."""
        return self.applies(event, state)

    def __eq__(self, other: object) -> bool:
        return _content(self) == _content(other) if isinstance(other, Rule) else NotImplemented

    def __hash__(self) -> int:
        # Without the numbers: a mapping cannot be hashed, and the name and the function tell rules
        # apart.
        return hash((self.name, self.applies))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle a rule by the name of its function, and with its numbers."""
        module, name = self.applies.__module__, self.applies.__qualname__
        if "<locals>" in name:
            raise InvalidRulebook(name, "a rule at the top level of a module, to be pickled")
        return _rule_named, (f"{module}:{name}", dict(self.numbers))

    def decision(self, room_version: RoomVersion, number: str) -> Decision:
        """Return the decision of the rule in a version where it has this number."""
        return Decision(
            self.allows, self.name, number, room_version, self.text, category=self.category
        )


@constant
class Section:
    """A numbered group of rules under one condition.

    Attributes:
        rules: its rules and inner sections, in order.
        numbers: its number from a version on; None where it ends.
        event_type: the event type that it covers.
        membership: the membership that it covers, or `MALFORMED`.
        when: another condition.
        text: the condition in words.

    .. versionadded:: 0.1.0
    """

    rules: tuple[Rule | Section, ...]
    numbers: Numbers
    event_type: str | None = None
    membership: Membership | str | None = None
    when: Applies | None = None
    text: str = ""

    def __eq__(self, other: object) -> bool:
        return _content(self) == _content(other) if isinstance(other, Section) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.rules)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle a section with its rows; a mapping proxy cannot be pickled."""
        more = (self.event_type, self.membership, self.when, self.text)
        return _section_of, (self.rules, dict(self.numbers), *more)

    def is_about(self, kind: str) -> bool:
        """Tell whether the section covers events of a kind."""
        if self.event_type is not None:
            # The kind of a member event names its membership behind a space. An event type with a
            # space that looks like such a kind got an empty kind when it was read.
            return kind.partition(" ")[0] == self.event_type
        if self.membership is not None:
            return kind == (
                MEMBER_KINDS[self.membership]
                if isinstance(self.membership, Membership)
                else self.membership
            )
        return True


def _content(row: Rule | Section) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in row.__match_args__)


def _rule_named(place: str, numbers: Mapping[int, str | None]) -> Rule:
    """Find a pickled rule where its function was defined.

    The decorator put the rule in the function's place. So pickle itself would refuse the
    function: it is not what its name leads to.
    """
    rule: Rule = resolve_name(place)
    return evolve(rule, numbers=MappingProxyType(numbers))


def _section_of(
    rules: tuple[Rule | Section, ...], numbers: Mapping[int, str | None], *more: Any
) -> Section:
    return Section(rules, MappingProxyType(numbers), *more)


def numbers_of(versions: Mapping[str, str | None]) -> Numbers:
    """Read keywords such as `v6="4.2.3"`: this number, from version 6 on."""
    return MappingProxyType({int(name[1:]): number for name, number in versions.items()})


def number_in(numbers: Numbers, auth_rules: int) -> str | None:
    """Return the number in a rule list; None if the list lacks the row."""
    # A number holds until the next one. Most rules keep theirs over many versions, so a new version
    # adds entries only where the specification renumbers.
    known = [since for since in numbers if since <= auth_rules]
    return numbers[max(known)] if known else None


def allows(number: str | None = None, /, **versions: str | None) -> Callable[[Applies], Rule]:
    """Turn a function into a rule that allows when it fires.

    Args:
        number: its number in an amended rulebook. A rule that replaces another one can do
            without: it takes over the other's number.
        versions: its number from a version on; None where it ends.

    .. versionadded:: 0.1.0
    """
    return _rule_maker(number, versions, Category.ALLOWED)


def rejects(
    number: str | None = None, /, *, category: Category = Category.OTHER, **versions: str | None
) -> Callable[[Applies], Rule]:
    """Turn a function into a rule that rejects when it fires.

    Args:
        number: its number in an amended rulebook. A rule that replaces another one can do
            without: it takes over the other's number.
        category: the category of its decisions.
        versions: its number from a version on; None where it ends.

    .. versionadded:: 0.1.0
    """
    return _rule_maker(number, versions, category)


def _rule_maker(
    number: str | None, versions: Mapping[str, str | None], category: Category
) -> Callable[[Applies], Rule]:
    if number is not None:
        # From version 1 on means in any version: an amended rulebook holds the rows of one version
        # only.
        versions = {"v1": number, **versions}

    def make(applies: Applies) -> Rule:
        chapter = applies.__module__.rpartition(".")[2]
        # The docstring is what a decision says. A second text beside it would drift away from the
        # rule.
        text = (applies.__doc__ or "").partition("\n")[0]
        name, allowing = f"{chapter}.{applies.__name__}", category is Category.ALLOWED
        return Rule(name, allowing, numbers_of(versions), text, applies, category)

    return make


def rows_in(rules: Iterable[Rule | Section], auth_rules: int) -> Iterator[tuple[str, Rule]]:
    """Yield all rules of a rule list with their numbers, in order, sections opened."""
    for rule in rules:
        number = number_in(rule.numbers, auth_rules)
        if number is None:
            continue
        if isinstance(rule, Rule):
            yield number, rule
        else:
            yield from rows_in(rule.rules, auth_rules)


def table_of(numbered: Iterable[tuple[str, Rule]]) -> str:
    """Return rules as a table: number, verdict, name, fact."""
    return "\n".join(
        f"{number:<9} {'allow' if rule.allows else 'reject':<7} {rule.name:<52} {rule.text}"
        for number, rule in numbered
    )
