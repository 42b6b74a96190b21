"""The rules that every event passes: federation, membership, power, state key."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import RoomVersion
from matrix_membership.events import MEMBER_KINDS
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from tests.builders import ANA, BEN, DAN, a_levelled_room, a_room, decision, everywhere, since


class TestSenderFromUnfederatedServer:
    RULE = "every_event.sender_from_unfederated_server"

    @everywhere
    def test_rejects_a_message_from_elsewhere(self, version: RoomVersion) -> None:
        room = a_room(version, **{"m.federate": False}).with_member(BEN, JOIN)
        assert room.check(room.message(BEN)) == decision(self.RULE, version)

    @everywhere
    def test_rejects_a_join_from_elsewhere(self, version: RoomVersion) -> None:
        room = a_room(version, **{"m.federate": False}).with_join_rule("public")
        assert room.check(room.join(BEN)) == decision(self.RULE, version)

    @everywhere
    def test_stays_silent_for_the_rooms_own_server(self, version: RoomVersion) -> None:
        room = a_room(version, **{"m.federate": False}).with_join_rule("public")
        assert room.check(room.join(DAN)) == decision("join.public_room", version)

    @everywhere
    def test_looks_at_the_sender_alone(self, version: RoomVersion) -> None:
        room = a_room(version, **{"m.federate": False})
        given = room.check(room.invite(ANA, BEN))
        assert given == decision("invite.sender_may_invite", version)

    @everywhere
    @pytest.mark.parametrize("value", [True, None])
    def test_stays_silent_at_true_and_null(self, version: RoomVersion, value: Any) -> None:
        room = a_room(version, **{"m.federate": value}).with_member(BEN, JOIN)
        assert room.check(room.message(BEN)) == decision("every_event.otherwise", version)

    @everywhere
    @pytest.mark.parametrize("value", [0, 1, "", "true", "false", [], {}])
    def test_rejects_at_anything_else(self, version: RoomVersion, value: Any) -> None:
        room = a_room(version, **{"m.federate": value}).with_member(BEN, JOIN)
        assert room.check(room.message(BEN)) == decision(self.RULE, version)
        assert room.check(room.message(ANA)) == decision("every_event.otherwise", version)


class TestSenderNotJoined:
    @everywhere
    @pytest.mark.parametrize("membership", [INVITE, LEAVE, BAN, KNOCK, "dance"])
    def test_rejects_who_is_not_in_the_room(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_member(BEN, membership)
        assert room.check(room.message(BEN)) == decision("every_event.sender_not_joined", version)

    @everywhere
    def test_rejects_who_was_never_seen(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.message(BEN)) == decision("every_event.sender_not_joined", version)

    @everywhere
    def test_stays_silent_for_a_member(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(BEN, JOIN)
        assert room.check(room.message(BEN)) == decision("every_event.otherwise", version)


class TestSenderBelowRequiredPowerLevel:
    RULE = "every_event.sender_below_required_power_level"

    @everywhere
    @pytest.mark.parametrize(("level", "allowed"), [(49, False), (50, True), (51, True)], ids=str)
    def test_asks_50_for_state(self, version: RoomVersion, level: int, allowed: Any) -> None:
        room = a_levelled_room(version, users={ANA: level})
        given = room.check(room.event("m.room.topic", ANA, {}, ""))
        assert given == decision("every_event.otherwise" if allowed else self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("level", [-1, 0])
    def test_asks_0_for_messages(self, version: RoomVersion, level: int) -> None:
        room = a_levelled_room(version, users={ANA: level})
        given = room.check(room.message(ANA))
        assert given == decision(self.RULE if level < 0 else "every_event.otherwise", version)

    @everywhere
    def test_asks_what_the_type_asks_before_the_defaults(self, version: RoomVersion) -> None:
        levels = {"events": {"m.room.topic": 51, "x": 0}, "state_default": 50}
        room = a_levelled_room(version, **levels)
        high = room.check(room.event("m.room.topic", ANA, {}, ""))
        low = room.check(room.event("x", ANA, {}, ""))
        assert high == decision(self.RULE, version)
        assert low == decision("every_event.otherwise", version)

    @everywhere
    @pytest.mark.parametrize("name", ["state_default", "events_default"])
    def test_asks_the_defaults_that_the_room_sets(self, version: RoomVersion, name: str) -> None:
        room = a_levelled_room(version, **{name: 51})
        key = "" if name == "state_default" else None
        assert room.check(room.event("x", ANA, {}, key)) == decision(self.RULE, version)

    @everywhere
    def test_asks_50_for_state_without_power_levels(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(BEN, JOIN)
        given = room.check(room.event("m.room.topic", BEN, {}, ""))
        assert given == decision(self.RULE, version)

    @everywhere
    def test_asks_nothing_of_member_events(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, events={"m.room.member": 100}).with_member(BEN, JOIN)
        assert room.check(room.leave(BEN)).rule.startswith("leave.of_oneself_from_invite")

    @since("1", "9")
    @pytest.mark.parametrize("junk", ["x", "1_0", "", None, True, [], {}, "\u0665"])
    def test_reads_a_level_of_no_grammar_as_its_default(
        self, version: RoomVersion, junk: Any
    ) -> None:
        room = a_levelled_room(version, users={ANA: 49}, state_default=junk)
        given = room.check(room.event("m.room.topic", ANA, {}, ""))
        assert given == decision(self.RULE, version)

    @since("1", "9")
    @pytest.mark.parametrize("text", ["51", " +051 ", "\xa051\u2003", "0051"])
    def test_reads_decimal_text_before_version_10(self, version: RoomVersion, text: str) -> None:
        room = a_levelled_room(version, state_default=text)
        given = room.check(room.event("m.room.topic", ANA, {}, ""))
        assert given == decision(self.RULE, version)

    @since("10")
    def test_reads_no_text_from_version_10_on(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, state_default="51")
        given = room.check(room.event("m.room.topic", ANA, {}, ""))
        assert given == decision("every_event.otherwise", version)

    @since("1", "5")
    def test_cuts_floats_before_version_6(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, state_default=50.9)
        given = room.check(room.event("m.room.topic", ANA, {}, ""))
        assert given == decision("every_event.otherwise", version)


class TestPowerOfCreators:
    @since("1", "11")
    def test_is_what_the_room_says_before_version_12(self, version: RoomVersion) -> None:
        room = a_room(version).with_levels({ANA: 49})
        given = room.check(room.event("m.room.topic", ANA, {}, ""))
        assert given == decision("every_event.sender_below_required_power_level", version)

    @since("12")
    @pytest.mark.parametrize("user", [ANA, BEN])
    def test_has_no_limit_in_version_12(self, version: RoomVersion, user: str) -> None:
        room = a_room(version, additional_creators=[BEN]).with_member(BEN, JOIN)
        room = room.with_levels(state_default=2**53 - 1)
        given = room.check(room.event("m.room.topic", user, {}, ""))
        assert given == decision("every_event.otherwise", version)

    @since("1", "11")
    def test_is_100_without_power_levels(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.state.power_level_of(ANA) == 100

    @since("1", "10")
    def test_goes_by_the_content_before_version_11(self, version: RoomVersion) -> None:
        room = a_room(version, creator=BEN).with_member(BEN, JOIN)
        given = [room.check(room.event("m.room.topic", user, {}, "")) for user in (BEN, ANA)]
        below = decision("every_event.sender_below_required_power_level", version)
        assert given == [decision("every_event.otherwise", version), below]

    @since("11")
    def test_goes_by_the_sender_from_version_11_on(self, version: RoomVersion) -> None:
        room = a_room(version, creator=BEN).with_member(BEN, JOIN)
        given = [room.check(room.event("m.room.topic", user, {}, "")) for user in (ANA, BEN)]
        below = decision("every_event.sender_below_required_power_level", version)
        assert given == [decision("every_event.otherwise", version), below]


class TestTypeThatReadsLikeAMembership:
    @everywhere
    @pytest.mark.parametrize("kind", MEMBER_KINDS.values())
    def test_is_no_member_event(self, version: RoomVersion, kind: str) -> None:
        room = a_room(version).with_join_rule("public")
        event = room.event(kind, BEN, {"membership": "join"}, BEN)
        assert room.check(event) == decision("every_event.sender_not_joined", version)


class TestStateKeyOfAnotherUser:
    RULE = "every_event.state_key_of_another_user"

    @everywhere
    @pytest.mark.parametrize("key", [BEN, "@x_y", "@", f"{ANA}_x", f"{ANA} "])
    def test_rejects_a_key_that_starts_as_a_user(self, version: RoomVersion, key: str) -> None:
        room = a_room(version)
        assert room.check(room.event("x", ANA, {}, key)) == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("key", [ANA, "", "x", "ben@b.example", " @x"])
    def test_stays_silent_at_other_keys(self, version: RoomVersion, key: str) -> None:
        room = a_room(version)
        given = room.check(room.event("x", ANA, {}, key))
        assert given == decision("every_event.otherwise", version)

    @everywhere
    def test_comes_after_the_required_level(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, state_default=51)
        given = room.check(room.event("x", ANA, {}, BEN))
        assert given == decision("every_event.sender_below_required_power_level", version)


class TestOtherwise:
    @everywhere
    @pytest.mark.parametrize("kind", ["m.room.message", "x", "m.room.join_rules"])
    def test_allows_all_else(self, version: RoomVersion, kind: str) -> None:
        room = a_room(version)
        given = room.check(room.event(kind, ANA, {}, None))
        assert given == decision("every_event.otherwise", version)
