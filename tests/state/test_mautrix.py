"""State as objects of mautrix: what its objects fill in is never read as what the room says."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import RoomState, may, read_state
from matrix_membership.membership import JOIN
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, CAY, Room, a_room

types = pytest.importorskip("mautrix.types", reason="needs the extra `examples`")

ROOM = a_room(V11).with_levels({ANA: 100}).with_member(BEN, JOIN).with_join_rule("public")


def objects(room: Room = ROOM) -> list[Any]:
    """The state of a room as `get_state` of mautrix gives it."""
    return [types.StateEvent.deserialize(event.to_client_event()) for event in room.events]


def read(room: Room = ROOM) -> RoomState:
    return read_state(objects(room))


class TestMautrix:
    def test_fills_in_levels_that_the_room_does_not_name(self) -> None:
        """Why its power levels are refused: the specification's default for invites is 0."""
        levels = next(event for event in objects() if str(event.type) == "m.room.power_levels")
        assert "invite" not in ROOM.events[2].content
        assert levels.serialize()["content"]["invite"] == 50

    def test_tells_members_and_join_rules(self) -> None:
        state = read()
        assert (state.room_version, state.membership_of(BEN)) == (V11, JOIN)
        assert may(CAY, state).join()

    def test_leaves_the_power_levels_unknown(self) -> None:
        state = read()
        assert [entry.type for entry in state.passed_over] == ["m.room.power_levels"]
        assert may(BEN, state).invite(CAY).missing == "m.room.power_levels"

    def test_has_the_answer_of_the_room_by_the_json_that_came(self) -> None:
        levels = ROOM.events[2].to_client_event()
        events = [event for event in objects() if str(event.type) != "m.room.power_levels"]
        assert may(BEN, read_state([*events, levels])).invite(CAY)
