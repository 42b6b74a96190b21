"""Compare the history that a Synapse shows its users with the answers of these rules."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations
from typing import Any, Final
from urllib.parse import quote

import pytest

from matrix_membership import KNOWN, Event, RoomState, RoomVersion
from matrix_membership.federation import Joined, Request
from matrix_membership.federation.messages import path_of
from matrix_membership.visibility import client_timeline, may_see, readable_state, timeline
from tests.interop.client_api import SynapseUser
from tests.interop.peer import Peer
from tests.interop.synapse import Synapse

pytestmark = pytest.mark.interop

VALUES: Final = ("world_readable", "shared", "invited", "joined")
STORIES: Final = (
    *(("11", before, after) for before, after in permutations(VALUES, 2)),
    *((version, value, value) for version in ("1", "6", "11", "12") for value in VALUES),
)

Steps = list[tuple[Event, RoomState]]


@pytest.fixture(scope="session")
def uma(synapse: Synapse) -> SynapseUser:
    """A user who never joins."""
    return synapse.register("uma")


def shown_by_messages(user: SynapseUser, room_id: str) -> list[Any] | int:
    """The events that a user gets by `/messages`, the oldest first, or the status of the refusal."""
    # Backwards: forwards Synapse goes on behind the leave of a user who left.
    query = {"dir": "b", "limit": "100"}
    status, answer = user.request("GET", f"rooms/{quote(room_id)}/messages", query=query)
    return list(reversed(answer["chunk"])) if status == 200 else status


def shown_one_by_one(user: SynapseUser, room_id: str, event_ids: Iterable[str]) -> list[str]:
    """The events that a user gets by `/event`."""
    path = f"rooms/{quote(room_id)}/event/"
    return [
        name for name in event_ids if user.request("GET", path + quote(name, safe=""))[0] == 200
    ]


def state_shown_to(user: SynapseUser, room_id: str) -> dict[tuple[str, str], str] | int:
    status, answer = user.request("GET", f"rooms/{quote(room_id)}/state")
    if status != 200:
        return status
    return {(event["type"], event["state_key"]): event["event_id"] for event in answer}


def places(state: RoomState | None) -> dict[tuple[str, str], str] | int:
    if state is None:
        return 403
    return {(event.type, event.state_key or ""): event.event_id for event in state.events}


def steps_of(sam: SynapseUser, room_id: str, version: str) -> tuple[Steps, RoomState]:
    """Each event of the room, which Sam made and sees whole, with the state before it."""
    chunk = shown_by_messages(sam, room_id)
    assert isinstance(chunk, list)
    state, steps = RoomState.of(KNOWN[version], []), []
    for fields in chunk:
        event = Event.from_client_event(fields, KNOWN[version])
        steps.append((event, state))
        state = state.with_event(event)
    return steps, state


def ids(events: list[Event]) -> list[str]:
    return [event.event_id for event in events]


@pytest.mark.parametrize(("version", "before", "after"), STORIES)
def test_users_see_what_the_rules_say(
    sam: SynapseUser, tom: SynapseUser, uma: SynapseUser, version: str, before: str, after: str
) -> None:
    room_id = _room_of_sam(sam, version, before)
    sam.send_message(room_id, "before all")
    if before != after:
        place = "m.room.history_visibility"
        sam.send_state(room_id, place, {"history_visibility": after})
    sam.send_message(room_id, "before the invite")
    sam.invite(room_id, tom.user_id)
    sam.send_message(room_id, "before the join")
    tom.join(room_id)
    sam.send_message(room_id, "before the leave")

    steps, now = steps_of(sam, room_id, version)
    event_ids = [event.event_id for event, _ in steps]
    for user in (tom, uma):
        said = ids(timeline(user.user_id, steps, now))
        assert shown_one_by_one(user, room_id, event_ids) == said
    assert state_shown_to(tom, room_id) == places(readable_state(tom.user_id, now))

    tom.leave(room_id)
    sam.send_state(room_id, "m.room.topic", {"topic": "after the leave"})
    steps, now = steps_of(sam, room_id, version)
    left = ids([event for event, _ in steps]).index(_place_of(tom, now)) + 1
    when_left = steps[left][1]
    assert state_shown_to(tom, room_id) == places(
        readable_state(tom.user_id, now, when_left=when_left)
    )
    assert state_shown_to(uma, room_id) == places(readable_state(uma.user_id, now))
    assert _messages(tom, room_id) == ids(timeline(tom.user_id, steps[:left], now))
    for user, seen in ((tom, steps[:left]), (sam, steps)):
        told = client_timeline(user.user_id, seen, now)
        assert memberships(shown_by_messages(user, room_id)) == memberships(told)


def memberships(chunk: Any) -> dict[str, str]:
    """The memberships that events tell of the user who asks, by event ID."""
    return {event["event_id"]: event["unsigned"]["membership"] for event in chunk}


def _room_of_sam(sam: SynapseUser, version: str, value: str) -> str:
    state = [
        {
            "type": "m.room.history_visibility",
            "state_key": "",
            "content": {"history_visibility": value},
        },
        {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "public"}},
    ]
    return sam.create_room(version, preset="private_chat", initial_state=state)


def _place_of(user: SynapseUser, state: RoomState) -> str:
    """The ID of a user's member event."""
    event = state.get("m.room.member", user.user_id)
    assert event is not None
    return event.event_id


def _messages(user: SynapseUser, room_id: str) -> list[str]:
    chunk = shown_by_messages(user, room_id)
    assert isinstance(chunk, list)
    return [event["event_id"] for event in chunk]


@pytest.mark.parametrize("version", ["1", "6", "11", "12"])
@pytest.mark.parametrize("value", VALUES)
def test_another_server_sees_what_the_rules_say(
    sam: SynapseUser, synapse: Synapse, peer: Peer, version: str, value: str
) -> None:
    room_id = _room_of_sam(sam, version, value)
    sam.send_message(room_id, "before the invite")
    sam.invite(room_id, peer.user("vic"))
    sam.send_message(room_id, "before the join")
    assert isinstance(peer.join("vic", room_id, [synapse.server_name]), Joined)
    sam.send_message(room_id, "after the join")

    steps, now = steps_of(sam, room_id, version)
    query = (("v", steps[-1][0].event_id), ("limit", "100"))
    request = Request("GET", path_of("v1", "backfill", room_id), query)
    answer = peer.run(peer.transport.ask(synapse.server_name, request)).content
    served = {event.event_id: event for event in _read(answer["pdus"], KNOWN[version])}
    messages = [step for step in steps if step[0].type == "m.room.message"]
    assert len(messages) == 3
    for event, before in messages:
        whole = may_see(peer.name, event, before, now)
        assert ("body" in served[event.event_id].content) is bool(whole), str(whole)


def _read(pdus: Iterable[Any], version: RoomVersion) -> list[Event]:
    return [Event.from_pdu(pdu, version) for pdu in pdus]
