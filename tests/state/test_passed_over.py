"""Malformed events: what stands at their places is unknown, the rest of the room is not."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from matrix_membership import RoomState, auth, may, read_state, who_may
from matrix_membership.errors import IncompleteState, InvalidEvent, UnknownRoomVersion
from matrix_membership.membership import JOIN, UNKNOWN
from matrix_membership.room_versions import V10, V11
from matrix_membership.state import PassedOver
from tests.builders import ANA, BEN, CAY, a_room

ROOM = a_room(V11).with_levels({ANA: 100}).with_member(BEN, JOIN).with_join_rule("public")


def spoiled(*types: str, room: Any = ROOM, **more: Any) -> RoomState:
    """The state of a room in which the content of these types, or of Ben's membership, is text."""
    events = [event.to_client_event() for event in room.events]
    for event in events:
        if event["type"] in types or event["state_key"] in types:
            event["content"] = "x"
    return read_state(events, **more)


def malformed(index: int, event_type: str, state_key: str) -> PassedOver:
    return PassedOver(index, event_type, state_key, "$x", InvalidEvent("content", "an object", "x"))


class TestPowerLevels:
    def test_are_unknown(self) -> None:
        state = spoiled("m.room.power_levels")
        with pytest.raises(IncompleteState) as raised:
            state.power_level_of(ANA)
        question = "what a malformed event leaves open"
        assert raised.value == IncompleteState(question, "m.room.power_levels")
        assert not state.knows("m.room.power_levels")
        assert not state.is_partial

    def test_leave_open_what_depends_on_them(self) -> None:
        answer = may(ANA, spoiled("m.room.power_levels")).kick(BEN)
        assert (answer.unknown, answer.missing) == (True, "m.room.power_levels")
        assert may(CAY, spoiled("m.room.power_levels")).join()


class TestMember:
    def test_is_unknown(self) -> None:
        state = spoiled(BEN)
        assert (state.membership_of(BEN), state.membership_of(CAY).value) == (UNKNOWN, "leave")
        assert not state.knows("m.room.member", BEN)
        assert state.knows("m.room.member", CAY)

    def test_leaves_open_what_that_user_may(self) -> None:
        assert may(BEN, spoiled(BEN)).join().missing == f"m.room.member {BEN}"
        assert may(CAY, spoiled(BEN)).join()

    def test_is_not_listed(self) -> None:
        state = spoiled(BEN)
        assert list(state.joined_members()) == [ANA]
        assert state.servers_in_room == {"a.example"}
        leavers = who_may(state, lambda user: user.leave())
        assert next(leavers) == ANA
        with pytest.raises(IncompleteState):  # the other user may be joined
            next(leavers)

    def test_leaves_the_remedies_that_hang_on_nobody_else(self) -> None:
        room = a_room(V11).with_member(BEN, JOIN)
        remedies = may(CAY, spoiled(BEN, room=room)).join().remedies
        assert [remedy.changes[0].sentence for remedy in remedies] == [f"invite {CAY}"]


class TestCreateEvent:
    def test_is_unknown(self) -> None:
        state = spoiled("m.room.create", room_version=V11)
        assert not state.knows("m.room.create")
        assert not state.is_partial
        assert may(CAY, state).join()

    def test_does_not_tell_the_version(self) -> None:
        with pytest.raises(UnknownRoomVersion):
            spoiled("m.room.create")


class TestEntry:
    @pytest.mark.parametrize("entry", [None, 7, "x", [], object(), {}])
    def test_may_be_anything(self, entry: Any) -> None:
        state = read_state([entry, *(event.to_client_event() for event in ROOM.events)])
        found = state.passed_over[0]
        assert (found.index, found.type, found.state_key, found.event_id) == (0, "", None, "")
        assert str(found).startswith("entry 0 (no event): ")

    def test_without_a_state_key_is_told_too(self) -> None:
        state = read_state([{"type": "m.room.message"}], room_version=V11)
        assert str(state.passed_over[0]).startswith("entry 0 (m.room.message): ")


class TestState:
    def test_tells_what_is_not_malformed(self) -> None:
        state = spoiled("m.room.power_levels")
        assert [event.type for event in state.events_but_members] == [
            "m.room.create",
            "m.room.join_rules",
        ]
        assert state.heroes() == (ANA, BEN)

    def test_learns_by_events(self) -> None:
        levels = ROOM.event("m.room.power_levels", ANA, {"users": {BEN: 7}}, "")
        state = spoiled("m.room.power_levels").with_event(levels)
        assert state.power_level_of(BEN) == 7
        assert len(state.passed_over) == 1

    def test_may_be_partial_too(self) -> None:
        state = spoiled("m.room.power_levels", partial=True)
        assert state.membership_of(CAY) is UNKNOWN
        with pytest.raises(IncompleteState):
            state.servers_in_room  # noqa: B018 - it raises

    def test_stays_so_when_it_is_pickled(self) -> None:
        state = spoiled(BEN)
        again = pickle.loads(pickle.dumps(state))
        assert again.passed_over == state.passed_over
        assert again.membership_of(BEN) is UNKNOWN

    def test_may_be_made_by_hand(self) -> None:
        events = [event for event in ROOM.events if event.type != "m.room.join_rules"]
        bad = malformed(3, "m.room.join_rules", "")
        state = RoomState.of(V11, events, passed_over=[bad])
        assert auth.check(ROOM.join(CAY), state).missing == ("m.room.join_rules",)
        assert ROOM.state.passed_over == RoomState.over(V11, ROOM.state.get).passed_over == ()


class TestNamedVersion:
    def test_is_never_overridden(self) -> None:
        events = [event.to_client_event() for event in ROOM.events]
        assert read_state(events, room_version=V11).room_version is V11
        with pytest.raises(InvalidEvent) as raised:
            read_state(events, room_version=V10)
        expected = "10, the room version that the caller names"
        assert raised.value == InvalidEvent("m.room.create: room_version", expected, "11")
