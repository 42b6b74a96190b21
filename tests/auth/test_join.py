"""Membership join, restricted rooms included."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import Event, RoomVersion
from matrix_membership.auth import Decision
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from tests.builders import (
    ANA,
    BEN,
    CAY,
    Room,
    a_levelled_room,
    a_room,
    decision,
    everywhere,
    having,
    lacking,
    since,
)

VIA = "join_authorised_via_users_server"


def after_create(room: Room, sender: str, target: str) -> Event:
    """A join whose only previous event is the create event."""
    content = {"membership": "join"}
    create = room.events[0].event_id
    return room.event("m.room.member", sender, content, target, prev_events=[create])


class TestFirstJoinOfTheCreator:
    RULE = "join.first_join_of_the_creator"

    @everywhere
    def test_allows_the_creator(self, version: RoomVersion) -> None:
        room = Room(version, a_room(version).events[:1])
        assert room.check(after_create(room, ANA, ANA)) == decision(self.RULE, version)

    @everywhere
    def test_looks_at_the_state_key_alone(self, version: RoomVersion) -> None:
        room = Room(version, a_room(version).events[:1])
        assert room.check(after_create(room, BEN, ANA)) == decision(self.RULE, version)

    @everywhere
    def test_stays_silent_for_others(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(after_create(room, BEN, BEN)) == decision("join.otherwise", version)

    @everywhere
    def test_stays_silent_at_another_previous_event(self, version: RoomVersion) -> None:
        room = Room(version, a_room(version).events[:1])
        assert room.check(room.join(ANA)) == decision("join.otherwise", version)

    @everywhere
    def test_stays_silent_at_two_previous_events(self, version: RoomVersion) -> None:
        room = Room(version, a_room(version).events[:1])
        before = [room.events[0].event_id, "$p:a.example"]
        content = {"membership": "join"}
        event = room.event("m.room.member", ANA, content, ANA, prev_events=before)
        assert room.check(event) == decision("join.otherwise", version)

    @everywhere
    def test_passes_over_join_rule_and_ban(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("private").with_member(ANA, BAN)
        assert room.check(after_create(room, ANA, ANA)) == decision(self.RULE, version)

    @since("1", "10")
    def test_goes_by_the_content_before_version_11(self, version: RoomVersion) -> None:
        room = Room(version, a_room(version, creator=BEN).events[:1])
        given = [room.check(after_create(room, user, user)) for user in (BEN, ANA)]
        assert given == [decision(self.RULE, version), decision("join.otherwise", version)]

    @since("11")
    def test_goes_by_the_sender_from_version_11_on(self, version: RoomVersion) -> None:
        room = Room(version, a_room(version, creator=BEN).events[:1])
        given = [room.check(after_create(room, user, user)) for user in (ANA, BEN)]
        assert given == [decision(self.RULE, version), decision("join.otherwise", version)]

    @since("12")
    def test_stays_silent_for_additional_creators(self, version: RoomVersion) -> None:
        room = Room(version, a_room(version, additional_creators=[BEN]).events[:1])
        assert room.check(after_create(room, BEN, BEN)) == decision("join.otherwise", version)


class TestOfAnotherUser:
    @everywhere
    def test_rejects_who_makes_another_join(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public").with_member(BEN, INVITE)
        given = room.check(room.member(ANA, BEN, JOIN))
        assert given == decision("join.of_another_user", version)

    @everywhere
    def test_comes_before_the_ban(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public").with_member(BEN, BAN)
        given = room.check(room.member(BEN, CAY, JOIN))
        assert given == decision("join.of_another_user", version)


RULES = ("public", "invite", "knock", "restricted", "knock_restricted", "private", "x")


class TestWhileBanned:
    @everywhere
    @pytest.mark.parametrize("rule", RULES)
    def test_rejects_whatever_the_join_rule(self, version: RoomVersion, rule: str) -> None:
        room = a_room(version).with_join_rule(rule).with_member(BEN, BAN)
        event = room.join(BEN, signed_by=["a.example"], **{VIA: ANA})
        assert room.check(event) == decision("join.while_banned", version)


class TestInvitedToInviteRoom:
    RULE = "join.invited_to_invite_room"

    @having(RULE)
    @pytest.mark.parametrize("membership", [INVITE, JOIN])
    def test_allows_who_is_invited_or_joined(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_join_rule("invite").with_member(BEN, membership)
        assert room.check(room.join(BEN)) == decision(self.RULE, version)

    @having(RULE)
    @pytest.mark.parametrize("membership", [LEAVE, KNOCK, "dance"])
    def test_stays_silent_for_others(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_join_rule("invite").with_member(BEN, membership)
        assert room.check(room.join(BEN)) == decision("join.otherwise", version)

    @having(RULE)
    def test_stays_silent_in_knock_rooms(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("knock").with_member(BEN, INVITE)
        assert room.check(room.join(BEN)) == decision("join.otherwise", version)

    @having(RULE)
    def test_is_the_rule_of_rooms_without_join_rules(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(BEN, INVITE)
        assert room.check(room.join(BEN)) == decision(self.RULE, version)


class TestInvitedToInviteOrKnockRoom:
    RULE = "join.invited_to_invite_or_knock_room"

    @having(RULE)
    @pytest.mark.parametrize("membership", [INVITE, JOIN])
    @pytest.mark.parametrize("rule", ["invite", "knock"])
    def test_allows_who_is_invited_or_joined(
        self, version: RoomVersion, rule: str, membership: Any
    ) -> None:
        room = a_room(version).with_join_rule(rule).with_member(BEN, membership)
        assert room.check(room.join(BEN)) == decision(self.RULE, version)

    @having(RULE)
    @pytest.mark.parametrize("membership", [LEAVE, KNOCK, "dance"])
    @pytest.mark.parametrize("rule", ["invite", "knock"])
    def test_stays_silent_for_others(
        self, version: RoomVersion, rule: str, membership: Any
    ) -> None:
        room = a_room(version).with_join_rule(rule).with_member(BEN, membership)
        assert room.check(room.join(BEN)) == decision("join.otherwise", version)

    @having(RULE)
    @pytest.mark.parametrize("content", [None, {}])
    def test_is_the_rule_of_rooms_without_a_join_rule(
        self, version: RoomVersion, content: Any
    ) -> None:
        room = a_room(version).with_member(BEN, INVITE)
        if content is not None:
            room = room.with_content("m.room.join_rules", content)
        assert room.check(room.join(BEN)) == decision(self.RULE, version)


def authorised(room: Room, via: str = ANA, user: str = BEN) -> Decision:
    """The decision on a user's join that another one authorises, well signed."""
    server = via.partition(":")[2]
    return room.check(room.join(user, signed_by=[server], **{VIA: via}))


class TestInvitedToRestrictedRoom:
    RULE = "join.invited_to_restricted_room"

    @having(RULE)
    @pytest.mark.parametrize("membership", [INVITE, JOIN])
    def test_allows_who_is_invited_or_joined(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_join_rule("restricted").with_member(BEN, membership)
        assert room.check(room.join(BEN)) == decision(self.RULE, version)

    @since("10")
    def test_allows_it_in_knock_restricted_rooms_from_version_10_on(
        self, version: RoomVersion
    ) -> None:
        room = a_room(version).with_join_rule("knock_restricted").with_member(BEN, INVITE)
        assert room.check(room.join(BEN)) == decision(self.RULE, version)

    @since("1", "9")
    def test_stays_silent_in_knock_restricted_rooms_before(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("knock_restricted").with_member(BEN, INVITE)
        assert room.check(room.join(BEN)) == decision("join.otherwise", version)

    @lacking(RULE)
    @pytest.mark.parametrize("membership", [INVITE, JOIN])
    def test_is_no_rule_before_version_8(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_join_rule("restricted").with_member(BEN, membership)
        assert room.check(room.join(BEN)) == decision("join.otherwise", version)


class TestAuthoriserMayNotInvite:
    RULE = "join.authoriser_may_not_invite"

    @having(RULE)
    def test_rejects_without_an_authoriser(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("restricted")
        assert room.check(room.join(BEN)) == decision(self.RULE, version)

    @having(RULE)
    @pytest.mark.parametrize("membership", [INVITE, LEAVE, BAN, KNOCK, "dance"])
    def test_rejects_an_authoriser_who_is_not_joined(
        self, version: RoomVersion, membership: Any
    ) -> None:
        room = a_room(version).with_join_rule("restricted").with_member(CAY, membership)
        assert authorised(room, CAY) == decision(self.RULE, version)

    @having(RULE)
    def test_rejects_an_authoriser_who_was_never_seen(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("restricted")
        assert authorised(room, CAY) == decision(self.RULE, version)

    @having(RULE)
    @pytest.mark.parametrize(("level", "weak"), [(51, True), (50, False), (49, False)])
    def test_rejects_an_authoriser_below_the_invite_level(
        self, version: RoomVersion, level: int, weak: Any
    ) -> None:
        room = a_levelled_room(version, invite=level).with_join_rule("restricted")
        good = "join.authorised_by_a_member"
        assert authorised(room) == decision(self.RULE if weak else good, version)

    @having(RULE)
    def test_rejects_users_who_authorise_themselves(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("restricted")
        assert authorised(room, BEN) == decision(self.RULE, version)

    @lacking(RULE)
    def test_is_no_rule_before_version_8(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("restricted")
        assert room.check(room.join(BEN)) == decision("join.otherwise", version)


class TestAuthorisedByAMember:
    RULE = "join.authorised_by_a_member"

    @having(RULE)
    @pytest.mark.parametrize("membership", [LEAVE, KNOCK])
    def test_allows_from_outside(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_join_rule("restricted").with_member(BEN, membership)
        assert authorised(room) == decision(self.RULE, version)

    @having(RULE)
    def test_allows_without_reading_whom_the_room_allows(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("restricted", allow="x")
        assert authorised(room) == decision(self.RULE, version)

    @since("10")
    def test_allows_into_knock_restricted_rooms_from_version_10_on(
        self, version: RoomVersion
    ) -> None:
        room = a_room(version).with_join_rule("knock_restricted")
        assert authorised(room) == decision(self.RULE, version)

    @since("8", "9")
    def test_stays_silent_in_knock_restricted_rooms_before(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("knock_restricted")
        assert authorised(room) == decision("join.otherwise", version)

    @lacking(RULE)
    def test_is_no_rule_before_version_8(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("restricted")
        assert authorised(room) == decision("join.otherwise", version)


class TestPublicRoom:
    @everywhere
    @pytest.mark.parametrize("membership", [LEAVE, INVITE, JOIN, KNOCK, "dance"])
    def test_allows_everybody(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_join_rule("public").with_member(BEN, membership)
        assert room.check(room.join(BEN)) == decision("join.public_room", version)

    @everywhere
    def test_allows_who_was_never_seen(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public")
        assert room.check(room.join(BEN)) == decision("join.public_room", version)


class TestOtherwise:
    @everywhere
    @pytest.mark.parametrize("rule", ["private", "x", "", "Public", None, 7, True, ["public"], {}])
    @pytest.mark.parametrize("membership", [LEAVE, INVITE, JOIN])
    def test_rejects_where_the_join_rule_is_none_that_is_known(
        self, version: RoomVersion, rule: Any, membership: Any
    ) -> None:
        room = a_room(version).with_content("m.room.join_rules", {"join_rule": rule})
        room = room.with_member(BEN, membership)
        assert room.check(room.join(BEN)) == decision("join.otherwise", version)

    @everywhere
    def test_rejects_who_knocked_and_was_not_invited(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("knock").with_member(BEN, KNOCK)
        assert room.check(room.join(BEN)) == decision("join.otherwise", version)
