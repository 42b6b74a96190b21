"""Membership knock, from room version 7 on."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import RoomVersion
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from tests.builders import ANA, BEN, Room, a_room, decision, having, lacking, since

CLOSED = ["public", "invite", "restricted", "private", "x", None, 7, ["knock"]]


def a_room_of_rule(version: RoomVersion, rule: Any) -> Room:
    return a_room(version).with_content("m.room.join_rules", {"join_rule": rule})


class TestJoinRuleIsNotKnock:
    RULE = "knock.join_rule_is_not_knock"

    @having(RULE)
    @pytest.mark.parametrize("rule", [*CLOSED, "knock_restricted"])
    def test_rejects_other_join_rules(self, version: RoomVersion, rule: Any) -> None:
        room = a_room_of_rule(version, rule)
        assert room.check(room.knock(BEN)) == decision(self.RULE, version)

    @having(RULE)
    def test_rejects_without_join_rules(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.knock(BEN)) == decision(self.RULE, version)

    @having(RULE)
    def test_comes_before_the_sender(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.member(ANA, BEN, KNOCK)) == decision(self.RULE, version)


class TestJoinRuleIsNotKnockOrKnockRestricted:
    RULE = "knock.join_rule_is_not_knock_or_knock_restricted"

    @having(RULE)
    @pytest.mark.parametrize("rule", CLOSED)
    def test_rejects_other_join_rules(self, version: RoomVersion, rule: Any) -> None:
        room = a_room_of_rule(version, rule)
        assert room.check(room.knock(BEN)) == decision(self.RULE, version)

    @having(RULE)
    def test_rejects_without_join_rules(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.knock(BEN)) == decision(self.RULE, version)

    @having(RULE)
    def test_stays_silent_in_knock_restricted_rooms(self, version: RoomVersion) -> None:
        room = a_room_of_rule(version, "knock_restricted")
        assert room.check(room.knock(BEN)) == decision("knock.from_outside", version)

    @having(RULE)
    def test_comes_before_the_sender(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.member(ANA, BEN, KNOCK)) == decision(self.RULE, version)


class TestOfAnotherUser:
    @having("knock.of_another_user")
    def test_rejects_who_makes_another_knock(self, version: RoomVersion) -> None:
        room = a_room_of_rule(version, "knock")
        given = room.check(room.member(ANA, BEN, KNOCK))
        assert given == decision("knock.of_another_user", version)


class TestFromOutside:
    RULE = "knock.from_outside"

    @having(RULE)
    @pytest.mark.parametrize("membership", [LEAVE, KNOCK, "dance"])
    def test_allows_from_outside(self, version: RoomVersion, membership: Any) -> None:
        room = a_room_of_rule(version, "knock").with_member(BEN, membership)
        assert room.check(room.knock(BEN)) == decision(self.RULE, version)

    @having(RULE)
    def test_allows_who_was_never_seen(self, version: RoomVersion) -> None:
        room = a_room_of_rule(version, "knock")
        assert room.check(room.knock(BEN)) == decision(self.RULE, version)

    @lacking(RULE)
    def test_is_no_rule_before_version_7(self, version: RoomVersion) -> None:
        room = a_room_of_rule(version, "knock")
        assert room.check(room.knock(BEN)) == decision("member.unknown_membership", version)


class TestOtherwise:
    @since("7")
    @pytest.mark.parametrize("membership", [BAN, INVITE, JOIN])
    def test_rejects_from_ban_invite_and_join(self, version: RoomVersion, membership: Any) -> None:
        room = a_room_of_rule(version, "knock").with_member(BEN, membership)
        assert room.check(room.knock(BEN)) == decision("knock.otherwise", version)
