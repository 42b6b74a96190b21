"""Membership ban."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import RoomVersion
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from tests.builders import ANA, BEN, CAY, a_levelled_room, a_room, decision, everywhere, since


class TestSenderNotJoined:
    @everywhere
    @pytest.mark.parametrize("membership", [INVITE, LEAVE, BAN, KNOCK, "dance"])
    def test_rejects_who_is_not_in_the_room(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_member(ANA, membership)
        assert room.check(room.ban(ANA, BEN)) == decision("ban.sender_not_joined", version)

    @everywhere
    def test_rejects_who_was_never_seen(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.ban(BEN, BEN)) == decision("ban.sender_not_joined", version)


class TestSenderMayBan:
    RULE = "ban.sender_may_ban"

    @everywhere
    @pytest.mark.parametrize("membership", [JOIN, INVITE, KNOCK, LEAVE, BAN, "dance"])
    def test_allows_whatever_the_user_is(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_member(BEN, membership)
        assert room.check(room.ban(ANA, BEN)) == decision(self.RULE, version)

    @everywhere
    def test_allows_for_who_was_never_seen(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.ban(ANA, BEN)) == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize(("ban", "target"), [(50, 49), (50, -1), (49, 49)])
    def test_allows_at_the_level_and_above_the_user(
        self, version: RoomVersion, ban: int, target: int
    ) -> None:
        room = a_levelled_room(version, ban=ban, kick=100, users={BEN: target})
        assert room.check(room.ban(ANA, BEN)) == decision(self.RULE, version)


class TestOtherwise:
    RULE = "ban.otherwise"

    @everywhere
    @pytest.mark.parametrize(("ban", "target"), [(51, 0), (50, 50), (50, 51), (51, 50)])
    def test_rejects_below_the_level_or_not_above_the_user(
        self, version: RoomVersion, ban: int, target: int
    ) -> None:
        room = a_levelled_room(version, ban=ban, users={BEN: target})
        assert room.check(room.ban(ANA, BEN)) == decision(self.RULE, version)

    @everywhere
    def test_rejects_who_bans_themselves(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.ban(ANA, ANA)) == decision(self.RULE, version)

    @everywhere
    def test_asks_50_by_default(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={ANA: 49})
        assert room.check(room.ban(ANA, BEN)) == decision(self.RULE, version)

    @since("12")
    @pytest.mark.parametrize(("sender", "target"), [(ANA, CAY), (CAY, ANA)])
    def test_rejects_creator_against_creator(
        self, version: RoomVersion, sender: str, target: str
    ) -> None:
        room = a_room(version, additional_creators=[CAY]).with_member(CAY, JOIN)
        assert room.check(room.ban(sender, target)) == decision(self.RULE, version)
