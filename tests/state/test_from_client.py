"""Room state from what a client has: JSON, objects of client libraries, stripped state."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from matrix_membership import Event, RoomVersion, auth, read_state
from matrix_membership.errors import (
    IncompleteState,
    InvalidEvent,
    InvalidMessage,
    UnknownRoomVersion,
)
from matrix_membership.membership import INVITE, LEAVE, UNKNOWN, JoinRule
from matrix_membership.room_versions import V1, V11
from matrix_membership.state.from_client import read_event
from tests.builders import ANA, BEN, Room, a_room, everywhere


def told(room: Room) -> list[dict[str, Any]]:
    """The state of a room as its members get it."""
    return [event.to_client_event() for event in room.events]


def stripped(room: Room) -> list[dict[str, Any]]:
    """The state of a room as who is invited gets it."""
    return [event.to_stripped() for event in room.events]


class Serializable:
    """An object of a client library that gives JSON."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def serialize(self) -> Any:
        """The JSON."""
        return self.value


def by_attributes(event: Mapping[str, Any]) -> Any:
    """An object with the keys of an event as attributes, some of them objects."""
    made = {**event, "type": Serializable(event["type"]), "content": Serializable(event["content"])}
    return SimpleNamespace(**{"redacts": None, **made})


FORMS: tuple[Any, ...] = (
    lambda event: event,
    lambda event: SimpleNamespace(source=event, sender="another"),
    Serializable,
    by_attributes,
)


class TestEvent:
    @pytest.mark.parametrize("form", FORMS)
    def test_may_be_json_or_an_object(self, form: Any) -> None:
        event = a_room(V11).with_join_rule("knock").events[2].to_client_event()
        found = read_event(form(event), V11)
        assert (found.type, found.sender, found.state_key, found.content["join_rule"]) == (
            "m.room.join_rules",
            ANA,
            "",
            "knock",
        )

    @pytest.mark.parametrize("form", FORMS)
    def test_may_hold_none_for_a_key_that_is_absent(self, form: Any) -> None:
        event = {"type": "m.room.message", "sender": ANA, "content": {}}
        nothing = {"state_key": None, "event_id": None, "room_id": None, "origin_server_ts": None}
        assert read_event(form({**event, **nothing}), V11).state_key is None

    @pytest.mark.parametrize("made_up", ["$1", "1", "$abc", ""])
    def test_may_have_ids_made_up_by_hand(self, made_up: str) -> None:
        event = {"type": "m.room.message", "sender": ANA, "content": {}}
        found = read_event({**event, "event_id": made_up, "room_id": made_up}, V11)
        assert (found.event_id, found.room_id) == ("", "")

    @pytest.mark.parametrize("key", ["event_id", "room_id"])
    def test_whose_id_is_not_text_is_refused(self, key: str) -> None:
        with pytest.raises(InvalidEvent):
            read_event({"type": "m.room.message", "sender": ANA, "content": {}, key: 7}, V11)

    @everywhere
    def test_may_be_a_pdu(self, version: RoomVersion) -> None:
        event = a_room(version).message(ANA)
        assert read_event(event.to_pdu(), version) == Event.from_pdu(event.to_pdu(), version)
        with_its_id = {**event.to_pdu(), "event_id": event.event_id}
        assert read_event(with_its_id, version) == event

    @pytest.mark.parametrize("form", FORMS)
    def test_of_power_levels_is_what_came_or_refused(self, form: Any) -> None:
        event = a_room(V11).with_levels({ANA: 100}).events[2].to_client_event()
        if form in FORMS[:2]:
            assert read_event(form(event), V11).content["users"] == {ANA: 100}
            return
        with pytest.raises(InvalidEvent) as raised:
            read_event(form(event), V11)
        assert raised.value.where == "m.room.power_levels"

    @pytest.mark.parametrize("value", [None, 7, "x", [], object(), {}])
    def test_that_is_none_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidEvent):
            read_event(value, V11)


class TestState:
    @everywhere
    def test_says_its_version(self, version: RoomVersion) -> None:
        state = read_state(told(a_room(version).with_join_rule("knock")))
        assert (state.room_version, state.join_rule) == (version, JoinRule.KNOCK)
        assert not state.is_partial

    def test_without_a_version_is_of_version_1(self) -> None:
        room = Room(V1).with_content("m.room.create", {"creator": ANA})
        assert read_state(told(room)).room_version is V1

    def test_may_have_a_version_of_the_callers(self) -> None:
        assert read_state(told(a_room(V11))[1:], room_version=V11).room_version is V11

    @pytest.mark.parametrize("version", [7, None, "x", ["11"]])
    def test_of_an_unknown_version_is_refused(self, version: Any) -> None:
        create = a_room(V11).events[0].to_client_event()
        with pytest.raises(UnknownRoomVersion):
            read_state([{**create, "content": {"room_version": version}}])

    def test_of_a_malformed_create_event_is_refused(self) -> None:
        with pytest.raises(UnknownRoomVersion):
            read_state([{"type": "m.room.create", "content": 7}])

    def test_without_a_create_event_needs_a_version(self) -> None:
        with pytest.raises(IncompleteState) as raised:
            read_state(told(a_room(V11))[1:])
        missing = "m.room.create, or `room_version` from the caller"
        assert raised.value == IncompleteState("the room version", missing)
        assert (
            str(raised.value) == f"the room version: expected {missing}, which the state leaves out"
        )

    @pytest.mark.parametrize("answer", ["[]", b"[]", {"events": []}])
    def test_is_a_list(self, answer: Any) -> None:
        with pytest.raises(InvalidMessage) as raised:
            read_state(answer)
        assert raised.value == InvalidMessage("state", "a list of state events", answer)

    def test_takes_the_later_of_two(self) -> None:
        room = a_room(V11).with_join_rule("public").with_join_rule("knock")
        assert read_state(told(room)).join_rule is JoinRule.KNOCK

    def test_of_members_loaded_lazily_is_partial(self) -> None:
        state = read_state(told(a_room(V11)), partial=True)
        assert state.membership_of(BEN) is UNKNOWN

    def test_of_events_with_ids_made_up_by_hand_is_whole(self) -> None:
        events = [
            {**event, "event_id": f"${index}"} for index, event in enumerate(told(a_room(V11)))
        ]
        assert not read_state(events).is_partial

    @everywhere
    def test_of_pdus_is_whole(self, version: RoomVersion) -> None:
        assert not read_state([event.to_pdu() for event in a_room(version).events]).is_partial

    def test_of_no_events_tells_nothing(self) -> None:
        state = read_state([], room_version=V11)
        assert not state.knows("m.room.create")
        assert read_state([], room_version=V11, complete=True).create_event is None


class TestStrippedState:
    def test_knows_what_it_was_told(self) -> None:
        room = a_room(V11).with_join_rule("knock").with_member(BEN, INVITE)
        state = read_state(stripped(room))
        assert state.join_rule is JoinRule.KNOCK
        assert state.membership_of(BEN) is INVITE
        assert auth.check(room.join(BEN), state).allowed

    def test_knows_of_no_other_member(self) -> None:
        assert read_state(stripped(a_room(V11))).membership_of(BEN) is UNKNOWN

    def test_knows_that_it_was_not_told_all(self) -> None:
        state = read_state(stripped(a_room(V11)))
        with pytest.raises(IncompleteState) as raised:
            state.power_level_of(BEN)
        expected = IncompleteState("what stripped state leaves out", "m.room.power_levels")
        assert raised.value == expected

    def test_may_hold_the_users_own_member_event_whole(self) -> None:
        events = [*stripped(a_room(V11)), a_room(V11).invite(ANA, BEN).to_client_event()]
        assert not read_state(events).knows("m.room.power_levels")

    def test_is_told_by_a_missing_create_event(self) -> None:
        state = read_state(told(a_room(V11))[1:], room_version=V11)
        assert not state.knows("m.room.power_levels")

    def test_may_be_told_by_the_caller(self) -> None:
        state = read_state(told(a_room(V11)), complete=False)
        assert not state.knows("m.room.power_levels")

    def test_may_be_called_complete(self) -> None:
        state = read_state(stripped(a_room(V11)), complete=True)
        assert (state.is_partial, state.membership_of(BEN)) == (False, LEAVE)
        state = read_state(stripped(a_room(V11)), complete=True, partial=True)
        assert state.knows("m.room.power_levels")
        assert state.membership_of(BEN) is UNKNOWN
