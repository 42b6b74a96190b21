"""Check the power levels of a room: somebody has to be able to act."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from matrix_membership.advice._finding import Check, Finding, Weight
from matrix_membership.advice._given import need_all_members
from matrix_membership.auth.explaining.levels import acts, listed
from matrix_membership.events.contents import NAMED_LEVELS, level_of
from matrix_membership.identifiers import is_user_id
from matrix_membership.membership import BAN, JOIN
from matrix_membership.state import RoomState


def _highest(state: RoomState) -> int | None:
    """Return the highest power level of a joined member; None if nobody is joined.

    Raises:
        IncompleteState: the state is partial, and others may be joined.
    """
    need_all_members(state)
    users = listed(state)
    found = [state.power_level_of(user) for user in users if acts(user, state)]
    if any(user not in users and acts(user, state) for user in state.joined_members()):
        found.append(state.power_levels.users_default)
    return max(found, default=None)


def _out_of_reach(state: RoomState) -> Iterator[Finding]:
    highest = _highest(state)
    event = state.get("m.room.power_levels")
    if highest is None:
        sentence = "nobody is joined: nobody can send, invite or change anything"
        yield Finding("nobody-joined", Weight.NOTE, None, (), sentence, "forget the room")
        return
    for kind, level, sentence in (
        (
            "nobody-can-invite",
            state.power_levels.invite,
            "nobody can invite: no joined member reaches the invite level",
        ),
        (
            "nobody-can-change-levels",
            state.power_levels.required_for("m.room.power_levels", is_state=True),
            "power can never be given again: no joined member may change the power levels",
        ),
        (
            "nobody-can-change-join-rules",
            state.power_levels.required_for("m.room.join_rules", is_state=True),
            "who may join can never be changed: no joined member may",
        ),
        (
            "nobody-can-ban",
            state.power_levels.ban,
            "nobody can ban: no joined member reaches the ban level",
        ),
        (
            "nobody-can-upgrade",
            state.power_levels.required_for(_TOMBSTONE, is_state=True),
            "the room can never be upgraded: no joined member may send m.room.tombstone",
        ),
    ):
        if level > highest:
            remedy = f"lower it to {highest}, or raise a member to {level}, if anybody still can"
            yield Finding(kind, Weight.HURTS, event, (), sentence, remedy)


def _banned_for_ever(state: RoomState) -> Iterator[Finding]:
    highest, levels = _highest(state), state.power_levels
    if highest is None:
        return
    # Rule 4.5 asks for both levels. And nobody can lower the level of a user of equal power.
    needed = max(levels.ban, levels.kick)
    # All members without a level of their own share one. They are looked at only if that one is out
    # of reach, since a large room has many of them and a list of levels is short.
    candidates: Iterable[str] = listed(state)
    if highest < needed or highest <= levels.users_default:
        candidates = state.members
    banned = tuple(
        sorted(
            user
            for user in candidates
            if state.membership_of(user) is BAN
            and (highest < needed or highest <= state.power_level_of(user))
        )
    )
    if banned:
        above = max(needed, *(state.power_level_of(user) + 1 for user in banned))
        yield Finding(
            "nobody-can-unban",
            Weight.HURTS,
            state.get("m.room.power_levels"),
            banned,
            "nobody can lift the ban of these users: it needs the levels of ban and kick, and more"
            f" power than theirs, but no joined member has more than {highest}",
            _remedy_by_return(above, state),
        )


def _remedy_by_return(level: int, state: RoomState) -> str:
    """Say who could come back and do it: a user of this level who is not joined."""
    away = sorted(
        user
        for user in listed(state)
        if state.power_level_of(user) >= level
        and state.membership_of(user) not in (JOIN, BAN)
        and is_user_id(user)
    )
    if away:
        return f"have {away[0]} come back, who has the power"
    return "nobody can mend it from inside: make another room, and invite them"


def _tombstone_open(state: RoomState) -> Iterator[Finding]:
    creators = state.create.privileged
    # Once the creators have left, somebody else has to be able to upgrade the room.
    if not any(acts(user, state) for user in creators):
        if creators:
            need_all_members(state)
        return
    levels = state.power_levels
    needed = levels.required_for(_TOMBSTONE, is_state=True)
    able = {
        user: level
        for user, level in levels.users.items()
        if level >= needed and user not in creators and acts(user, state)
    }
    if levels.users_default >= needed:
        plain = (u for u in state.joined_members() if u not in levels.users and u not in creators)
        one = next((user for user in plain if acts(user, state)), None)
        able.update({} if one is None else {one: levels.users_default})
    if not able:
        need_all_members(state)
    else:
        # The specification's proposal, unless a member has been given more already.
        enough = max(_TOMBSTONE_LEVEL, max(able.values()) + 1)
        yield Finding(
            "tombstone-open",
            Weight.MAY_HURT,
            state.get("m.room.power_levels"),
            tuple(sorted(able)),
            "members who are not creators can move everybody to another room: m.room.tombstone"
            f" needs level {needed}, and the creators' is infinite",
            f"have a creator set the level of m.room.tombstone to {enough}",
        )


_TOMBSTONE: Final = "m.room.tombstone"
_TOMBSTONE_LEVEL: Final = 150
"""The level of a tombstone that the specification proposes for new rooms of version 12."""


def _odd_levels(state: RoomState) -> Iterator[Finding]:
    event = state.get("m.room.power_levels")
    if event is None:
        return
    # By class: to Python `True` is an integer, and before version 10 Synapse reads it as level 1.
    odd = {path: value for path, value in _levels(event.content) if value.__class__ is not int}
    unread = tuple(p for p, value in odd.items() if level_of(value, state.room_version) is None)
    if unread:
        yield Finding(
            "level-unreadable",
            Weight.HURTS,
            event,
            unread,
            "servers disagree on who may do what: these are not levels, and count as their defaults",
            "write integers",
        )
    others = tuple(path for path in odd if path not in unread)
    if others:
        yield Finding(
            "level-not-an-integer",
            Weight.MAY_HURT,
            event,
            others,
            "servers may disagree on who may do what: not all read text and fractions alike",
            "write integers",
        )


def _levels(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in NAMED_LEVELS:
        if name in content:
            yield name, content[name]
    for name in ("users", "events", "notifications"):
        entries = content.get(name)
        if isinstance(entries, Mapping):
            yield from ((f"{name}.{key}", value) for key, value in entries.items())


def _creators_listed(state: RoomState) -> Iterator[Finding]:
    # The rules reject every new event that lists a creator, and a client that changes one level
    # copies all others.
    listed = tuple(sorted(state.create.privileged & state.power_levels.users.keys()))
    if listed:
        yield Finding(
            "creator-listed",
            Weight.HURTS,
            state.get("m.room.power_levels"),
            listed,
            "the power levels can never be changed: creators must not stand among the users",
            "leave the creators out",
        )


POWER_CHECKS: Final[tuple[Check, ...]] = (
    _out_of_reach,
    _banned_for_ever,
    _tombstone_open,
    _odd_levels,
    _creators_listed,
)
