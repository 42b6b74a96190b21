"""Say by how much a level falls short: `@ben:b.example has 0, ban needs 50`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import frozen
from matrix_membership.auth._rule import Decision
from matrix_membership.auth.explaining.levels import needed_levels
from matrix_membership.events import Event
from matrix_membership.events.contents import NAMED_LEVELS, PowerLevels
from matrix_membership.identifiers import UserID
from matrix_membership.membership import BAN, JOIN, LEAVE
from matrix_membership.state import CREATOR_POWER_LEVEL, RoomState


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
            level = "infinite level" if theirs >= CREATOR_POWER_LEVEL else theirs
            text = f"{user} has {own}, which is not more than the {level} of {target}"
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
