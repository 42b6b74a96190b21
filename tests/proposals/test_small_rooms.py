"""Small rooms: every state that events can bring a room of two users to."""

from __future__ import annotations

import pytest

from matrix_membership import RoomVersion, auth
from matrix_membership.proposals import Situation
from matrix_membership.proposals.situations import ANA, BEN
from matrix_membership.proposals.small_rooms import (
    SmallRooms,
    anybody_joined,
    can_change_power,
    can_invite,
    can_unban,
    small_rooms,
)
from matrix_membership.room_versions import V6, V12
from tests.builders import a_room


@pytest.fixture(scope="module", params=[V6, V12], ids=str)
def rooms(request: pytest.FixtureRequest) -> SmallRooms:
    version: RoomVersion = request.param
    return small_rooms(version)


class TestSearch:
    def test_takes_only_steps_that_the_rules_allow(self, rooms: SmallRooms) -> None:
        steps = [step for steps in rooms.steps.values() for step in steps][::17]
        decisions = [step.situation.decision_in(rooms.room_version) for step in steps]
        assert all(decisions)

    def test_finds_each_room_by_its_script(self, rooms: SmallRooms) -> None:
        for room in list(rooms.steps)[::23]:
            state = rooms.state(next(iter(rooms.steps)))
            for document in rooms.script(room):
                event = Situation((), document).event_in(rooms.room_version)
                assert auth.check(event, state).allowed
                state = state.with_event(event)
            expected = rooms.state(room)
            for user in (ANA, BEN):
                assert state.membership_of(user) is expected.membership_of(user)
                assert state.power_level_of(user) == expected.power_level_of(user)
            assert state.join_rule is expected.join_rule

    def test_leads_from_everywhere_it_says(self, rooms: SmallRooms) -> None:
        goals = [room for room in rooms.steps if not anybody_joined(rooms.state(room))]
        leading = rooms.leading_to(iter(goals))
        assert leading.issuperset(goals)
        for room, steps in rooms.steps.items():
            assert (room in leading) == (
                room in goals or any(step.after in leading for step in steps)
            )


class TestGoals:
    def test_tell_who_can_invite(self) -> None:
        assert can_invite(a_room(V6).state)
        assert not can_invite(a_room(V6).with_member(ANA, "leave").state)

    def test_tell_whether_a_ban_can_be_lifted(self) -> None:
        assert can_unban(a_room(V6).state)
        banned = a_room(V6).with_member(BEN, "ban")
        assert can_unban(banned.state)
        assert not can_unban(banned.with_levels({ANA: 0}).state)

    def test_tell_whether_power_can_change(self) -> None:
        assert can_change_power(a_room(V6).state)
        assert not can_change_power(a_room(V6).with_levels({ANA: 0}).state)
