"""Redactions that a Synapse applies, compared with those that these functions apply."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote

import pytest

from matrix_membership import Event, may
from matrix_membership.federation import Joined
from matrix_membership.receipt.redactions import effect_of
from tests.interop.client_api import SynapseUser
from tests.interop.peer import Peer
from tests.interop.synapse import Synapse, wait_until

pytestmark = pytest.mark.interop


def content(user: SynapseUser, room_id: str, event_id: str) -> Any:
    """The content of an event as a user of Synapse sees it; None if they do not."""
    path = f"rooms/{quote(room_id)}/event/{quote(event_id, safe='')}"
    status, answer = user.request("GET", path)
    return answer["content"] if status == 200 else None


def is_redacted(user: SynapseUser, room_id: str, event_id: str) -> bool:
    return bool(content(user, room_id, event_id) == {})


def built(peer: Peer, room_id: str, sender: str, redacts: str = "") -> Event:
    """A message of our user, or a redaction, that is not sent yet."""
    room = peer.server.rooms[room_id]
    kind = "m.room.redaction" if redacts else "m.room.message"
    return peer.call(
        room.build,
        peer.server.signer,
        peer.user(sender),
        kind,
        {"reason": "x"} if redacts else {"msgtype": "m.text", "body": "hello"},
        redacts=redacts,
        at=peer.server.now(),
    )


def deliver(peer: Peer, room_id: str, event: Event) -> None:
    room = peer.server.rooms[room_id]
    peer.call(room.store, event)
    peer.run(peer.server.tell(room.state.servers_in_room, event))


@pytest.mark.parametrize("version", ["1", "2", "3", "6", "10", "11", "12"])
def test_synapse_applies_what_takes_effect(
    sam: SynapseUser, synapse: Synapse, peer: Peer, version: str
) -> None:
    room_id = sam.create_room(version)
    for name in ("vic", "val"):
        assert isinstance(peer.join(name, room_id, [synapse.server_name]), Joined) or name == "val"
        peer.complete(peer.server.rooms[room_id])
    room = peer.server.rooms[room_id]
    said = sam.send_message(room_id, "hello")
    wait_until(lambda: room.events.get(said))  # type: ignore[call-overload]  # text
    own, of_val = (built(peer, room_id, name) for name in ("vic", "val"))
    for event in (own, of_val):
        deliver(peer, room_id, event)
    targets = {"own": own, "same server": of_val, "other server": room.events[said]}  # type: ignore[index]  # text

    taken = {}
    for name, target in targets.items():
        state = room.state
        allowed = may(peer.user("vic"), state).redact(target).decision
        if not allowed:
            assert (version in ("1", "2"), name) == (True, "other server")
            continue
        redaction = built(peer, room_id, "vic", target.event_id)
        taken[name] = bool(effect_of(redaction, target, state))
        deliver(peer, room_id, redaction)
    # The last event shows that Synapse has received all before it.
    last = built(peer, room_id, "vic")
    deliver(peer, room_id, last)
    wait_until(lambda: content(sam, room_id, last.event_id))
    assert taken == {
        name: is_redacted(sam, room_id, target.event_id)
        for name, target in targets.items()
        if name in taken
    }
    assert not is_redacted(sam, room_id, said)


@pytest.mark.parametrize("version", ["3", "11", "12"])
def test_synapse_applies_a_redaction_that_came_before_its_target(
    sam: SynapseUser, synapse: Synapse, peer: Peer, version: str
) -> None:
    room_id = sam.create_room(version)
    assert isinstance(peer.join("vic", room_id, [synapse.server_name]), Joined)
    peer.complete(peer.server.rooms[room_id])
    room = peer.server.rooms[room_id]
    target = built(peer, room_id, "vic")
    redaction = built(peer, room_id, "vic", target.event_id)
    assert effect_of(redaction, None, room.state).waits
    state = room.state
    deliver(peer, room_id, redaction)
    deliver(peer, room_id, target)
    wait_until(lambda: content(sam, room_id, target.event_id) is not None)
    assert effect_of(redaction, target, state)
    wait_until(partial(is_redacted, sam, room_id, target.event_id))


@pytest.mark.parametrize("version", ["1", "3", "11", "12"])
def test_ours_applies_the_redactions_of_synapse(
    sam: SynapseUser, synapse: Synapse, peer: Peer, version: str
) -> None:
    room_id = sam.create_room(version)
    assert isinstance(peer.join("vic", room_id, [synapse.server_name]), Joined)
    peer.complete(peer.server.rooms[room_id])
    room = peer.server.rooms[room_id]
    said = sam.send_message(room_id, "oh no")
    wait_until(lambda: room.events.get(said))  # type: ignore[call-overload]  # text
    path = f"rooms/{quote(room_id)}/redact/{quote(said, safe='')}/{version}"
    status, answer = sam.request("PUT", path, {"reason": "spam"})
    assert status == 200
    wait_until(lambda: room.events.get(answer["event_id"]))
    line = peer.call(peer.endpoints.client.showing.line, peer.user("vic"), room)
    (shown,) = (event for event in line.events if event["event_id"] == said)
    assert shown["content"] == {}
