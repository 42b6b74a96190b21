"""Joins between a real Synapse and the example homeserver: either hosts the room, in every room version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from homeserver.rooms import Room
from matrix_membership import KNOWN, V12
from matrix_membership.federation import Joined, Refused
from matrix_membership.identifiers import EventID
from tests.interop.client_api import CallFailed, SynapseUser
from tests.interop.peer import Peer
from tests.interop.synapse import Synapse, wait_until

pytestmark = pytest.mark.interop

VERSIONS = tuple(KNOWN)
RESTRICTED = tuple(name for name, version in KNOWN.items() if version.restricted_joins)
PATIENCE = 60.0
FAILED_VIA_ANY_SERVER = 502
"""What Synapse tells its client, whatever the servers answered, when none lets the user in."""

State = Mapping[tuple[str, str], str]


def state_of(room: Room) -> State:
    """The state of a room as our server has it: places with event ids."""
    return {(event.type, event.state_key or ""): event.event_id for event in room.state.events}


def state_shown_to(user: SynapseUser, room_id: str) -> State:
    """The state of a room as Synapse shows it to its users, once it has all of it."""
    user.joined_members(room_id, timeout=PATIENCE)
    return {(event["type"], event["state_key"]): event["event_id"] for event in user.state(room_id)}


def timeline(user: SynapseUser, room_id: str) -> list[str]:
    """The ids of the newest events that Synapse shows to its users."""
    room = user.sync()["rooms"]["join"][room_id]
    return [event["event_id"] for event in room["timeline"]["events"]]


def talk(peer: Peer, room: Room, sender: str, user: SynapseUser) -> None:
    """A message goes from our server to Synapse, and one from Synapse to ours."""
    ours = peer.send(room, sender, "m.room.message", {"body": "hi", "msgtype": "m.text"})
    wait_until(lambda: ours.event_id in timeline(user, room.room_id), PATIENCE)
    wait_until_known(user.send_message(room.room_id, "hello"), room)


def wait_until_known(event_id: str, room: Room) -> None:
    """Wait until one of our servers has an event."""
    wait_until(lambda: event_id in room.events, PATIENCE)


def restrict(user: SynapseUser, version: str, allowed: str) -> str:
    """A room of Synapse's that the members of another one may join."""
    allow = [{"type": "m.room_membership", "room_id": allowed}]
    content = {"join_rule": "restricted", "allow": allow}
    rules = {"type": "m.room.join_rules", "state_key": "", "content": content}
    return user.create_room(version, preset="private_chat", initial_state=[rules])


def refusal(end: Joined | Refused) -> tuple[int, str, bool]:
    """Status and code of a refusal, and whether another server is worth a try."""
    assert isinstance(end, Refused), end
    return end.error.status, end.errcode, end.try_another_server


class TestSynapseJoinsOurRoom:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_with_all_members(self, peer: Peer, sam: SynapseUser, version: str) -> None:
        peer.server.omits_members = False
        room = peer.create_room(version, members=8, name="Full")
        sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
        shown = state_shown_to(sam, room.room_id)
        assert shown == state_of(room)
        assert sam.joined_members(room.room_id) == set(room.state.joined_members())
        assert len(room.state.members) == 10
        assert f"GET /_matrix/federation/v1/state_ids/{room.room_id}" not in peer.heard
        talk(peer, room, peer.user("ana"), sam)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_with_members_omitted(self, peer: Peer, sam: SynapseUser, version: str) -> None:
        peer.server.omits_members = True
        room = peer.create_room(version, members=8, name="Partial")
        sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
        shown = state_shown_to(sam, room.room_id)
        assert shown == state_of(room)
        assert sam.joined_members(room.room_id) == set(room.state.joined_members())
        assert len(room.state.members) == 10
        assert f"GET /_matrix/federation/v1/state_ids/{room.room_id}" in peer.heard
        talk(peer, room, peer.user("ana"), sam)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_by_the_first_version_of_send_join(
        self, peer: Peer, sam: SynapseUser, version: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(peer, "lacks", ("/_matrix/federation/v2/",))
        room = peer.create_room(version, members=2)
        sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
        assert state_shown_to(sam, room.room_id) == state_of(room)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_by_its_alias(self, peer: Peer, sam: SynapseUser, version: str) -> None:
        room = peer.create_room(version)
        alias = f"#room{version}:{peer.name}"
        peer.server.aliases[alias] = room.room_id
        assert sam.join(alias, timeout=PATIENCE) == room.room_id
        assert sam.user_id in room.state.members

    @pytest.mark.parametrize("version", RESTRICTED)
    def test_that_is_restricted(self, peer: Peer, sam: SynapseUser, version: str) -> None:
        club = peer.create_room(version)
        room = peer.create_room(version, join_rule="restricted", allow=[club.room_id])
        with pytest.raises(CallFailed) as refused:
            sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
        assert (refused.value.status, refused.value.errcode) == (403, "M_FORBIDDEN")
        sam.join(club.room_id, via=[peer.name], timeout=PATIENCE)
        sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
        join = room.state.members[sam.user_id]
        assert join.authorised_via == peer.user("ana")
        assert join.signed_by == {peer.name, sam.user_id.partition(":")[2]}
        assert state_shown_to(sam, room.room_id) == state_of(room)

    @pytest.mark.parametrize("version", RESTRICTED)
    def test_unless_we_cannot_tell(
        self, peer: Peer, sam: SynapseUser, version: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(peer, "refused", [])
        allowed = f"!elsewhere:{peer.name}"
        room = peer.create_room(version, join_rule="restricted", allow=[allowed])
        with pytest.raises(CallFailed) as refused:
            sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
        assert peer.refused == ["M_UNABLE_TO_AUTHORISE_JOIN"]
        assert refused.value.status == FAILED_VIA_ANY_SERVER

    @pytest.mark.parametrize("version", RESTRICTED)
    def test_unless_nobody_here_may_invite(
        self, peer: Peer, sam: SynapseUser, version: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        club = peer.create_room(version)
        sam.join(club.room_id, via=[peer.name], timeout=PATIENCE)
        room = peer.create_room(version, members=1)
        ana = peer.user("ana")
        # The creator of version 12 is no part of the levels, and could always invite.
        users = {} if KNOWN[version] is V12 else {ana: 100}
        allow = [{"type": "m.room_membership", "room_id": club.room_id}]
        for kind, key, content in (
            ("m.room.join_rules", "", {"join_rule": "restricted", "allow": allow}),
            ("m.room.power_levels", "", {"users": users, "invite": 100}),
            ("m.room.member", ana, {"membership": "leave"}),
        ):
            peer.send(room, ana, kind, content, state_key=key)
        monkeypatch.setattr(peer, "refused", [])
        with pytest.raises(CallFailed) as refused:
            sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
        assert peer.refused == ["M_UNABLE_TO_GRANT_JOIN"]
        assert refused.value.status == FAILED_VIA_ANY_SERVER

    @pytest.mark.parametrize("version", VERSIONS)
    def test_unless_banned(self, peer: Peer, sam: SynapseUser, version: str) -> None:
        room = peer.create_room(version)
        ban = {"membership": "ban"}
        peer.send(room, peer.user("ana"), "m.room.member", ban, state_key=sam.user_id)
        with pytest.raises(CallFailed) as refused:
            sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
        assert (refused.value.status, refused.value.errcode) == (403, "M_FORBIDDEN")

    @pytest.mark.parametrize("version", VERSIONS)
    def test_unless_uninvited(self, peer: Peer, sam: SynapseUser, version: str) -> None:
        room = peer.create_room(version, join_rule="invite")
        with pytest.raises(CallFailed) as refused:
            sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
        assert (refused.value.status, refused.value.errcode) == (403, "M_FORBIDDEN")


class TestWeJoinSynapsesRoom:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_by_the_first_version_of_send_join(
        self,
        peer: Peer,
        synapse: Synapse,
        sam: SynapseUser,
        version: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(peer.transport, "missed", ("/v2/send_join/",))
        room_id = sam.create_room(version)
        end = peer.join("ben", room_id, [synapse.server_name])
        assert isinstance(end, Joined), end
        assert (end.audit.defects, end.state.is_partial) == ((), False)
        assert peer.user("ben") in sam.joined_members(room_id)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_with_all_members(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, tom: SynapseUser, version: str
    ) -> None:
        room_id = sam.create_room(version, options={"name": "Full"})
        tom.join(room_id)
        end = peer.join("ben", room_id, [synapse.server_name], omit_members=False)
        assert isinstance(end, Joined), end
        assert (end.audit.defects, end.state.is_partial) == ((), False)
        room = peer.server.rooms[room_id]
        assert state_of(room) == state_shown_to(sam, room_id)
        assert set(room.state.joined_members()) == {sam.user_id, tom.user_id, peer.user("ben")}
        talk(peer, room, peer.user("ben"), sam)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_with_members_omitted(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, tom: SynapseUser, version: str
    ) -> None:
        room_id = sam.create_room(version, options={"name": "Partial"})
        tom.join(room_id)
        end = peer.join("ben", room_id, [synapse.server_name], omit_members=True)
        assert isinstance(end, Joined), end
        assert (end.audit.defects, end.state.is_partial) == ((), True)
        assert set(end.state.members) == {peer.user("ben")}
        room = peer.server.rooms[room_id]
        assert peer.complete(room)
        assert state_of(room) == state_shown_to(sam, room_id)
        talk(peer, room, peer.user("ben"), sam)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_and_take_what_comes_before_the_rest_does(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, version: str
    ) -> None:
        room_id = sam.create_room(version, options={"name": "Partial"})
        end = peer.join("ben", room_id, [synapse.server_name])
        assert isinstance(end, Joined), end
        room = peer.server.rooms[room_id]
        topic = sam.send_state(room_id, "m.room.topic", {"topic": "who is there?"})
        wait_until_known(topic, room)
        assert room.receipts[EventID(topic)].provisional
        assert peer.complete(room)
        assert state_of(room) == state_shown_to(sam, room_id)

    @pytest.mark.parametrize("version", RESTRICTED)
    def test_that_is_restricted(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, version: str
    ) -> None:
        club = sam.create_room(version)
        room_id = restrict(sam, version, club)
        via = [synapse.server_name]
        assert refusal(peer.join("ben", room_id, via)) == (403, "M_FORBIDDEN", False)
        assert isinstance(peer.join("ben", club, via), Joined)
        end = peer.join("ben", room_id, via)
        assert isinstance(end, Joined), end
        assert end.event.authorised_via == sam.user_id
        assert end.event.signed_by == {peer.name, synapse.server_name}
        assert end.audit.defects == ()
        assert peer.user("ben") in sam.joined_members(room_id)

    @pytest.mark.parametrize("version", RESTRICTED)
    def test_unless_it_cannot_tell(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, version: str
    ) -> None:
        room_id = restrict(sam, version, f"!elsewhere:{peer.name}")
        end = peer.join("ben", room_id, [synapse.server_name])
        assert refusal(end) == (400, "M_UNABLE_TO_AUTHORISE_JOIN", True)

    @pytest.mark.parametrize("version", RESTRICTED)
    def test_unless_nobody_there_may_invite(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, tom: SynapseUser, version: str
    ) -> None:
        club = sam.create_room(version)
        room_id = restrict(sam, version, club)
        sam.invite(room_id, tom.user_id)
        tom.join(room_id)
        # The creator of version 12 is no part of the levels, and could always invite.
        users: dict[str, Any] = {} if KNOWN[version] is V12 else {sam.user_id: 100}
        sam.send_state(room_id, "m.room.power_levels", {"users": users, "invite": 100})
        sam.leave(room_id)
        via = [synapse.server_name]
        assert isinstance(peer.join("gus", club, via), Joined)
        end = peer.join("gus", room_id, via)
        assert refusal(end) == (400, "M_UNABLE_TO_GRANT_JOIN", True)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_unless_banned(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, version: str
    ) -> None:
        room_id = sam.create_room(version)
        sam.ban(room_id, peer.user("ben"))
        end = peer.join("ben", room_id, [synapse.server_name])
        assert refusal(end) == (403, "M_FORBIDDEN", False)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_unless_uninvited(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, version: str
    ) -> None:
        room_id = sam.create_room(version, preset="private_chat")
        end = peer.join("ben", room_id, [synapse.server_name])
        assert refusal(end) == (403, "M_FORBIDDEN", False)

    def test_unless_there_is_none(self, peer: Peer, synapse: Synapse) -> None:
        end = peer.join("ben", f"!nowhere:{synapse.server_name}", [synapse.server_name])
        assert refusal(end) == (404, "M_NOT_FOUND", True)

    def test_unless_its_version_is_not_spoken(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(peer.server, "room_versions", {"6": KNOWN["6"]})
        end = peer.join("ben", sam.create_room("11"), [synapse.server_name])
        assert refusal(end) == (400, "M_INCOMPATIBLE_ROOM_VERSION", False)
        assert isinstance(end, Refused)
        assert end.error.extra["room_version"] == "11"


@pytest.mark.parametrize("version", VERSIONS)
class TestThreeServersInARoomWithoutAName:
    def test_of_synapse(
        self, peer: Peer, third: Peer, synapse: Synapse, sam: SynapseUser, version: str
    ) -> None:
        room_id = sam.create_room(version)
        for number in range(3):
            end = peer.join(f"ben{number}", room_id, [synapse.server_name])
            assert isinstance(end, Joined), end
        end = third.join("cay", room_id, [synapse.server_name])
        assert isinstance(end, Joined), end
        # With four members before the join, all of them stand for the name that it lacks.
        heroes = {sam.user_id, *(peer.user(f"ben{number}") for number in range(3))}
        assert set(end.state.members) == heroes | {third.user("cay")}
        assert end.audit.servers == {peer.name, synapse.server_name}
        assert end.audit.defects == ()
        room = third.server.rooms[room_id]
        talk(third, room, third.user("cay"), sam)
        said = third.send(room, third.user("cay"), "m.room.message", {"body": "ahoy"})
        wait_until_known(said.event_id, peer.server.rooms[room_id])

    def test_of_ours(self, peer: Peer, third: Peer, sam: SynapseUser, version: str) -> None:
        peer.server.omits_members = True
        room = peer.create_room(version, members=8)
        end = third.join("cay", room.room_id, [peer.name])
        assert isinstance(end, Joined), end
        sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
        assert state_shown_to(sam, room.room_id) == state_of(room)
        # Only who was named in the answer to the join can know of the third server.
        said = sam.send_message(room.room_id, "hello")
        wait_until_known(said, room)
        wait_until_known(said, third.server.rooms[room.room_id])


@pytest.mark.parametrize("version", ["1", "6", "8", "10", "11", "12"])
class TestServerThatCameByInvite:
    """What it stored of its own join, it can give to the next server."""

    def test_lets_another_into_synapses_room(
        self, peer: Peer, third: Peer, synapse: Synapse, sam: SynapseUser, version: str
    ) -> None:
        room_id = sam.create_room(version, preset="private_chat", options={"name": "Den"})
        ben, cay = peer.user("ben"), third.user("cay")
        sam.invite(room_id, ben)
        assert isinstance(peer.join("ben", room_id, [synapse.server_name]), Joined)
        room = peer.server.rooms[room_id]
        assert peer.complete(room)
        peer.send(room, ben, "m.room.member", {"membership": "invite"}, state_key=cay)
        end = third.join("cay", room_id, [peer.name])
        assert isinstance(end, Joined), end
        assert end.audit.defects == ()
        wait_until(lambda: cay in sam.joined_members(room_id), PATIENCE)

    def test_lets_synapse_into_a_room_of_ours(
        self, peer: Peer, third: Peer, sam: SynapseUser, version: str
    ) -> None:
        room = third.create_room(version, join_rule="invite", name="Den")
        ben, cat = peer.user("ben"), third.user("ana")
        third.send(room, cat, "m.room.member", {"membership": "invite"}, state_key=ben)
        assert isinstance(peer.join("ben", room.room_id, [third.name]), Joined)
        known = peer.server.rooms[room.room_id]
        assert peer.complete(known)
        rules = {"join_rule": "public"}
        event = third.send(room, cat, "m.room.join_rules", rules, state_key="")
        wait_until_known(event.event_id, known)
        sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
        assert state_shown_to(sam, room.room_id) == state_of(known)
