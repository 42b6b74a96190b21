"""Mistakes that homeservers make, each as an engine that makes one and is right otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from matrix_membership import Event, RoomState, auth
from matrix_membership.canonical_json import JsonObject
from matrix_membership.events.contents import NAMED_LEVELS

POWER_LEVELS: Final = "m.room.power_levels"

Engine = Callable[[Event, RoomState], bool]


def allowing(*rules: str) -> Engine:
    """An engine that allows what these rules reject."""

    def engine(event: Event, state: RoomState) -> bool:
        decision = auth.check(event, state)
        return decision.allowed or decision.rule in rules

    return engine


def creator_may_return(event: Event, state: RoomState) -> bool:
    """Asks whether the joining user made the room, not whether the room is new."""
    decision = auth.check(event, state)
    made_it = state.create_event is not None and event.sender == state.create_event.sender
    return decision.allowed or (decision.rule == "join.otherwise" and made_it)


def kick_of_equals(event: Event, state: RoomState) -> bool:
    """Compares with `<=` where the rule says "less than"."""
    decision = auth.check(event, state)
    if decision.rule != "leave.otherwise" or event.state_key is None:
        return decision.allowed
    own = state.power_level_of(event.sender)
    return own >= state.power_levels.kick and own >= state.power_level_of(event.state_key)


def absent_level(name: str, level: int, event: Event, state: RoomState) -> bool:
    """Takes another default for a level that the room does not name."""
    current = state.get(POWER_LEVELS)
    if current is None or name in current.content:
        return auth.check(event, state).allowed
    filled = _with_content(current, {**current.content, name: level})
    return auth.check(event, state.with_event(filled)).allowed


def removed_levels_are_free(event: Event, state: RoomState) -> bool:
    """Compares only the levels that the new event has."""
    current = state.get(POWER_LEVELS)
    if event.type != POWER_LEVELS or current is None:
        return auth.check(event, state).allowed
    kept = {name: current.content[name] for name in NAMED_LEVELS if name in current.content}
    content = {**kept, **event.content}
    for name in ("users", "events", "notifications"):
        before, after = current.content.get(name), event.content.get(name, JsonObject())
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            content[name] = {**before, **after}
    changed = _with_content(event, content).with_signers(event.signed_by)
    return auth.check(event, state).allowed or auth.check(changed, state).allowed


def _with_content(event: Event, content: Mapping[str, Any]) -> Event:
    return Event.from_pdu({**event.to_pdu(), "content": dict(content)}, event.room_version)


PLANTED: Final[Mapping[str, Engine]] = MappingProxyType(
    {
        "A banned user may join": allowing("join.while_banned"),
        "A creator who left may join again": creator_may_return,
        "An `invite` level that the room does not name is 50": partial(absent_level, "invite", 50),
        "A removed level is not compared with the sender's": removed_levels_are_free,
        "A kick needs as much power as the target has, not more": kick_of_equals,
        "The user who authorises a restricted join needs no level": allowing(
            "join.authoriser_may_not_invite"
        ),
    }
)
"""The mistakes of docs/howto/test-your-server.md, in the order of its table."""

ABSENT: Final[Mapping[str, Engine]] = MappingProxyType(
    {
        f"{name} {side} its default": partial(absent_level, name, default + step)
        for name, default in NAMED_LEVELS.items()
        for side, step in (("above", 1), ("below", -1))
    }
)
"""A wrong default for each level, too high and too low by one."""
