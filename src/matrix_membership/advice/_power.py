"""Check the power levels of a room: can somebody still do what has to be done?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from matrix_membership.advice._finding import Check, Finding, Weight
from matrix_membership.events.contents import NAMED_LEVELS, level_of
from matrix_membership.membership import JOIN
from matrix_membership.state import RoomState


def _highest(state: RoomState) -> int | None:
    """Return the highest power level of a joined member; None if nobody is joined."""
    levels = state.power_levels
    named = {*levels.users, *state.create.privileged}
    if state.create.creator is not None:
        named.add(state.create.creator)
    found = [state.power_level_of(user) for user in named if state.membership_of(user) is JOIN]
    if any(user not in named for user in state.joined_members()):
        found.append(levels.users_default)
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
    ):
        if level > highest:
            remedy = f"lower it to {highest}, or raise a member to {level}, if anybody still can"
            yield Finding(kind, Weight.HURTS, event, (), sentence, remedy)


def _odd_levels(state: RoomState) -> Iterator[Finding]:
    event = state.get("m.room.power_levels")
    if event is None:
        return
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
    _odd_levels,
    _creators_listed,
)
