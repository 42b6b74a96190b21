"""A room of Synapse whose policy server is ours."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from matrix_membership import Event
from matrix_membership.federation import Joined
from matrix_membership.membership import JOIN
from matrix_membership.receipt.policy_server import PolicyServer
from tests.interop.client_api import CallFailed, SynapseUser
from tests.interop.peer import Peer
from tests.interop.synapse import Synapse, wait_until

pytestmark = pytest.mark.interop

VERSIONS = ("1", "6", "11", "12")


def refuses_spam(event: Event) -> str | None:
    body = event.content.get("body")
    return "no spam here" if isinstance(body, str) and "spam" in body else None


def policed(sam: SynapseUser, synapse: Synapse, police: Peer, version: str) -> str:
    """A room of Sam's that a user of ours is in, and whose policy server is ours."""
    room_id = sam.create_room(version)
    join(police, room_id, synapse)
    police.server.policing.refuses = refuses_spam
    sam.send_state(
        room_id, "m.room.policy", {"via": police.name, **police.server.policing.document}
    )
    wait_until(lambda: police.server.rooms[room_id].state.get("m.room.policy"))
    return room_id


def join(server: Peer, room_id: str, synapse: Synapse) -> None:
    assert isinstance(server.join("vic", room_id, [synapse.server_name]), Joined)
    assert server.complete(server.server.rooms[room_id])


def kept(server: Peer, room_id: str, event_id: str) -> Any:
    return wait_until(lambda: server.server.rooms[room_id].events.get(event_id))  # type: ignore[call-overload]  # text


def is_signed(server: Peer, room_id: str, event_id: str) -> bool:
    event = kept(server, room_id, event_id)
    return PolicyServer.lacking(event, server.server.rooms[room_id].state) is None


def send(server: Peer, room_id: str, text: str) -> Any:
    """Send a message of our user, and return the result."""
    work = server.endpoints.client.sending.send(
        room_id, server.user("vic"), "m.room.message", {"msgtype": "m.text", "body": text}
    )
    return server.run(work)


@pytest.fixture(autouse=True)
def _lenient_again(peer: Peer) -> Any:
    yield
    peer.server.policing.refuses = lambda _: None


@pytest.mark.parametrize("version", VERSIONS)
def test_events_of_synapse_are_signed_or_refused(
    sam: SynapseUser, tom: SynapseUser, synapse: Synapse, peer: Peer, version: str
) -> None:
    room_id = policed(sam, synapse, peer, version)
    peer.heard.clear()
    event_id = sam.send_message(room_id, "hello")
    assert is_signed(peer, room_id, event_id)
    assert peer.server.rooms[room_id].receipts[event_id]  # type: ignore[index]  # text
    assert "POST /_matrix/policy/v1/sign" in peer.heard

    with pytest.raises(CallFailed) as refused:
        sam.send_message(room_id, "buy spam")
    assert (refused.value.status, refused.value.body["error"]) == (400, "no spam here")

    tom.join(room_id)
    wait_until(lambda: peer.membership(room_id, tom.user_id) is JOIN)
    event = peer.server.rooms[room_id].state.get("m.room.member", tom.user_id)
    assert event is not None
    assert is_signed(peer, room_id, event.event_id)


@pytest.mark.parametrize("version", VERSIONS)
def test_events_of_ours_are_taken_by_synapse(
    sam: SynapseUser, synapse: Synapse, peer: Peer, third: Peer, version: str
) -> None:
    room_id = policed(sam, synapse, peer, version)
    join(third, room_id, synapse)
    for server in (peer, third):
        sent = send(server, room_id, f"hello from {server.name}")
        assert isinstance(sent, Event), sent
        wait_until(partial(shows, sam, room_id, sent.event_id))
        other = third if server is peer else peer
        assert is_signed(other, room_id, sent.event_id)
        refused = send(server, room_id, "spam")
        assert (refused.status, refused.error) == (400, "no spam here")


@pytest.mark.parametrize("version", VERSIONS)
def test_synapse_and_ours_do_not_show_what_the_policy_server_refuses(
    sam: SynapseUser, synapse: Synapse, peer: Peer, third: Peer, version: str
) -> None:
    """A server sends events without asking. The others ask for the signature."""
    room_id = policed(sam, synapse, peer, version)
    join(third, room_id, synapse)
    room = third.server.rooms[room_id]
    spam, ham = (
        third.send(room, third.user("vic"), "m.room.message", {"msgtype": "m.text", "body": text})
        for text in ("spam", "ham")
    )
    wait_until(lambda: bodies(sam, room_id).get(ham.event_id))
    assert spam.event_id not in bodies(sam, room_id)
    receipts = peer.server.rooms[room_id].receipts
    wait_until(lambda: {spam.event_id, ham.event_id} <= set(receipts))
    assert [bool(receipts[event.event_id]) for event in (spam, ham)] == [False, True]


def shows(user: SynapseUser, room_id: str, event_id: str) -> bool:
    return event_id in bodies(user, room_id)


def bodies(user: SynapseUser, room_id: str) -> dict[str, Any]:
    """The messages that a user sees, by event ID."""
    query = {"dir": "b", "limit": "20"}
    _, answer = user.request("GET", f"rooms/{room_id}/messages", query=query)
    return {event["event_id"]: event["content"].get("body") for event in answer["chunk"]}
