"""Look for what is wrong with the rules of a room version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from types import MappingProxyType
from typing import Never

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.auth import Decision, Rule
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze, thaw
from matrix_membership.errors import IncompleteState, InvalidEvent
from matrix_membership.events import Event
from matrix_membership.identifiers import UserID
from matrix_membership.membership import BAN, JOIN
from matrix_membership.proposals.situations import Situation, situations
from matrix_membership.proposals.small_rooms import (
    USERS,
    SmallRooms,
    anybody_joined,
    can_change_power,
    can_invite,
    can_unban,
    small_rooms,
)
from matrix_membership.redaction import redact
from matrix_membership.room_versions import RoomVersion, require_room_version
from matrix_membership.state import RoomState, Storage


@frozen
class Remark:
    """Something about the rules that their author should look at.

    Attributes:
        kind: `never fires`, `shadowed`, `guesses`, `lost by redaction`, `dead end`,
            `power out of nothing` or `banned yet joined`.
        text: what was found, in a sentence.
        events: the events that lead there, in order, from a new room that Ana made and
            joined; or the situation that shows it, its event last. Empty for a rule that
            no situation makes fire.
    """

    kind: str
    text: str
    events: tuple[JsonObject, ...] = ()

    def __str__(self) -> str:
        """Return the remark with its events, a line for each."""
        lines = [f"{self.kind}: {self.text}", *(f"  {_line(event)}" for event in self.events)]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the remark as a JSON object."""
        events = [thaw(event) for event in self.events]
        return {"kind": self.kind, "text": self.text, "events": events}


@frozen
class Review:
    """The remarks on the rules of a room version.

    Attributes:
        room_version: the version.
        remarks: what was found; many are as the specification wants them.
        rooms: the number of small rooms that were searched.
    """

    room_version: RoomVersion
    remarks: tuple[Remark, ...]
    rooms: int

    def __str__(self) -> str:
        """Return the review as a text."""
        heading = f"Room version {self.room_version}: {self.rooms} small rooms searched"
        return "\n\n".join([heading, *map(str, self.remarks)])

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the review as a JSON object."""
        return {
            "room_version": self.room_version.identifier,
            "remarks": [remark.to_dict() for remark in self.remarks],
            "rooms": self.rooms,
        }


def review(room_version: RoomVersion, cases: Iterable[Situation] = ()) -> Review:
    """Look for what is wrong with the rules of a room version.

    Args:
        room_version: the version, such as one that follows an amended rulebook.
        cases: more situations to judge, after those of `compare`: give some with what your
            rules read, such as a key of a content that no other rule knows.

    Returns:
        Rules that never fire or that an earlier rule always forestalls; rules that answer
        although the state does not tell what they read; verdicts that the
        redaction of an event changes; states from which nobody can ever invite, unban or
        change power again; events by which a user gains more power than the sender has;
        and users who join while they are banned. Cost: some seconds.

    >>> from matrix_membership.room_versions import V8
    >>> lost = [remark.text for remark in review(V8).remarks if remark.kind == "lost by redaction"]
    >>> print(*[text for text in lost if "authorised_by" in text])
    allowed by 4.3.5.3 (join.authorised_by_a_member), rejected by 4.3.5.2
    (join.authoriser_may_not_invite) once it is redacted

    .. versionadded:: 0.1.0
    """
    # Searched once for two questions, since it costs some 100,000 checks.
    require_room_version(room_version)
    rooms = small_rooms(room_version)
    judged = tuple(_judged(room_version, cases))
    remarks = chain(
        _silent_rules(room_version, judged),
        _guesses(room_version, judged),
        _lost_by_redaction(room_version, judged),
        _dead_ends(rooms),
        _gains(rooms),
    )
    return Review(room_version, tuple(remarks), len(rooms.steps))


def _line(event: JsonObject) -> str:
    return str(Situation((), event)).removeprefix("then ")


# ------------------------------------------------------------------ rules


def _silent_rules(room_version: RoomVersion, judged: Sequence[Judged]) -> Iterator[Remark]:
    """Yield the rules that decide nothing, with what forestalls them."""
    fired = {decision.rule for _, decision in judged}
    for number, rule in auth.rulebook(room_version):
        if rule.name in fired or rule.name.startswith(_BEYOND):
            continue
        forestalled = _forestalled(rule, room_version, judged)
        if forestalled is None:
            yield Remark("never fires", f"rule {number} ({rule.name}) decides no situation")
        else:
            situation, decision = forestalled
            text = f"rule {number} ({rule.name}) holds, but {decision.number} decides before it"
            yield Remark("shadowed", text, (*situation.state, situation.event))


_BEYOND = ("auth_events.", "invite.third_party")
"""Chapters that read more than an event and a state: listed events, and signatures."""


Judged = tuple[Situation, Decision]


def _judged(room_version: RoomVersion, cases: Iterable[Situation]) -> Iterator[Judged]:
    for situation in chain(situations(room_version.own_join_rules), cases):
        with suppress(InvalidEvent):
            yield situation, situation.decision_in(room_version)


def _forestalled(rule: Rule, room_version: RoomVersion, judged: Sequence[Judged]) -> Judged | None:
    """Return a situation in which a rule holds although another one decides."""
    book = auth.rulebook(room_version)
    others = [other.name for _, other in book if other.name != rule.name]
    # If the rule alone would decide, another one that comes before it has taken its place.
    alone = room_version.evolve(identifier=str(room_version), rules=book.remove(*others))
    usual = auth.rulebook(room_version.evolve(identifier=str(room_version), rules=None))
    holding = (found for found in judged if found[0].decision_in(alone).rule == rule.name)
    first: Judged | None = None
    for found in holding:
        # A rule of the author's own has done it more likely than one that was always in front.
        if found[1].rule not in usual:
            return found
        first = first or found
    return first


def _guesses(room_version: RoomVersion, judged: Sequence[Judged]) -> Iterator[Remark]:
    """Yield the rules that answer although the state does not tell what they read."""
    # A rule that catches every `Exception` catches `IncompleteState` too. With the state of an
    # invite it would stay silent where it must leave the verdict open.
    situations_of = {situation.event: situation for situation, _ in judged}
    events = [(event, found.event_in(room_version)) for event, found in situations_of.items()]
    rules = auth.Rulebook((), (), auth.rulebook(room_version).state_dependent)
    for number, rule in rules:
        found = ((document, _guessed(rule, event)) for document, event in events)
        document, missing = next((pair for pair in found if pair[1]), (None, ""))
        if document is not None:
            text = f"rule {number} ({rule.name}) answers although the state does not tell {missing}"
            yield Remark("guesses", text, (document,))


def _guessed(rule: Rule, event: Event) -> str:
    """Return what a rule asked in vain for before it answered; empty if it did not."""
    asked: list[str] = []

    def refuse(*place: str) -> Never:
        asked.append(" ".join(place).rstrip())
        raise IncompleteState("a rule", asked[-1])

    def refuse_all(*_: object) -> Never:
        refuse("all members")

    storage = Storage(refuse, refuse_all, refuse_all, refuse_all)
    state = RoomState.over(event.room_version, storage)
    try:
        rule.applies(event, state)
    # Here a rule is tried outside of its section, where it may fail at anything.
    except Exception:  # noqa: BLE001 - see above
        return ""
    return asked[0] if asked else ""


# ------------------------------------------------------------------ redaction


def _lost_by_redaction(room_version: RoomVersion, judged: Sequence[Judged]) -> Iterator[Remark]:
    """Yield the verdicts that change when the judged event is redacted."""
    told: set[tuple[str, str]] = set()
    for situation, before in judged:
        # A verdict that depends on a key which redaction takes is another one for a server that gets
        # the redacted form. In version 8 that was so of the user who authorises a join.
        content = redact(situation.event, room_version)["content"]
        document = JsonObject({**situation.event, "content": freeze(content)})
        redacted = Situation(situation.state, document, situation.signed_by)
        after = redacted.decision_in(room_version)
        pair = before.rule, after.rule
        if before.allowed is after.allowed or pair in told:
            continue
        told.add(pair)
        text = f"{_short(before)}, {_short(after)} once it is redacted"
        yield Remark("lost by redaction", text, (*situation.state, situation.event))


def _short(decision: Decision) -> str:
    verdict = "allowed" if decision.allowed else "rejected"
    return f"{verdict} by {decision.number} ({decision.rule})"


# ------------------------------------------------------------------ small rooms

_GOALS: Mapping[str, Callable[[RoomState], bool]] = MappingProxyType(
    {"invite": can_invite, "unban": can_unban, "change power": can_change_power}
)


def _dead_ends(rooms: SmallRooms) -> Iterator[Remark]:
    """Yield the shortest way to where something can never be done again."""
    states = {room: rooms.state(room) for room in rooms.steps}
    for goal, can in _GOALS.items():
        # Backwards from where it can be done. Forwards, each room would need a search of its own.
        alive = rooms.leading_to(room for room, state in states.items() if can(state))
        for room, state in states.items():  # in the order in which they were reached
            # A room that all have left is dead in every version, and would be found first.
            if room not in alive and anybody_joined(state):
                yield Remark("dead end", f"nobody can ever {goal} again", rooms.script(room))
                break


def _gains(rooms: SmallRooms) -> Iterator[Remark]:
    """Yield gains of more power than the sender has, and joins of the banned."""
    found: dict[str, Remark] = {}
    for room, steps in rooms.steps.items():
        before = rooms.state(room)
        for step in steps:
            after = rooms.state(step.after)
            for kind, text in _wrong(before, step.event, after):
                if kind not in found:
                    found[kind] = Remark(kind, text, (*rooms.script(room), step.event))
    yield from found.values()


def _wrong(before: RoomState, event: JsonObject, after: RoomState) -> Iterator[tuple[str, str]]:
    sender = UserID(str(event["sender"]))
    level = before.power_level_of(sender)
    for user in USERS:
        now = after.power_level_of(user)
        # A user who was above the sender before has gained nothing.
        if now > max(level, before.power_level_of(user)):
            text = f"{sender}, of level {level}, gives {user} level {now}"
            yield "power out of nothing", text
        if before.membership_of(user) is BAN and after.membership_of(user) is JOIN:
            yield "banned yet joined", f"{user} joins while banned"
