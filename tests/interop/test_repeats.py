"""A real Synapse and the example homeserver get events again, out of place, and before they know all members."""

from __future__ import annotations

from typing import Any

import pytest

from homeserver import joining
from homeserver.answers import Answer
from homeserver.asked import Asked
from matrix_membership import KNOWN, Event, EventTemplate, client
from matrix_membership.federation import JOINING, KNOCKING, LEAVING, Handshake, Joined
from matrix_membership.federation.messages import MakeResponse, Request, path_of
from matrix_membership.identifiers import ServerName, UserID
from matrix_membership.membership import JOIN, LEAVE
from tests.interop.client_api import SynapseUser
from tests.interop.peer import Peer
from tests.interop.synapse import Synapse, wait_until
from tests.interop.test_joins import PATIENCE, state_of, state_shown_to

pytestmark = pytest.mark.interop

SOME_VERSIONS = ("1", "11", "12")


def signed(
    peer: Peer, synapse: Synapse, room_id: str, handshake: Handshake, name: str = "eve"
) -> Event:
    """What our server would send, made of Synapse's template."""
    begun = handshake.begin(
        peer.user(name),
        room_id,
        signer=peer.server.signer,
        resident=synapse.server_name,
        room_versions=KNOWN,
    )
    answer = peer.run(peer.transport.ask(synapse.server_name, begun.request))
    step: Any = begun.receive(answer.read(MakeResponse.from_json), at=peer.server.now())
    event: Event = step.event
    return event


def sent(peer: Peer, synapse: Synapse, handshake: Handshake, event: Event) -> Answer:
    """Synapse's answer to an event."""
    path = path_of(handshake.send_versions[0], handshake.send, event.room_id, event.event_id)
    return peer.run(peer.transport.ask(synapse.server_name, Request("PUT", path, (), event.pdu)))


def taken(peer: Peer, handshake: Handshake, event: Event, origin: str) -> Answer:
    """Our server's answer to an event."""
    body, path = event.pdu, {"room_id": event.room_id, "event_id": event.event_id}
    asked = Asked(ServerName(origin), path, (("omit_members", "true"),), body, event.document)
    responds: Any = peer.endpoints.send(handshake, "v2")
    answer: Answer = peer.run(responds(asked))
    return answer


def placed(peer: Peer, event: Event, prev_events: list[str]) -> Event:
    """The event with other previous events."""
    version = event.room_version
    named: list[Any] = list(prev_events)
    if version.event_id_in_pdu:
        named = [[event_id, {"sha256": "A" * 43}] for event_id in prev_events]
    template = EventTemplate.of(event.to_pdu(), version).with_fields(prev_events=named)
    return template.complete(peer.server.signer)


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.content["errcode"]


@pytest.mark.parametrize("version", SOME_VERSIONS)
class TestKnownEvents:
    def test_change_nothing_at_synapse(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, version: str
    ) -> None:
        room_id = sam.create_room(version)
        join = signed(peer, synapse, room_id, JOINING)
        assert sent(peer, synapse, JOINING, join).status == 200
        leave = signed(peer, synapse, room_id, LEAVING)
        for event, handshake in ((leave, LEAVING), (leave, LEAVING), (join, JOINING)):
            assert sent(peer, synapse, handshake, event).status == 200
            assert sam.joined_members(room_id) == {sam.user_id}

    def test_of_synapse_change_nothing_here(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, version: str
    ) -> None:
        room = peer.create_room(version)
        sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
        join = room.state.members[sam.user_id]
        first = taken(peer, JOINING, join, synapse.server_name)
        sam.leave(room.room_id)
        wait_until(lambda: room.state.membership_of(sam.user_id) is LEAVE, PATIENCE)
        leave = room.state.members[sam.user_id]
        state, count = room.state, len(room.events)
        again = taken(peer, JOINING, join, synapse.server_name)
        assert (again.status, again.content) == (200, first.content)
        assert taken(peer, LEAVING, leave, synapse.server_name).status == 200
        assert (room.state, len(room.events)) == (state, count)


@pytest.mark.parametrize("version", SOME_VERSIONS)
class TestPreviousEvents:
    def test_that_do_not_fit_are_refused_by_both(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, version: str
    ) -> None:
        room_id = sam.create_room(version, preset="private_chat")
        closed = sam.send_message(room_id, "before")
        sam.send_state(room_id, "m.room.join_rules", {"join_rule": "public"})
        unknown = "$x:a.example" if KNOWN[version].event_id_in_pdu else "$" + "A" * 43
        join = signed(peer, synapse, room_id, JOINING)
        wrong = [placed(peer, join, named) for named in ([], [unknown], [closed])]
        answers = [refusal(sent(peer, synapse, JOINING, event)) for event in wrong]
        assert answers == [(403, "M_FORBIDDEN")] * 3
        end = peer.join("ben", room_id, [synapse.server_name], omit_members=False)
        assert isinstance(end, Joined), end
        room = peer.server.rooms[room_id]
        # The events from before the join are unknown here, so all three are.
        answers = [refusal(taken(peer, JOINING, event, peer.name)) for event in wrong]
        assert answers == [(403, "M_FORBIDDEN")] * 3
        assert peer.user("eve") not in room.state.members

    def test_that_are_unknown_are_refused_for_knocks_and_leaves(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, version: str
    ) -> None:
        room_id = sam.create_room(version)
        assert sent(peer, synapse, JOINING, signed(peer, synapse, room_id, JOINING)).status == 200
        leave = signed(peer, synapse, room_id, LEAVING)
        unknown = "$x:a.example" if KNOWN[version].event_id_in_pdu else "$" + "B" * 43
        wrong = [(LEAVING, placed(peer, leave, [unknown]))]
        if KNOWN[version].knocking:
            sam.send_state(room_id, "m.room.join_rules", {"join_rule": "knock"})
            knock = signed(peer, synapse, room_id, KNOCKING, "kay")
            wrong.append((KNOCKING, placed(peer, knock, [unknown])))
        answers = [refusal(sent(peer, synapse, handshake, event)) for handshake, event in wrong]
        assert answers == [(403, "M_FORBIDDEN")] * len(wrong)


@pytest.mark.parametrize("version", SOME_VERSIONS)
class TestWhileMembersAreUnknown:
    def test_a_second_user_joins(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, tom: SynapseUser, version: str
    ) -> None:
        room_id = sam.create_room(version, options={"name": "Partial"})
        tom.join(room_id)
        assert isinstance(peer.join("ben", room_id, [synapse.server_name]), Joined)
        room = peer.server.rooms[room_id]
        assert room.state.is_partial
        bob = UserID(peer.user("bob"))
        assert peer.ask(client.join, client.read_join(bob, room_id)) == (200, {"room_id": room_id})
        wait_until(lambda: bob in sam.joined_members(room_id), PATIENCE)
        assert peer.complete(room)
        assert room.state.membership_of(bob) is JOIN
        assert state_of(room) == state_shown_to(sam, room_id)

    def test_the_last_user_leaves(
        self, peer: Peer, synapse: Synapse, sam: SynapseUser, version: str
    ) -> None:
        room_id = sam.create_room(version, options={"name": "Partial"})
        assert isinstance(peer.join("ben", room_id, [synapse.server_name]), Joined)
        room, ben = peer.server.rooms[room_id], UserID(peer.user("ben"))
        assert room.state.servers_in_room == {peer.name, synapse.server_name}
        assert peer.ask(client.leave, client.read_leave(ben, room_id))[0] == 200
        assert room.state.servers_in_room == {synapse.server_name}
        assert not peer.server.takes_part_in(room_id)
        wait_until(lambda: sam.joined_members(room_id) == {sam.user_id}, PATIENCE)
        again = peer.run(joining.join(peer.server, ben, room_id, [synapse.server_name]))
        assert isinstance(again, Joined)
