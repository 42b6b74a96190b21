"""Knock, invite, leave, kick and ban between a real Synapse and the example homeserver, in both directions."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import KNOWN, client
from matrix_membership.identifiers import UserID
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, Membership
from tests.interop.client_api import CallFailed, SynapseUser
from tests.interop.peer import Peer
from tests.interop.synapse import Synapse, wait_until

pytestmark = pytest.mark.interop

VERSIONS = tuple(KNOWN)
KNOCKING = tuple(name for name, version in KNOWN.items() if version.knocking)
PATIENCE = 60.0

every_version = pytest.mark.parametrize("version", VERSIONS)
every_knocking_version = pytest.mark.parametrize("version", KNOCKING)


def synapses_room(user: SynapseUser, version: str, join_rule: str) -> str:
    """A room of Synapse's with a join rule."""
    rules = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": join_rule}}
    return user.create_room(version, preset="private_chat", initial_state=[rules])


def shown(user: SynapseUser, room_id: str, target: str) -> str | None:
    """What a user is to a room as Synapse shows it to another one."""
    for event in user.state(room_id, timeout=PATIENCE):
        if (event["type"], event["state_key"]) == ("m.room.member", target):
            return str(event["content"]["membership"])
    return None


def invites_of(user: SynapseUser) -> Any:
    """The rooms that Synapse says a user is invited to."""
    return user.sync().get("rooms", {}).get("invite", {})


def until_shown(user: SynapseUser, room_id: str, target: str, membership: str) -> None:
    """Wait until Synapse shows a membership."""
    wait_until(lambda: shown(user, room_id, target) == membership, PATIENCE)


def until_known(peer: Peer, room_id: str, user: str, membership: Membership) -> None:
    """Wait until our server knows a membership."""
    wait_until(lambda: known(peer, room_id, user) is membership, PATIENCE)


def known(peer: Peer, room_id: str, user: str) -> Membership | None:
    """What a user is to a room as our server knows it."""
    try:
        return peer.membership(room_id, user)
    except KeyError:
        return None


def joins(peer: Peer, user: str, room_id: str, *via: str) -> tuple[int, Any]:
    """A user of ours joins."""
    query = [("via", name) for name in via]
    return peer.ask(client.join, client.read_join(UserID(user), room_id, query=query))


def leaves(peer: Peer, user: str, room_id: str) -> tuple[int, Any]:
    """A user of ours leaves, rejects or retracts."""
    return peer.ask(client.leave, client.read_leave(UserID(user), room_id))


def acts(peer: Peer, ask: Any, user: str, room_id: str, target: str) -> tuple[int, Any]:
    """A user of ours invites, kicks, bans or unbans another one."""
    body = b'{"user_id": "%s"}' % target.encode()
    return peer.ask(ask, client.read_target(UserID(user), room_id, body=body))


class TestOurUserInSynapsesRoom:
    @every_knocking_version
    def test_knocks_is_invited_and_joins(
        self, synapse: Synapse, peer: Peer, sam: SynapseUser, version: str
    ) -> None:
        room_id, ben = synapses_room(sam, version, "knock"), peer.user("ben")
        via = [("via", synapse.server_name)]
        asked = client.read_knock(UserID(ben), room_id, query=via, body=b'{"reason": "please"}')
        assert peer.ask(client.knock, asked) == (200, {"room_id": room_id})
        assert known(peer, room_id, ben) is KNOCK
        until_shown(sam, room_id, ben, "knock")
        sam.invite(room_id, ben)
        assert known(peer, room_id, ben) is INVITE
        assert joins(peer, ben, room_id)[0] == 200
        until_shown(sam, room_id, ben, "join")

    @every_knocking_version
    def test_knocks_and_retracts(
        self, synapse: Synapse, peer: Peer, sam: SynapseUser, version: str
    ) -> None:
        room_id, ben = synapses_room(sam, version, "knock"), peer.user("ben")
        peer.ask(
            client.knock,
            client.read_knock(UserID(ben), room_id, query=[("via", synapse.server_name)]),
        )
        assert leaves(peer, ben, room_id) == (200, {})
        until_shown(sam, room_id, ben, "leave")
        assert known(peer, room_id, ben) is LEAVE

    @every_version
    def test_is_invited_and_joins(self, peer: Peer, sam: SynapseUser, version: str) -> None:
        room_id, ben = synapses_room(sam, version, "invite"), peer.user("ben")
        sam.invite(room_id, ben)
        assert known(peer, room_id, ben) is INVITE
        assert joins(peer, ben, room_id)[0] == 200
        until_shown(sam, room_id, ben, "join")

    @every_version
    @pytest.mark.parametrize("missed", [(), ("/v2/send_leave/",)], ids=["v2", "v1"])
    def test_is_invited_and_rejects(
        self,
        peer: Peer,
        sam: SynapseUser,
        version: str,
        missed: tuple[str, ...],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(peer.transport, "missed", missed)
        room_id, ben = synapses_room(sam, version, "invite"), peer.user("ben")
        sam.invite(room_id, ben)
        assert leaves(peer, ben, room_id) == (200, {})
        until_shown(sam, room_id, ben, "leave")

    @every_version
    def test_is_invited_in_vain(
        self, synapse: Synapse, peer: Peer, sam: SynapseUser, version: str
    ) -> None:
        room_id, ben = synapses_room(sam, version, "invite"), peer.user("ben")
        sam.invite(room_id, ben)
        sam.kick(room_id, ben)
        until_known(peer, room_id, ben, LEAVE)
        status, answer = joins(peer, ben, room_id, synapse.server_name)
        assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")

    @every_version
    def test_is_kicked_banned_and_forgiven(
        self, synapse: Synapse, peer: Peer, sam: SynapseUser, version: str
    ) -> None:
        room_id, ben = synapses_room(sam, version, "public"), peer.user("ben")
        cat = peer.user("cat")
        for user in (ben, cat):  # so that our server stays in the room, and hears of all of it
            assert joins(peer, user, room_id, synapse.server_name)[0] == 200
        # Cat's join is told in the background: before it came, Synapse would not tell us of the ban.
        until_shown(sam, room_id, cat, "join")
        sam.kick(room_id, ben)
        until_known(peer, room_id, ben, LEAVE)
        sam.ban(room_id, ben)
        until_known(peer, room_id, ben, BAN)
        status, answer = joins(peer, ben, room_id, synapse.server_name)
        assert (status, answer["error"]) == (403, "you are banned from this room")
        sam.unban(room_id, ben)
        until_known(peer, room_id, ben, LEAVE)
        assert joins(peer, ben, room_id)[0] == 200
        assert leaves(peer, ben, room_id) == (200, {})
        until_shown(sam, room_id, ben, "leave")


class TestSynapsesUserInOurRoom:
    @every_knocking_version
    def test_knocks_is_invited_and_joins(self, peer: Peer, sam: SynapseUser, version: str) -> None:
        room = peer.create_room(version, join_rule="knock")
        sam.knock(room.room_id, via=[peer.name], timeout=PATIENCE)
        until_known(peer, room.room_id, sam.user_id, KNOCK)
        assert acts(peer, client.invite, peer.user("ana"), room.room_id, sam.user_id)[0] == 200
        sam.join(room.room_id, timeout=PATIENCE)
        until_known(peer, room.room_id, sam.user_id, JOIN)

    @every_knocking_version
    def test_knocks_and_retracts_in_silence(
        self, peer: Peer, sam: SynapseUser, version: str
    ) -> None:
        """Synapse tells nobody: the room goes on to have the knock."""
        room = peer.create_room(version, join_rule="knock")
        sam.knock(room.room_id, via=[peer.name], timeout=PATIENCE)
        until_known(peer, room.room_id, sam.user_id, KNOCK)
        before = len(peer.heard)
        sam.leave(room.room_id, timeout=PATIENCE)
        wait_until(lambda: room.room_id not in sam.sync()["rooms"].get("knock", {}), PATIENCE)
        assert not [call for call in peer.heard[before:] if "_leave" in call]
        assert known(peer, room.room_id, sam.user_id) is KNOCK

    @every_version
    @pytest.mark.parametrize("endpoint", ["v2", "v1"])
    def test_is_invited_and_rejects_then_joins(
        self,
        peer: Peer,
        sam: SynapseUser,
        version: str,
        endpoint: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        if endpoint == "v1":  # of leaving, and of joining
            lacks = (f"/_matrix/federation/v2/send_{name}/" for name in ("leave", "join"))
            monkeypatch.setattr(peer, "lacks", tuple(lacks))
        room = peer.create_room(version, join_rule="invite")
        ana = peer.user("ana")
        assert acts(peer, client.invite, ana, room.room_id, sam.user_id)[0] == 200
        sam.leave(room.room_id, timeout=PATIENCE)
        until_known(peer, room.room_id, sam.user_id, LEAVE)
        assert acts(peer, client.invite, ana, room.room_id, sam.user_id)[0] == 200
        sam.join(room.room_id, timeout=PATIENCE)
        until_known(peer, room.room_id, sam.user_id, JOIN)

    @every_version
    def test_is_invited_in_vain(self, peer: Peer, sam: SynapseUser, version: str) -> None:
        room = peer.create_room(version, join_rule="invite")
        ana = peer.user("ana")
        assert acts(peer, client.invite, ana, room.room_id, sam.user_id)[0] == 200
        # One that comes on the heels of the invite is lost on Synapse.
        wait_until(lambda: room.room_id in invites_of(sam), PATIENCE)
        assert acts(peer, client.kick, ana, room.room_id, sam.user_id)[0] == 200
        wait_until(lambda: room.room_id not in invites_of(sam), PATIENCE)
        with pytest.raises(CallFailed) as refused:
            sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
        assert refused.value.status in (403, 404)

    @every_version
    def test_is_kicked_banned_and_forgiven(
        self, peer: Peer, sam: SynapseUser, tom: SynapseUser, version: str
    ) -> None:
        room = peer.create_room(version)
        ana, room_id = peer.user("ana"), room.room_id
        for user in (sam, tom):
            user.join(room_id, via=[peer.name], timeout=PATIENCE)
        assert acts(peer, client.kick, ana, room_id, sam.user_id)[0] == 200
        until_shown(tom, room_id, sam.user_id, "leave")
        assert acts(peer, client.ban, ana, room_id, sam.user_id)[0] == 200
        until_shown(tom, room_id, sam.user_id, "ban")
        with pytest.raises(CallFailed) as refused:
            sam.join(room_id, via=[peer.name], timeout=PATIENCE)
        assert refused.value.status == 403
        assert acts(peer, client.unban, ana, room_id, sam.user_id)[0] == 200
        until_shown(tom, room_id, sam.user_id, "leave")
        tom.leave(room_id, timeout=PATIENCE)
        until_known(peer, room_id, tom.user_id, LEAVE)

    @pytest.mark.parametrize("version", ["1", "2"])
    def test_is_invited_by_us_over_the_endpoint_of_old(
        self, peer: Peer, sam: SynapseUser, version: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(peer.transport, "missed", ("/v2/invite/",))
        room = peer.create_room(version, join_rule="invite")
        assert acts(peer, client.invite, peer.user("ana"), room.room_id, sam.user_id)[0] == 200
        assert room.room_id in invites_of(sam)
        sam.join(room.room_id, timeout=PATIENCE)
        until_known(peer, room.room_id, sam.user_id, JOIN)

    @pytest.mark.parametrize("version", ["1", "2"])
    def test_is_invited_over_the_endpoint_of_old(
        self, synapse: Synapse, peer: Peer, version: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Synapse, which invites a user of ours, falls back to it in these versions alone."""
        monkeypatch.setattr(peer, "lacks", ("/_matrix/federation/v2/invite/",))
        uma = synapse.register(f"uma{version}")
        room_id, ben = synapses_room(uma, version, "invite"), peer.user("ben")
        uma.invite(room_id, ben, timeout=PATIENCE)
        assert known(peer, room_id, ben) is INVITE
        assert any("/v1/invite/" in call for call in peer.heard)


class TestSeveralServers:
    @every_version
    def test_are_tried_in_turn(
        self, synapse: Synapse, peer: Peer, third: Peer, sam: SynapseUser, version: str
    ) -> None:
        room_id = synapses_room(sam, version, "public")
        nowhere = "127.0.0.1:1"  # where nobody listens
        via = (nowhere, third.name, synapse.server_name)
        assert joins(peer, peer.user("ben"), room_id, *via)[0] == 200
        until_shown(sam, room_id, peer.user("ben"), "join")

    def test_are_told_of_when_all_fail(self, peer: Peer, third: Peer) -> None:
        nowhere = "127.0.0.1:1"
        room_id = f"!nowhere:{third.name}"
        status, answer = joins(peer, peer.user("ben"), room_id, nowhere)
        assert (status, answer["errcode"]) == (
            502,
            "M_UNKNOWN",
        )  # the one may know what the other does not
        assert f"{third.name} does not know the room" in answer["error"]
        assert f"{nowhere} failed" in answer["error"]
