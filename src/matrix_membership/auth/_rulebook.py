"""A rulebook: all rules of a room version as one value, which can be amended.

The rows of the specification carry a number for each room version. A rulebook holds the
rows of one version only, each with its one number, so that an amendment cannot change
another version by accident. Each amendment gives a new rulebook and checks its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Final, cast

from matrix_membership._attrs import evolve, frozen
from matrix_membership.auth._rule import Rule, Section, number_in, numbers_of, rows_in, table_of
from matrix_membership.auth.auth_events import Selection, selected_by_specification
from matrix_membership.auth.specification import AUTH_EVENTS, CREATE, STATE_DEPENDENT
from matrix_membership.errors import InvalidRulebook, shown
from matrix_membership.room_versions import NEWEST_RULES, RoomVersion, require_room_version

Row = Rule | Section
Rows = tuple[Row, ...]


@frozen
class Rulebook:
    """The rules of one room version, in order.

    Iterate over it for pairs of number and rule; `str()` gives a table. Each amendment
    returns a new rulebook. Two rulebooks are equal if their rules are.

    Attributes:
        create: the rules on create events.
        auth_events: the rules on the auth events that an event lists.
        state_dependent: the rules that `auth.check` runs.
        selection: returns the types and state keys of the events that may authorise an
            event.
    """

    create: Rows
    auth_events: Rows
    state_dependent: Rows
    selection: Selection = selected_by_specification

    def __iter__(self) -> Iterator[tuple[str, Rule]]:
        return _numbered(self._rows)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __str__(self) -> str:
        """Return the rules as a table: number, verdict, name, fact."""
        return table_of(self)

    def __contains__(self, name: object) -> bool:
        return any(rule.name == name for _, rule in self)

    @property
    def numbers(self) -> Mapping[str, str]:
        """The numbers of all rules by name, and those of sections by themselves."""
        return dict(_labels(self._rows))

    @property
    def _rows(self) -> Rows:
        return (*self.create, *self.auth_events, *self.state_dependent)

    def replace(self, name: str, row: Row) -> Rulebook:
        """Put another rule in the place of one.

        Args:
            name: the name of the rule, or the number of a section: `5.7`.
            row: the new rule or section. One without a number takes over the old one's.

        Raises:
            InvalidRulebook: the name is unknown, or the number does not fit its place.

        >>> from matrix_membership.auth import rejects, rulebook
        >>> from matrix_membership.room_versions import V12
        >>> @rejects()
        ... def never(event, state):
        ...     "Nobody knocks."
        ...     return True
        >>> book = rulebook(V12).replace("knock.of_another_user", never)
        >>> [rule.text for number, rule in book if number == "5.7.2"]
        ['Nobody knocks.']
        """
        return self._edited(name, lambda old: (_fixed(row, _number(old)),))

    def insert(self, row: Row, *, before: str | None = None, after: str | None = None) -> Rulebook:
        """Put a rule in front of another one, or behind it.

        Args:
            row: the new rule or section, with a number: letters may follow a digit, as in
                `5.7.1a`.
            before: the name of a rule, or the number of a section.
            after: the same. Give one of the two.

        Raises:
            InvalidRulebook: the name is unknown, or the number does not fit its place.
        """
        if (before is None) == (after is None):
            raise TypeError("insert needs one of `before` and `after`")
        new = _fixed(row)
        if before is not None:
            return self._edited(before, lambda old: (new, old))
        return self._edited(str(after), lambda old: (old, new))

    def remove(self, *names: str) -> Rulebook:
        """Take rules or sections out.

        Args:
            names: the names of rules, or the numbers of sections.

        Raises:
            InvalidRulebook: a name is unknown.
        """
        # One after the other: a section takes its rules along, so a name that stood inside it is
        # unknown to the next removal, and raises.
        book = self
        for name in names:
            book = book._edited(name, lambda _: ())
        return book

    def renumber(self, numbers: Mapping[str, str]) -> Rulebook:
        """Give rules other numbers, all at once.

        Args:
            numbers: the new numbers, by the names of rules or the old numbers of sections.

        Raises:
            InvalidRulebook: a name is unknown, or a number does not fit its place.
        """
        # All at once: two rules that swap numbers would be out of order after the first of two
        # changes.
        made = self._each(lambda rows: _renumbered(rows, numbers))
        for name in numbers:
            self._known(name)
        return _checked(made)

    def select(self, selection: Selection) -> Rulebook:
        """Select auth events in another way.

        Args:
            selection: takes an event; returns the types and state keys of the events that
                may authorise it.
        """
        return evolve(self, selection=selection)

    def _edited(self, name: str, edit: Callable[[Row], Rows]) -> Rulebook:
        self._known(name)
        return _checked(self._each(lambda rows: _edited(rows, name, edit)))

    def _each(self, edit: Callable[[Rows], Rows]) -> Rulebook:
        return Rulebook(
            edit(self.create), edit(self.auth_events), edit(self.state_dependent), self.selection
        )

    def _known(self, name: str) -> None:
        names = self.numbers
        if name in names:
            return
        near = [other for other in names if other.partition(".")[0] == name.partition(".")[0]]
        raise InvalidRulebook("name", f"one of {', '.join(near or names)}", name)


def rulebook(room_version: RoomVersion) -> Rulebook:
    """Return the rules of a room version as a value to read or to amend.

    Args:
        room_version: the version. `room_version.evolve(identifier=..., rules=...)` makes one
            that follows an amended rulebook.

    >>> from matrix_membership.room_versions import V12
    >>> book = rulebook(V12)
    >>> mine = V12.evolve(identifier="org.example.mine", rules=book.remove("knock.from_outside"))
    >>> len(book), len(rulebook(mine))
    (67, 66)

    .. versionadded:: 0.1.0
    """
    require_room_version(room_version)
    if room_version.rules is None:
        return _of_the_specification(room_version.auth_rules)
    # `RoomVersion` cannot name the class, which stands in a layer above it.
    return cast("Rulebook", room_version.rules)


def judges_lists_by_specification(book: Rulebook, room_version: RoomVersion) -> bool:
    """Tell whether a rulebook judges lists of auth events as its version does."""
    original = _of_the_specification(room_version.auth_rules)
    return book.auth_events == original.auth_events and book.selection is original.selection


# By the rule list, not by the version: versions 1 and 2 share one, as do 3 to 5, and 8 and 9.
@cache
def _of_the_specification(auth_rules: int) -> Rulebook:
    def rows(listed: Rows) -> Rows:
        return tuple(_rows_of(listed, auth_rules))

    return Rulebook(rows(CREATE), rows(AUTH_EVENTS), rows(STATE_DEPENDENT))


def _rows_of(rows: Rows, auth_rules: int) -> Iterator[Row]:
    """Yield the rows that a version has, each with its number only."""
    for row in rows:
        number = number_in(row.numbers, auth_rules)
        if number is None:
            continue
        if isinstance(row, Section):
            section = evolve(row, rules=tuple(_rows_of(row.rules, auth_rules)))
            yield _under(section, number)
        else:
            yield _under(row, number)


# ------------------------------------------------------------------ numbers

_NUMBER: Final = re.compile(r"[0-9]+[a-z]*(?:\.[0-9]+[a-z]*)*")
_PART: Final = re.compile(r"([0-9]+)([a-z]*)")


def _number(row: Row) -> str:
    """Return the number of a row; empty for a row without one."""
    # A rule written for the specification may carry a number for each version. An amended rulebook
    # follows the newest.
    return number_in(row.numbers, NEWEST_RULES) or ""


def _under(row: Row, number: str) -> Row:
    """Return a row with this number, in all versions."""
    return evolve(row, numbers=numbers_of({"v1": number}))


def _fixed(row: Row, number: str = "") -> Row:
    """Return a row with the one number that it has, or else with this one."""
    if not isinstance(row, Rule | Section):  # such as a function that nobody decorated
        raise TypeError(f"expected a rule, made by `allows` or `rejects`, got {shown(row)}")
    fixed = _under(row, _number(row) or number)
    if isinstance(fixed, Section):
        return evolve(fixed, rules=tuple([_fixed(inner) for inner in fixed.rules]))
    return fixed


def _numbered(rows: Rows) -> Iterator[tuple[str, Rule]]:
    return rows_in(rows, NEWEST_RULES)


def _checked(book: Rulebook) -> Rulebook:
    """Return a rulebook after a check of its numbers and names."""
    _check_headings(book.state_dependent, "")
    names: set[str] = set()
    last: tuple[str, bool, str] = ("", False, "")
    for number, rule in book:
        if rule.name in names:
            raise InvalidRulebook(rule.name, "a name that no other rule has", rule.name)
        names.add(rule.name)
        before, allowed, other = last
        # A pair may share a number if one of it allows and the other rejects: the specification
        # writes "allow if ..., otherwise reject" as one row (4.5.1).
        if number == before and rule.allows == allowed:
            raise InvalidRulebook(
                rule.name, f"a number other than {before}, which {other} has", number
            )
        # A group may end with a rule under the number of the group: 3.4, then 3.
        if _order(number) < _order(before) and not before.startswith(f"{number}."):
            raise InvalidRulebook(rule.name, f"a number after {before} of {other}", number)
        last = number, rule.allows, rule.name
    return book


def _check_headings(rows: Rows, heading: str) -> None:
    """Check that the numbers in a section start with the section's."""
    for row in rows:
        number = _number(row)
        name = row.name if isinstance(row, Rule) else "section"
        if _NUMBER.fullmatch(number) is None:
            raise InvalidRulebook(name, "a number such as 5.3.1 or 5.3.1a", number)
        if heading and not f"{number}.".startswith(f"{heading}."):
            raise InvalidRulebook(name, f"a number in {heading}, such as {heading}.1a", number)
        if isinstance(row, Section):
            _check_headings(row.rules, number)


def _order(number: str) -> tuple[tuple[int, str], ...]:
    # As numbers, not as text: 5.10 comes after 5.9. Letters sort 5.3.1a between 5.3.1 and 5.3.2, so
    # an added rule renumbers none of those behind it.
    return tuple((int(digits), letters) for digits, letters in _PART.findall(number))


# ------------------------------------------------------------------ amendments


def _labels(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Yield the label of each rule and section, with its number."""
    for row in rows:
        yield _label(row), _number(row)
        if isinstance(row, Section):
            yield from _labels(row.rules)


def _label(row: Row) -> str:
    """Return the name by which an amendment finds a row: a section's is its number."""
    return row.name if isinstance(row, Rule) else _number(row)


def _edited(rows: Rows, name: str, edit: Callable[[Row], Rows]) -> Rows:
    made: list[Row] = []
    for row in rows:
        if _label(row) == name:
            made.extend(edit(row))
        elif isinstance(row, Section):
            made.append(evolve(row, rules=_edited(row.rules, name, edit)))
        else:
            made.append(row)
    return tuple(made)


def _renumbered(rows: Rows, numbers: Mapping[str, str]) -> Rows:
    made: list[Row] = []
    for row in rows:
        new = _under(row, numbers.get(_label(row), _number(row)))
        if isinstance(new, Section):
            new = evolve(new, rules=_renumbered(new.rules, numbers))
        made.append(new)
    return tuple(made)
