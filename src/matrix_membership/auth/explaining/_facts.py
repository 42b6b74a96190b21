"""Turn what the rules read of a room into facts for people.

Facts are memberships, power levels and the join rule.

A fact says where its value comes from: an event of the state, a default, or the power of a
creator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from matrix_membership._attrs import Word, frozen
from matrix_membership.auth._program import is_silent_for_lack_of
from matrix_membership.auth.explaining.levels import Needed, needed_levels
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.events.contents import NAMED_LEVELS, PowerLevels
from matrix_membership.identifiers import EventID
from matrix_membership.membership import BAN, JoinRule
from matrix_membership.state import RoomState

StateKey = tuple[str, str]


class Origin(Word):
    """The source of a fact.

    `STATE`: the content of a state event. `EVENT`: the content of the event that is judged.
    `DEFAULT`: the value that counts if no event sets one. `CREATOR`: the power of a creator.
    `UNKNOWN`: the partial state leaves the event out.
    """

    STATE = "state"
    EVENT = "event"
    DEFAULT = "default"
    CREATOR = "creator"
    UNKNOWN = "unknown"


@frozen
class Fact:
    """One fact of a room.

    Attributes:
        name: its subject: `membership of @ana:a.example`, `invite level`.
        value: text, a level, or a list of room IDs.
        origin: its source.
        place: the source in a few words: `m.room.power_levels: users_default`.
        event_id: the ID of that event; None for a default, and for an event in client
            format without an ID.
    """

    name: str
    value: JsonValue
    origin: Origin
    place: str
    event_id: EventID | None = None

    def __str__(self) -> str:
        value = ", ".join(self.value) if isinstance(self.value, tuple) else self.value
        return f"{self.name}: {'-' if value == '' else value} ({self.origin}: {self.place})"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the fact as a JSON object."""
        return {
            "name": self.name,
            "value": list(self.value) if isinstance(self.value, tuple) else self.value,
            "origin": str(self.origin),
            "place": self.place,
            "event_id": self.event_id,
        }


_LEFT_OUT: Final = "the state leaves it out"
_COUNTS_AS_FEDERATED: Final = "the state leaves it out; the room counts as federated"
_MEMBER: Final = "m.room.member"


def _why_unknown(state: RoomState, place: StateKey) -> str:
    try:
        state.get(*place)
    except IncompleteState as incomplete:
        if is_silent_for_lack_of(incomplete, "every_event.sender_from_unfederated_server"):
            return _COUNTS_AS_FEDERATED
    return _LEFT_OUT


def facts(event: Event, state: RoomState, read: Collection[StateKey]) -> Iterator[Fact]:
    """Yield the facts about these places of the state, as they matter to an event.

    Args:
        event: the event that was judged.
        state: the state that it was judged against.
        read: the types and state keys that the rules looked up.
    """
    # Only what the rules have read becomes a fact. A page about a whole room would hide the few
    # that decided.
    users = [place[1] for place in read if place[0] == _MEMBER]
    yield from (_membership(user, state) for user in users)
    known = [place for place in read if state.knows(*place)]
    for place in read:
        if place[0] != _MEMBER and place not in known:
            name = " ".join(filter(None, place))
            yield Fact(name, "unknown", Origin.UNKNOWN, _why_unknown(state, place))
    # The create event tells who has the power of a creator.
    if ("m.room.power_levels", "") in known and state.knows("m.room.create"):
        # The rule on bans compares the target user's level, but never asks for their membership.
        banned = (event.state_key,) if event.membership is BAN and event.state_key else ()
        involved = dict.fromkeys((event.sender, *users, *banned))
        yield from (_level(user, state) for user in involved)
        yield from (_needed(needed, state) for needed in needed_levels(event, state))
        yield from _changes(event, state.power_levels)
    if ("m.room.join_rules", "") in known:
        yield from _join_rule(state)
    for event_type, state_key in known:
        if event_type == "m.room.third_party_invite":
            yield _token(state_key, state)
    if ("m.room.create", "") in known and not state.create.federate:
        yield Fact(
            "federation", "off", Origin.STATE, "m.room.create: m.federate", _id(state.create_event)
        )


def _membership(user: str, state: RoomState) -> Fact:
    name = f"membership of {user}"
    if not state.knows("m.room.member", user):
        return Fact(name, "unknown", Origin.UNKNOWN, "the state leaves members out")
    event = state.get("m.room.member", user)
    if event is None:
        return Fact(name, "leave", Origin.DEFAULT, "never seen in the room")
    return Fact(name, str(state.membership_of(user)), Origin.STATE, "m.room.member", _id(event))


def _level(user: str, state: RoomState) -> Fact:
    name, level, levels = f"power level of {user}", state.power_level_of(user), state.power_levels
    if user in state.create.privileged:
        return Fact(name, "infinite", Origin.CREATOR, "m.room.create", _id(state.create_event))
    if levels.exists:
        event_id = _id(state.get("m.room.power_levels"))
        if user in levels.users:
            return Fact(name, level, Origin.STATE, "m.room.power_levels: users", event_id)
        return _of_power_levels(name, "users_default", state)
    if user == state.create.creator:
        place = "the creator of a room without m.room.power_levels"
        return Fact(name, level, Origin.CREATOR, place, _id(state.create_event))
    return Fact(name, level, Origin.DEFAULT, "the room has no m.room.power_levels")


def _of_power_levels(name: str, field: str, state: RoomState) -> Fact:
    levels = state.power_levels
    level = getattr(levels, field)
    if field in levels.named:
        event_id = _id(state.get("m.room.power_levels"))
        return Fact(name, level, Origin.STATE, f"m.room.power_levels: {field}", event_id)
    if not levels.exists:
        return Fact(name, level, Origin.DEFAULT, "the room has no m.room.power_levels")
    return Fact(name, level, Origin.DEFAULT, f"m.room.power_levels without {field}")


def _changes(event: Event, before: PowerLevels) -> Iterator[Fact]:
    """Yield the levels that a power levels event would change."""
    after = event.view
    if not before.exists or not isinstance(after, PowerLevels):
        return
    for field, old, new in (
        ("", before.named, after.named),
        ("events", before.events, after.events),
        ("notifications", before.notifications, after.notifications),
        ("users", before.users, after.users),
    ):
        for key in dict.fromkeys((*old, *new)):
            if old.get(key) != new.get(key):
                absent = "none" if field else f"{NAMED_LEVELS[key]} by default"
                value = f"{old.get(key, absent)} to {new.get(key, absent)}"
                place = f"m.room.power_levels: {field or key}"
                yield Fact(f"change of {key}", value, Origin.EVENT, place, _id(event))


def _needed(needed: Needed, state: RoomState) -> Fact:
    levels = state.power_levels
    if needed.path[0] == "events":
        label = f"level needed for {needed.name}"
        if needed.name in levels.events:
            event_id = _id(state.get("m.room.power_levels"))
            place = "m.room.power_levels: events"
            return Fact(label, needed.level, Origin.STATE, place, event_id)
    else:
        label = f"{needed.name} level"
    return _of_power_levels(label, needed.default, state)


def _join_rule(state: RoomState) -> Iterator[Fact]:
    event = state.get("m.room.join_rules")
    rule = str(state.join_rule)
    if event is None:
        yield Fact("join rule", rule, Origin.DEFAULT, "the room has no m.room.join_rules")
        return
    if "join_rule" in event.content:
        named = event.content["join_rule"]
        if named in state.room_version.own_join_rules:
            rule = str(named)
        yield Fact("join rule", rule, Origin.STATE, "m.room.join_rules: join_rule", _id(event))
    else:
        yield Fact("join rule", rule, Origin.DEFAULT, "m.room.join_rules without join_rule")
    if state.join_rule in (JoinRule.RESTRICTED, JoinRule.KNOCK_RESTRICTED):
        name = "rooms whose members may join"
        yield Fact(name, state.allow, Origin.STATE, "m.room.join_rules: allow", _id(event))


def _token(token: str, state: RoomState) -> Fact:
    name = f"third-party invite {token}"
    event = state.get("m.room.third_party_invite", token)
    if event is None:
        return Fact(name, "none", Origin.DEFAULT, "the room has no such invite")
    return Fact(
        name, f"sent by {event.sender}", Origin.STATE, "m.room.third_party_invite", _id(event)
    )


def _id(event: Event | None) -> EventID | None:
    return event.event_id or None if event is not None else None
