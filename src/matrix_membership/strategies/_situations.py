"""The trials of drawn auth cases: by chapter, reasons for a verdict.

A reason sets what its verdict depends on, and leaves the rest of the room as drawn. One
draw chooses among all reasons, so all rules are reached about equally often. A random
change afterwards makes the cases just across the border.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import JsonValue
from matrix_membership.events.contents import NAMED_LEVELS, create_view, power_levels_view
from matrix_membership.identifiers import server_of
from matrix_membership.room_versions import RoomVersion
from matrix_membership.strategies import _member_trials as members
from matrix_membership.strategies._fields import (
    ROOM,
    create_content,
    membership_fields,
    reference,
    state_fields,
    stored_invite,
    ways_to_write_levels,
)
from matrix_membership.strategies._json import Fields, exchanged
from matrix_membership.strategies._trials import (
    ANA,
    BEN,
    CLEO,
    CREATE,
    DAN,
    NAMED,
    POWER_LEVELS,
    Chapter,
    Sketch,
    Trial,
    close,
    draw_room,
    levels_of_ana,
    with_a_change,
    with_levels,
)


def _anything(draw: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    message: Fields = {"type": "m.room.message", "sender": ANA, "content": {}}
    match reason:
        case "a message":
            return Trial(room, message)
        case "state":
            return Trial(room, state_fields(ANA, ("m.room.name", ""), {}))
        case "not joined":
            return Trial(room.with_member(ben, None), {**message, "sender": ben})
        case "level":
            room = with_levels(room, {ben: 49}).with_member(ben, "join")
            return Trial(room, state_fields(ben, ("m.room.name", ""), {}))
        case "key":
            return Trial(room, state_fields(ANA, ("m.room.name", draw(_FOREIGN_KEYS)), {}))
        case _:
            return Trial(close(room), {**message, "sender": ben})


# A state key that begins with `@` has to be the sender's ID: "@" alone is one too, and so is a key
# that only begins with that ID.
_FOREIGN_KEYS: Final = st.sampled_from((BEN, "@", ANA + "_", "other"))


def _third_party_invite(_: DrawFn, room: Sketch, __: str, reason: str) -> Trial:
    room = with_levels(
        room.with_member(CLEO, "join"), {CLEO: 49 if reason == "too low" else 50}, invite=50
    )
    return Trial(room, {**stored_invite("token"), "sender": CLEO})


_OWN: Final = 60
"""Ben's level. The levels that he changes are near it, since the rules compare them."""

_PATHS: Final = MappingProxyType(
    {
        "named": NAMED,
        "events": st.just("events m.room.name"),
        "notifications": st.just("notifications room"),
        "users": st.sampled_from((f"users {CLEO}", f"users {DAN}")),
        "own": st.just("users ben"),
    }
)
_STEPS: Final = MappingProxyType(
    {
        "down": ((_OWN, _OWN - 1), (0, _OWN - 1, None)),
        "up": ((0, None), (_OWN, _OWN - 1)),
        "from above": ((_OWN + 1, 100), (_OWN, 0, None)),
        "from equal": ((_OWN,), (_OWN - 1, None)),
        "to above": ((0, _OWN - 1, None), (_OWN + 1, 100)),
    }
)


def _change_of_levels(draw: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    """Ben changes one level."""
    where, _, step = reason.partition(" ")
    path = draw(_PATHS[where]).replace("users ben", f"users {ben}")
    # One notation for both events: if it changed too, servers would differ on whether that alters a
    # level.
    write = draw(st.sampled_from(ways_to_write_levels(room.room_version)))
    before: Fields = {
        "users": {user: write(level) for user, level in (levels_of_ana(room) | {ben: _OWN}).items()}
    }
    after: Fields = {"users": dict(before["users"])}
    was, becomes = (draw(st.sampled_from(levels)) for levels in _STEPS[step])
    _put_level(before, path, was if was is None else write(was))
    _put_level(after, path, becomes if becomes is None else write(becomes))
    # The step has put another level there, but the rules compare with the one that Ben has.
    if where == "own":
        before["users"][ben] = write(_OWN)
    fields = state_fields(ben, POWER_LEVELS, after)
    return Trial(room.with_(POWER_LEVELS, before).with_member(ben, "join"), fields)


def _put_level(content: Fields, path: str, level: JsonValue) -> None:
    name, _, key = path.partition(" ")
    if level is None:
        return
    if key:
        content[name] = {**content.get(name, {}), key: level}
    else:
        content[name] = level


def _absent_level(_: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    """Ben does what needs a level that the room does not name, mostly to Cleo.

    Each level has a reason on either side of its default, so a wrong default is found whether
    it is too high or too low.
    """
    name, side = reason.split(" ", 1)
    below = side == "below"
    # A redaction of each level is among the reasons of `_redaction`, for the versions that read it.
    if name == "redact":
        return _default_of_a_change(room, ben, name, removed=True, below=below)
    if name == "users_default":
        # Users without a level have 0 by default. At 0 Ben's message passes, at 1 it does not.
        levels: Fields = {"users": levels_of_ana(room), "events_default": int(below)}
    else:
        levels = {"users": {**levels_of_ana(room), ben: NAMED_LEVELS[name] - below}}
    room = room.with_(POWER_LEVELS, levels).with_member(ben, "join")
    # The invite of a joined user would be rejected before its level is read.
    room = room.with_member(CLEO, None if name == "invite" else "join")
    match name:
        case "ban" | "kick" | "invite":
            membership = {"kick": "leave"}.get(name, name)
            return Trial(room, membership_fields(ben, CLEO, membership))
        case "state_default":
            return Trial(room, state_fields(ben, ("m.room.name", ""), {}))
        case _:
            return Trial(room, {"type": "m.room.message", "sender": ben, "content": {}})


def _change_to_or_from_a_default(draw: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    verb, side = reason.split(" ", 1)
    name = draw(st.sampled_from(("ban", "kick", "state_default", "redact")))
    return _default_of_a_change(room, ben, name, removed=verb == "removed", below=side == "below")


def _default_of_a_change(room: Sketch, ben: str, name: str, *, removed: bool, below: bool) -> Trial:
    """Ben removes a level, or names an absent one: its default decides."""
    without: Fields = {
        "users": {**levels_of_ana(room), ben: NAMED_LEVELS[name] - below},
        # Anybody may send power levels, so that the changed level alone decides.
        "events": {POWER_LEVELS[0]: 0},
    }
    named: Fields = {**without, name: 0}
    before, after = (named, without) if removed else (without, named)
    room = room.with_(POWER_LEVELS, before).with_member(ben, "join")
    return Trial(room, state_fields(ben, POWER_LEVELS, after))


def _new_levels(draw: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    """Ana sets the first power levels, or malformed ones."""
    content: Fields = {"users": {ben: 50}}
    match reason:
        case "first":
            return Trial(room.without(POWER_LEVELS), state_fields(ANA, POWER_LEVELS, content))
        case "creator":
            # In version 12 the rules reject power levels that list a creator.
            content["users"][ANA] = 100
        case "no user":
            content["users"]["ben"] = 50
        case _:
            odd = draw(_NO_LEVELS) if " " in reason else draw(_NO_MAPS)
            _put_level(content, reason, odd)
            if reason == "ban":
                content[reason] = draw(_NO_LEVELS)
    return Trial(room, state_fields(ANA, POWER_LEVELS, content))


_NO_LEVELS: Final = st.sampled_from(("50", "x", True, [], {}, "", "5_0"))
_NO_MAPS: Final = st.sampled_from(([], "x", 7, True, False))


def _redaction(_: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    # In versions 1 and 2, rule 11 compares the servers in the event IDs. Later ones allow every
    # redaction.
    server = server_of(ben) if reason == "same server" else "a.example"
    fields: Fields = {"type": "m.room.redaction", "sender": ben, "content": {}}
    fields["redacts"] = 7 if reason == "nothing" else f"$1:{server}"
    room = with_levels(room, {ben: 50 if reason == "level" else 49}).with_member(ben, "join")
    return Trial(room, fields)


def _aliases(_: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    # From version 6 on the type has no rule of its own, and is judged as any other.
    keys = {"own": server_of(ben), "other": "a.example", "none": None}
    fields: Fields = {"type": "m.room.aliases", "sender": ben, "content": {"aliases": []}}
    return Trial(room, {**fields, "state_key": keys[reason]})


def _create(draw: DrawFn, room: Sketch, _: str, reason: str) -> Trial:
    version = room.room_version
    content = create_content(version, ANA)
    fields = state_fields(ANA, CREATE, content)
    fields["room_id"] = None if version.room_id_is_create_event else ROOM
    fields["prev_events"] = []
    match reason:
        case "prev_events":
            fields[reason] = [reference("$before:a.example", version)]
        case "room_id":
            fields[reason] = "!room:b.example"
        case "room_version":
            content[reason] = draw(st.sampled_from(("odd", 1, None, "", "12")))
        case "creator":
            content.pop(reason, None)
        case "additional_creators":
            content[reason] = draw(st.sampled_from((["ben"], [7], BEN, None, [BEN])))
    # An empty room: rule 1 does not look at the state, which would only make failures longer.
    return Trial(Sketch(version), fields)


_REASONS: Final[Mapping[Chapter, tuple[str, ...]]] = MappingProxyType(
    {
        _anything: ("a message", "state", "not joined", "level", "key", "federation"),
        members.join: (
            *("first", "of another", "banned"),
            *("otherwise", "invited", "invited", "public", "otherwise", "returned"),
        ),
        members.restricted_join: (
            *("unsigned", "nobody", "authoriser away", "authoriser too low"),
            *("authorised", "authorised", "invited"),
        ),
        members.invite: ("outside", "inside", "inside", "sender away", "sender away", "too low"),
        members.answer: (
            *(
                "good",
                "single key",
                "banned",
                "mxid",
                "mxid",
                "token",
                "token",
                "sender",
                "key",
                "altered",
                "null",
            ),
            *("signed gone", "mxid gone", "token gone", "signatures gone"),
        ),
        members.leave: (
            *("own join", "own invite", "own knock", "own leave", "own ban", "sender away"),
            *("kick", "kick too low", "unban", "unban too low", "as high"),
        ),
        members.ban: ("below", "sender away", "too low", "as high", "below", "sender away"),
        members.knock: ("outside", "inside", "rule", "of another"),
        members.odd_member: ("no membership", "no key", "key", "membership"),
        _third_party_invite: ("level", "too low", "level", "too low"),
        _change_of_levels: (
            *("named down", "named up", "named from above", "named to above"),
            *("events from above", "events to above"),
            *("notifications from above", "notifications to above"),
            *("users up", "users from equal", "users from above", "users to above"),
            *("own down", "own to above"),
        ),
        _new_levels: (
            *("first", "creator", "no user", "ban", "events", "events x", "notifications x"),
            *("users", f"users {CLEO}"),
        ),
        _absent_level: tuple(
            f"{name} {side}" for name in NAMED_LEVELS for side in ("at the default", "below")
        ),
        _change_to_or_from_a_default: (
            *("removed at the default", "named at the default"),
            *("removed below", "named below"),
        ),
        _redaction: ("level", "same server", "another server", "nothing"),
        _aliases: ("own", "other", "none"),
        _create: (
            *("good", "prev_events", "room_id", "room_version", "creator"),
            "additional_creators",
        ),
    }
)
"""The chapters, and for each the reasons to allow or reject.

A reason stands twice where it alone reaches a rule, or where another rule often decides
first. Shrinking goes from a reason to the one before it, so the order matters. A join
that nothing allows stands before the joins that become one by a change of the room. In
another order, 8 of 60 failures kept a third user or an odd join rule.
"""

_DRAW_REASON: Final[SearchStrategy[tuple[Chapter, str]]] = st.sampled_from(
    [(chapter, reason) for chapter, reasons in _REASONS.items() for reason in reasons]
)
# Most stay as they are: after a change, an early rule mostly decides, and the late ones are not
# reached.
_DRAW_CHANGED: Final = st.sampled_from((None, None, None, None, None, "room", "room", "event"))


def draw_trial(draw: DrawFn, version: RoomVersion, *, impossible_levels: bool) -> Trial:
    """Draw a trial; in three of eight, the room or the event is changed at random.

    Args:
        draw: the function that draws.
        version: the version of the room.
        impossible_levels: whether power levels come that the version cannot have.
    """
    room, ben = draw_room(draw, version)
    chapter, reason = draw(_DRAW_REASON)
    trial = chapter(draw, room, ben, reason)
    changed = _changed(draw, trial, ben)
    if impossible_levels:
        return changed
    # To discard a drawn example would cost a fifth of all cases in versions before 10.
    valid = (other for other in (changed, trial) if _has_possible_levels(other))
    return next(valid, _new_levels(draw, room, ben, "first"))


def _changed(draw: DrawFn, trial: Trial, ben: str) -> Trial:
    changed = draw(_DRAW_CHANGED)
    if changed == "room" and trial.room.places:
        return evolve(trial, room=with_a_change(draw, trial.room, ben))
    if changed == "event":
        fields = trial.fields
        version = trial.room.room_version
        content = exchanged(draw, str(fields["type"]), fields["content"], version)
        return evolve(trial, fields={**fields, "content": content})
    return trial


def _has_possible_levels(trial: Trial) -> bool:
    """Tell whether the version can have these levels, and judges those of the event.

    Before version 10, rules read only `users`: engines differ on other levels that cannot be read.
    """
    room, version = trial.room, trial.room.room_version
    current = power_levels_view(room.content(POWER_LEVELS), version)
    create = create_view(room.content(CREATE), version, sender=ANA, has_room_id=False)
    if not (current.named_readable and current.maps_readable and current.users_readable):
        return False
    # No room of version 12 can have such levels, because the rules reject them.
    if create.privileged & current.users.keys():
        return False
    if trial.fields["type"] != POWER_LEVELS[0] or version.integer_levels:
        return True
    new = power_levels_view(trial.fields["content"], version)
    return new.named_readable and new.maps_readable
