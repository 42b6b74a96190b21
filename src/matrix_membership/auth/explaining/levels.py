"""The power levels that an event needs, and a content that would set others.

`advice.may` asks with such a content too, before anybody sends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.events import Event
from matrix_membership.membership import BAN, INVITE, JOIN, LEAVE
from matrix_membership.state import FIRST_CREATOR_POWER_LEVEL, RoomState

LevelPath = tuple[str, ...]
"""The keys of a level in the content of `m.room.power_levels`: `("users", user_id)`, `("ban",)`."""


@frozen
class Needed:
    """A power level that an event needs.

    Attributes:
        name: `kick`, or an event type.
        level: the level.
        path: the keys that set it in the content of `m.room.power_levels`.
        default: the field that counts when `path` is missing.
    """

    name: str
    level: int
    path: LevelPath
    default: str


def needed_levels(event: Event, state: RoomState) -> tuple[Needed, ...]:
    """Return the levels that this event needs, by its type and membership."""
    return tuple(_needed_levels(event, state))


def _needed_levels(event: Event, state: RoomState) -> Iterator[Needed]:
    levels = state.power_levels
    if event.type == "m.room.member":
        for name in _levels_of_a_membership(event, state):
            yield Needed(name, getattr(levels, name), (name,), name)
    elif event.type == "m.room.third_party_invite":
        yield Needed("invite", levels.invite, ("invite",), "invite")
    else:
        is_state = event.is_state
        needed = levels.required_for(event.type, is_state=is_state)
        default = "state_default" if is_state else "events_default"
        yield Needed(event.type, needed, ("events", event.type), default)
        # The rule on redactions (11) exists in versions 1 and 2 only, the two whose PDUs carry an
        # ID.
        if event.type == "m.room.redaction" and event.room_version.event_id_in_pdu:
            yield Needed("redact", levels.redact, ("redact",), "redact")


def _levels_of_a_membership(event: Event, state: RoomState) -> tuple[str, ...]:
    if event.membership is LEAVE and event.sender != event.state_key:
        banned = state.membership_of(event.state_key or "") is BAN
        return ("ban", "kick") if banned else ("kick",)
    if event.membership is BAN:
        return ("ban",)
    if event.membership is INVITE or (event.membership is JOIN and event.authorised_via):
        return ("invite",)
    return ()


def levels_content(levels: Mapping[LevelPath, int], state: RoomState) -> dict[str, JsonValue]:
    """Return the content of the room's power levels with some of them changed.

    Args:
        levels: the new levels by their paths.
        state: the state of the room.

    Raises:
        IncompleteState: the state leaves out the power levels or the create event.
    """
    current = state.get("m.room.power_levels")
    content: dict[str, Any] = {} if current is None else dict(current.content)
    creator = state.create.creator
    # The first power levels replace the creator's default of 100: without this entry the
    # creator, who alone may send them, would lose that power.
    if current is None and creator is not None and not state.create.privileged:
        content["users"] = {creator: FIRST_CREATOR_POWER_LEVEL}
    for path, level in levels.items():
        if len(path) == 1:
            content[path[0]] = level
        else:
            entries = content.get(path[0])
            content[path[0]] = {**(entries if isinstance(entries, dict) else {}), path[1]: level}
    return content
