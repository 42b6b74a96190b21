"""Laws of new rooms and of upgrades: who has power in them, and that every event is taken on receipt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from matrix_membership import KNOWN, Event, RoomState, RoomVersion, lint
from matrix_membership.client import (
    CreateRequest,
    NewRoom,
    create_room,
    read_create_room,
    upgrade_room,
)
from matrix_membership.events import read_pdu
from matrix_membership.events.contents import NAMED_LEVELS
from matrix_membership.federation import MatrixError, ResidentRoom
from matrix_membership.identifiers import EventID, UserID
from matrix_membership.receipt import Disposition, receive
from matrix_membership.strategies._json import json_objects, json_values
from tests.builders import ANA, BEN, CAY, DAN, SIGNER_A
from tests.client.new_rooms import (
    AT,
    FIRST,
    NEXT,
    a_new_room,
    closed,
    room_of,
    upgraded,
    upgrades,
    with_state,
)
from tests.client.rooms import body

USERS: Final = (ANA, BEN, CAY, DAN)
SOME: Final = st.lists(st.sampled_from(USERS), max_size=3)
LEVEL: Final = st.sampled_from([-1, 0, 1, 49, 50, 51, 99, 100, 101, 150, 200])
VERSIONS: Final = st.sampled_from(list(KNOWN))
PRESETS: Final = st.sampled_from(["private_chat", "trusted_private_chat", "public_chat"])
TYPES: Final = st.sampled_from(
    ["m.room.name", "m.room.tombstone", "m.room.power_levels", "m.room.join_rules", "x"]
)
LEVELS: Final = st.fixed_dictionaries(
    {},
    optional={
        "users": st.dictionaries(st.sampled_from(USERS), LEVEL, max_size=4),
        "events": st.dictionaries(TYPES, LEVEL, max_size=3),
        "notifications": st.dictionaries(st.just("room"), LEVEL),
        **dict.fromkeys(NAMED_LEVELS, LEVEL),
    },
)
ERRCODES: Final = frozenset(
    {
        "M_BAD_JSON",
        "M_FORBIDDEN",
        "M_INVALID_PARAM",
        "M_INVALID_ROOM_STATE",
        "M_MISSING_PARAM",
        "M_NOT_JSON",
        "M_UNSUPPORTED_ROOM_VERSION",
    }
)


def all_received(new: NewRoom) -> RoomState:
    """The state of a new room on another server, which takes each of its events."""
    version = new.room_version
    state = RoomState.of(version, [])
    known: dict[EventID, Event] = {}
    for made in new.complete(SIGNER_A):
        receipt = receive(
            read_pdu(made.pdu, version),
            version,
            keys=SIGNER_A.key_ring,
            auth_events=known.get,
            state_before=state,
            current_state=state,
        )
        assert receipt.disposition is Disposition.ACCEPTED, receipt
        assert receipt.event is not None
        state = state.with_event(receipt.event)
        known[made.event_id] = receipt.event
    return state


def power(state: RoomState) -> Mapping[str, int]:
    """The power of each user."""
    return {user: state.power_level_of(user) for user in USERS}


def given_power(request: Mapping[str, Any], version: RoomVersion) -> Mapping[str, int]:
    """The power that a request for a room gives each user, by the text of the specification."""
    trusted = request["invite"] if request["preset"] == "trusted_private_chat" else []
    levels = request["power_level_content_override"]
    users = {} if version.privileged_creators else dict.fromkeys([ANA, *trusted], 100)
    users = levels.get("users", users)
    told = {user: users.get(user, levels.get("users_default", 0)) for user in USERS}
    if version.privileged_creators:
        listed = request["creation_content"].get("additional_creators", [])
        told.update(dict.fromkeys([ANA, *trusted, *listed], 2**53))
    return told


@settings(max_examples=150)
@given(
    st.fixed_dictionaries(
        {
            "room_version": VERSIONS,
            "preset": PRESETS,
            "invite": SOME,
            "power_level_content_override": LEVELS,
            "creation_content": st.fixed_dictionaries({}, optional={"additional_creators": SOME}),
        }
    )
)
def test_a_new_room_gives_power_to_those_whom_the_request_names(request: dict[str, Any]) -> None:
    asked = read_create_room(UserID(ANA), body=body(**request))
    assert isinstance(asked, CreateRequest)
    new = create_room(asked, room_id=FIRST, at=AT)
    if isinstance(new, MatrixError):
        assert new.errcode == "M_INVALID_ROOM_STATE"
        assert new.decision is not None
        event("refused")
        return
    version = KNOWN[request["room_version"]]
    assert power(all_received(new)) == given_power(request, version)
    assert power(room_of(new).state) == given_power(request, version)


@st.composite
def old_rooms(draw: st.DrawFn) -> ResidentRoom:
    """A room with power levels that Ana could set or not, and some who are banned."""
    room = a_new_room(room_version=draw(VERSIONS), preset=draw(PRESETS))
    levels: dict[str, Any] = draw(LEVELS)
    if room.state.room_version.privileged_creators:
        levels.get("users", {}).pop(ANA, None)
    room = with_state(room, "m.room.power_levels", levels)
    for banned in draw(st.sets(st.sampled_from([BEN, CAY]))):
        room = with_state(room, "m.room.member", {"membership": "ban"}, banned)
    return with_state(room, "m.room.member", {"membership": "join"}, DAN, by=DAN)


@settings(max_examples=150)
@given(old_rooms(), VERSIONS, st.sampled_from([ANA, DAN]), st.sets(st.sampled_from([BEN, CAY])))
def test_an_upgrade_gives_power_to_those_who_had_it_or_are_named(
    room: ResidentRoom, version: str, user: str, others: set[str]
) -> None:
    request = upgrades(user, room, version, additional_creators=sorted(others))
    upgrade = upgrade_room(request, room, room_id=NEXT, at=AT)
    old = room.state
    if isinstance(upgrade, MatrixError):
        assert upgrade.errcode == "M_FORBIDDEN"
        assert old.power_level_of(user) < old.power_levels.state_level_of("m.room.tombstone")
        event("refused")
        return
    new = all_received(upgrade.new_room)
    closed(room, upgrade)
    creators = {user, *others} if KNOWN[version].privileged_creators else set()
    for name, had in power(old).items():
        if name in creators:
            assert new.power_level_of(name) == 2**53
        elif name not in old.create.privileged:
            assert new.power_level_of(name) == had
        elif name != user:
            assert new.power_level_of(name) == old.power_levels.users_default
        else:
            assert new.power_level_of(name) >= 100
    told = {name: getattr(new.power_levels, name) for name in NAMED_LEVELS}
    assert told == {name: getattr(old.power_levels, name) for name in NAMED_LEVELS}
    for name in ("m.room.name", "m.room.join_rules", "x"):
        assert new.power_levels.state_level_of(name) == old.power_levels.state_level_of(name)
    # An additional creator who is banned in the old room cannot be banned in the new one.
    banned = {name for name in USERS if str(old.membership_of(name)) == "ban"}
    kept = {name for name in USERS if str(new.membership_of(name)) == "ban"}
    assert kept == banned - creators
    tombstone = new.power_levels.state_level_of("m.room.tombstone")
    if KNOWN[version].privileged_creators:
        assert tombstone > new.power_levels.state_default


@pytest.mark.parametrize("version", KNOWN)
@pytest.mark.parametrize("preset", ["private_chat", "trusted_private_chat", "public_chat"])
def test_nothing_hurts_in_a_new_room_or_its_replacement(version: str, preset: str) -> None:
    room = a_new_room(room_version=version, preset=preset, invite=[BEN])
    assert lint(room.state) == ()
    for replacement in ("1", "11", "12"):
        assert lint(room_of(upgraded(room, replacement).new_room).state) == ()


@settings(max_examples=30)
@given(st.lists(VERSIONS, min_size=2, max_size=6), LEVEL)
def test_a_chain_of_upgrades_keeps_the_members_level(versions: list[str], level: int) -> None:
    levels = {"users": {ANA: 200, BEN: level}}
    room = a_new_room(room_version="1", power_level_content_override=levels)
    for version in versions:
        room = room_of(upgraded(room, version).new_room)
        assert room.state.power_level_of(BEN) == level
        assert room.state.power_level_of(ANA) >= max(100, level)


FIELDS: Final = (
    "visibility",
    "preset",
    "room_version",
    "room_alias_name",
    "name",
    "topic",
    "invite",
    "invite_3pid",
    "creation_content",
    "initial_state",
    "power_level_content_override",
    "is_direct",
)
TEXT: Final = st.text(max_size=8)
ENTRY: Final = st.fixed_dictionaries(
    {"type": TEXT},
    optional={"content": json_objects(floats=False), "state_key": TEXT},
)


@settings(max_examples=200)
@given(
    st.dictionaries(st.sampled_from(FIELDS), json_values(floats=False), max_size=3),
    st.lists(ENTRY, max_size=3),
    VERSIONS,
)
def test_any_request_gets_a_room_or_an_error(
    fields: dict[str, Any], entries: list[Any], version: str
) -> None:
    told = {"initial_state": entries, "room_version": version, **fields}
    request = read_create_room(UserID(ANA), body=json.dumps(told).encode())
    new = (
        request if isinstance(request, MatrixError) else create_room(request, room_id=FIRST, at=AT)
    )
    if isinstance(new, MatrixError):
        assert new.errcode in ERRCODES
        return
    assert all_received(new).create.creator == ANA
