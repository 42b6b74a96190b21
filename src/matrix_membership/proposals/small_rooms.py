"""Rooms of two users, and every state that events can bring them to.

The search is exhaustive in a small scope: the memberships of two users, some power levels
and join rules. Most faults of a large room show in a small one too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonObject, freeze
from matrix_membership.membership import BAN, JOIN, MEMBERSHIPS, JoinRule
from matrix_membership.proposals.situations import (
    ANA,
    BEN,
    CAY,
    CREATE,
    Situation,
    join_rule_event,
    levels_event,
    member_event,
)
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState

USERS: Final = (ANA, BEN)

Place = tuple[str, str]
Room = tuple[tuple[Place, JsonObject], ...]
"""The state events other than the create event, by place, sorted."""

_LEVELS: Final = tuple(
    JsonObject(freeze({"users": {ANA: ana, BEN: ben}, **named}))
    for ana in (100, 0)
    for ben in (100, 50, 0)
    for named in ({}, {"invite": 100})
)
_OF_BEN: Final = tuple(
    JsonObject(freeze({"users": {BEN: ben}, **named}))
    for ben in (100, 50, 0)
    for named in ({}, {"invite": 100})
)
"""The same without Ana, the creator, whom levels cannot list where creators are privileged."""

_JOIN_RULES: Final = (JoinRule.INVITE, JoinRule.PUBLIC, JoinRule.KNOCK)


@frozen
class Step:
    """An event that the rules allow, and the rooms before and after it.

    Attributes:
        before: the room before.
        event: the event.
        after: the room after.
    """

    before: Room
    event: JsonObject
    after: Room

    @property
    def situation(self) -> Situation:
        """The event in its room."""
        return situation_of(self.before, self.event)


@frozen
class SmallRooms:
    """All rooms that events can make of a new one.

    Attributes:
        room_version: their version.
        came: the step by which each room was reached first; None for the new one.
        steps: the steps out of each room.
    """

    room_version: RoomVersion
    came: Mapping[Room, Step | None]
    steps: Mapping[Room, tuple[Step, ...]]

    def script(self, room: Room) -> tuple[JsonObject, ...]:
        """Return the shortest list of events that leads to a room."""
        events: list[JsonObject] = []
        step = self.came[room]
        while step is not None:
            events.append(step.event)
            step = self.came[step.before]
        return tuple(reversed(events))

    def state(self, room: Room) -> RoomState:
        """Return the state of a room."""
        return situation_of(room, CREATE).state_in(self.room_version)

    def leading_to(self, goals: Iterator[Room]) -> frozenset[Room]:
        """Return the rooms from which some of the goals can be reached. Cost: linear."""
        into: dict[Room, list[Room]] = {room: [] for room in self.steps}
        for room, steps in self.steps.items():
            for step in steps:
                into[step.after].append(room)
        found = set(goals)
        waiting = list(found)
        while waiting:
            before = [room for room in into[waiting.pop()] if room not in found]
            found.update(before)
            waiting.extend(before)
        return frozenset(found)


def small_rooms(room_version: RoomVersion) -> SmallRooms:
    """Search the rooms of a version. Cost: some 100,000 checks."""
    new: Room = _with((), member_event(ANA, "join"))
    came: dict[Room, Step | None] = {new: None}
    steps: dict[Room, tuple[Step, ...]] = {}
    # Breadth first, so that the first way to a room is the shortest: it is what a reader is shown.
    waiting = deque([new])
    moves = tuple(_moves(room_version))
    # Read once: what a user sends does not depend on the room.
    events = [(move, situation_of((), move).event_in(room_version)) for move in moves]
    while waiting:
        room = waiting.popleft()
        state = situation_of(room, CREATE).state_in(room_version)
        taken: list[Step] = []
        for move, event in events:
            if auth.check(event, state).allowed:
                step = Step(room, move, _with(room, move))
                taken.append(step)
                if step.after not in came:
                    came[step.after] = step
                    waiting.append(step.after)
        steps[room] = tuple(taken)
    return SmallRooms(room_version, came, steps)


def situation_of(room: Room, event: JsonObject) -> Situation:
    """Return an event in a room as a situation."""
    return Situation((CREATE, *(document for _, document in room)), event)


def can_invite(state: RoomState) -> bool:
    """Tell whether somebody can invite."""
    # Nobody in these rooms has named Cay, so only power decides about the invite.
    invites = [member_event(CAY, "invite", sender=user) for user in USERS]
    return any(_allowed(invite, state) for invite in invites)


def can_unban(state: RoomState) -> bool:
    """Tell whether somebody can unban, or nobody is banned."""
    banned = [user for user in USERS if state.membership_of(user) is BAN]
    lifts = [
        member_event(user, "leave", sender=sender)
        for user in banned
        for sender in USERS
        if sender != user
    ]
    return not banned or any(_allowed(lift, state) for lift in lifts)


def can_change_power(state: RoomState) -> bool:
    """Tell whether somebody can send power levels that differ from those of the room."""
    return any(
        _allowed(levels_event(levels, sender=user), state)
        for user in USERS
        for levels in _levels(state.room_version)
        if levels["users"] != dict(state.power_levels.users)
    )


def anybody_joined(state: RoomState) -> bool:
    """Tell whether the room has a joined member."""
    return any(state.membership_of(user) is JOIN for user in USERS)


def _allowed(document: JsonObject, state: RoomState) -> bool:
    event = situation_of((), document).event_in(state.room_version)
    return auth.check(event, state).allowed


def _with(room: Room, event: JsonObject) -> Room:
    place = (str(event["type"]), str(event["state_key"]))
    # The rules do not ask who sent it. One form of each event lets two ways to one state meet.
    user = place[1] if place[0] == "m.room.member" else ANA
    kept = JsonObject({**event, "sender": user})
    return tuple(sorted({**dict(room), place: kept}.items(), key=lambda entry: entry[0]))


def _levels(room_version: RoomVersion) -> tuple[JsonObject, ...]:
    return _OF_BEN if room_version.privileged_creators else _LEVELS


def _moves(room_version: RoomVersion) -> Iterator[JsonObject]:
    for sender in USERS:
        for user in USERS:
            for membership in MEMBERSHIPS:
                yield member_event(user, membership, sender=sender)
        yield from (levels_event(levels, sender=sender) for levels in _levels(room_version))
        for rule in (*_JOIN_RULES, *room_version.own_join_rules):
            yield join_rule_event(str(rule), sender=sender)
