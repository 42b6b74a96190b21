"""Typed views of the contents that affect authorisation.

A view is read once for each event, by the rules of its room version. Reading never fails:
malformed content becomes a fact of the view (`users_readable`), on which a rule can fire.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Collection, Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any, ClassVar, Final

from attrs import field

from matrix_membership._attrs import by_value, constant, slots
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze, object_of, thaw
from matrix_membership.identifiers import RoomID, UserID, are_user_ids, is_room_id, is_user_id
from matrix_membership.membership import JOIN_RULES, JoinRule
from matrix_membership.room_versions import RoomVersion

# Levels: how the room versions write the numbers of `m.room.power_levels`.

# A JsonObject, unlike a mapping proxy, can be pickled.
NO_LEVELS: Final[Mapping[str, int]] = JsonObject()


def level_of(value: JsonValue, room_version: RoomVersion) -> int | None:
    """Read one power level by the grammar of a room version.

    Args:
        value: the value in the event.
        room_version: versions 1 to 9 take decimal text too, versions 1 to 5 floats,
            cut at the point.

    Returns:
        The level; None for a value that is not a level.

    >>> from matrix_membership.room_versions import V5, V10
    >>> level_of(" +050 ", V5), level_of(50.57, V5), level_of("50", V10), level_of(True, V10)
    (50, 50, None, None)
    """
    # Not True, which is an int in Python: up to version 9 Synapse reads it as 1, the text does not.
    if value.__class__ is int or (isinstance(value, int) and value.__class__ is not bool):
        return int(value)
    if room_version.integer_levels:
        return None
    if isinstance(value, str):
        return _level_in(value.strip(_WHITE_SPACE))
    if isinstance(value, float) and room_version.float_levels and isfinite(value):
        return int(value)
    return None


def levels_of(value: JsonValue, room_version: RoomVersion) -> tuple[Mapping[str, int], bool, bool]:
    """Return a map's readable levels, whether all are, and whether floats fit."""
    # By its class first: `isinstance` asks an abstract class by Python code.
    if value.__class__ is not dict and value is not NO_LEVELS and not isinstance(value, Mapping):
        return NO_LEVELS, False, True
    # Most power levels lack one map or another: making an empty one takes 1 us.
    if not value:
        return NO_LEVELS, True, True
    # Nearly all maps hold nothing else, and then no level has to be looked at: 19 us in place of 70
    # for 500 users.
    if _INTEGERS.issuperset(map(type, value.values())):
        return object_of(value), True, True
    levels = {}
    in_range = True
    for key, item in value.items():
        level = level_of(item, room_version)
        if level is not None:
            levels[key] = level
        # A float such as 1e400 is infinite in binary64. Nobody can compare such a level, so it
        # rejects the event.
        elif out_of_range(item):
            in_range = False
    return JsonObject(levels), len(levels) == len(value), in_range


_INTEGERS: Final = frozenset({int})

# Python's \s and str.strip know more white space than the Unicode property that
# other implementations strip, and int() knows underscores and other digits.
_WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + ("\u2028\u2029\u202f\u205f\u3000")
)
_DIGITS: Final = 400
"""Digits that a level in text may have, leading zeros not counted."""


def _level_in(text: str) -> int | None:
    """Read a level from a text without white space around it."""
    sign = text[:1] if text[:1] in ("+", "-") else ""
    bare = text[len(sign) :]
    # No regular expression: it would try each of many leading zeros as the last one.
    digits = bare.lstrip("0") or bare[-1:]
    if len(digits) > _DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    return int(sign + digits)


def out_of_range(value: JsonValue) -> bool:
    """Tell whether a value is a float that binary64 cannot hold."""
    return isinstance(value, float) and not isfinite(value)


@by_value
@constant
class Create:
    """`m.room.create`: who made the room, and who may be in it.

    Attributes:
        creator: the user whom rules call the creator; None when the content, which
            names them up to version 10, holds no text there.
        names_creator: the content has a `creator`, whatever it is.
        privileged: the users of infinite power: in version 12 the sender and all
            additional creators, before it nobody.
        additional_creators_readable: `additional_creators` is absent or a list of
            user IDs.
        federate: users of other servers may take part. A value that is neither a boolean nor
            null closes the room, as in every server that was read. A server that left the
            room open would have members whom no other server has.
        room_version: what the content says of the version; "1" when it says nothing.
        has_room_id: the event carries a `room_id`, which version 12 forbids.
        openly_federated: `m.federate` is absent or true: nobody takes the room for closed.
    """

    creator: str | None
    names_creator: bool
    privileged: frozenset[str]
    additional_creators_readable: bool
    federate: bool
    room_version: JsonValue
    has_room_id: bool
    openly_federated: bool = True


def create_view(
    content: Mapping[str, JsonValue],
    room_version: RoomVersion,
    *,
    sender: str,
    has_room_id: bool,
    is_user: Callable[[object], bool] = is_user_id,
) -> Create:
    """View the content of an `m.room.create` event."""
    creator: JsonValue = content.get("creator") if room_version.creator_in_content else sender
    others = content.get("additional_creators", ()) if room_version.privileged_creators else ()
    others_listed = isinstance(others, (list, tuple))
    users = [user for user in others if is_user(user)] if others_listed else []
    federate = content.get("m.federate", True)
    return Create(
        # Not read as a user ID: rule 4.3.1 compares texts, and rule 1.4 asks only whether the key
        # is there.
        creator=creator if isinstance(creator, str) else None,
        names_creator="creator" in content,
        privileged=frozenset({sender, *users} if room_version.privileged_creators else ()),
        additional_creators_readable=others_listed and len(users) == len(others),
        # Everything else closes the room, though the text says so of `false` alone. Synapse,
        # gomatrixserverlib and ruma do the same: an open room would have members here whom no other
        # server has.
        federate=federate is None or federate is True,  # by identity: 1 == True
        room_version=freeze(content.get("room_version", "1")),
        has_room_id=has_room_id,
        openly_federated=federate is True,
    )


@by_value
@constant
class JoinRules:
    """`m.room.join_rules`: who may join.

    Attributes:
        join_rule: the rule; invite when the content names none.
        allow: the rooms whose members a restricted room lets in, in the order of
            the event; entries of other types or without a room ID are left out.
        unknown_conditions: the types of the other entries, such as those of a later
            proposal: nobody is let in by them here, but a server that knows them may.
        prepared: the first value of `RoomState.prepared` for a state with these rules.
    """

    join_rule: JoinRule
    allow: tuple[RoomID, ...]
    unknown_conditions: tuple[str, ...] = ()
    prepared: tuple[Any, Any, Any] = field(init=False, default=(None, True, None), repr=False)

    # A program is not for other processes: it holds functions without names.
    def __reduce__(self) -> tuple[object, ...]:
        return JoinRules, (self.join_rule, self.allow, self.unknown_conditions)


def join_rules_view(content: Mapping[str, JsonValue]) -> JoinRules:
    """View the content of an `m.room.join_rules` event."""
    rule = content.get("join_rule", "invite")
    allow = content.get("allow")
    entries = allow if isinstance(allow, (list, tuple)) else ()
    rooms = [
        entry["room_id"]
        for entry in entries
        if isinstance(entry, Mapping)
        and entry.get("type") == "m.room_membership"
        and is_room_id(entry.get("room_id"))
    ]
    types = [entry.get("type") for entry in entries if isinstance(entry, Mapping)]
    unknown = [kind for kind in types if isinstance(kind, str) and kind != "m.room_membership"]
    return JoinRules(
        join_rule=JOIN_RULES.get(rule, JoinRule.UNRECOGNISED)
        if isinstance(rule, str)
        else JoinRule.UNRECOGNISED,
        # Once each: a room listed a thousand times would be asked for a thousand times.
        allow=tuple(dict.fromkeys(rooms)),
        unknown_conditions=tuple(dict.fromkeys(unknown)),
    )


NAMED_LEVELS: Final = MappingProxyType(
    {
        "users_default": 0,
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "redact": 50,
        "kick": 50,
        "invite": 0,
    }
)
"""The levels that `m.room.power_levels` names, with their defaults, in the rules' order."""


@slots
class PowerLevelSlots:
    """The fields of power levels, declared once; `PowerLevels` explains each.

    They are filled like `events.facts.Facts`: in 2.6 us, where the constructor of
    `PowerLevels` takes 6.6.
    """

    users_default: int
    events_default: int
    state_default: int
    ban: int
    redact: int
    kick: int
    invite: int
    users: Mapping[str, int]
    events: Mapping[str, int]
    notifications: Mapping[str, int]
    named: Mapping[str, int]
    named_readable: bool = True
    maps_readable: bool = True
    users_readable: bool = True
    exists: bool = True

    level_of: Callable[[str], int] = field(init=False, repr=False)
    message_level_of: Callable[[str], int] = field(init=False, repr=False)
    state_level_of: Callable[[str], int] = field(init=False, repr=False)
    highest: float = field(init=False, repr=False)
    held: Held | None = field(init=False, repr=False, default=None)


@by_value
@constant
class PowerLevels(PowerLevelSlots):
    """`m.room.power_levels`: who may do what. Defaults are filled in.

    Attributes:
        users_default: the level of users whom `users` does not list.
        events_default: the level that messages need, unless `events` lists them.
        state_default: the level that state events need, unless `events` lists them.
        ban: the ban level.
        redact: the redact level.
        kick: the kick level.
        invite: the invite level.
        users: the level of each user listed.
        events: the level that each event type listed needs.
        notifications: the level that each kind of notification needs.
        named: those of the seven levels above that the content really has.
        named_readable: all of them are levels.
        maps_readable: `events` and `notifications` are objects of levels.
        users_readable: `users` is an object of levels, keyed by user IDs.
        exists: the room has such an event; otherwise all is defaults.
        level_of: gives the level of a user, listed or not.
        message_level_of: gives the level that a message of some type needs.
        state_level_of: gives the level that a state event of some type needs.
        highest: the highest level in `users`; less than any level when they are empty.
        held: the content of an accepted event and its room version; None for other events.
    """

    __match_args__: ClassVar[tuple[str, ...]]

    def __attrs_post_init__(self) -> None:
        for name, look_up in zip(_LOOK_UPS, _look_ups(self), strict=True):
            object.__setattr__(self, name, look_up)
        object.__setattr__(self, "highest", max(self.users.values(), default=_LOWEST))

    def __reduce__(self) -> tuple[object, ...]:
        return (PowerLevels, tuple(getattr(self, name) for name in self.__match_args__))

    def required_for(self, event_type: str, *, is_state: bool) -> int:
        """Return the level that sending an event of this type needs.

        >>> NO_POWER_LEVELS.required_for("m.room.topic", is_state=True)
        50
        """
        return (self.state_level_of if is_state else self.message_level_of)(event_type)


Held = tuple[Mapping[str, Any], RoomVersion]
"""A host's content, which a view reads only as far as it is asked, and its room version."""


_LOWEST: Final = float("-inf")
_LookUp = Callable[[str], int]
_LOOK_UPS: Final = ("level_of", "message_level_of", "state_level_of")


# Every auth check asks for levels. A closure finds its two variables faster than a method finds
# four attributes.
def _look_ups(levels: PowerLevelSlots) -> tuple[_LookUp, _LookUp, _LookUp]:
    return (
        _look_up(levels.users, levels.users_default),
        _look_up(levels.events, levels.events_default),
        _look_up(levels.events, levels.state_default),
    )


def _look_up(levels: Mapping[str, int], default: int) -> _LookUp:
    get = levels.get

    def level_of(key: str) -> int:
        return get(key, default)

    return level_of


NO_POWER_LEVELS: Final = PowerLevels(
    **dict[str, Any](NAMED_LEVELS),
    users=NO_LEVELS,
    events=NO_LEVELS,
    notifications=NO_LEVELS,
    named=NO_LEVELS,
    exists=False,
)
"""The power levels of a room that has no such event."""


def power_levels_view(
    content: Mapping[str, JsonValue],
    room_version: RoomVersion,
    are_users: Callable[[Collection[object]], bool] = are_user_ids,
) -> PowerLevels:
    """View the content of an `m.room.power_levels` event. Cost: linear in its size."""
    named, named_readable, named_in_range = _named_levels(content, room_version)
    get = content.get
    events, events_readable, events_in_range = levels_of(get("events", NO_LEVELS), room_version)
    notifications, notifications_readable, notifications_in_range = levels_of(
        get("notifications", NO_LEVELS), room_version
    )
    # Absent `users` count as an empty object. The letter of the rule asks for an object, but every
    # server takes their absence.
    users, users_readable, users_in_range = levels_of(get("users", NO_LEVELS), room_version)
    levels: Any = _unfilled()
    levels.users, levels.events, levels.notifications = users, events, notifications
    # By the operator, a dict in C: `{**NAMED_LEVELS, ...}` asks the proxy for each key, and takes
    # seven times as long.
    (
        levels.users_default,
        levels.events_default,
        levels.state_default,
        levels.ban,
        levels.redact,
        levels.kick,
        levels.invite,
    ) = (NAMED_LEVELS | named).values()
    levels.named, levels.named_readable = named, named_readable
    levels.maps_readable = events_readable and notifications_readable
    # A float that binary64 cannot hold makes the whole event unreadable.
    in_range = named_in_range and events_in_range and notifications_in_range and users_in_range
    levels.users_readable = users_readable and in_range and are_users(get("users", ()))
    levels.level_of, levels.message_level_of, levels.state_level_of = _look_ups(levels)
    # Found once here, it spares two rules a look at each user in each check.
    levels.highest = max(users.values(), default=_LOWEST)
    levels.exists, levels.held = True, None
    levels.__class__ = PowerLevels
    return levels  # type: ignore[no-any-return]  # the line above made it one


def _named_levels(
    content: Mapping[str, JsonValue], room_version: RoomVersion
) -> tuple[Mapping[str, int], bool, bool]:
    """Read the levels that have a key of their own; the rest as `levels_of`."""
    # A level that is written down differs from a default of the same value: rule 10.3 (version 12:
    # 10.6) compares the levels that are present.
    present = {name: content[name] for name in NAMED_LEVELS if name in content}
    named, readable, in_range = levels_of(present, room_version)
    if not readable:
        named = JsonObject({name: named.get(name, NAMED_LEVELS[name]) for name in present})
    return named, readable, in_range


_unfilled: Final[Any] = PowerLevelSlots


@by_value
@constant
class SignedInvite:
    """`third_party_invite` of a member event: who accepted an invite by address.

    Attributes:
        has_signed: there is a `signed`, whatever it is.
        signed: the signed object, when it is one.
        mxid: the user whom it names; None when it is missing or not text.
        token: the state key of the `m.room.third_party_invite` event; None when it is missing or not text.
        has_names: `signed` has both properties, whatever they are.
    """

    has_signed: bool
    signed: JsonObject | None
    mxid: str | None
    token: str | None
    has_names: bool


def signed_invite_view(value: JsonValue) -> SignedInvite:
    """View the `third_party_invite` of an `m.room.member` event."""
    has_signed = isinstance(value, Mapping) and "signed" in value
    signed = value["signed"] if has_signed else None
    # `signed: null` is present and no more: rule 4.4.1.3 rejects it, not 4.4.1.2.
    if not isinstance(signed, Mapping):
        return SignedInvite(has_signed, None, None, None, has_names=False)
    mxid, token = signed.get("mxid"), signed.get("token")
    return SignedInvite(
        has_signed=has_signed,
        # A host's own mapping need not be a dict.
        signed=freeze(signed if isinstance(signed, dict) else thaw(signed)),
        mxid=mxid if isinstance(mxid, str) else None,
        token=token if isinstance(token, str) else None,
        has_names="mxid" in signed and "token" in signed,
    )


@by_value
@constant
class ThirdPartyInvite:
    """`m.room.third_party_invite`: the keys that may say who accepted it.

    Attributes:
        public_keys: Ed25519 keys of 32 bytes, in the order of the event, those that
            cannot be read left out.
    """

    public_keys: tuple[bytes, ...]


def third_party_invite_view(content: Mapping[str, JsonValue]) -> ThirdPartyInvite:
    """View the content of an `m.room.third_party_invite` event."""
    listed = content.get("public_keys")
    # The single key of old events counts beside the list, as the rule asks.
    texts = [content.get("public_key")]
    if isinstance(listed, (list, tuple)):
        texts += [entry.get("public_key") for entry in listed if isinstance(entry, Mapping)]
    keys = [key for key in map(unpadded_base64, texts) if key and len(key) == _KEY_BYTES]
    return ThirdPartyInvite(tuple(dict.fromkeys(keys)))


_KEY_BYTES: Final = 32
_STANDARD_ALPHABET: Final = MappingProxyType(str.maketrans("-_", "+/"))


def unpadded_base64(text: JsonValue) -> bytes | None:
    """Read base64, padded or not, standard or URL-safe; None for anything else.

    >>> unpadded_base64("YWI"), unpadded_base64("YWI="), unpadded_base64(7)
    (b'ab', b'ab', None)
    """
    if not isinstance(text, str):
        return None
    # The specification writes base64 without padding, but asks readers to take both:
    # https://spec.matrix.org/v1.19/appendices/#unpadded-base64
    bare = text.rstrip("=")
    if "-" in bare or "_" in bare:
        bare = bare.translate(_STANDARD_ALPHABET)
    try:
        return a2b_base64(bare + "=" * (-len(bare) % 4), strict_mode=True)
    except ValueError:
        return None


def authoriser(value: JsonValue, is_user: Callable[[object], bool] = is_user_id) -> UserID:
    """Return the user whom a member event's `join_authorised_via_users_server` names.

    Returns:
        The user ID; the empty text for anything else, so that no server can have
        signed for it.
    """
    return UserID(value if is_user(value) else "")
