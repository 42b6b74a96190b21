"""Side by side with another implementation, before switching to this one.

The page on conformance lists the classes in which the verdicts of servers differ. Here they have
the same names: `compatible` makes a room version that judges as the other implementation does,
and `shadow` runs both and reports every difference with its class.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from types import MappingProxyType
from typing import Any, Final, TypeVar

from matrix_membership._attrs import frozen
from matrix_membership.auth import (
    Category,
    Decision,
    Rule,
    allows,
    check,
    needed_state,
    rejects,
    rulebook,
)
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.events.contents import NAMED_LEVELS, NO_POWER_LEVELS, PowerLevels
from matrix_membership.identifiers import server_of
from matrix_membership.membership import JOIN
from matrix_membership.room_versions import RoomVersion, require_room_version
from matrix_membership.state import RoomState

__all__ = ["SYNAPSE", "Difference", "compatible", "shadow"]

T = TypeVar("T")
Judge = Callable[[Event, RoomState], Decision]

# ------------------------------------------------------------------ switches


@rejects(category=Category.FEDERATION)
def closed_to_a_server(event: Event, state: RoomState) -> bool:
    """The room is not federated, and the sender or target is of another server."""
    # The view comes first: a prepared state knows it, so that this rule is settled beforehand.
    if state.create.openly_federated or (create := state.create_event) is None:
        return False
    target = event.state_key if event.type == "m.room.member" else None
    return event.server != create.server or (
        target is not None and server_of(target) != create.server
    )


@rejects(category=Category.AUTHORISER)
def join_unsigned_by_the_authoriser(event: Event, _: RoomState) -> bool:
    """The authorising user's server has not signed the join."""
    server = event.authorising_server
    return event.membership is JOIN and server is not None and server not in event.signed_by


@rejects(category=Category.POWER)
def changes_present_level_above_own(event: Event, state: RoomState) -> bool:
    """A level that is present and changed was above the sender's."""
    before, after = state.power_levels, _new(event)
    return _highest_altered(before, after) > state.power_level_of(event.sender)


@rejects(category=Category.POWER)
def sets_present_level_above_own(event: Event, state: RoomState) -> bool:
    """A level is written down above the sender's."""
    before, after = state.power_levels, _new(event)
    return _highest_altered(after, before) > state.power_level_of(event.sender)


@allows()
def first_power_levels_of_their_key(event: Event, state: RoomState) -> bool:
    """The room has no power levels of this state key yet."""
    return not state.power_levels.exists or event.state_key != ""


@allows()
def of_an_event_of_the_same_server_or_of_none(event: Event, _: RoomState) -> bool:
    """The redacted event's ID is of the same server as the redaction's, or no text."""
    redacts = event.redacts
    return not isinstance(redacts, str) or (
        ":" in redacts and server_of(redacts) == server_of(event.event_id)
    )


def _new(event: Event) -> PowerLevels:
    return event.view if isinstance(event.view, PowerLevels) else NO_POWER_LEVELS


def _highest_altered(side: PowerLevels, other: PowerLevels) -> float:
    return max(
        (
            side.named[name]
            for name in NAMED_LEVELS
            if name in side.named and side.named[name] != other.named.get(name)
        ),
        default=float("-inf"),
    )


_SWITCHES: Final[Mapping[str, tuple[tuple[str, Rule], ...]]] = MappingProxyType(
    {
        "federate": (("every_event.sender_from_unfederated_server", closed_to_a_server),),
        "authoriser-signature": (
            ("member.unsigned_by_the_authoriser", join_unsigned_by_the_authoriser),
        ),
        "power-level-alterations": (
            ("power_levels.changes_named_level_above_own", changes_present_level_above_own),
            ("power_levels.sets_named_level_above_own", sets_present_level_above_own),
        ),
        "power-levels-state-key": (
            ("power_levels.first_power_levels", first_power_levels_of_their_key),
        ),
        "redaction-target": (
            (
                "redaction.of_an_event_of_the_same_server",
                of_an_event_of_the_same_server_or_of_none,
            ),
        ),
    }
)
"""By the name of the class: the rules of the specification, each with what replaces it."""

SYNAPSE: Final = tuple(_SWITCHES)
"""The switches with which this library judges as Synapse 1.163 does."""


def compatible(room_version: RoomVersion, *switches: str) -> RoomVersion:
    """Return a room version that judges as another implementation does.

    Args:
        room_version: the version.
        switches: the names of classes of the page on conformance, such as `federate`.
            `SYNAPSE` has those that make the verdicts Synapse's.

    Returns:
        A version with the same identifier and format, and an amended rulebook. Keep it: each call
        makes another one, whose rules are compiled at the first check, in some tens of
        milliseconds. Judge events read by it against states made with it.

    Raises:
        LookupError: a switch is unknown.

    >>> from matrix_membership.room_versions import V11
    >>> version = compatible(V11, "authoriser-signature")
    >>> [number for number, rule in rulebook(version) if rule.name.startswith("conformance.")]
    ['4.2.1']

    .. versionadded:: 0.1.0
    """
    require_room_version(room_version)
    book = rulebook(room_version)
    for switch in switches:
        if switch not in _SWITCHES:
            raise LookupError(f"expected one of {', '.join(_SWITCHES)}, got {switch!r}")
        for name, rule in _SWITCHES[switch]:
            if name in book:
                book = book.replace(name, rule)
    return room_version.evolve(identifier=room_version.identifier, rules=book)


# ------------------------------------------------------------------ classes


Holds = Callable[[Event, RoomState, Decision], bool]

CLASSES: Final[Mapping[str, Holds]] = MappingProxyType(
    {
        "authoriser-signature": lambda event, _, ours: (
            ours.rule == "member.unsigned_by_the_authoriser" and event.membership is not JOIN
        ),
        "federate": lambda event, state, _: closed_to_a_server(event, state),
        "power-level-alterations": lambda event, _, ours: (
            event.type == _LEVELS and ours.rule.endswith("_named_level_above_own")
        ),
        "odd-level": lambda event, state, _: any(
            map(_has_odd_level, _levels_contents(event, state))
        ),
        "odd-level-map": lambda event, state, _: any(
            map(_has_odd_map, _levels_contents(event, state))
        ),
        "power-levels-state-key": lambda event, _, __: (
            event.type == _LEVELS and event.state_key != ""
        ),
        "malformed-member": lambda event, _, __: _is_malformed_member(event),
        "redaction-target": lambda event, _, ours: (
            ours.rule == "redaction.otherwise" and not isinstance(event.redacts, str)
        ),
    }
)
"""By the name under which the page on conformance lists it; the first that holds counts."""


def class_of(event: Event, state: RoomState, ours: Decision) -> str:
    """Return the class of a difference; empty for one that nobody has listed."""
    return next((name for name in CLASSES if _holds(name, event, state, ours)), "")


def _holds(name: str, event: Event, state: RoomState, ours: Decision) -> bool:
    try:
        return CLASSES[name](event, state, ours)
    except IncompleteState:  # the rules did without what the state leaves out
        return False


_LEVELS: Final = "m.room.power_levels"
_MAPS: Final = ("users", "events", "notifications")


def _levels_contents(event: Event, state: RoomState) -> Iterator[Mapping[str, Any]]:
    current = state.get(_LEVELS)
    if current is not None:
        yield current.content
    if event.type == _LEVELS:
        yield event.content


def _has_odd_level(content: Mapping[str, Any]) -> bool:
    maps = [content[name] for name in _MAPS if isinstance(content.get(name), Mapping)]
    levels = [content[name] for name in NAMED_LEVELS if name in content]
    return any(
        level.__class__ is not int for level in chain(levels, *(told.values() for told in maps))
    )


def _has_odd_map(content: Mapping[str, Any]) -> bool:
    return any(
        not isinstance(content[name], Mapping)
        or (name == "users" and not all(user.startswith("@") for user in content[name]))
        for name in _MAPS
        if name in content
    )


def _is_malformed_member(event: Event) -> bool:
    content = event.content
    return event.type == "m.room.member" and (
        not isinstance(content.get("membership"), str)
        or ":" not in (event.state_key or "")
        or "third_party_invite" in content
        or not isinstance(content.get("join_authorised_via_users_server", ""), str)
    )


# ------------------------------------------------------------------ shadow


@frozen
class Difference:
    """Two verdicts on one event.

    `str()` gives a script that judges the event again and says why. It holds the event, and what the
    state has at the places of `auth.needed_state`.

    Attributes:
        event: the event.
        state: the state that it was judged against.
        ours: the decision of this library.
        theirs: what the other implementation returned or raised.
        label: the class of the page on conformance; empty for a difference that is not listed.

    .. versionadded:: 0.1.0
    """

    event: Event
    state: RoomState
    ours: Decision
    theirs: object
    label: str

    def __str__(self) -> str:
        version = self.event.room_version
        book = rulebook(version)
        used = [
            name for name, rules in _SWITCHES.items() if any(rule.name in book for _, rule in rules)
        ]
        known = [place for place in sorted(needed_state(self.event)) if self.state.knows(*place)]
        held = {place: event for place in known if (event := self.state.get(*place)) is not None}
        lines = [
            f"# class: {self.label or 'not listed'}",
            *(f"# {line}" for line in f"theirs: {self.theirs!r}".splitlines()),
            f"# ours: {self.ours}",
            "from matrix_membership import KNOWN, Event, RoomState, auth",
            "from matrix_membership.conformance import compatible",
            "",
            f"version = compatible(KNOWN[{version.identifier!r}], *{used})",
            f"state = { {place: _told(event) for place, event in held.items()} }",
            f"known = {known}  # what the rules may read; a place without an event is empty",
            f"event = {_told(self.event)}",
            f"signed_by = {sorted(self.event.signed_by)}",
            "judged = Event.accepted(event, version, signed_by=signed_by)",
            "held = {place: Event.accepted(entry, version) for place, entry in state.items()}",
            "ids = dict(zip(held, held))",
            "before = RoomState.of_ids(ids, held, needed=known, room_version=version)",
            "print(auth.explain(judged, before))",
        ]
        return "\n".join(lines)


_TOLD: Final = ("type", "state_key", "sender", "content", "redacts", "prev_events")


def _told(event: Event) -> dict[str, JsonValue]:
    document = event.document
    return {
        **{key: document[key] for key in _TOLD if key in document},
        "event_id": event.event_id,
        "room_id": event.room_id,
    }


Told = tuple[Event, RoomState]


def shadow(
    theirs: Callable[[], T],
    ours: Callable[[], Told | Awaitable[Told]],
    report: Callable[[Difference | Exception], object],
    *,
    judge: Judge = check,
) -> T:
    """Let another implementation decide, and report where this one differs.

    Args:
        theirs: judges. It allows, unless it raises an exception or returns false; None allows. It
            may be asynchronous: then await the result, and `ours` may be asynchronous too.
        ours: reads the same event, and the state that it is judged against.
        report: is handed each difference, in which an undecided decision counts as a rejection; and
            each exception that `ours`, `judge` or `report` itself raises. The host goes on
            even if `report` raises another one about that.
        judge: the check that is compared.

    Returns:
        What `theirs` returned; what it raised is raised. Cost: that of both.

    >>> from matrix_membership.room_versions import V11
    >>> message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
    >>> event = Event.from_client_event(message, V11)
    >>> shadow(lambda: True, lambda: (event, RoomState.of(V11, [])), lambda d: print(d.ours))
    rejected by rule 2.4 of room version 11: the auth events contain no create event
    True

    .. versionadded:: 0.1.0
    """
    try:
        answer = theirs()
    except Exception as refusal:
        _compare(refusal, ours, report, judge, allowed=False)
        raise
    # A coroutine is true: it would count as an allow before anybody judged.
    if answer is not None and hasattr(answer, "__await__"):
        awaited: Any = _awaited(answer, ours, report, judge)
        return awaited  # type: ignore[no-any-return]  # awaitable, as `answer` is
    _compare(answer, ours, report, judge, allowed=answer is None or bool(answer))
    return answer


async def _awaited(
    theirs: Any,
    ours: Callable[[], Told | Awaitable[Told]],
    report: Callable[[Difference | Exception], object],
    judge: Judge,
) -> object:
    """Do as `shadow` does, once the other implementation has decided."""
    try:
        answer = await theirs
    except Exception as refusal:
        _compare(refusal, await _read(ours), report, judge, allowed=False)
        raise
    allowed = answer is None or bool(answer)
    _compare(answer, await _read(ours), report, judge, allowed=allowed)
    return answer


async def _read(ours: Callable[[], Any]) -> Callable[[], Told]:
    """Read at once; raise later what that raises."""
    try:
        told = ours()
        if hasattr(told, "__await__"):
            told = await told
    except Exception as error:  # noqa: BLE001 - as in `_compare`
        stumbled = error

        def again() -> Told:
            raise stumbled

        return again
    return lambda: told


def _compare(
    theirs: object,
    ours: Callable[[], Any],
    report: Callable[[Difference | Exception], object],
    judge: Judge,
    *,
    allowed: bool,
) -> None:
    try:
        event, state = ours()
        decision = judge(event, state)
        if decision.allowed is not allowed:
            label = class_of(event, state, decision)
            report(Difference(event, state, decision, theirs, label))
    # The host goes on whatever this library or its report stumbles over: that is why it asks in
    # the shadow.
    except Exception as stumbled:  # noqa: BLE001 - as said above
        with suppress(Exception):
            report(stumbled)
