"""The authorisation rules: they say whether an event may happen in a room.

- `check` judges an event against a state: rule 3 and those after it (version 12: 4).
- `explain` says why: every rule tried, the facts read, what would help.
- `needed_state` says which places of the state a check may read.
- `judge` runs both checks of an event by the events that it lists; `check_auth_events` judges these
  events by the rules before the state's.
- `select_auth_events` and `auth_chain` find out which events those are.
- `rules_of` is the rule list of a room version, to read or to print. `rulebook` is the same
  list as a value to amend, for a room version of your own.

A malformed event raises nothing: it is rejected, and a `Decision` is a value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, Final

from matrix_membership._attrs import frozen
from matrix_membership.auth._in_order import in_order
from matrix_membership.auth._program import Chosen, Program, compile_program
from matrix_membership.auth._rule import (
    Category,
    Decision,
    Rule,
    Section,
    allows,
    rejects,
    rows_in,
    table_of,
)
from matrix_membership.auth._rulebook import Rulebook as Rulebook
from matrix_membership.auth._rulebook import judges_lists_by_specification, rulebook
from matrix_membership.auth._suppositions import judge_in_part
from matrix_membership.auth.auth_events import (
    AuthEvents,
    auth_chain,
    needed_state,
    select_auth_events,
)
from matrix_membership.auth.explaining import Explanation as Explanation
from matrix_membership.auth.explaining import Remedy as Remedy
from matrix_membership.auth.explaining import explained
from matrix_membership.auth.explaining.levels import Shortfall as Shortfall
from matrix_membership.auth.explaining.levels import shortfalls
from matrix_membership.auth.specification import AUTH_EVENTS, CREATE, STATE_DEPENDENT
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.room_versions import RoomVersion, require_room_version
from matrix_membership.state import NO_JOIN_RULE, RoomState, keep_rows

__all__ = [
    "Category",
    "Decision",
    "Rule",
    "Section",
    "allows",
    "auth_chain",
    "check",
    "check_auth_events",
    "explain",
    "judge",
    "needed_state",
    "redaction_needs_recheck",
    "rejects",
    "rulebook",
    "rules_of",
    "select_auth_events",
    "shortfalls",
]


Compiled = tuple[Program, Chosen, Decision | None]
"""The rules that depend on the state, those on auth events, and the decision on a list in order.

The last is None if the rules on auth events are amended.
"""


@cache
def _compile(room_version: RoomVersion) -> Compiled:
    """Compile the rules of a version. Versions that are equal share the programs."""
    book = rulebook(room_version)
    listed = compile_program(book.auth_events, room_version, create=book.create).in_any_state
    return (
        compile_program(book.state_dependent, room_version, create=book.create),
        listed,
        listed.otherwise[1] if judges_lists_by_specification(book, room_version) else None,
    )


def _compiled(room_version: RoomVersion) -> Compiled:
    """Return the programs of a version, compiled at their first use."""
    found: Compiled | None = room_version.prepared
    if found is None:
        program, listed, ordered = _compile(room_version)
        # A check recognises the version by identity, so each copy of a version needs its own.
        in_state = {
            rule: (room_version, find, otherwise)
            for rule, (_, find, otherwise) in program.in_state.items()
        }
        found = Program(program.in_any_state, in_state), listed, ordered
        _keep(room_version, found)
    return found


# A version is immutable, but it may remember its programs: they follow from it.
_keep: Final = vars(RoomVersion)["prepared"].__set__


def check(event: Event, state: RoomState) -> Decision:
    """Judge an event by the rules that depend on the state.

    Rule 3 and those after it; in version 12 rule 4 and those after it. For a create
    event, only rule 1 is asked. See `Authorisation rules`__.

    Args:
        event: any event.
        state: the state to judge it against: its auth events, the state before it,
            or the current state.

    Returns:
        The decision of the first rule that fires. It is undecided if the state is partial
        and the verdict depends on what was left out. A state without a create event gives
        a rejection, by the rule that asks for one.

    >>> from matrix_membership.room_versions import V11
    >>> message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
    >>> print(check(Event.from_client_event(message, V11), RoomState.of(V11, [])))
    rejected by rule 2.4 of room version 11: the auth events contain no create event

    __ https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules

    .. versionadded:: 0.1.0
    """
    try:
        version, find, otherwise = state.prepared
        if version is not event.room_version:
            if not find:
                return _check_unprepared(event, state)
            # A state is immutable, but it may remember which rows serve it. The first check writes
            # them past the lock; later checks find them with one look-up and one comparison.
            # Threads that write at once all write rows that serve.
            # Without a call, once the version has its programs: many states are asked once only.
            compiled: Compiled = event.room_version.prepared or _compiled(event.room_version)
            prepared = compiled[0].in_state[None if find == NO_JOIN_RULE else state.join_rule]
            keep_rows(state, prepared)
            _, find, otherwise = prepared
        member = state.get_member(event.sender)
        of_case = find(event.case, otherwise)
        rows, end = of_case[None if member is None else member.membership]
        if end is None:
            member = state.get_member(event.state_key)
            rows, end = rows[None if member is None else member.membership]
        # The loop of `Chosen.judge` stands here once more: a call costs some 45 ns, a fifth of what
        # judging a public join against a prepared state takes.
        for applies, decision in rows:
            if applies(event, state):
                return decision  # type: ignore[no-any-return]  # see `Rows`
        return end  # type: ignore[no-any-return]  # noqa: TRY300 - not None by now; the loop can raise
    # A place that was filtered out of the state. Entering the block costs nothing.
    except IncompleteState:
        return _check_unprepared(event, state)


def _check_unprepared(event: Event, state: RoomState) -> Decision:
    """Judge against a state that cannot keep rows.

    It is partial, lies over a look-up, or has no create event.
    """
    # A stripped state may not know its create event: the rules that read it are undecided then.
    in_part = not state.is_whole
    if event.kind == "m.room.create":
        # No rule on it reads the state, so nothing is looked up.
        return _compiled(event.room_version)[0].in_any_state.judge_in_part(event, state)
    unknown = in_part and not state.knows("m.room.create")
    if not unknown and state.create_event is None:
        return check_auth_events(event, (), listed=())
    if in_part:
        return judge_in_part(event, state, _compiled(event.room_version)[0].in_any_state)
    return _compiled(event.room_version)[0].judge(event, state)


def check_auth_events(
    event: Event,
    auth_events: Iterable[Event],
    *,
    rejected: AbstractSet[str] = frozenset(),
    create: Event | None = None,
    selected: frozenset[tuple[str, str]] | None = None,
    listed: Sequence[EventID] | None = None,
) -> Decision:
    """Judge the events that an event lists as its auth events.

    Rule 2, in version 12 rules 2 and 3. For a create event, only rule 1 is asked. An
    event that lists too few auth events is not rejected for that, unless the create event
    is missing.

    Args:
        event: any event.
        auth_events: the events in its `auth_events` that are at hand.
        rejected: the IDs of events that were rejected.
        create: in version 12, the create event, which no event lists.
        selected: the result of `select_auth_events` for the event, if you have it already.
        listed: the IDs in its `auth_events`, if you have read them already. An ID that is
            listed twice rejects the event, however many of its events are at hand. In version
            12 a create event may stand among `auth_events` without being in `listed`.

    Returns:
        The decision of the first rule that fires. If it allows, judge the event with
        `check` next. Cost: linear in the number of auth events; without `listed`, also in
        the size of the event.

    .. versionadded:: 0.1.0
    """
    auth_events = tuple(auth_events)
    if listed is None:
        listed = event.auth_events
    elif event.room_version.room_id_is_create_event:
        create, auth_events = _create_apart(auth_events, create, listed)
    compiled: Compiled = event.room_version.prepared or _compiled(event.room_version)
    ordered = compiled[2]
    if ordered is not None and in_order(event, auth_events, rejected, create, listed):
        return ordered
    events = AuthEvents.of(event, auth_events, rejected, create, selected, listed)
    return compiled[1].judge(event, events)


def judge(
    event: Event,
    listed: Iterable[Event],
    *,
    rejected: AbstractSet[str] = frozenset(),
    create: Event | None = None,
    missing: Collection[EventID] = (),
    selected: frozenset[tuple[str, str]] | None = None,
    listed_ids: Sequence[EventID] | None = None,
    state: RoomState | None = None,
) -> Decision:
    """Judge an event by its auth events: their list first, then their state.

    Every server that judges a PDU does it by this function, as check 4 of the `Checks performed
    on receipt of a PDU`__.

    Args:
        event: the event.
        listed: the events that it lists and that are at hand. In version 12 the create event,
            which no event lists, may stand among them.
        rejected: the IDs of events that were rejected.
        create: the create event of its room, which counts in version 12 only.
        missing: the IDs of the listed events that are not at hand. One that was rejected
            rejects the event. What the others hold is unknown; a create event must be at hand.
        selected: the result of `select_auth_events` for the event, when it is at hand.
        listed_ids: the IDs in its `auth_events`, when they are at hand.
        state: a state that holds the listed events in the selected places, when it is at
            hand. Otherwise one is made, which costs more than the judgement.

    Returns:
        The first decision that rejects; otherwise that of the state-dependent rules. It is
        undecided when it depends on a missing event. Cost: linear in the listed events.

    >>> from matrix_membership.room_versions import V11
    >>> message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
    >>> print(judge(Event.from_client_event(message, V11), []))
    rejected by rule 2.4 of room version 11: the auth events contain no create event

    __ https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu

    .. versionadded:: 0.1.0
    """
    if not rejected.isdisjoint(missing):
        # A server does not have to keep a rejected event to know that it was rejected.
        return _lists_rejected(event.room_version)
    listed = in_state = tuple(listed)
    if event.room_version.room_id_is_create_event:
        ids = event.auth_events if listed_ids is None else listed_ids
        create, listed = _create_apart(listed, create, ids)
        in_state = listed if create is None else (create, *listed)
        listed_ids = ids
    decision = check_auth_events(
        event, listed, rejected=rejected, create=create, selected=selected, listed=listed_ids
    )
    if not decision.allowed:
        return decision
    # Made only if the caller has none: making it takes longer than judging by it.
    if state is None:
        state = _state_of(event.room_version, in_state, complete=not missing)
    return check(event, state)


def _state_of(version: RoomVersion, events: tuple[Event, ...], *, complete: bool) -> RoomState:
    """Make the state of the events that another one lists."""
    if complete:
        return RoomState.of(version, events)
    # Any place that none of them holds may be that of one that is missing. The places serve as IDs.
    held: dict[Any, Event] = {
        (entry.type, entry.state_key): entry for entry in events if entry.state_key is not None
    }
    return RoomState.of_ids(
        {place: place for place in held}, held, room_version=version, needed=held
    )


def _create_apart(
    listed: tuple[Event, ...], create: Event | None, ids: Sequence[EventID]
) -> tuple[Event | None, tuple[Event, ...]]:
    """Return version 12's create event, and the events that are really listed."""
    for entry in listed:
        # An event that lists its create event is rejected for it (3.2), so that one stays.
        place = entry.type, entry.state_key
        if place == ("m.room.create", "") and entry.event_id not in ids:
            others = tuple([other for other in listed if other is not entry])
            return create or entry, others
    return create, listed


def _lists_rejected(room_version: RoomVersion) -> Decision:
    """Return the decision on an event that lists a rejected one."""
    return next(
        rule.decision(room_version, number)
        for number, rule in rules_of(room_version).numbered
        if rule.name == "auth_events.rejected"
    )


def redaction_needs_recheck(event: Event, state: RoomState) -> bool:
    """Tell whether a redaction must be checked again with the event it redacts.

    Its sender lacks the redact level. So the rules may allow it, but it is applied only once
    the event that it redacts is at hand, and if that event's sender is of the same server. See `Handling
    redactions`__.

    Args:
        event: any event; only `m.room.redaction` can need it.
        state: the state that it is judged against.

    Raises:
        IncompleteState: the state leaves out what its sender's level depends on.

    >>> from matrix_membership.room_versions import V11
    >>> fields = {"type": "m.room.redaction", "sender": "@ana:a.example", "content": {}}
    >>> redaction_needs_recheck(Event.from_client_event(fields, V11), RoomState.of(V11, []))
    True

    __ https://spec.matrix.org/v1.19/rooms/v12/#handling-redactions

    .. versionadded:: 0.1.0
    """
    if event.type != "m.room.redaction":
        return False
    return state.power_level_of(event.sender) < state.power_levels.redact


def explain(event: Event, state: RoomState) -> Explanation:
    """Judge an event as `check` does, and say why.

    Args:
        event: any event.
        state: the state to judge it against.

    Returns:
        The decision with every rule tried, the facts that the rules read, and where each
        fact comes from. A rejection also has remedies, each of them tried with the same
        rules. With a partial state, the rules tried are shown as if the users left out were
        invited. A rule that reads anything else that is missing is unknown. Cost: some hundred
        checks. It is linear in the size of the event and of the power levels and, for the first
        question to a state of `RoomState.of`, in its members. For an event that changes thousands
        of levels fewer remedies are tried.

    >>> from matrix_membership.room_versions import V11
    >>> message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
    >>> explanation = explain(Event.from_client_event(message, V11), RoomState.of(V11, []))
    >>> print(explanation.steps[-1])
    2.4       auth_events.no_create_event                             reject  The auth events contain no create event.

    .. versionadded:: 0.1.0
    """
    return explained(event, state, check)


def rules_of(room_version: RoomVersion) -> RuleList:
    """Return the rules of a room version, those on create and auth events first.

    >>> from matrix_membership.room_versions import V12
    >>> rules = rules_of(V12)
    >>> len(rules.numbered), rules.numbered[0][1].name
    (67, 'create.has_prev_events')

    .. versionadded:: 0.1.0
    """
    require_room_version(room_version)
    if room_version.rules is not None:
        return RuleList(room_version, tuple(rulebook(room_version)))
    rows = rows_in((*CREATE, *AUTH_EVENTS, *STATE_DEPENDENT), room_version.auth_rules)
    return RuleList(room_version, tuple(rows))


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
        """Return the list as a table: number, verdict, name, fact."""
        return table_of(self.numbered)

    def number_of(self, rule: str) -> str | None:
        """Return the number of a rule by its name; None if this version lacks the rule."""
        return next((number for number, row in self.numbered if row.name == rule), None)
