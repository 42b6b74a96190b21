"""Two example homeservers and a real Synapse are cut apart, act against each other, and agree when they meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest

from homeserver.rooms import Room
from matrix_membership import JoinRule
from matrix_membership.federation import Joined, Request
from matrix_membership.membership import BAN
from matrix_membership.server import path_of
from tests.interop.client_api import SynapseUser
from tests.interop.peer import Peer
from tests.interop.synapse import Synapse, wait_until

pytestmark = pytest.mark.interop

PATIENCE = 60.0

State = dict[tuple[str, str], str]
"""The IDs of the events of a state, by place."""


@attrs.frozen
class Meeting:
    """A room of three servers: Ana's and Ben's are examples, Sam's is Synapse."""

    peer: Peer
    third: Peer
    synapse: Synapse
    sam: SynapseUser
    rooms: tuple[Room, Room]
    """The room as Ana's server has it, and as Ben's has it."""

    @property
    def room_id(self) -> str:
        return self.rooms[0].room_id

    @property
    def states(self) -> list[State]:
        """The current state, as each server shows it."""
        ours = [
            {(event.type, event.state_key or ""): event.event_id for event in room.state.events}
            for room in self.rooms
        ]
        shown = self.sam.state(self.room_id)
        return [*ours, {(event["type"], event["state_key"]): event["event_id"] for event in shown}]

    @contextmanager
    def cut_apart(self) -> Iterator[None]:
        """Nothing gets from one of the servers to another one."""
        for peer in (self.peer, self.third):
            peer.transport.cut_off = True
        try:
            yield
        finally:
            for peer in (self.peer, self.third):
                peer.transport.cut_off = False

    def of_ana(self, kind: str, content: Any, state_key: str | None = "") -> str:
        ana = self.peer.user("ana")
        sent = self.peer.send(self.rooms[0], ana, kind, content, state_key=state_key)
        return sent.event_id

    def of_third(self, name: str, kind: str, content: Any, state_key: str | None = None) -> str:
        user = self.third.user(name)
        sent = self.third.send(self.rooms[1], user, kind, content, state_key=state_key)
        return sent.event_id

    def of_sam(self) -> list[str]:
        """The IDs of the newest state events of Sam."""
        shown = self.sam.state(self.room_id)
        return [event["event_id"] for event in shown if event["sender"] == self.sam.user_id]

    def reach_everybody(self, event_ids: Iterable[str]) -> None:
        """Wait until each server has taken some events. It may have soft-failed them."""
        for event_id in event_ids:
            for room in self.rooms:
                wait_until(lambda: room.knows(event_id), PATIENCE)  # type: ignore[arg-type]  # noqa: B023 - called at once
            wait_until(lambda: self.synapse_has(event_id), PATIENCE)  # noqa: B023 - called at once

    def synapse_has(self, event_id: str) -> bool:
        request = Request("GET", path_of("v1", "event", event_id))
        asked = self.peer.transport.ask(self.synapse.server_name, request)
        return self.peer.run(asked).status == 200

    def speak_in_turn(self) -> None:
        """Let somebody on each server say something when everybody has heard the one before.

        So each message ties the branches together that its server has, and the last one all.
        """
        hello = {"msgtype": "m.text", "body": "hello"}
        self.reach_everybody([self.of_ana("m.room.message", hello, None)])
        self.reach_everybody([self.of_third("ben", "m.room.message", hello)])
        self.reach_everybody([self.sam.send_message(self.room_id, "hello")])


@pytest.fixture
def meeting(peer: Peer, third: Peer, synapse: Synapse, sam: SynapseUser, version: str) -> Meeting:
    """A room of Ana (100), Sam (50), Ben (50), Dan, whom Ana invited, and Eve."""
    users = {sam.user_id: 50, third.user("ben"): 50}
    if version != "12":
        users[peer.user("ana")] = 100
    room = peer.create_room(version, levels={"users": users})
    peer.send(
        room,
        peer.user("ana"),
        "m.room.member",
        {"membership": "invite"},
        state_key=third.user("dan"),
    )
    sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
    joins = []
    for name in ("ben", "dan", "eve"):
        end = third.join(name, room.room_id, [peer.name], omit_members=False)
        assert isinstance(end, Joined), end
        joins.append(end.event.event_id)
    found = Meeting(peer, third, synapse, sam, (room, third.server.rooms[room.room_id]))
    found.reach_everybody(joins)
    return found


@pytest.mark.parametrize("version", ["1", "2", "6", "10", "11", "12"])
def test_show_the_same_members(meeting: Meeting, version: str) -> None:
    sam, room_id = meeting.sam, meeting.room_id
    ana, ben = meeting.peer.user("ana"), meeting.third.user("ben")
    cay, dan, eve = (meeting.third.user(name) for name in ("cay", "dan", "eve"))
    levels = meeting.rooms[0].state.get("m.room.power_levels")
    assert levels is not None
    with meeting.cut_apart():
        # A kick against a change of power.
        demoted = {**levels.content["users"], sam.user_id: 0}
        of_ana = [meeting.of_ana("m.room.power_levels", {**levels.content, "users": demoted})]
        for kicked in (dan, eve):
            sam.kick(room_id, kicked)
        # A ban against a join.
        of_ana.append(meeting.of_ana("m.room.member", {"membership": "ban"}, cay))
        of_cay = meeting.of_third("cay", "m.room.member", {"membership": "join"}, cay)
        # Both change the join rules.
        of_ana.append(meeting.of_ana("m.room.join_rules", {"join_rule": "invite"}))
        sam.send_state(room_id, "m.room.join_rules", {"join_rule": "private"})
        of_sam = meeting.of_sam()
        assert sam.joined_members(room_id) == {ana, ben, sam.user_id}
        members = [set(room.state.joined_members()) for room in meeting.rooms]
        assert members == [
            {ana, ben, sam.user_id, dan, eve},
            {ana, ben, sam.user_id, dan, eve, cay},
        ]
    meeting.reach_everybody([*of_ana, of_cay, *of_sam])
    meeting.speak_in_turn()
    one, other, shown = meeting.states
    assert one == other == shown
    # The demotion undoes the kicks. Dan's join stands by his invite. Eve's needs a public room: from
    # version 2 on it is judged after the join rules, since each of these messages settles both at once.
    joined = {ana, ben, sam.user_id, dan} | ({eve} if version == "1" else set())
    assert set(meeting.rooms[0].state.joined_members()) == joined
    assert sam.joined_members(room_id) == joined
    assert meeting.rooms[0].state.join_rule is JoinRule.INVITE
    assert meeting.rooms[0].state.membership_of(cay) is BAN
