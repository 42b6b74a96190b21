"""How rows become a program: what can be known beforehand is judged beforehand.

Compiling keeps the rows that a room version has and builds every `Decision` once, so
that a check allocates nothing. Then each rule is tried, before there is any event,
against what its cases have in common (`Probe`): in a join by oneself nobody else is
the sender, in a public room no join rule is invite. Rows that cannot fire in a case
are left out of it; where one fires always, the list ends. All others are left to the
check. The functions of the rules are called as they are: nothing is written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, Final, Never

from matrix_membership._attrs import constant
from matrix_membership.auth._rule import MALFORMED, Applies, Decision, Rule, Section, number_in
from matrix_membership.events import MEMBER_KINDS, Event
from matrix_membership.events.facts import MESSAGE, Case, case_of
from matrix_membership.membership import (
    LEAVE,
    MEMBERSHIPS,
    UNKNOWN,
    UNRECOGNISED,
    JoinRule,
    Membership,
)
from matrix_membership.room_versions import RoomVersion

# Trying a rule on what is known before there is an event.
#
# A probe stands for all events, or all states, that have something in common. It has the
# attributes that are known of them; whoever asks it for another one, or asks a name what
# it is spelled like, is told that this is unknown. A rule that comes to an end without
# having asked such a question would have come to the same end with every event and state
# that the probes stand for.


class _UnknownError(Exception):
    """A question that only a real event or state could answer."""


def _ask(*_: object) -> Never:
    raise _UnknownError


class Probe:
    """Something of which only these attributes are known."""

    def __init__(self, **known: object) -> None:
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Never:
        raise _UnknownError(name)

    # The class is what isinstance looks at, a hash what sets and dicts do.
    __class__ = property(_ask)
    __eq__ = __hash__ = __bool__ = _ask


class Name:
    """A user ID of which nothing is known but whether another one is the same.

    It is no empty text: there is an event of a user of that name.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Never:
        raise _UnknownError

    def __eq__(self, other: object) -> bool:
        if type(other) is not Name:
            raise _UnknownError
        return self is other

    def __hash__(self) -> Never:
        raise _UnknownError

    def __bool__(self) -> bool:
        return True

    __class__ = property(_ask)
    __getitem__ = __len__ = __iter__ = _ask


def known_memberships(*known: tuple[Name, Membership]) -> Callable[[object], Membership]:
    """A state's `membership_of` when only those of some users are known."""

    def membership_of(user: object) -> Membership:
        for name, membership in known:
            if user is name:
                return membership
        raise _UnknownError("membership_of")

    return membership_of


def outcome_of(applies: Applies, event: Any, state: Any) -> bool | str:
    """Whether a condition holds for all that two probes stand for.

    Returns:
        Whether it does; a text when it depends: the attribute that it asks for first,
        or nothing when it asks for something else.
    """
    try:
        return applies(event, state)
    except _UnknownError as unknown:
        return str(unknown)
    except TypeError:  # a method that a name has not
        return ""


Row = tuple[Applies, Decision]
Rows = tuple[Any, Any]
"""Rules that may fire, in order, and the decision when none does: of the rule that always fires."""

ByMembership = Mapping[Membership | None, Rows]
"""Rows by the membership of a user: of the sender, or of the user that a member event is about.

None is a user without a membership. Where the rows for a sender depend on the other user's
membership too, such a mapping stands in the place of the rows, and None in that of the decision.
"""


@constant
class Chosen:
    """The rows of a program when nothing is known of the state.

    Attributes:
        room_version: the version of the events that they judge.
        find: gives the rows for a case, or None.
        otherwise: the rows for all other events.
    """

    room_version: RoomVersion
    find: Callable[[Case], Rows | None]
    otherwise: Rows

    def judge(self, event: Event, state: Any) -> Decision:
        """Run the rules in order; the first that fires decides."""
        rows, end = self.find(event.case) or self.otherwise
        for applies, decision in rows:
            if applies(event, state):
                return decision  # type: ignore[no-any-return]  # as the next
        assert end is not None  # noqa: S101 - every list ends with a rule that always fires
        return end  # type: ignore[no-any-return]  # a decision


Prepared = tuple[RoomVersion, Callable[[Case, ByMembership], ByMembership], ByMembership]
"""What a state is prepared with: a version, what finds its rows for a case, those for others."""


@constant
class Program:
    """The rules of one room version, ready to run.

    Attributes:
        in_any_state: the rows when nothing is known of the state.
        in_state: by the join rule of a federated room, what its state is prepared with.
    """

    in_any_state: Chosen
    in_state: Mapping[JoinRule, Prepared]

    def judge(self, event: Event, state: Any) -> Decision:
        """Run the rules in order; the first that fires decides."""
        return self.in_any_state.judge(event, state)


def compile_program(
    rules: Iterable[Rule | Section],
    room_version: RoomVersion,
    *,
    create: Iterable[Rule | Section] = (),
) -> Program:
    """Make the program of a room version.

    Args:
        rules: the rows, in order.
        room_version: the version.
        create: the rows for create events, which are judged by nothing else.
    """
    rows, sender = tuple(rules), Name()
    kinds = {str(row.event_type) for row in rows if isinstance(row, Section) and row.event_type}
    cases = [
        (kind, kind, Probe(kind=kind, sender=sender, other=())) for kind in kinds - {MALFORMED}
    ]
    others = Probe(sender=sender, other=())
    if MALFORMED in kinds:
        cases.extend(_member_cases(sender))
        others = Probe(sender=sender, other=(), membership=None)
    by_kind = {kind: _kept(rows, room_version, kind) for _, kind, _ in cases}
    lists = [(case, probe, by_kind[kind]) for case, kind, probe in cases]
    lists.append(("m.room.create", Probe(other=()), _kept(create, room_version, "m.room.create")))
    lists.append((_OTHERWISE, others, _kept(rows, room_version, "")))
    if MALFORMED in kinds:
        message = Probe(sender=sender, other=(), membership=None, state_key=None)
        lists.append((MESSAGE, message, _kept(rows, room_version, "")))

    first = [(case, event, _left(kept, event, Probe())[0]) for case, event, kept in lists]
    by_case = {case: _rows(kept) for case, _, kept in first}
    by_rule: dict[JoinRule, dict[Case, ByMembership]] = {rule: {} for rule in JoinRule}
    for case, event, kept in first:
        for rule, by_membership in _by_join_rule(kept, event, sender):
            by_rule[rule][case] = by_membership
    return Program(
        # The bound method of a dict is the fastest look-up.
        Chosen(room_version, by_case.get, by_case[_OTHERWISE]),
        {rule: (room_version, found.get, found[_OTHERWISE]) for rule, found in by_rule.items()},
    )


_OTHERWISE: Final = ""
"""The case of events that no section is about."""


Kept = tuple[tuple[tuple[Applies, ...], Decision], ...]
"""Decisions, each under the conditions of its sections and its rule that are still open."""


def _kept(
    rules: Iterable[Rule | Section],
    room_version: RoomVersion,
    kind: str,
    when: tuple[Applies, ...] = (),
) -> Kept:
    """The rows that a version has for events of a kind, sections opened."""
    kept: list[tuple[tuple[Applies, ...], Decision]] = []
    for rule in rules:
        number = number_in(rule.numbers, room_version.auth_rules)
        if number is None:
            continue
        if isinstance(rule, Rule):
            kept.append(((*when, rule.applies), rule.decision(room_version, number)))
        elif rule.is_about(kind):
            inner = when if rule.when is None else (*when, rule.when)
            kept.extend(_kept(rule.rules, room_version, kind, inner))
    return tuple(kept)


def _left(kept: Kept, event: Any, state: Any) -> tuple[Kept, set[str]]:
    """The rows without those that cannot fire, up to the first that always does.

    Returns:
        The rows; and what more would have to be known to leave out others.
    """
    left: list[tuple[tuple[Applies, ...], Decision]] = []
    asked: set[str] = set()
    for conditions, decision in kept:
        outcomes = [outcome_of(condition, event, state) for condition in conditions]
        if False in outcomes:
            continue
        pairs = zip(conditions, outcomes, strict=True)
        unknown = tuple([condition for condition, holds in pairs if holds is not True])
        left.append((unknown, decision))
        asked.update([holds for holds in outcomes if isinstance(holds, str)])
        if not unknown:
            break
    return tuple(left), asked


def _by_join_rule(kept: Kept, event: Any, sender: Name) -> Iterator[tuple[JoinRule, ByMembership]]:
    """The rows that are left in a federated room, by its join rule."""
    known: dict[str, Any] = {"create": Probe(federate=True)}
    rows, asked = _left(kept, event, Probe(**known))
    found: ByMembership = dict.fromkeys(_MEMBERSHIPS, _rows(rows))
    if "membership_of" in asked:
        found, asked = _by_membership(rows, event, known, (), (sender, *event.other))
    if "join_rule" not in asked:
        yield from ((rule, found) for rule in JoinRule)
        return
    for rule in JoinRule:
        known["join_rule"] = rule
        yield rule, _by_membership(rows, event, known, (), (sender, *event.other))[0]


def _by_membership(
    rows: Kept,
    event: Any,
    known: Mapping[str, Any],
    memberships: tuple[tuple[Name, Membership], ...],
    users: tuple[Name, ...],
) -> tuple[ByMembership, set[str]]:
    """The rows that are left by the memberships of these users, and what else they ask for."""
    found: dict[Membership | None, Rows] = {}
    asked: set[str] = set()
    for membership in _MEMBERSHIPS:
        now = (*memberships, (users[0], membership or LEAVE))
        state = Probe(**known, membership_of=known_memberships(*now))
        left, more = _left(rows, event, state)
        found[membership] = _rows(left)
        if "membership_of" in more and users[1:]:
            further, more = _by_membership(left, event, known, now, users[1:])
            found[membership] = further, None
        asked |= more
    return found, asked


_MEMBERSHIPS: Final = (None, *MEMBERSHIPS.values(), UNRECOGNISED)
"""What can stand in a member event of a state."""


def _rows(kept: Kept) -> Rows:
    rows = tuple([(_together(conditions), said) for conditions, said in kept if conditions])
    return rows, kept[-1][1] if len(rows) < len(kept) else None


def _together(conditions: tuple[Applies, ...]) -> Applies:
    if len(conditions) == 1:
        return conditions[0]
    return lambda event, state: all(condition(event, state) for condition in conditions)


def _member_cases(sender: Name) -> Iterator[tuple[Case, str, Probe]]:
    """The cases of member events, with their kinds, and what is known of such events."""
    yield MALFORMED, MALFORMED, Probe(kind=MALFORMED, sender=sender, other=())
    kinds = [
        (membership, kind) for membership, kind in MEMBER_KINDS.items() if membership is not UNKNOWN
    ]
    for membership, kind in kinds:
        for by_another, authorised, third_party in product((False, True), repeat=3):
            case = case_of(
                kind, by_another=by_another, authorised=authorised, third_party=third_party
            )
            target = Name() if by_another else sender
            yield (
                case,
                kind,
                Probe(
                    type=MALFORMED,
                    kind=kind,
                    case=case,
                    membership=membership,
                    sender=sender,
                    state_key=target,
                    other=(target,) if by_another else (),
                    authorised_via=Probe() if authorised else None,
                    authorising_server=Probe() if authorised else None,
                    view=Probe() if third_party else None,
                ),
            )
