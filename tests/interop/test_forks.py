"""Two example homeservers and a real Synapse are cut apart, act against each other, and agree when they meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from homeserver.rooms import Room
from matrix_membership import Event, JoinRule
from matrix_membership.federation import Joined
from matrix_membership.membership import BAN, JOIN
from tests.interop.client_api import SynapseUser
from tests.interop.peer import Peer
from tests.interop.synapse import Synapse, wait_until

pytestmark = pytest.mark.interop

PATIENCE = 60.0


class Side:
    """One of our servers in the room."""

    def __init__(self, peer: Peer, room: Room) -> None:
        self.peer, self.room = peer, room
        self.untold: list[Event] = []

    def acts(self, name: str, kind: str, content: Any, state_key: str | None = "") -> None:
        """Put an event of a user into the room; nobody gets it yet."""
        sender = self.peer.user(name)
        send = self.peer.server.send
        self.untold.append(
            self.peer.call(send, self.room, sender, kind, content, state_key=state_key)
        )

    def tell(self, servers: Iterable[str]) -> None:
        """Send the others what they did not get."""
        self.peer.run(self.peer.server.tell(servers, *self.untold))
        self.untold.clear()

    @property
    def members(self) -> set[str]:
        """The joined users."""
        return set(self.room.state.joined_members())

    @property
    def state(self) -> dict[tuple[str, str], str]:
        """The IDs of the events of the state."""
        return {
            (event.type, event.state_key or ""): event.event_id for event in self.room.state.events
        }


def state_at(user: SynapseUser, room_id: str) -> dict[tuple[str, str], str]:
    """The IDs of the events of the state, as Synapse shows it."""
    return {(event["type"], event["state_key"]): event["event_id"] for event in user.state(room_id)}


@contextmanager
def cut_off(*peers: Peer) -> Iterator[None]:
    """Nothing gets through to these servers, nor from them."""
    for peer in peers:
        peer.transport.cut_off = True
    try:
        yield
    finally:
        for peer in peers:
            peer.transport.cut_off = False


def a_shared_room(peer: Peer, third: Peer, sam: SynapseUser, version: str) -> tuple[Side, Side]:
    """A room of Ana (100), Sam (50), Ben (50) and Dan: Sam at Synapse, Ben and Dan at the third server."""
    users = {sam.user_id: 50, third.user("ben"): 50}
    if version != "12":
        users[peer.user("ana")] = 100
    room = peer.create_room(version, levels={"users": users})
    sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
    for name in ("ben", "dan"):
        end = third.join(name, room.room_id, [peer.name], omit_members=False)
        assert isinstance(end, Joined), end
        wait_until(lambda: third.user(name) in sam.joined_members(room.room_id), PATIENCE)  # noqa: B023 - called at once
    return Side(peer, room), Side(third, third.server.rooms[room.room_id])


@pytest.mark.parametrize("version", ["1", "2", "6", "10", "11", "12"])
def test_show_the_same_members(
    peer: Peer, third: Peer, synapse: Synapse, sam: SynapseUser, version: str
) -> None:
    ours, theirs = a_shared_room(peer, third, sam, version)
    room_id, dan, cay = ours.room.room_id, third.user("dan"), third.user("cay")
    with cut_off(peer, third):
        # A kick against a change of power.
        levels = ours.room.state.get("m.room.power_levels")
        assert levels is not None
        demoted = {**levels.content, "users": {**levels.content["users"], sam.user_id: 0}}
        ours.acts("ana", "m.room.power_levels", demoted)
        sam.kick(room_id, dan)
        # A ban against a join.
        ours.acts("ana", "m.room.member", {"membership": "ban"}, cay)
        theirs.acts("cay", "m.room.member", {"membership": "join"}, cay)
        # Both change the join rules.
        ours.acts("ana", "m.room.join_rules", {"join_rule": "invite"})
        sam.send_state(room_id, "m.room.join_rules", {"join_rule": "private"})
        assert dan not in sam.joined_members(room_id)
        assert (ours.room.state.membership_of(cay), theirs.room.state.membership_of(cay)) == (
            BAN,
            JOIN,
        )
    everybody = [peer.name, third.name, synapse.server_name]
    for side in (ours, theirs):
        side.tell(everybody)
    for side, name in ((ours, "ana"), (theirs, "ben")):
        side.acts(name, "m.room.message", {"msgtype": "m.text", "body": "back"}, None)
        side.tell(everybody)
    sam.send_message(room_id, "back")
    expected = {peer.user("ana"), sam.user_id, third.user("ben"), dan}
    for side in (ours, theirs):
        wait_until(lambda: side.members == expected, PATIENCE)  # noqa: B023 - called at once
    wait_until(lambda: sam.joined_members(room_id) == expected, PATIENCE)
    wait_until(lambda: state_at(sam, room_id) == ours.state == theirs.state, PATIENCE)
    assert ours.room.state.join_rule is JoinRule.INVITE
    assert ours.room.state.membership_of(cay) is BAN
