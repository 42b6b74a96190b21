"""The levels that an event needs, a content that sets others, and who has power."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.events import Event
from matrix_membership.identifiers import server_of
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


def needed_levels(event: Event, state: RoomState) -> Iterator[Needed]:
    """Yield the levels that an event needs, by its type and membership."""
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


def listed(state: RoomState) -> set[str]:
    """Return the users whose power does not come from the default level."""
    found = {*state.power_levels.users, *state.create.privileged}
    if state.create.creator is not None:
        found.add(state.create.creator)
    return found


def acts(user: str, state: RoomState) -> bool:
    """Tell whether a user is joined, and the room takes what they send."""
    return state.membership_of(user) is JOIN and not is_closed_to(server_of(user), state)


def is_closed_to(server: str, state: RoomState) -> bool:
    """Tell whether the room is closed to a server.

    Its members then have power on paper only: their events are rejected.
    """
    create = state.create_event
    return not state.create.federate and create is not None and server != create.server
