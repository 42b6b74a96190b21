"""Compile the rules of a room version into a program that is quick to run.

Most rules cannot fire for most events: in a join by oneself nobody else is the sender, in
a public room the join rule is not invite. The compiler finds this out once for each
version, before there is any event:

1. It keeps the rows that the version has, and builds the `Decision` of each. A check then
   allocates nothing.
2. It tells cases apart that events fall into: their type, and for member events also their
   membership, whether sender and target differ, and which evidence they carry.
3. For each case it calls the rules, as they are, with probes instead of an event and a
   state. A probe knows what all events of the case have in common, and raises when it is
   asked for anything else. A rule that returns without such a question returns the same
   for every event of the case: it is left out, or it ends the list.
4. It narrows the list again by what is known of a state: the join rule of a federated room,
   then the memberships of the sender and of the target user.

Version 12 has eleven rules that a join runs through; for a join by oneself to a public room
two are left. No rule is written a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, Final, Never

from matrix_membership._attrs import constant
from matrix_membership.auth._rule import MALFORMED, Applies, Decision, Rule, Section, number_in
from matrix_membership.errors import FILTERED_OUT, IncompleteState
from matrix_membership.events import MEMBER_KINDS, Event
from matrix_membership.events.facts import MESSAGE, RULED_TYPES, Case, case_of
from matrix_membership.membership import (
    LEAVE,
    MEMBERSHIPS,
    UNKNOWN,
    UNRECOGNISED,
    JoinRule,
    Membership,
)
from matrix_membership.room_versions import RoomVersion


# An exception, not a third truth value: a rule is plain Python, and its `and`, `not` and `in` would
# turn such a value into true or false. A rule of one's own may also catch every `Exception`. It
# would then return something although it asked, and the compiler would leave it out for all events.
class _UnknownError(BaseException):
    """A question that only a real event or state could answer."""


def _ask(*_: object) -> Never:
    raise _UnknownError


class Probe:
    """An event, a state or a part of one with only some attributes known."""

    def __init__(self, **known: object) -> None:
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Never:
        raise _UnknownError(name)

    # Python answers these for any object unless they raise: isinstance reads __class__, sets and
    # dicts read __hash__, f-strings read __format__. A rule would take such an answer for one about
    # the real event.
    __class__ = property(_ask)
    __eq__ = __hash__ = __bool__ = _ask
    __str__ = __repr__ = __format__ = _ask


# Not a text: a rule that reads the characters of a user ID has to be told that they are unknown. A
# made-up ID would give it an answer.
class Name:
    """A user ID of unknown spelling that can be compared with another one.

    It counts as true, since a user ID is never empty.
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
    __str__ = __repr__ = __format__ = _ask


def known_memberships(*known: tuple[Name, Membership]) -> Callable[[object], Membership]:
    """Return a `membership_of` for a state in which only these memberships are known."""

    def membership_of(user: object) -> Membership:
        for name, membership in known:
            # By identity: `Name` raises when it is compared with anything else, and that error
            # would not say that the rule asked for a membership.
            if user is name:
                return membership
        raise _UnknownError("membership_of")

    return membership_of


def outcome_of(applies: Applies, event: Any, state: Any) -> bool | str:
    """Try a condition on two probes.

    Returns:
        True or False if the condition is that for all events and states that the probes
        stand for. Otherwise a text: the attribute that the condition asks for first, empty
        if it asks for something else.
    """
    try:
        return applies(event, state)
    except _UnknownError as unknown:
        return str(unknown)
    except TypeError:  # `<` and other operators that `Name` lacks
        return ""


Row = tuple[Applies, Decision]
Rows = tuple[Any, Any]
"""Rules that may fire, in order, and the decision of the rule that ends the list.

Any, not `tuple[Row, ...]` and `Decision`: see `ByMembership` for the exception.
"""

ByMembership = Mapping[Membership | None, Rows]
"""Rows by the membership of the sender; the key None stands for a user without a member event.

Some rows depend on the target user's membership too. Then the value is a second such mapping
in place of the rows, and None in place of the decision.
"""


@constant
class Chosen:
    """The rows of a program that serve any state.

    Attributes:
        room_version: the version of the events that they judge.
        find: returns the rows for a case, or None.
        otherwise: the rows for all other events.
    """

    room_version: RoomVersion
    find: Callable[[Case], Rows | None]
    otherwise: Rows

    def judge(self, event: Event, state: Any) -> Decision:
        """Run the rules in order; the first that fires decides."""
        end: Decision
        rows, end = self.find(event.case) or self.otherwise
        decision: Decision
        for applies, decision in rows:
            if applies(event, state):
                return decision
        return end

    def judge_in_part(self, event: Event, state: Any) -> Decision:
        """Run the rules on a state that may raise `IncompleteState` for what they read.

        The first rule that fires decides. A rule that cannot be tried may fire or not: the
        verdict is undecided there.
        """
        end: Decision
        rows, end = self.find(event.case) or self.otherwise
        decision: Decision
        for applies, decision in rows:
            try:
                if applies(event, state):
                    return decision
            # The rules behind this one are not tried: they decide only if it stays silent, which
            # nobody can tell.
            except IncompleteState as incomplete:
                if not is_silent_for_lack_of(incomplete, decision.rule):
                    return decision.undecided_for_lack_of(incomplete.missing)
        return end


def is_silent_for_lack_of(incomplete: IncompleteState, rule: str) -> bool:
    """Tell whether a rule counts as silent although its state lacks what it reads.

    A caller who names the room version of a state without its create event wants a verdict.
    These rules would leave every verdict open. Rooms are federated by default, and the
    creator's first join comes when the room has nothing but its create event. A create event
    that was filtered out is another matter: its host has it.
    """
    return (
        incomplete.missing == "m.room.create"
        and incomplete.question != FILTERED_OUT
        and rule in _ASK_FOR_CREATE
    )


_ASK_FOR_CREATE: Final = (
    "every_event.sender_from_unfederated_server",
    "conformance.closed_to_a_server",  # the switch for it
    "join.first_join_of_the_creator",
)


Prepared = tuple[RoomVersion, Callable[[Case, ByMembership], ByMembership], ByMembership]
"""The value of `RoomState.prepared`: a version, a look-up of rows by case, the rows for other cases."""


@constant
class Program:
    """The rules of one room version, ready to run.

    Attributes:
        in_any_state: the rows for a state that was not looked into.
        in_state: the rows for the state of a federated room, by its join rule; None stands
            for a rule that the state leaves out.
    """

    in_any_state: Chosen
    in_state: Mapping[JoinRule | None, Prepared]

    def judge(self, event: Event, state: Any) -> Decision:
        """Run the rules in order; the first that fires decides."""
        return self.in_any_state.judge(event, state)


def compile_program(
    rules: Iterable[Rule | Section],
    room_version: RoomVersion,
    *,
    create: Iterable[Rule | Section] = (),
) -> Program:
    """Compile the program of a room version. Cost: some tens of milliseconds.

    Args:
        rules: the rows, in order.
        room_version: the version.
        create: the rows for create events; no other row judges these.
    """
    sender = Name()
    lists = _lists(tuple(rules), create, room_version, sender)
    # The case alone settles many rows. They are left out first, because each row that stays is
    # tried for seven join rules, and for up to 49 pairs of memberships.
    first = [(case, event, _left(kept, event, Probe())[0]) for case, event, kept in lists]
    by_case = {case: _rows(kept) for case, _, kept in first}
    by_rule: dict[JoinRule | None, dict[Case, ByMembership]] = {None: {}}
    by_rule |= {rule: {} for rule in JoinRule}
    for case, event, kept in first:
        for rule, by_membership in _by_join_rule(kept, event, sender):
            by_rule[rule][case] = by_membership
    return Program(
        # A bound `dict.get` spares each check a call of Python code.
        Chosen(room_version, by_case.get, by_case[_OTHERWISE]),
        {rule: (room_version, found.get, found[_OTHERWISE]) for rule, found in by_rule.items()},
    )


def _lists(
    rows: tuple[Rule | Section, ...],
    create: Iterable[Rule | Section],
    room_version: RoomVersion,
    sender: Name,
) -> list[tuple[Case, Probe, Kept]]:
    """Return the cases: what is known of the events of each, and the rows for them."""
    kinds = {
        row.event_type for row in rows if isinstance(row, Section) and row.event_type in RULED_TYPES
    }
    cases: list[tuple[Case, str, Probe]] = [
        (str(kind), str(kind), Probe(kind=kind, sender=sender, other=()))
        for kind in kinds - {MALFORMED}
    ]
    others = Probe(sender=sender, other=())
    # Only where member events have cases of their own. In the rules on auth events they fall under
    # the others, and have a membership.
    if MALFORMED in kinds:
        cases.extend(_member_cases(sender))
        others = Probe(sender=sender, other=(), membership=None)
        # Most events of a room are messages. Without a state key the rule on state keys (9;
        # versions 6 to 11: 8) is settled beforehand.
        message = Probe(sender=sender, other=(), membership=None, state_key=None)
        cases.append((MESSAGE, _OTHERWISE, message))
    cases.append((_OTHERWISE, _OTHERWISE, others))
    # The lists of the specification end with a rule that always fires. An amended one may not.
    last: Kept = (((), _no_rule(room_version)),)
    by_kind = {kind: _kept(rows, room_version, kind) + last for _, kind, _ in cases}
    lists = [(case, probe, by_kind[kind]) for case, kind, probe in cases]
    lists.append(("m.room.create", Probe(other=()), _kept(create, room_version) + last))
    return lists


def _no_rule(room_version: RoomVersion) -> Decision:
    """Return the decision on an event that no rule of a list decides."""
    return Decision(
        allowed=False,
        rule="rulebook.no_rule_fires",
        number="none",
        room_version=room_version,
        text="No rule of the list fires.",
    )


_OTHERWISE: Final = ""
"""The case of events whose type has no section."""


Kept = tuple[tuple[tuple[Applies, ...], Decision], ...]
"""Decisions, each with those conditions of its sections and its rule that are still open."""


def _kept(
    rules: Iterable[Rule | Section],
    room_version: RoomVersion,
    kind: str = "m.room.create",
    when: tuple[Applies, ...] = (),
) -> Kept:
    """Return the rows that a version has for events of a kind, sections opened."""
    kept: list[tuple[tuple[Applies, ...], Decision]] = []
    for rule in rules:
        number = number_in(rule.numbers, room_version.auth_rules)
        if number is None:
            continue
        if isinstance(rule, Rule):
            kept.append(((*when, rule.applies), rule.decision(room_version, number)))
            continue
        named = rule.event_type
        inner = when if rule.when is None else (*when, rule.when)
        if rule.is_about(kind):
            kept.extend(_kept(rule.rules, room_version, kind, inner))
        elif kind == _OTHERWISE and named is not None and named not in RULED_TYPES:
            # Only an amended list has such a section. Its type is looked at in each check.
            kept.extend(_kept(rule.rules, room_version, named, (_of_type(named), *inner)))
    return tuple(kept)


def _of_type(event_type: str) -> Applies:
    return lambda event, _: event.type == event_type


def _left(kept: Kept, event: Any, state: Any) -> tuple[Kept, set[str]]:
    """Leave out the rows that cannot fire, and all behind the first that always does.

    Returns:
        The rows that are left, and the attributes that would decide more of them.
    """
    left: list[tuple[tuple[Applies, ...], Decision]] = []
    asked: set[str] = set()
    for conditions, decision in kept:
        if left and not left[-1][0]:  # that row always fires
            break
        outcomes = [outcome_of(condition, event, state) for condition in conditions]
        if False in outcomes:
            continue
        pairs = zip(conditions, outcomes, strict=True)
        unknown = tuple([condition for condition, holds in pairs if holds is not True])
        left.append((unknown, decision))
        asked.update([holds for holds in outcomes if isinstance(holds, str)])
    return tuple(left), asked


def _by_join_rule(
    kept: Kept, event: Any, sender: Name
) -> Iterator[tuple[JoinRule | None, ByMembership]]:
    """Yield the rows that are left in a federated room, for each join rule."""
    known: dict[str, Any] = {"create": Probe(federate=True, openly_federated=True)}
    rows, asked = _left(kept, event, Probe(**known))
    found: ByMembership = dict.fromkeys(_MEMBERSHIPS, _rows(rows))
    if "membership_of" in asked:
        found, asked = _by_membership(rows, event, known, (), (sender, *event.other))
    yield None, found
    # Most cases never ask for the join rule. All seven then share one mapping, not seven equal
    # ones.
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
    """Return the rows left for each membership of these users, and their needs."""
    found: dict[Membership | None, Rows] = {}
    asked: set[str] = set()
    for membership in _MEMBERSHIPS:
        now = (*memberships, (users[0], membership or LEAVE))
        state = Probe(**known, membership_of=known_memberships(*now))
        left, more = _left(rows, event, state)
        found[membership] = _rows(left)
        # The sender comes first: most lists end early for one who is not joined, before a rule asks
        # for the target user's membership.
        if "membership_of" in more and users[1:]:
            further, more = _by_membership(left, event, known, now, users[1:])
            found[membership] = further, None
        asked |= more
    return found, asked


_MEMBERSHIPS: Final = (None, *MEMBERSHIPS.values(), UNRECOGNISED)
"""The memberships that a state can hold; None without a member event."""


def _rows(kept: Kept) -> Rows:
    rows = tuple([(_together(conditions), said) for conditions, said in kept if conditions])
    return rows, kept[-1][1] if len(rows) < len(kept) else None


def _together(conditions: tuple[Applies, ...]) -> Applies:
    # Almost every row has one condition. A lambda around it would be one more call for each row
    # that is run.
    if len(conditions) == 1:
        return conditions[0]
    return lambda event, state: all(condition(event, state) for condition in conditions)


def _member_cases(sender: Name) -> Iterator[tuple[Case, str, Probe]]:
    """Yield the cases of member events, with their kinds and what is known."""
    yield MALFORMED, MALFORMED, Probe(kind=MALFORMED, sender=sender, other=())
    kinds = [
        (membership, kind) for membership, kind in MEMBER_KINDS.items() if membership is not UNKNOWN
    ]
    for membership, kind in kinds:
        # Every membership gets all eight cases. An authorising user can be named on a leave or a
        # ban too, and rule 4.2.1 reads the name before the memberships are told apart.
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
