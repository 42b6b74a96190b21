"""The fields of drawn events, before they are hashed and signed.

These are plain functions that draw, and not strategies: building a strategy for each
event would cost more than drawing all its fields.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from matrix_membership.auth import select_auth_events
from matrix_membership.canonical_json import JsonValue
from matrix_membership.events import Event, EventTemplate
from matrix_membership.events.contents import NAMED_LEVELS
from matrix_membership.hashing import content_hash, reference_hash
from matrix_membership.identifiers import server_of
from matrix_membership.membership import JOIN_RULES, MEMBERSHIPS, Membership
from matrix_membership.room_versions import KNOWN, EventIdFormat, RoomVersion
from matrix_membership.signing import Signer, sign, sign_json
from matrix_membership.state import RoomState
from matrix_membership.strategies._json import (
    KEYS,
    Fields,
    exchanged,
    json_objects,
    json_values,
)
from matrix_membership.strategies.identifiers import event_ids, room_ids, user_ids

ROOM: Final = "!room:a.example"
MEMBER: Final = "m.room.member"
IDENTITY_SERVER: Final = "identity.example"

Place = tuple[str, str]
"""A type and a state key."""

DrawFields = Callable[[DrawFn, RoomVersion, str], Fields]
"""Draws the fields of a sender's event in a room version."""

# Built once, because a strategy costs more to build than to draw from.
_MAYBE: Final = st.booleans()
# An event in which everything optional is there fails for several reasons at once.
_RARELY: Final = st.sampled_from((False, False, False, True))
_TEXT: Final = st.text(max_size=20)
_USERS: Final = user_ids()
_ROOMS: Final = st.lists(room_ids(), max_size=2)
_TOKENS: Final = st.sampled_from(("token", "other token"))
_UP_TO_2: Final = st.sampled_from((1, 0, 2))
_TIMES: Final = st.integers(0, 2**41)
_DEPTHS: Final = st.integers(1, 1000)
_REMARKS: Final = st.sampled_from(("displayname", "reason"))
_MEMBERSHIPS: Final = st.sampled_from(tuple(MEMBERSHIPS))
# Readers of IDs stumble over these: a slash and a plus, an IPv6 literal with a port, letters beyond
# ASCII.
_SOME_IDS: Final = MappingProxyType(
    {
        EventIdFormat.IN_PDU: ("$one:a.example", "$two:b.example", "$¡:[::1]:8448"),
        EventIdFormat.BASE64: tuple("$" + text.ljust(43, "0") for text in ("one", "two/", "+")),
        EventIdFormat.URL_SAFE_BASE64: tuple(
            "$" + text.ljust(43, "0") for text in ("one", "two_", "-")
        ),
    }
)
_REFERENCES: Final = MappingProxyType(
    {
        version.event_ids: st.lists(st.sampled_from(_SOME_IDS[version.event_ids]), max_size=2)
        for version in KNOWN.values()
    }
)
_JOIN_RULES: Final = ("public", "invite", "knock", "restricted", "knock_restricted", "private")
_RULES: Final = st.sampled_from(_JOIN_RULES)
# At and beside the levels 0, 50 and 100: elsewhere a wrong comparison shows nothing.
_LEVELS: Final = st.sampled_from((50, 0, 100, 1, -1, 49, 99))
_NAMED: Final = st.dictionaries(st.sampled_from(tuple(NAMED_LEVELS)), _LEVELS, max_size=3)
_USER_LEVELS: Final[SearchStrategy[Mapping[str, int]]] = st.dictionaries(
    _USERS, _LEVELS, max_size=3
)
_TYPES: Final = ("m.room.name", "m.room.message", "m.room.power_levels")
_LEVEL_MAPS: Final[Mapping[str, SearchStrategy[dict[str, int]]]] = MappingProxyType(
    {
        "events": st.dictionaries(st.sampled_from(_TYPES), _LEVELS, max_size=2),
        "notifications": st.dictionaries(st.sampled_from(("room", "other")), _LEVELS, max_size=2),
    }
)
_REDACTS_IN_CONTENT: Final = 11


def signer_of(server: str) -> Signer:
    """Return the signer that these strategies use for a server.

    Its seed is derived from the server's name, so all processes have the same keys.

    >>> signer_of("a.example").verify_key == signer_of("a.example").verify_key
    True

    .. versionadded:: 0.1.0
    """
    return _signer_of(server)


# To derive the keys of a few servers for each event took a tenth of the time of a script.
@lru_cache(maxsize=64)
def _signer_of(server: str) -> Signer:
    seed = b64encode(sha256(server.encode()).digest()).decode()
    return Signer.from_seed(server, "ed25519:1", seed)


def reference(event_id: str, room_version: RoomVersion, digest: str = "A" * 43) -> JsonValue:
    """Return how a PDU refers to another: by ID, or a pair in versions 1 and 2."""
    return [event_id, {"sha256": digest}] if room_version.event_id_in_pdu else event_id


def state_fields(sender: str, place: Place, content: Fields) -> Fields:
    """Return the fields of a state event in one place."""
    event_type, state_key = place
    return {"type": event_type, "state_key": state_key, "sender": sender, "content": content}


def membership_fields(
    sender: str, user: str, membership: JsonValue, **content: JsonValue
) -> Fields:
    """Return the fields of a member event."""
    return state_fields(sender, (MEMBER, user), {"membership": membership, **content})


def completed(fields: Mapping[str, JsonValue], room_version: RoomVersion) -> Event:
    """Return the event of these fields, hashed and signed by its sender's server.

    Fields that are None are left out.
    """
    there = {key: value for key, value in fields.items() if value is not None}
    signer = signer_of(server_of(fields["sender"]))
    return EventTemplate.of(there, room_version).complete(signer)


def next_event(
    fields: Mapping[str, JsonValue],
    state: RoomState,
    parents: Sequence[Event],
    *,
    depth: int,
    at: int,
    event_id: str = "",
) -> Event:
    """Return the event that follows others, whether the rules allow it or not.

    Args:
        fields: the type, the sender, the content and, for a state event, the state key. Other
            fields of a PDU replace those that follow from the arguments.
        state: the state that its auth events are taken from.
        parents: the events that it follows.
        depth: its depth.
        at: its time, in milliseconds since 1970.
        event_id: its ID in versions 1 and 2; empty for one made of its hash.
    """
    version, create = state.room_version, state.create_event
    new_id = None if version.room_id_is_create_event else ROOM
    pdu: Fields = {
        "room_id": new_id if create is None else create.room_id,
        "depth": depth,
        "origin_server_ts": at,
        "prev_events": [_reference_to(event) for event in parents],
        **fields,
    }
    # The auth events that it has to list depend on its type, sender, state key and content.
    draft = Event.from_client_event({"room_id": ROOM, **fields}, version)
    listed = [state.get(*place) for place in sorted(select_auth_events(draft))]
    pdu["auth_events"] = [_reference_to(event) for event in listed if event is not None]
    if version.event_id_in_pdu:
        # Base64 may hold a slash, which is allowed in these IDs.
        pdu["event_id"] = event_id or f"${content_hash(pdu)}:{draft.server}"
    event = completed(pdu, version)
    via = draft.authorised_via
    return sign(event, signer_of(server_of(via))) if via else event


def _reference_to(event: Event) -> JsonValue:
    version = event.room_version
    if not version.event_id_in_pdu:
        return event.event_id
    return reference(event.event_id, version, reference_hash(event.document, version))


def surroundings(draw: DrawFn, version: RoomVersion) -> Fields:
    """Draw the fields that every PDU has."""
    sender = draw(_USERS)
    references = _REFERENCES[version.event_ids]
    fields: Fields = {
        "sender": sender,
        "room_id": draw(room_ids(room_version=version)),
        "origin_server_ts": draw(_TIMES),
        "depth": draw(_DEPTHS),
        "prev_events": [reference(event_id, version) for event_id in draw(references)],
        "auth_events": [reference(event_id, version) for event_id in draw(references)],
    }
    if version.event_id_in_pdu:
        fields["event_id"] = f"$event:{server_of(sender)}"
    return fields


def create_content(version: RoomVersion, creator: str) -> Fields:
    """Return the content of a create event, as its room version needs it."""
    named = {"creator": creator} if version.creator_in_content else {}
    return {**named, "room_version": version.identifier}


def member_fields(
    draw: DrawFn, version: RoomVersion, sender: str, membership: Membership | None = None
) -> Fields:
    """Draw a member event. Joins and knocks are of the sender, others of any user."""
    named = draw(_MEMBERSHIPS) if membership is None else str(membership)
    # Changed and not filtered out: Hypothesis would draw in vain, and shrink worse.
    if named == "knock" and not version.knocking:
        named = "leave"
    alone = named in ("join", "knock")
    user = sender if alone or draw(_MAYBE) else draw(_USERS)
    content: Fields = {"membership": named}
    if draw(_RARELY):
        content[draw(_REMARKS)] = draw(_TEXT)
    if named == "join" and version.restricted_joins and draw(_RARELY):
        content["join_authorised_via_users_server"] = f"@cleo:{server_of(sender)}"
    return {"type": "m.room.member", "state_key": user, "content": content}


def ways_to_write_levels(version: RoomVersion) -> tuple[Callable[[int], JsonValue], ...]:
    """Return the ways in which a room version lets events write a level."""
    found: list[Callable[[int], JsonValue]] = [lambda level: level]
    if not version.integer_levels:
        # The grammar of versions 1 to 9 allows white space around a level, a sign and leading
        # zeros.
        found += [str, lambda level: f" {level:+04d} "]
    if version.float_levels:
        # Readers cut the fraction off, which gives the level that was drawn.
        found += [lambda level: level + (0.5 if level > 0 else 0.0)]
    return tuple(found)


def power_levels_fields(draw: DrawFn, version: RoomVersion, _: str) -> Fields:
    """Draw a power levels event, by the grammar of its version."""
    write = draw(st.sampled_from(ways_to_write_levels(version)))

    def written(levels: Mapping[str, int]) -> Fields:
        return {key: write(level) for key, level in levels.items()}

    content = written(draw(_NAMED))
    if draw(_MAYBE):
        content["users"] = written(draw(_USER_LEVELS))
    for name, levels in _LEVEL_MAPS.items():
        if draw(_RARELY):
            content[name] = written(draw(levels))
    return {"type": "m.room.power_levels", "state_key": "", "content": content}


def join_rules_fields(draw: DrawFn, version: RoomVersion, _: str) -> Fields:
    """Draw a join rules event, with a rule of its version."""
    own = version.own_join_rules
    rule = draw(st.sampled_from((*_JOIN_RULES, *own)) if own else _RULES)
    if rule != "private" and JOIN_RULES.get(rule, rule) not in version.join_rules:
        rule = "invite"
    content: Fields = {"join_rule": rule}
    if rule in ("restricted", "knock_restricted"):
        content["allow"] = [
            {"type": "m.room_membership", "room_id": room_id} for room_id in draw(_ROOMS)
        ]
    return {"type": "m.room.join_rules", "state_key": "", "content": content}


def stored_invite(token: str, key_count: int = 1) -> Fields:
    """Return a third-party invite with the identity server's key, and further keys."""
    keys = [signer_of(IDENTITY_SERVER).verify_key, signer_of("other." + IDENTITY_SERVER).verify_key]
    url = f"https://{IDENTITY_SERVER}/_matrix/identity/v2/pubkey/isvalid"
    entries = [{"public_key": key, "key_validity_url": url} for key in keys[:key_count]]
    # Servers write the single key of older invites beside the list, for those that read only that.
    content: Fields = {"display_name": "b…@…", "key_validity_url": url, "public_key": keys[0]}
    if key_count:
        content["public_keys"] = entries
    return {"type": "m.room.third_party_invite", "state_key": token, "content": content}


def signed_invite(user: str, token: str, signer: Signer | None = None) -> Fields:
    """Return an invite made of a third-party invite, signed by the identity server."""
    signed = sign_json({"mxid": user, "token": token}, signer or signer_of(IDENTITY_SERVER))
    invite = {"display_name": "b…@…", "signed": signed}
    content = {"membership": "invite", "third_party_invite": invite}
    return {"type": "m.room.member", "state_key": user, "content": content}


def third_party_invite_fields(draw: DrawFn, _: RoomVersion, __: str) -> Fields:
    """Draw a third-party invite as it is stored in the room."""
    return stored_invite(draw(_TOKENS), draw(_UP_TO_2))


def _create_fields(draw: DrawFn, version: RoomVersion, sender: str) -> Fields:
    content = create_content(version, sender)
    if draw(_RARELY):
        content["m.federate"] = draw(_MAYBE)
    if version.privileged_creators and draw(_RARELY):
        content["additional_creators"] = [draw(_USERS)]
    room_id = None if version.room_id_is_create_event else f"!room:{server_of(sender)}"
    nothing: Fields = {"prev_events": [], "auth_events": [], "room_id": room_id}
    return {"type": "m.room.create", "state_key": "", "content": content, **nothing}


def _message_fields(draw: DrawFn, _: RoomVersion, __: str) -> Fields:
    content = {"msgtype": "m.text", "body": draw(_TEXT)}
    return {"type": "m.room.message", "content": content}


def _name_fields(draw: DrawFn, _: RoomVersion, __: str) -> Fields:
    return {"type": "m.room.name", "state_key": "", "content": {"name": draw(_TEXT)}}


def _redaction_fields(draw: DrawFn, version: RoomVersion, _: str) -> Fields:
    redacts = draw(event_ids(room_version=version))
    if version.redaction_rules >= _REDACTS_IN_CONTENT:
        return {"type": "m.room.redaction", "content": {"redacts": redacts}}
    return {"type": "m.room.redaction", "content": {}, "redacts": redacts}


def _aliases_fields(draw: DrawFn, _: RoomVersion, sender: str) -> Fields:
    server = server_of(sender)
    names = [f"#{name}:{server}" for name in ("one", "two")[: draw(_UP_TO_2)]]
    return {"type": "m.room.aliases", "state_key": server, "content": {"aliases": names}}


def _signed_invite_fields(draw: DrawFn, _: RoomVersion, __: str) -> Fields:
    return signed_invite(draw(_USERS), draw(_TOKENS))


# Shrinking goes to the first: events that the auth rules do not read make simple failures.
_READ: Final[tuple[DrawFields, ...]] = (
    member_fields,
    join_rules_fields,
    power_levels_fields,
    third_party_invite_fields,
    _signed_invite_fields,
    _create_fields,
)
_ANY: Final = (_message_fields, _name_fields, *_READ, _redaction_fields, _aliases_fields)
_DRAW_READ: Final[SearchStrategy[DrawFields]] = st.sampled_from(_READ)
_DRAW_ANY: Final[SearchStrategy[DrawFields]] = st.sampled_from(_ANY)


def any_fields(draw: DrawFn, version: RoomVersion, sender: str) -> Fields:
    """Draw any event of a room."""
    drawn = draw(_DRAW_ANY)
    return drawn(draw, version, sender)


def malformed_fields(draw: DrawFn, version: RoomVersion, sender: str) -> Fields:
    """Draw an event that the auth rules read, with one malformed value."""
    drawn = draw(_DRAW_READ)
    fields = drawn(draw, version, sender)
    return {**fields, "content": exchanged(draw, fields["type"], fields["content"], version)}


def arbitrary_fields(draw: DrawFn, version: RoomVersion, _: str) -> Fields:
    """Draw an event of a known type with arbitrary content."""
    event_type = draw(_ARBITRARY_TYPES)
    content = draw(json_objects(floats=version.float_levels))
    for key in KEYS.get(event_type, ()):
        if draw(_MAYBE):
            content[key] = draw(json_values(floats=version.float_levels))
    fields: Fields = {"type": event_type, "content": content}
    if draw(_MAYBE):
        fields["state_key"] = draw(_ARBITRARYKEYS)
    return fields


_ARBITRARY_TYPES: Final = st.sampled_from(tuple(KEYS)) | _TEXT
_ARBITRARYKEYS: Final = _USERS | _TEXT
