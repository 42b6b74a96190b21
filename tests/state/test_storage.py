"""Room state in a storage: the same answers as at hand, and nothing loaded that was not asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix_membership import RoomState, strategies
from matrix_membership._attrs import evolve
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.federation import JOINING, Accepted
from matrix_membership.federation.resident import answer_send
from matrix_membership.machine import admit
from matrix_membership.membership import BAN, JOIN, Membership
from matrix_membership.room_versions import V11, V12
from matrix_membership.state import Storage
from tests.builders import ANA, BEN, CAY, DAN, KEYS, Room, a_room
from tests.federation.conversation import a_public_room, send_request, signed
from tests.federation.signed_rooms import A, with_member


class Recorder:
    """A storage of a state, and what it was asked."""

    def __init__(self, state: RoomState) -> None:
        self.state = state
        self.asked: list[Any] = []
        self.loaded = 0

    def get(self, event_type: str, state_key: str) -> Event | None:
        self.asked.append((event_type, state_key))
        return self.state.get(event_type, state_key)

    def others(self) -> Iterator[Event]:
        self.asked.append("others")
        return self.state.events_but_members

    def members(self, wanted: tuple[Membership, ...] | None) -> Iterator[Event]:
        self.asked.append(wanted)
        for event in self.state.members.values():
            if wanted is None or event.membership in wanted:
                self.loaded += 1
                yield event

    def servers(self) -> list[str]:
        self.asked.append("servers")
        return list(self.state.servers_in_room)

    @property
    def storage(self) -> Storage:
        return Storage(self.get, self.others, self.members, self.servers)


def over(room: Room) -> RoomState:
    return RoomState.over(room.version, Recorder(room.state).storage)


def everything(state: RoomState) -> tuple[Any, ...]:
    """All that a state tells of a room as a whole."""
    return (
        set(state.events),
        set(state.events_but_members),
        dict(state.members),
        set(state.joined_members()),
        state.servers_in_room,
        state.create_event,
        state.join_rule,
        state.power_levels,
        state.membership_of(BEN),
    )


A_CROWD = a_room(V11).with_member(BEN, "join").with_member(CAY, "invite").with_member(DAN, "ban")


class TestStorage:
    def test_answers_what_the_state_answers(self) -> None:
        state = over(A_CROWD)
        assert everything(state) == everything(A_CROWD.state)
        assert state.heroes() == A_CROWD.state.heroes()
        assert state.heroes(excluding=ANA, at_most=1) == (BEN,)

    def test_has_heroes_who_left_when_nobody_is_left(self) -> None:
        room = a_room(V11).with_member(ANA, "leave").with_member(DAN, "ban")
        assert over(room).heroes(excluding=ANA) == (DAN,)

    def test_has_no_heroes_of_an_empty_room(self) -> None:
        room = a_room(V11).with_member(ANA, "leave")
        assert over(room).heroes(excluding=ANA) == ()
        assert over(A_CROWD).heroes(at_most=0) == ()

    def test_is_asked_for_no_more_members_than_are_wanted(self) -> None:
        recorder = Recorder(A_CROWD.state)
        state = RoomState.over(V11, recorder.storage)
        assert state.heroes(at_most=2) == (ANA, BEN)
        assert recorder.loaded == 2

    def test_is_asked_for_servers_once(self) -> None:
        recorder = Recorder(A_CROWD.state)
        state = RoomState.over(V11, recorder.storage)
        assert state.servers_in_room is state.servers_in_room
        assert recorder.asked == ["servers"]

    def test_may_be_partial(self) -> None:
        state = RoomState.over(V11, Recorder(A_CROWD.state).storage, partial=True)
        assert state.is_partial
        assert str(state.membership_of("@gil:g.example")) == "unknown"
        assert state.servers_in_room == {"a.example", "b.example"}
        assert state.with_event(A_CROWD.join(CAY)).is_partial


class TestChangedState:
    def test_is_over_the_storage_and_the_change(self) -> None:
        state = over(A_CROWD)
        joined = state.with_event(A_CROWD.join(CAY))
        assert everything(joined) == everything(A_CROWD.with_member(CAY, "join").state)
        assert joined.heroes() == (ANA, BEN, CAY)
        assert everything(state) == everything(A_CROWD.state)

    def test_has_no_server_whose_last_member_left(self) -> None:
        left = over(A_CROWD).with_event(A_CROWD.leave(BEN))
        assert left.servers_in_room == {"a.example"}
        assert left.membership_of(BEN) is not JOIN

    def test_has_a_server_with_another_member(self) -> None:
        room = A_CROWD.with_member("@bob:b.example", "join")
        assert over(room).with_event(room.leave(BEN)).servers_in_room == {"a.example", "b.example"}

    def test_has_a_server_whose_member_came_after_another_left(self) -> None:
        state = over(A_CROWD).with_event(A_CROWD.leave(BEN))
        again = state.with_event(A_CROWD.join("@bob:b.example"))
        assert again.servers_in_room == {"a.example", "b.example"}

    def test_asks_for_no_members_while_nobody_leaves(self) -> None:
        recorder = Recorder(A_CROWD.state)
        state = RoomState.over(V11, recorder.storage).with_event(A_CROWD.join(CAY))
        state = state.with_event(A_CROWD.event("m.room.topic", ANA, {"topic": "x"}, ""))
        assert state.servers_in_room == {"a.example", "b.example", "c.example"}
        assert recorder.loaded == 0

    def test_has_what_is_no_member_in_its_place(self) -> None:
        first = A_CROWD.event("m.room.topic", ANA, {"topic": "x"}, "")
        second = A_CROWD.event("m.room.topic", ANA, {"topic": "y"}, "")
        state = over(A_CROWD).with_event(first).with_event(second)
        assert state.get("m.room.topic") is second
        assert [event for event in state.events if event.type == "m.room.topic"] == [second]
        assert first not in state.members.values()

    def test_is_what_a_check_leads_to(self) -> None:
        room = A_CROWD.with_join_rule("public")
        admission = admit(room.join(CAY), over(room))
        assert admission.decision.allowed
        assert admission.state.membership_of(CAY) is JOIN
        assert admission.state.membership_of(DAN) is BAN

    def test_takes_no_notice_of_what_is_no_state(self) -> None:
        state = over(A_CROWD)
        assert state.with_event(A_CROWD.message(ANA)) is state

    def test_cannot_be_over_a_mere_look_up(self) -> None:
        state = RoomState.over(V12, a_room(V12).state.get)
        with pytest.raises(IncompleteState) as raised:
            state.with_event(a_room(V12).join(BEN))
        assert raised.value == IncompleteState("a changed state", "all members")


@settings(max_examples=60)
@given(strategies.room_histories(), st.data())
def test_every_history_comes_to_the_same_in_a_storage(history: Any, data: Any) -> None:
    events = [event for event in history.events if event.state_key is not None]
    stored = data.draw(st.integers(0, len(events)))
    whole = RoomState.of(history.room_version, events[:stored])
    state = RoomState.over(history.room_version, Recorder(whole).storage)
    for event in events[stored:]:
        whole, state = whole.with_event(event), state.with_event(event)
        assert everything(state) == everything(whole)
        assert set(state.heroes()) <= set(state.members)


class TestPartialAnswer:
    def test_is_made_without_loading_members(self) -> None:
        room = a_public_room(V11)
        for number in range(20):
            room = with_member(room, f"@member{number}:a.example", "join")
        recorder = Recorder(room.state)
        stored = evolve(room, state=RoomState.over(V11, recorder.storage))
        step = signed(room)
        made = answer_send(JOINING, send_request(step), stored, A, keys=KEYS)
        at_hand = answer_send(JOINING, send_request(step), room, A, keys=KEYS)
        assert isinstance(made, Accepted)
        assert isinstance(at_hand, Accepted)
        assert made.response == at_hand.response
        assert made.send_to == at_hand.send_to
        assert recorder.loaded <= 6
        assert made.state.membership_of(BEN) is JOIN

    def test_with_all_members_is_made_too(self) -> None:
        room = with_member(a_public_room(V11), "@member:a.example", "join")
        stored = evolve(room, state=RoomState.over(V11, Recorder(room.state).storage))
        step = signed(room, omit_members=False)
        made = answer_send(JOINING, send_request(step), stored, A, keys=KEYS)
        at_hand = answer_send(JOINING, send_request(step), room, A, keys=KEYS)
        assert isinstance(made, Accepted)
        assert isinstance(at_hand, Accepted)
        assert made.response == at_hand.response
