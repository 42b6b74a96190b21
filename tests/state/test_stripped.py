"""Stripped state: what it does not tell is unknown, for every question."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from matrix_membership import RoomState
from matrix_membership.errors import IncompleteState
from matrix_membership.membership import BAN, INVITE, JOIN, LEAVE, UNKNOWN, JoinRule
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, CAY, DAN, Room, a_room

ROOM = a_room(V11).with_join_rule("knock").with_member(BEN, INVITE)


def stripped(room: Room = ROOM, **more: Any) -> RoomState:
    return RoomState.of(V11, room.events, stripped=True, **more)


def left_out(missing: str) -> IncompleteState:
    return IncompleteState("what stripped state leaves out", missing)


class TestStrippedState:
    def test_tells_what_it_was_told(self) -> None:
        state = stripped()
        assert (state.join_rule, state.membership_of(BEN)) == (JoinRule.KNOCK, INVITE)
        assert state.create_event == ROOM.events[0]
        assert list(state.members) == [ANA, BEN]
        assert {event.type for event in state.events_but_members} == {
            "m.room.create",
            "m.room.join_rules",
        }
        assert set(state.joined_members()) == {ANA}
        assert (state.is_partial, state.is_whole) == (True, False)

    @pytest.mark.parametrize(
        ("question", "error"),
        [
            (lambda state: state.power_levels, left_out("m.room.power_levels")),
            (lambda state: state.power_level_of(ANA), left_out("m.room.power_levels")),
            (lambda state: state.get("m.room.name"), left_out("m.room.name")),
            (
                lambda state: state.get("m.room.third_party_invite", "tok"),
                left_out("m.room.third_party_invite tok"),
            ),
            (
                lambda state: state.servers_in_room,
                IncompleteState("servers in the room", "all members"),
            ),
            (lambda state: state.heroes(), IncompleteState("the heroes", "all members")),
        ],
    )
    def test_raises_for_what_it_was_not_told(
        self, question: Callable[[RoomState], object], error: IncompleteState
    ) -> None:
        with pytest.raises(IncompleteState) as raised:
            question(stripped())
        assert raised.value == error

    def test_does_not_know_whom_it_leaves_out(self) -> None:
        assert stripped().membership_of(CAY) is UNKNOWN

    def test_knows_which_places_it_knows(self) -> None:
        state = stripped()
        places = [("m.room.create", ""), ("m.room.member", BEN)]
        assert [state.knows(*place) for place in places] == [True, True]
        assert not state.knows("m.room.power_levels")
        assert not state.knows("m.room.member", CAY)

    def test_of_two_create_events_has_the_first(self) -> None:
        other = ROOM.event("m.room.create", BEN, {}, "")
        state = RoomState.of(V11, [*ROOM.events, other], stripped=True)
        assert state.create_event == ROOM.events[0]

    def test_of_two_others_has_the_later(self) -> None:
        assert stripped(ROOM.with_join_rule("public")).join_rule is JoinRule.PUBLIC

    def test_passes_over_events_without_a_state_key(self) -> None:
        state = RoomState.of(V11, [*ROOM.events, ROOM.message(ANA)], stripped=True)
        assert not state.knows("m.room.message")

    def test_may_be_told_the_servers(self) -> None:
        state = stripped(servers=iter(["a.example", "z.example"]))
        assert state.servers_in_room == {"a.example", "z.example"}
        assert state.with_event(ROOM.leave(ANA)).servers_in_room == {"a.example", "z.example"}

    def test_learns_by_events(self) -> None:
        levels = ROOM.event("m.room.power_levels", ANA, {"users": {BEN: 7}}, "")
        state = stripped().with_event(levels).with_event(ROOM.join(BEN))
        assert (state.power_level_of(BEN), state.membership_of(BEN)) == (7, JOIN)
        assert not state.knows("m.room.name")

    def test_lists_members_by_membership(self) -> None:
        room = ROOM.with_member(CAY, BAN).with_member(DAN, LEAVE)
        assert list(stripped(room).joined_members()) == [ANA]
        assert list(stripped(room).members) == [ANA, BEN, CAY, DAN]

    def test_stays_so_when_it_is_pickled(self) -> None:
        state = pickle.loads(pickle.dumps(stripped()))
        assert state.join_rule is JoinRule.KNOCK
        assert not state.knows("m.room.power_levels")


class TestWholeState:
    def test_knows_every_place(self) -> None:
        assert ROOM.state.knows("m.room.power_levels")
        assert ROOM.state.knows("m.room.member", CAY)


class TestPartialState:
    def test_knows_every_place_but_those_of_members(self) -> None:
        state = RoomState.of(V11, ROOM.events, partial=True)
        assert state.knows("m.room.power_levels")
        assert state.knows("m.room.member", BEN)
        assert not state.knows("m.room.member", CAY)

    def test_does_not_know_the_heroes(self) -> None:
        with pytest.raises(IncompleteState) as raised:
            RoomState.of(V11, ROOM.events, partial=True).heroes()
        assert raised.value == IncompleteState("the heroes", "all members")
