"""Judging an event by the events that it lists."""

from __future__ import annotations

import pytest

from matrix_membership import V11, V12, RoomState, RoomVersion, auth
from matrix_membership.receipt.listed_events import judge_by_listed_events, state_of_listed_events
from tests.builders import ANA, BEN, VERSIONS, decision
from tests.histories import a_history

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS, ids=str)


class TestJudgeByListedEvents:
    @EVERY_VERSION
    def test_reads_no_other_events(self, version: RoomVersion) -> None:
        room = a_history(version)
        join, create = room.member(BEN, "join"), room.state.create_event
        listed = [event for event in room.events if event.event_id in join.auth_events]
        assert judge_by_listed_events(join, listed, create=create).allowed
        listed = [event for event in listed if event.type != "m.room.join_rules"]
        assert not judge_by_listed_events(join, listed, create=create).allowed

    @EVERY_VERSION
    def test_judges_the_list_first(self, version: RoomVersion) -> None:
        room = a_history(version)
        message = room.event("m.room.message", BEN, {})
        judged = judge_by_listed_events(message, room.events, create=room.state.create_event)
        assert judged == decision("auth_events.unexpected", version)

    def test_adds_the_create_event_of_version_12(self) -> None:
        room = a_history(V12)
        message, member = room.event("m.room.message", ANA, {}), room.events[1]
        assert judge_by_listed_events(message, [member], create=room.events[0]).allowed
        judged = judge_by_listed_events(message, [member])
        assert judged == decision("auth_events.room_id_of_no_accepted_create_event", V12)

    @EVERY_VERSION
    def test_rejects_for_a_rejected_event_at_hand_or_not(self, version: RoomVersion) -> None:
        room = a_history(version)
        message, create = room.event("m.room.message", ANA, {}), room.state.create_event
        member = room.events[1]
        listed = [event for event in room.events if event.event_id in message.auth_events]
        expected, rejected = decision("auth_events.rejected", version), {member.event_id}
        assert judge_by_listed_events(message, listed, create=create, rejected=rejected) == expected
        listed.remove(member)
        judged = judge_by_listed_events(
            message, listed, create=create, rejected=rejected, missing=[member.event_id]
        )
        assert judged == expected

    @EVERY_VERSION
    def test_leaves_open_what_a_missing_event_decides(self, version: RoomVersion) -> None:
        room = a_history(version)
        message, create = room.event("m.room.message", ANA, {}), room.state.create_event
        listed = [event for event in room.events[:1] if event.event_id in message.auth_events]
        judged = judge_by_listed_events(
            message, listed, create=create, missing=[room.events[1].event_id]
        )
        assert judged.undecided

    def test_takes_a_state_at_hand(self) -> None:
        room = a_history(V11)
        message = room.event("m.room.message", ANA, {})
        judged = judge_by_listed_events(message, room.events[:2], state=room.state)
        assert judged == auth.check(message, room.state)


class TestStateOfListedEvents:
    @pytest.mark.parametrize("version", VERSIONS[:-1], ids=str)
    def test_has_the_listed_events_alone(self, version: RoomVersion) -> None:
        create, member, _ = a_history(version).events
        expected = RoomState.of(version, [member])
        assert state_of_listed_events(version, [member], create=create) == expected

    def test_has_the_create_event_too_in_version_12(self) -> None:
        create, member, _ = a_history(V12).events
        expected = RoomState.of(V12, [create, member])
        assert state_of_listed_events(V12, [member], create=create) == expected
