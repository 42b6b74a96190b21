"""The authorisation rules: may this event happen in this room?

- `check` judges an event against a state: rule 3 and those after it (version 12: 4).
- `check_auth_events` judges the events that it lists: the rules before that.
- `select_auth_events` and `auth_chain` say which events those are.
- `rules_of` is the rule list of a room version, to read or to print.

Nothing in an event, however malformed, raises: a `Decision` is a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import product
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import evolve, frozen
from matrix_membership.auth._rule import (
    Decision,
    Program,
    Rule,
    compile_program,
    rows_in,
)
from matrix_membership.auth.auth_events import AuthEvents, auth_chain, select_auth_events
from matrix_membership.auth.rulebook import AUTH_EVENTS, CREATE, STATE_DEPENDENT
from matrix_membership.events import Event
from matrix_membership.identifiers import is_user_id
from matrix_membership.membership import MEMBERSHIPS, UNKNOWN
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.state import RoomState

__all__ = [
    "Decision",
    "Rule",
    "RuleList",
    "auth_chain",
    "check",
    "check_auth_events",
    "rules_of",
    "select_auth_events",
]


_PROGRAMS: Final[Mapping[RoomVersion, Program]] = MappingProxyType(
    {
        version: compile_program(STATE_DEPENDENT, version, create=CREATE)
        for version in KNOWN.values()
    }
)
_AUTH_EVENTS_PROGRAMS: Final[Mapping[RoomVersion, Program]] = MappingProxyType(
    {version: compile_program(AUTH_EVENTS, version, create=CREATE) for version in KNOWN.values()}
)


def check(event: Event, state: RoomState) -> Decision:
    """Judge an event by the rules that depend on the state.

    Rule 3 and those after it; in version 12 rule 4 and those after it. For a create
    event, rule 1 is the whole judgement. See `Authorisation rules`__.

    Args:
        event: any event.
        state: the state to judge it against: its auth events, the state before it,
            or the current state.

    Returns:
        The decision of the first rule that fires. In a partial state, an undecided
        one when the verdict hangs on members that were left out. With a state that
        holds no create event, a rejection by the rule that asks for one.

    >>> from matrix_membership.room_versions import V11
    >>> message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
    >>> print(check(Event.from_client_event(message, V11), RoomState.of(V11, [])))
    rejected by rule 2.4 of room version 11: there is no create event among the auth events

    __ https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules
    """
    if state.create_event is None and event.kind != "m.room.create":
        return check_auth_events(event, ())
    program = _PROGRAMS.get(event.room_version)
    if program is None:
        program = _program_of_own(_PROGRAMS, event.room_version)
    if state.is_partial:
        return _judge_in_part(program, event, state)
    return program.judge(event, state)


def check_auth_events(
    event: Event,
    auth_events: Iterable[Event],
    *,
    rejected: AbstractSet[str] = frozenset(),
    create: Event | None = None,
) -> Decision:
    """Judge the events that an event lists as its auth events.

    Rule 2, in version 12 rules 2 and 3. For a create event, rule 1 is the whole
    judgement. A missing auth event, other than the create event, is no reason to
    reject.

    Args:
        event: any event.
        auth_events: the events in its `auth_events` that are at hand.
        rejected: the IDs of events that were rejected.
        create: in version 12, the create event, which no event lists.

    Returns:
        The decision of the first rule that fires; the last one, which allows, leaves
        the event to `check`.
    """
    events = AuthEvents(tuple(auth_events), frozenset(rejected), create)
    program = _AUTH_EVENTS_PROGRAMS.get(event.room_version)
    if program is None:
        program = _program_of_own(_AUTH_EVENTS_PROGRAMS, event.room_version)
    return program.judge(event, events)


def rules_of(room_version: RoomVersion) -> RuleList:
    """The rules of a room version: those on create and auth events, then the others.

    >>> from matrix_membership.room_versions import V12
    >>> rules = rules_of(V12)
    >>> len(rules.numbered), rules.numbered[0][1].name
    (67, 'create.has_prev_events')
    """
    return RuleList(
        room_version, tuple(rows_in((*CREATE, *AUTH_EVENTS, *STATE_DEPENDENT), room_version))
    )


def _program_of_own(programs: Mapping[RoomVersion, Program], room_version: RoomVersion) -> Program:
    """The program of a version of the caller's own: the one whose rule list it follows."""
    followed = [known for known in programs if known.auth_rules <= room_version.auth_rules]
    return programs[followed[-1] if followed else KNOWN["1"]].labelled(room_version)


def _judge_in_part(program: Program, event: Event, state: RoomState) -> Decision:
    """Judge against a partial state: suppose every membership of who was left out."""
    involved = {event.sender, event.state_key, event.authorised_via}
    users = filter(is_user_id, involved)  # not the token of a third-party invite
    missing = sorted(user for user in users if state.membership_of(user) is UNKNOWN)
    outcomes = [
        program.judge(event, _supposing(state, dict(zip(missing, guess, strict=True))))
        for guess in product(MEMBERSHIPS, repeat=len(missing))
    ]
    first = outcomes[0]
    if all(outcome is first for outcome in outcomes):
        return first
    return evolve(first, allowed=False, undecided=True)


def _supposing(state: RoomState, memberships: Mapping[str, str]) -> RoomState:
    """A state in which these users have these memberships."""
    supposed = {
        user: Event.from_client_event(
            {
                "type": "m.room.member",
                "sender": user,
                "state_key": user,
                "content": {"membership": membership},
            },
            state.room_version,
        )
        for user, membership in memberships.items()
    }

    def get(event_type: str, state_key: str) -> Event | None:
        if event_type == "m.room.member" and state_key in supposed:
            return supposed[state_key]
        return state.get(event_type, state_key)

    return RoomState.over(state.room_version, get)


@frozen
class RuleList:
    """The rules of one room version, in order.

    Attributes:
        room_version: the version.
        numbered: each rule with its number.
    """

    room_version: RoomVersion
    numbered: tuple[tuple[str, Rule], ...]

    def __iter__(self) -> Iterator[tuple[str, Rule]]:
        return iter(self.numbered)

    def __len__(self) -> int:
        return len(self.numbered)

    def __str__(self) -> str:
        """The list as a table: number, verdict, name, fact."""
        return "\n".join(
            f"{number:<9} {'allow' if rule.allows else 'reject':<7} {rule.name:<52} {rule.text}"
            for number, rule in self.numbered
        )

    def number_of(self, rule: str) -> str | None:
        """The number of a rule in this version, by its name; None when it has none."""
        return next((number for number, row in self.numbered if row.name == rule), None)
