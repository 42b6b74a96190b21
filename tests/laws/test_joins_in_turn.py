"""Laws of joins in turn: what a joining server stores is enough to let in the next one."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from matrix_membership import Event, KeyRing, RoomState, RoomVersion, auth, strategies
from matrix_membership.federation.audit import Audit, examine
from matrix_membership.federation.audit.sufficiency import shortcomings
from matrix_membership.federation.handshake import (
    JOINING,
    AwaitingAcceptance,
    AwaitingKeys,
    Joined,
)
from matrix_membership.federation.messages import (
    MakeRequest,
    MakeResponse,
    SendJoinResponse,
    SendRequest,
)
from matrix_membership.federation.resident import Accepted, answer_make, answer_send
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import EventID, ServerName, UserID, server_of
from matrix_membership.machine import admit
from matrix_membership.room_versions import V1, V6, V8, V10, V11, V12
from matrix_membership.strategies import RoomHistory, signer_of

AT: Final = 1_700_000_000_000
GUESTS: Final = ("@eve:e.example", "@fay:f.example", "@gil:g.example")
ALL_KEYS: Final = reduce(
    KeyRing.with_keys, [signer_of(f"{name}.example").key_ring for name in "abcdefg"]
)


def invited(history: RoomHistory, guest: str) -> RoomHistory | None:
    """The history with an invite of the guest, by the first member who may send it."""
    content = {"membership": "invite"}
    fields = {"type": "m.room.member", "state_key": guest, "content": content}
    for member in history.state.joined_members():
        event = history.next_event(member, fields)
        if admit(event, history.state):
            return history.with_event(event)
    return None


def known_to(server: str, history: RoomHistory, stored: Iterable[Event]) -> ResidentRoom:
    """The room after a history, as a server knows it that has stored these events."""
    last = history.events[-1]
    get_event = {event.event_id: event for event in stored}.get
    return ResidentRoom(ServerName(server), history.state, (last.event_id,), last.depth, get_event)


def joined(guest: str, room: ResidentRoom, *, omit_members: bool) -> Joined:
    """The end of the guest's join through the server that knows the room so."""
    server = server_of(UserID(guest))
    begun = JOINING.begin(
        guest,
        room.room_id,
        signer=signer_of(server),
        resident=room.server_name,
        omit_members=omit_members,
    )
    version = room.state.room_version.identifier
    made = answer_make(JOINING, MakeRequest(room.room_id, guest, server, (version,)), room, at=AT)
    # A join rule that the version does not know lets nobody in, invited or not.
    assume(isinstance(made, MakeResponse))
    step = begun.receive(made, at=AT)
    assert isinstance(step, AwaitingAcceptance)
    body = step.request.body or b""
    sent = SendRequest(room.room_id, step.event.event_id, body, server, omit_members)
    answer = answer_send(JOINING, sent, room, signer_of(room.server_name), keys=ALL_KEYS)
    assert isinstance(answer, Accepted), answer
    assert isinstance(answer.response, SendJoinResponse)
    assert shortcomings(answer.response, answer.event) == ()
    awaiting = step.receive(answer.response)
    assert isinstance(awaiting, AwaitingKeys)
    end = awaiting.receive(ALL_KEYS)
    assert end.audit.defects == ()
    return end


def completed(end: Joined, before: RoomState, room: ResidentRoom) -> Audit:
    """The audit of the whole state before a join, as `GET /state` answers it."""
    chain = auth.auth_chain(before.events, room.get_event)
    whole = SendJoinResponse.of(before.events, chain.values())
    found = examine(whole, end.event, asked_to_omit=False, resident=end.resident)
    return found.audit(ALL_KEYS)


def assert_in_order(events: Iterable[Event]) -> None:
    """Each event comes once, after those that it cites."""
    came: set[EventID] = set()
    for event in events:
        assert came.issuperset(event.auth_events)
        assert event.event_id not in came
        came.add(event.event_id)


@pytest.mark.parametrize("version", [V1, V6, V8, V10, V11, V12], ids=str)
class TestWhatAJoiningServerStores:
    @settings(max_examples=25)
    @given(data=st.data(), omit_members=st.booleans())
    def test_lets_it_answer_the_next_one(
        self, version: RoomVersion, data: st.DataObject, *, omit_members: bool
    ) -> None:
        history = data.draw(strategies.room_histories(room_version=version, max_moves=8))
        server, stored = "", list(history.events)
        for guest in GUESTS:
            before = invited(history, guest)
            assume(before is not None)
            assert before is not None
            invite = before.events[-1]
            stored.append(invite)
            room = known_to(server or invite.server, before, stored)
            end = joined(guest, room, omit_members=omit_members)
            to_store = end.to_store
            if omit_members:
                assert_in_order(to_store)
                to_store = completed(end, before.state, room).to_store
            assert_in_order(to_store)
            # The next guest comes through this one's server, which has this list and no more.
            history = before.with_event(end.event)
            server, stored = server_of(UserID(guest)), list(to_store)
            assert invite in stored
            assert stored[-1] == end.event
