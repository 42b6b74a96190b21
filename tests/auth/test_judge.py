"""Judging an event by the events that it lists."""

from __future__ import annotations

import pytest

from matrix_membership import V11, V12, RoomVersion, auth
from tests.builders import ANA, BEN, CAY, VERSIONS, a_room, decision
from tests.histories import a_history

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS, ids=str)


class TestJudge:
    @EVERY_VERSION
    def test_reads_no_other_events(self, version: RoomVersion) -> None:
        room = a_history(version)
        join, create = room.member(BEN, "join"), room.state.create_event
        listed = [event for event in room.events if event.event_id in join.auth_events]
        assert auth.judge(join, listed, create=create).allowed
        listed = [event for event in listed if event.type != "m.room.join_rules"]
        assert not auth.judge(join, listed, create=create).allowed

    @EVERY_VERSION
    def test_judges_the_list_first(self, version: RoomVersion) -> None:
        room = a_history(version)
        message = room.event("m.room.message", BEN, {})
        judged = auth.judge(message, room.events, create=room.state.create_event)
        assert judged == decision("auth_events.unexpected", version)

    def test_adds_the_create_event_of_version_12(self) -> None:
        room = a_history(V12)
        message, member = room.event("m.room.message", ANA, {}), room.events[1]
        assert auth.judge(message, [member], create=room.events[0]).allowed
        judged = auth.judge(message, [member])
        assert judged == decision("auth_events.room_id_of_no_accepted_create_event", V12)

    @EVERY_VERSION
    def test_rejects_for_a_rejected_event_at_hand_or_not(self, version: RoomVersion) -> None:
        room = a_history(version)
        message, create = room.event("m.room.message", ANA, {}), room.state.create_event
        member = room.events[1]
        listed = [event for event in room.events if event.event_id in message.auth_events]
        expected, rejected = decision("auth_events.rejected", version), {member.event_id}
        assert auth.judge(message, listed, create=create, rejected=rejected) == expected
        listed.remove(member)
        judged = auth.judge(
            message, listed, create=create, rejected=rejected, missing=[member.event_id]
        )
        assert judged == expected

    @EVERY_VERSION
    def test_leaves_open_what_a_missing_event_decides(self, version: RoomVersion) -> None:
        room = a_history(version)
        message, create = room.event("m.room.message", ANA, {}), room.state.create_event
        listed = [event for event in room.events[:1] if event.event_id in message.auth_events]
        judged = auth.judge(message, listed, create=create, missing=[room.events[1].event_id])
        assert judged.undecided

    @EVERY_VERSION
    def test_counts_no_missing_event_as_absent(self, version: RoomVersion) -> None:
        room = a_room(version).with_levels({ANA: 100}, events={"m.room.message": 100})
        room = room.with_member(BEN, "join")
        message, (create, *_, levels, member) = room.message(BEN), room.events
        held = [member] if version.room_id_is_create_event else [create, member]
        missing = [levels.event_id]
        judged = auth.judge(message, held, create=create, missing=missing)
        assert (judged.undecided, judged.missing) == (True, ("m.room.power_levels",))

    def test_takes_a_state_at_hand(self) -> None:
        room = a_history(V11)
        message = room.event("m.room.message", ANA, {})
        judged = auth.judge(message, room.events[:2], state=room.state)
        assert judged == auth.check(message, room.state)


class TestCreateEventInTheList:
    """In version 12 no event lists it, but a host may hand it over with those that are listed."""

    def test_counts_as_the_rooms(self) -> None:
        room = a_history(V12)
        message, (create, member, *_) = room.event("m.room.message", ANA, {}), room.events
        expected = auth.judge(message, [member], create=create)
        assert expected.allowed
        assert auth.judge(message, [create, member]) == expected
        assert auth.judge(message, [create, member], create=create) == expected

    def test_of_an_event_that_lists_it_is_unexpected(self) -> None:
        room = a_history(V12)
        message, (create, member, *_) = room.event("m.room.message", ANA, {}), room.events
        ids = [create.event_id, member.event_id]
        judged = auth.judge(message, [create, member], listed_ids=ids)
        assert judged.rule == "auth_events.room_id_of_no_accepted_create_event"
        judged = auth.judge(message, [create, member], create=create, listed_ids=ids)
        assert judged == decision("auth_events.unexpected", V12)

    def test_that_was_rejected_rejects(self) -> None:
        room = a_history(V12)
        message, (create, member, *_) = room.event("m.room.message", ANA, {}), room.events
        judged = auth.judge(message, [create, member], rejected={create.event_id})
        assert judged == decision("auth_events.room_id_of_no_accepted_create_event", V12)


@EVERY_VERSION
class TestRedactionNeedsRecheck:
    def test_below_the_redact_level(self, version: RoomVersion) -> None:
        room = a_room(version).with_levels({ANA: 100, BEN: 50}, redact=50).with_member(BEN, "join")
        for user, level, needs in ((ANA, 100, False), (BEN, 50, False), (CAY, 0, True)):
            redaction = room.event("m.room.redaction", user, {"redacts": "$x"})
            assert auth.redaction_needs_recheck(redaction, room.state) is needs, level

    def test_of_no_other_event(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert not auth.redaction_needs_recheck(room.message(CAY), room.state)
