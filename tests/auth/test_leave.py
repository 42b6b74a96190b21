"""Membership leave: leaving, kicking, unbanning, rejecting and withdrawing."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import RoomVersion
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from tests.builders import (
    ANA,
    BEN,
    CAY,
    a_levelled_room,
    a_room,
    decision,
    everywhere,
    having,
    since,
)


class TestOfOneselfFromInviteOrJoin:
    RULE = "leave.of_oneself_from_invite_or_join"

    @having(RULE)
    @pytest.mark.parametrize("membership", [INVITE, JOIN])
    def test_allows_who_is_invited_or_joined(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_member(BEN, membership)
        assert room.check(room.leave(BEN)) == decision(self.RULE, version)

    @having(RULE)
    def test_stays_silent_for_who_knocked(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(BEN, KNOCK)
        assert room.check(room.leave(BEN)) == decision("leave.of_oneself_otherwise", version)


class TestOfOneselfFromInviteJoinOrKnock:
    RULE = "leave.of_oneself_from_invite_join_or_knock"

    @having(RULE)
    @pytest.mark.parametrize("membership", [INVITE, JOIN, KNOCK])
    def test_allows_who_is_invited_joined_or_knocked(
        self, version: RoomVersion, membership: Any
    ) -> None:
        room = a_room(version).with_member(BEN, membership)
        assert room.check(room.leave(BEN)) == decision(self.RULE, version)

    @having(RULE)
    def test_asks_for_no_power(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={ANA: -1}, events={"m.room.member": 100})
        assert room.check(room.leave(ANA)) == decision(self.RULE, version)


class TestOfOneselfOtherwise:
    RULE = "leave.of_oneself_otherwise"

    @everywhere
    @pytest.mark.parametrize("membership", [LEAVE, BAN, "dance"])
    def test_rejects_who_has_nothing_to_leave(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_member(BEN, membership)
        assert room.check(room.leave(BEN)) == decision(self.RULE, version)

    @everywhere
    def test_rejects_who_was_never_seen(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.leave(BEN)) == decision(self.RULE, version)

    @everywhere
    def test_rejects_the_mightiest_too(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(ANA, LEAVE)
        assert room.check(room.leave(ANA)) == decision(self.RULE, version)


class TestSenderNotJoined:
    @everywhere
    @pytest.mark.parametrize("membership", [INVITE, LEAVE, BAN, KNOCK, "dance"])
    def test_rejects_who_is_not_in_the_room(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_member(ANA, membership).with_member(BEN, JOIN)
        assert room.check(room.kick(ANA, BEN)) == decision("leave.sender_not_joined", version)


class TestSenderMayNotUnban:
    RULE = "leave.sender_may_not_unban"

    @everywhere
    def test_rejects_below_the_ban_level(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, ban=51).with_member(BEN, BAN)
        assert room.check(room.kick(ANA, BEN)) == decision(self.RULE, version)

    @everywhere
    def test_stays_silent_at_the_ban_level(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, ban=50).with_member(BEN, BAN)
        assert room.check(room.kick(ANA, BEN)) == decision("leave.sender_may_kick", version)

    @everywhere
    @pytest.mark.parametrize("membership", [LEAVE, INVITE, JOIN, KNOCK])
    def test_stays_silent_for_who_is_not_banned(
        self, version: RoomVersion, membership: Any
    ) -> None:
        room = a_levelled_room(version, ban=51).with_member(BEN, membership)
        assert room.check(room.kick(ANA, BEN)) == decision("leave.sender_may_kick", version)

    @everywhere
    def test_leaves_the_kick_level_to_the_next_rules(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, kick=51, ban=50).with_member(BEN, BAN)
        assert room.check(room.kick(ANA, BEN)) == decision("leave.otherwise", version)

    @everywhere
    def test_leaves_the_rank_to_the_next_rules(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={BEN: 50}).with_member(BEN, BAN)
        assert room.check(room.kick(ANA, BEN)) == decision("leave.otherwise", version)


class TestSenderMayKick:
    RULE = "leave.sender_may_kick"

    @everywhere
    @pytest.mark.parametrize("membership", [JOIN, INVITE, KNOCK, LEAVE, BAN, "dance"])
    def test_allows_whatever_the_user_is(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_member(BEN, membership)
        assert room.check(room.kick(ANA, BEN)) == decision(self.RULE, version)

    @everywhere
    def test_allows_for_who_was_never_seen(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.kick(ANA, BEN)) == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize(("kick", "target"), [(50, 49), (50, -1), (49, 49)])
    def test_allows_at_the_level_and_above_the_user(
        self, version: RoomVersion, kick: int, target: int
    ) -> None:
        room = a_levelled_room(version, kick=kick, users={BEN: target}).with_member(BEN, JOIN)
        assert room.check(room.kick(ANA, BEN)) == decision(self.RULE, version)

    @since("12")
    def test_allows_creators_over_the_highest_level(self, version: RoomVersion) -> None:
        room = a_room(version).with_levels({BEN: 2**53 - 1}, kick=2**53 - 1)
        room = room.with_member(BEN, JOIN)
        assert room.check(room.kick(ANA, BEN)) == decision(self.RULE, version)


class TestOtherwise:
    RULE = "leave.otherwise"

    @everywhere
    @pytest.mark.parametrize(("kick", "target"), [(51, 0), (50, 50), (50, 51), (51, 50)])
    def test_rejects_below_the_level_or_not_above_the_user(
        self, version: RoomVersion, kick: int, target: int
    ) -> None:
        room = a_levelled_room(version, kick=kick, users={BEN: target}).with_member(BEN, JOIN)
        assert room.check(room.kick(ANA, BEN)) == decision(self.RULE, version)

    @everywhere
    def test_asks_50_by_default(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={ANA: 49}).with_member(BEN, JOIN)
        assert room.check(room.kick(ANA, BEN)) == decision(self.RULE, version)

    @since("12")
    @pytest.mark.parametrize(("sender", "target"), [(ANA, CAY), (CAY, ANA)])
    def test_rejects_creator_against_creator(
        self, version: RoomVersion, sender: str, target: str
    ) -> None:
        room = a_room(version, additional_creators=[CAY]).with_member(CAY, JOIN)
        assert room.check(room.kick(sender, target)) == decision(self.RULE, version)
