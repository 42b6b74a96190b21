"""The levels that an event needs and that fell short, and who has power."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

from matrix_membership._attrs import frozen
from matrix_membership.auth._rule import Decision
from matrix_membership.canonical_json import JsonValue
from matrix_membership.events import Event
from matrix_membership.events.contents import NAMED_LEVELS, PowerLevels
from matrix_membership.identifiers import UserID, server_of
from matrix_membership.membership import BAN, INVITE, JOIN, LEAVE
from matrix_membership.state import CREATOR_POWER_LEVEL, FIRST_CREATOR_POWER_LEVEL, RoomState

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


# ------------------------------------------------------------------ levels that fell short


@frozen
class Shortfall:
    """A level that is too low, and the least that would do.

    Attributes:
        user: the user who lacks power: the sender, or the user who authorises a join.
        had: their level.
        name: the level that they fall short of: `ban`, an event type, a user ID.
        needed: the least level that would do; 2**53 and more stands for a creator's power.
        text: both in one sentence: `@ben:b.example has 0, ban needs 50`.
    """

    user: UserID
    had: int
    name: str
    needed: int
    text: str

    def __str__(self) -> str:
        return self.text


_SHOWN: Final = 3
"""The most comparisons that are told. One event can change thousands of levels."""

# Rules that compare the level of one user with those that the event needs.
_NEEDED: Final = frozenset(
    {
        "ban.otherwise",
        "every_event.sender_below_required_power_level",
        "invite.otherwise",
        "join.authoriser_may_not_invite",
        "leave.otherwise",
        "leave.sender_may_not_unban",
        "redaction.otherwise",
        "third_party_invite.otherwise",
    }
)

# Rules that compare the sender's level with those that the event changes: which of them.
_CHANGED: Final = MappingProxyType(
    {
        "power_levels.changes_named_level_above_own": ("named",),
        "power_levels.sets_named_level_above_own": ("named",),
        "power_levels.changes_event_level_above_own": ("events",),
        "power_levels.sets_event_level_above_own": ("events",),
        "power_levels.changes_event_or_notification_level_above_own": ("events", "notifications"),
        "power_levels.sets_event_or_notification_level_above_own": ("events", "notifications"),
        "power_levels.changes_user_not_below_own": ("users",),
        "power_levels.sets_user_above_own": ("users",),
    }
)


def shortfalls(event: Event, state: RoomState, decision: Decision) -> tuple[Shortfall, ...]:
    """Return the levels that fell short in a rejection, with the level needed.

    A decision is shared by all events that a rule rejects, so it cannot hold their levels.

    Args:
        event: the event that was rejected.
        state: the state that it was judged against.
        decision: the verdict.

    Returns:
        At most three comparisons; empty if the verdict does not rest on levels.
        Cost: linear in the levels that the event changes.

    .. versionadded:: 0.1.0
    """
    if decision.allowed or decision.undecided:
        return ()
    if decision.rule in _NEEDED:
        return tuple(islice(_below_needed(event, state), _SHOWN))
    if decision.rule in _CHANGED:
        return tuple(islice(_above_own(event, state, decision.rule), _SHOWN))
    return ()


def _below_needed(event: Event, state: RoomState) -> Iterator[Shortfall]:
    user = event.authorised_via if event.membership is JOIN else event.sender
    # A join may name nobody, or somebody who is not joined: then no level decided.
    if not user or state.membership_of(user) is not JOIN:
        return
    own = state.power_level_of(user)
    for needed in needed_levels(event, state):
        if needed.level > own:
            text = f"{user} has {own}, {needed.name} needs {needed.level}"
            yield Shortfall(user, own, needed.name, needed.level, text)
    target = event.state_key or ""
    if event.type == "m.room.member" and event.membership in (LEAVE, BAN):
        theirs = state.power_level_of(target)
        if theirs >= own:
            # The number that stands for infinity is of this package. A reader would look for it in
            # the room.
            had = "an infinite level" if own >= CREATOR_POWER_LEVEL else own
            level = "infinite level" if theirs >= CREATOR_POWER_LEVEL else theirs
            text = f"{user} has {had}, which is not more than the {level} of {target}"
            yield Shortfall(user, own, target, theirs + 1, text)


def _above_own(event: Event, state: RoomState, rule: str) -> Iterator[Shortfall]:
    before, after = state.power_levels, event.view
    assert isinstance(after, PowerLevels)  # noqa: S101 - the view of the type that these rules judge
    sets = rule.startswith("power_levels.sets_")
    sender, own = event.sender, state.power_level_of(event.sender)
    for field in _CHANGED[rule]:
        old, new = getattr(before, field), getattr(after, field)
        defaults = NAMED_LEVELS if field == "named" else {}
        for key in dict.fromkeys((*old, *new)):
            value = (new if sets else old).get(key, defaults.get(key))
            if old.get(key) == new.get(key) or value is None:
                continue
            equal = field == "users" and not sets and key != sender and value == own
            if value > own or equal:
                text = f"{sender} has {own}, {key} {'would get' if sets else 'has'} {value}"
                yield Shortfall(sender, own, key, value + equal, text)
