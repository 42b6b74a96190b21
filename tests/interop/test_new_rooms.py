"""Rooms that this library creates and upgrades, in which users of a real Synapse live, and Synapse's own beside them."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

import pytest

from homeserver.answers import Answer
from homeserver.creating import Creating
from homeserver.rooms import Room
from matrix_membership import read_state
from matrix_membership.canonical_json import JsonObject, thaw
from matrix_membership.client import (
    CreateRequest,
    NewRoom,
    UpgradedRoom,
    UpgradeRequest,
    UserSettings,
    create_room,
    read_create_room,
    upgrade_room,
)
from matrix_membership.federation import ResidentRoom
from matrix_membership.identifiers import EventID, RoomID, ServerName, UserID, server_of
from tests.interop.client_api import CallFailed, SynapseUser
from tests.interop.peer import Peer
from tests.interop.synapse import wait_until
from tests.interop.test_joins import PATIENCE, VERSIONS, state_of, state_shown_to, talk

pytestmark = pytest.mark.interop

PRESETS: Final = ("private_chat", "trusted_private_chat", "public_chat")
LEVELS: Final = frozenset({"m.room.power_levels"})
# The old version, the new one, and the types whose contents differ.
UPGRADES: Final[tuple[tuple[str, str, frozenset[str]], ...]] = (
    ("1", "2", frozenset()),
    ("5", "6", frozenset()),
    ("9", "10", frozenset()),
    ("10", "11", frozenset()),
    ("11", "12", LEVELS),
    ("12", "12", frozenset()),
    ("12", "11", LEVELS),
)
CHILD: Final = {
    "type": "m.space.child",
    "state_key": "!c:x.example",
    "content": {"via": ["x.example"]},
}

Outline = list[tuple[str, str, Any]]
"""The events of a room in order: type, state key, content."""


def created(peer: Peer, version: str, **fields: Any) -> Room:
    """A room that `@ana` asks our server for."""
    creating, ana = Creating(peer.server, peer.endpoints.doing), UserID(peer.user("ana"))
    body = json.dumps({"room_version": version, **fields}).encode()
    answer: Answer = peer.run(creating.create(ana, None, body))
    assert answer.status == 200, answer
    return peer.server.rooms[answer.content["room_id"]]


def upgrades(peer: Peer, room: Room, version: str, *creators: str) -> Room:
    """The room with which `@ana` replaces one of our server's."""
    creating, ana = Creating(peer.server, peer.endpoints.doing), UserID(peer.user("ana"))
    request = UpgradeRequest(ana, RoomID(room.room_id), version, tuple(map(UserID, creators)))
    upgraded = peer.run(creating.replace(request))
    assert isinstance(upgraded, UpgradedRoom), upgraded
    return peer.server.rooms[upgraded.new_room.room_id]


def joins(user: SynapseUser, room: Room, via: str) -> None:
    """A user of Synapse joins, and sees the room as our server has it."""
    user.join(room.room_id, via=[via], timeout=PATIENCE)
    assert state_shown_to(user, room.room_id) == state_of(room)


def follows(peer: Peer, user: SynapseUser, old: Room) -> Room:
    """A user of Synapse follows the tombstone of a room, through the server of its sender."""
    wait_until(lambda: ("m.room.tombstone", "") in state_shown_to(user, old.room_id), PATIENCE)
    events = user.state(old.room_id)
    tombstone = next(event for event in events if event["type"] == "m.room.tombstone")
    new = peer.server.rooms[tombstone["content"]["replacement_room"]]
    joins(user, new, server_of(tombstone["sender"]))
    return new


class TestSynapseLivesInOurRooms:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("preset", PRESETS)
    def test_by_invite(self, peer: Peer, sam: SynapseUser, version: str, preset: str) -> None:
        room = created(peer, version, preset=preset, name="Talk", topic="All", invite=[sam.user_id])
        joins(sam, room, peer.name)
        talk(peer, room, peer.user("ana"), sam)
        trusted = preset == "trusted_private_chat"
        assert (room.state.power_level_of(sam.user_id) >= 100) is trusted
        # Synapse lets its user use the power that it reads from the events, and our server takes it.
        if trusted:
            named = sam.send_state(room.room_id, "m.room.name", {"name": "Mine"})
            wait_until(lambda: named in room.events, PATIENCE)
            assert state_shown_to(sam, room.room_id) == state_of(room)
        else:
            with pytest.raises(CallFailed) as caught:
                sam.send_state(room.room_id, "m.room.name", {"name": "Mine"})
            assert caught.value.errcode == "M_FORBIDDEN"

    @pytest.mark.parametrize("version", VERSIONS)
    def test_by_alias(self, peer: Peer, sam: SynapseUser, version: str) -> None:
        name = f"new{version}"
        room = created(peer, version, preset="public_chat", room_alias_name=name)
        assert sam.join(f"#{name}:{peer.name}", timeout=PATIENCE) == room.room_id
        assert state_shown_to(sam, room.room_id) == state_of(room)


class TestSynapseFollowsOurUpgrades:
    def test_from_version_1_to_12_and_back(self, peer: Peer, sam: SynapseUser) -> None:
        banned = f"@mal:{peer.name}"
        ban = {"type": "m.room.member", "state_key": banned, "content": {"membership": "ban"}}
        levels = {"users": {peer.user("ana"): 100, sam.user_id: 50}}
        room = created(
            peer,
            "1",
            preset="public_chat",
            name="Chain",
            room_alias_name="chain",
            initial_state=[ban],
            power_level_content_override=levels,
        )
        joins(sam, room, peer.name)
        for version in (*VERSIONS[1:], "12", "11", "1"):
            replacement = upgrades(peer, room, version)
            new = follows(peer, sam, room)
            assert new is replacement
            assert new.version.identifier == version
            assert str(new.state.membership_of(banned)) == "ban"
            assert new.state.power_level_of(sam.user_id) == 50
            talk(peer, new, peer.user("ana"), sam)
            room = new
        assert sam.join(f"#chain:{peer.name}", timeout=PATIENCE) == room.room_id

    @pytest.mark.parametrize("version", ["1", "10", "12"])
    def test_and_may_no_longer_write(self, peer: Peer, sam: SynapseUser, version: str) -> None:
        room = created(peer, version, preset="public_chat")
        joins(sam, room, peer.name)
        upgrades(peer, room, "12")
        follows(peer, sam, room)
        wait_until(lambda: state_shown_to(sam, room.room_id) == state_of(room), PATIENCE)
        with pytest.raises(CallFailed) as caught:
            sam.send_message(room.room_id, "still here")
        assert caught.value.errcode == "M_FORBIDDEN"

    def test_with_another_creator(self, peer: Peer, sam: SynapseUser) -> None:
        room = created(peer, "11", preset="public_chat")
        joins(sam, room, peer.name)
        upgrades(peer, room, "12", sam.user_id)
        new = follows(peer, sam, room)
        content = {"users": {peer.user("mod"): 50}}
        changed = sam.send_state(new.room_id, "m.room.power_levels", content)
        wait_until(lambda: changed in new.events, PATIENCE)
        assert state_shown_to(sam, new.room_id) == state_of(new)


def history(user: SynapseUser, room_id: str) -> Outline:
    """All events of a room of Synapse's, as it shows them."""
    query: dict[str, str | int] = {"dir": "f", "limit": 100}
    status, answer = user.request("GET", f"rooms/{quote(room_id)}/messages", query=query)
    assert status == 200, answer
    return [(event["type"], event["state_key"], event["content"]) for event in answer["chunk"]]


def outline(new: NewRoom) -> Outline:
    """The events of a room of ours."""
    fields = [thaw(send.template.fields) for send in new.sends]
    return [(event["type"], event["state_key"], event["content"]) for event in fields]


def as_synapse(ours: Outline, preset: str) -> Outline:
    """Our events of a new room with the differences that the page on conformance lists."""
    made = []
    for kind, key, content in ours:
        if kind == "m.room.power_levels":
            calls = {"m.call.invite": 50} if preset == "public_chat" else {}
            levels = {"historical": 100, "events": {**content["events"], **calls}}
            made.append((kind, key, {**content, **levels}))
        elif kind != "m.room.guest_access" or preset != "public_chat":
            made.append((kind, key, content))
    return made


def answered(user: SynapseUser, path: str, body: Any) -> Any:
    """Return Synapse's answer to a request that it accepts."""
    status, answer = user.request("POST", path, body)
    assert status == 200, answer
    return answer


def profile(user: SynapseUser) -> UserSettings:
    """The records of a user of Synapse, as our server would have them."""
    name = user.user_id.partition(":")[0].removeprefix("@")
    return UserSettings(profile=JsonObject(displayname=name))


class TestSynapseCreates:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("preset", PRESETS)
    def test_the_same_room(
        self, sam: SynapseUser, tom: SynapseUser, version: str, preset: str
    ) -> None:
        wanted = {
            "room_version": version,
            "preset": preset,
            "name": "Talk",
            "topic": "All",
            "room_alias_name": f"same-{version}-{preset}",
            "initial_state": [
                {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
                {"type": "org.example", "state_key": "k", "content": {"x": 1}},
            ],
            "creation_content": {"m.federate": False},
            "invite": [tom.user_id],
            "is_direct": True,
        }
        theirs = history(sam, answered(sam, "createRoom", wanted)["room_id"])
        request = read_create_room(UserID(sam.user_id), body=json.dumps(wanted).encode())
        assert isinstance(request, CreateRequest)
        room_id = RoomID(f"!r:{server_of(sam.user_id)}")
        new = create_room(request, room_id=room_id, at=1, settings=profile(sam))
        assert isinstance(new, NewRoom)
        # Their last event is the invite, which `invite` drafts here.
        assert as_synapse(outline(new), preset) == theirs[:-1]
        assert theirs[-1][:2] == ("m.room.member", new.invites[0].target)  # type: ignore[union-attr]  # by user ID

    @pytest.mark.parametrize(
        ("old", "new", "differs"), UPGRADES, ids=[f"{old}-{new}" for old, new, _ in UPGRADES]
    )
    def test_the_same_replacement(
        self, sam: SynapseUser, tom: SynapseUser, old: str, new: str, differs: frozenset[str]
    ) -> None:
        alias = f"up-{old}-{new}"
        options = {"name": "Old", "room_alias_name": alias, "creation_content": {"type": "m.space"}}
        room_id = sam.create_room(old, options=options, initial_state=[CHILD])
        sam.ban(room_id, tom.user_id)
        server = ServerName(server_of(sam.user_id))
        state = sam.state(room_id)
        newest = EventID(state[-1]["event_id"])
        room = ResidentRoom(server, read_state(state), (newest,), 20, lambda _: None)
        wanted = {"new_version": new}
        replacement = answered(sam, f"rooms/{quote(room_id)}/upgrade", wanted)["replacement_room"]
        theirs = {(kind, key): content for kind, key, content in history(sam, replacement)}
        old_room = history(sam, room_id)
        request = UpgradeRequest(UserID(sam.user_id), RoomID(room_id), new)
        aliases = {f"#{alias}:{server}"}
        upgrade = upgrade_room(
            request, room, room_id=replacement, at=1, aliases=aliases, settings=profile(sam)
        )
        assert isinstance(upgrade, UpgradedRoom)
        ours = {(kind, key): content for kind, key, content in outline(upgrade.new_room)}
        # The tombstones have different times, so they have different IDs.
        for contents in (ours, theirs):
            predecessor = contents["m.room.create", ""]["predecessor"]
            assert ("event_id" in predecessor) is (new != "12")
            predecessor.pop("event_id", None)
        # Synapse adds what its preset has for a room without guest access.
        assert theirs.pop(("m.room.guest_access", "")) == {"guest_access": "can_join"}
        assert ours.keys() == theirs.keys()
        assert {kind for kind, key in ours if ours[kind, key] != theirs[kind, key]} == differs
        closing = [thaw(send.template.fields) for send in upgrade.closing]
        # Where the ID of the new room is a hash, ours has another time in it.
        named = closing[0]["content"]["replacement_room"] == replacement
        assert named is (new != "12")
        closing[0]["content"]["replacement_room"] = replacement
        told = [(event["type"], event["state_key"], event["content"]) for event in closing]
        assert told == old_room[-3:]
