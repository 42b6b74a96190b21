"""Trials: an event sent in a drawn room, and changes of the room before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from matrix_membership._attrs import frozen
from matrix_membership.room_versions import RoomVersion
from matrix_membership.strategies._json import Fields, exchanged
from matrix_membership.strategies._sketch import (
    ANA,
    BEN,
    CLEO,
    CREATE,
    JOIN_RULES,
    POWER_LEVELS,
    Sketch,
)


@frozen
class Trial:
    """An event that a user sends in a room.

    Attributes:
        room: the room.
        fields: the fields of the event, without references unless they matter.
        follows_create: whether its only previous event is the create event.
        signed_by: the servers that sign it beside the sender's.
    """

    room: Sketch
    fields: Fields
    follows_create: bool = False
    signed_by: tuple[str, ...] = ()


Chapter = Callable[[DrawFn, Sketch, str, str], Trial]
"""Draws a trial, given the room, Ben's user ID, and the reason to allow or reject."""

# Hypothesis mutates an example by copying between equal strategies, which repeats
# values. All these strategies differ, so copying never makes two parts of a case equal.
MAYBE: Final = st.booleans()
MEMBERSHIPS: Final = st.sampled_from((None, "invite", "join", "leave", "ban", "knock"))
NAMED: Final = st.sampled_from(
    ("ban", "kick", "invite", "redact", "users_default", "events_default")
)
# The odd names are valid: engines that read user IDs by the grammar for new users fail at them.
_BENS: Final = st.sampled_from((*((BEN,) * 12), "@:b.example", "@Ben ünd so:b.example", BEN + ":1"))
_MEMBERSHIPS_OF_BEN: Final = st.sampled_from((None, "join", "invite", "leave", "ban", "knock"))
_MEMBERSHIPS_OF_CLEO: Final = st.sampled_from((None, "join", "leave", "join", "invite", "ban"))
_NO_LEVELS: Final = "no levels"
# Half of the rooms have no power levels, since there the defaults decide.
_LEVELS_OF_BEN: Final[SearchStrategy[int | str | None]] = st.sampled_from(
    (*((_NO_LEVELS,) * 6), None, 50, 100, 49, 51, -1)
)
_LEVELS_OF_CLEO: Final = st.sampled_from((None, 50, 0, 49, 51, 100))
_NAMED_LEVELS: Final = st.sampled_from(
    (
        *((None,) * 6),
        *(("ban", 49), ("ban", 100), ("kick", 0), ("kick", 51), ("invite", 50), ("invite", 100)),
        *(("users_default", 50), ("events_default", 1), ("state_default", 0), ("redact", 0)),
    )
)
_RULES: Final = st.sampled_from(
    (
        *(None, "public", "invite", "knock", "restricted", "knock_restricted", "private"),
        "odd",
    )
)


def draw_room(draw: DrawFn, version: RoomVersion) -> tuple[Sketch, str]:
    """Draw a room of Ana, in which Ben has any membership.

    Returns:
        The room, and Ben's user ID.
    """
    ben = draw(_BENS)
    room = _with_other_levels(draw, _with_rule(draw, Sketch.of(version), ben), ben)
    room = room.with_member(ben, draw(_MEMBERSHIPS_OF_BEN))
    return room.with_member(CLEO, draw(_MEMBERSHIPS_OF_CLEO)), ben


def _with_rule(draw: DrawFn, room: Sketch, _: str) -> Sketch:
    return with_join_rule(draw, room, _RULES)


def with_join_rule(draw: DrawFn, room: Sketch, rules: SearchStrategy[str | None]) -> Sketch:
    """Return the room with one of these join rules, or one that its version adds."""
    own = room.room_version.own_join_rules
    if bool(own) and draw(MAYBE):
        return room.with_(JOIN_RULES, {"join_rule": draw(st.sampled_from(own))})
    rule = draw(rules)
    return room if rule is None else room.with_(JOIN_RULES, {"join_rule": rule})


def _with_other_levels(draw: DrawFn, room: Sketch, ben: str) -> Sketch:
    """Return the room, perhaps with power levels; Ana has the highest."""
    level = draw(_LEVELS_OF_BEN)
    if level == _NO_LEVELS:
        return room
    users = {ben: level, CLEO: draw(_LEVELS_OF_CLEO)}
    # None leaves a user out, so that the default level counts.
    listed = {user: at for user, at in users.items() if isinstance(at, int)}
    named = draw(_NAMED_LEVELS)
    content = dict([named] if named else [])
    return with_levels(room, listed, **content)


def levels_of_ana(room: Sketch) -> Fields:
    """Return Ana's entry in `users`; version 12 allows none for a creator."""
    return {} if room.room_version.privileged_creators else {ANA: 100}


def with_levels(room: Sketch, users: Mapping[str, int], **named: int) -> Sketch:
    """Return the room with these power levels, and Ana's."""
    return room.with_(POWER_LEVELS, {"users": {**levels_of_ana(room), **users}, **named})


def _with_membership(draw: DrawFn, room: Sketch, ben: str) -> Sketch:
    return room.with_member(draw(st.sampled_from((ben, ANA, CLEO))), draw(MEMBERSHIPS))


def close(_: DrawFn, room: Sketch, __: str) -> Sketch:
    """Return the room, closed to other servers."""
    return room.with_(CREATE, {**room.content(CREATE), "m.federate": False})


def _with_another_creator(_: DrawFn, room: Sketch, ben: str) -> Sketch:
    # Before version 12 the key means nothing. An engine that reads it there gives Ben power.
    return room.with_(CREATE, {**room.content(CREATE), "additional_creators": [CLEO, ben]})


def _with_something_odd(draw: DrawFn, room: Sketch, _: str) -> Sketch:
    """Return the room with one malformed value."""
    place = draw(st.sampled_from(tuple(room.places)))
    sender, content = room.places[place]
    odd = exchanged(draw, place[0], content, room.room_version)
    return room.with_(place, odd, sender=sender)


_Change = Callable[[DrawFn, Sketch, str], Sketch]
CHANGES: Final[SearchStrategy[_Change]] = st.sampled_from(
    (
        *(_with_membership, _with_other_levels, _with_rule, _with_something_odd),
        *(close, _with_another_creator),
    )
)
