"""Rule 10 (versions 6 to 11: 9): changes of power levels.

Unless a test says otherwise, Ana has level 50 and the room's creator is gone.
"""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import RoomVersion
from matrix_membership.auth import Decision
from matrix_membership.events.contents import NAMED_LEVELS
from matrix_membership.membership import JOIN
from tests.builders import (
    ANA,
    BEN,
    CAY,
    DAN,
    a_levelled_room,
    a_room,
    decision,
    everywhere,
    having,
    lacking,
    since,
)

KIND = "m.room.power_levels"


def first(version: RoomVersion, content: Any, **create: Any) -> Decision:
    """The decision on a room's first power levels, by its creator."""
    room = a_room(version, **create)
    return room.check(room.event(KIND, ANA, content, ""))


def change(
    version: RoomVersion, before: dict[str, Any], after: dict[str, Any], *, level: int = 50
) -> Decision:
    """The decision on Ana's change, where anybody may try one and she has a level."""
    users = {"users": {ANA: level}}
    old = {**users, **before, "events": {**before.get("events", {}), KIND: -100}}
    new = {**users, **after}
    if isinstance(new.get("events", {}), dict):
        new["events"] = {**new.get("events", {}), KIND: -100}
    room = a_levelled_room(version).with_content(KIND, old)
    return room.check(room.event(KIND, ANA, new, ""))


def allowed(version: RoomVersion) -> Decision:
    return decision("power_levels.otherwise", version)


class TestNamedLevelNotAnInteger:
    RULE = "power_levels.named_level_not_an_integer"

    @having(RULE)
    @pytest.mark.parametrize("name", NAMED_LEVELS)
    @pytest.mark.parametrize("value", ["50", " 50", True, None, [], {}])
    def test_rejects_all_else(self, version: RoomVersion, name: str, value: Any) -> None:
        assert first(version, {name: value}) == decision(self.RULE, version)

    @having(RULE)
    @pytest.mark.parametrize("value", [2**53 - 1, 1 - 2**53, 0])
    def test_stays_silent_at_integers(self, version: RoomVersion, value: int) -> None:
        given = first(version, {"ban": value})
        assert given == decision("power_levels.first_power_levels", version)

    @having(RULE)
    def test_stays_silent_at_keys_that_it_does_not_name(self, version: RoomVersion) -> None:
        given = first(version, {"historical": "x"})
        assert given == decision("power_levels.first_power_levels", version)

    @lacking(RULE)
    @pytest.mark.parametrize("value", ["50", "x", True, None, [], {}])
    def test_is_no_rule_before_version_10(self, version: RoomVersion, value: Any) -> None:
        given = first(version, {"ban": value})
        assert given == decision("power_levels.first_power_levels", version)


class TestMapOfOtherThanIntegers:
    RULE = "power_levels.map_of_other_than_integers"

    @having(RULE)
    @pytest.mark.parametrize("name", ["events", "notifications"])
    @pytest.mark.parametrize("value", [None, [], "x", 7, {"x": "50"}, {"x": None}, {"x": True}])
    def test_rejects_all_else(self, version: RoomVersion, name: str, value: Any) -> None:
        assert first(version, {name: value}) == decision(self.RULE, version)

    @having(RULE)
    def test_comes_after_the_named_levels(self, version: RoomVersion) -> None:
        given = first(version, {"events": None, "ban": "x"})
        assert given == decision("power_levels.named_level_not_an_integer", version)

    @lacking(RULE)
    @pytest.mark.parametrize("name", ["events", "notifications"])
    @pytest.mark.parametrize("value", [None, [], "x", 7, {"x": "y"}])
    def test_is_no_rule_before_version_10(
        self, version: RoomVersion, name: str, value: Any
    ) -> None:
        given = first(version, {name: value})
        assert given == decision("power_levels.first_power_levels", version)


NO_USERS: list[Any] = [
    None,
    [],
    "x",
    7,
    {"ben": 50},
    {"@ben": 50},
    {"": 50},
    {BEN: None},
    {BEN: True},
    {BEN: "x"},
    {BEN: "1_0"},
    {BEN: ""},
    {BEN: "5.0"},
    {BEN: "+ 5"},
    {BEN: "\u0665"},
    {BEN: "\x1f50"},
    {BEN: []},
]


class TestUsersUnreadable:
    RULE = "power_levels.users_unreadable"

    @everywhere
    @pytest.mark.parametrize("users", NO_USERS)
    def test_rejects_what_are_no_levels_of_users(self, version: RoomVersion, users: Any) -> None:
        assert first(version, {"users": users}) == decision(self.RULE, version)

    @everywhere
    def test_rejects_a_bad_entry_beside_good_ones(self, version: RoomVersion) -> None:
        assert first(version, {"users": {BEN: 50, "x": 1}}) == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("users", [{}, {BEN: 50}, {BEN: -1}, {"@:b.example": 0}])
    def test_stays_silent_at_integers(self, version: RoomVersion, users: Any) -> None:
        given = first(version, {"users": users})
        assert given == decision("power_levels.first_power_levels", version)

    @since("10")
    @pytest.mark.parametrize("text", ["50", "0"])
    def test_rejects_text_from_version_10_on(self, version: RoomVersion, text: str) -> None:
        assert first(version, {"users": {BEN: text}}) == decision(self.RULE, version)

    @since("1", "9")
    @pytest.mark.parametrize("text", ["50", " +050 ", "-1", "\xa050\u2003"])
    def test_stays_silent_at_text_before(self, version: RoomVersion, text: str) -> None:
        given = first(version, {"users": {BEN: text}})
        assert given == decision("power_levels.first_power_levels", version)

    @since("1", "5")
    @pytest.mark.parametrize("level", [50.9, -0.5, 1e2])
    def test_stays_silent_at_floats_before_version_6(
        self, version: RoomVersion, level: float
    ) -> None:
        given = first(version, {"users": {BEN: level}})
        assert given == decision("power_levels.first_power_levels", version)


class TestCreatorListed:
    RULE = "power_levels.creator_listed"

    @having(RULE)
    @pytest.mark.parametrize("user", [ANA, BEN, CAY])
    def test_rejects_every_creator(self, version: RoomVersion, user: str) -> None:
        given = first(version, {"users": {user: 100}}, additional_creators=[BEN, CAY])
        assert given == decision(self.RULE, version)

    @having(RULE)
    def test_rejects_them_in_later_ones_too(self, version: RoomVersion) -> None:
        assert change(version, {}, {"users": {ANA: 50, DAN: 1}}) == decision(self.RULE, version)

    @having(RULE)
    def test_stays_silent_at_others(self, version: RoomVersion) -> None:
        given = first(version, {"users": {DAN: 100}}, additional_creators=[BEN])
        assert given == decision("power_levels.first_power_levels", version)

    @lacking(RULE)
    def test_is_no_rule_before_version_12(self, version: RoomVersion) -> None:
        given = first(version, {"users": {ANA: 100, BEN: 9}}, additional_creators=[BEN])
        assert given == decision("power_levels.first_power_levels", version)


class TestFirstPowerLevels:
    RULE = "power_levels.first_power_levels"

    @everywhere
    def test_allows_any_level(self, version: RoomVersion) -> None:
        content = {"users": {BEN: 2**53 - 1}, "ban": 2**53 - 1, "events": {"x": 101}}
        assert first(version, content) == decision(self.RULE, version)

    @everywhere
    def test_comes_after_the_required_level(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(BEN, JOIN)
        given = room.check(room.event(KIND, BEN, {}, ""))
        assert given == decision("every_event.sender_below_required_power_level", version)

    @everywhere
    @pytest.mark.parametrize("key", ["x", None, ANA])
    def test_stays_silent_at_another_state_key(self, version: RoomVersion, key: Any) -> None:
        """It is compared with the room's power levels all the same."""
        room = a_levelled_room(version, events_default=50)
        given = room.check(room.event(KIND, ANA, {"ban": 51, "events_default": 50}, key))
        assert given == decision("power_levels.sets_named_level_above_own", version)


class TestChangesNamedLevelAboveOwn:
    RULE = "power_levels.changes_named_level_above_own"

    @everywhere
    @pytest.mark.parametrize("name", NAMED_LEVELS)
    def test_rejects_lowering_what_was_above(self, version: RoomVersion, name: str) -> None:
        assert change(version, {name: 51}, {name: 50}) == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("name", NAMED_LEVELS)
    def test_rejects_removing_what_was_above(self, version: RoomVersion, name: str) -> None:
        assert change(version, {name: 51}, {}) == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("name", NAMED_LEVELS)
    def test_stays_silent_at_what_stays_above(self, version: RoomVersion, name: str) -> None:
        assert change(version, {name: 51}, {name: 51}) == allowed(version)

    @everywhere
    @pytest.mark.parametrize("name", NAMED_LEVELS)
    def test_stays_silent_at_the_own_level(self, version: RoomVersion, name: str) -> None:
        assert change(version, {name: 50}, {name: 49}) == allowed(version)

    @everywhere
    def test_takes_the_default_for_what_was_absent(self, version: RoomVersion) -> None:
        given = change(version, {}, {"ban": 30}, level=40)
        assert given == decision(self.RULE, version)

    @everywhere
    def test_stays_silent_at_a_low_default(self, version: RoomVersion) -> None:
        assert change(version, {}, {"invite": 40}, level=40) == allowed(version)

    @since("1", "9")
    def test_compares_numbers_not_texts(self, version: RoomVersion) -> None:
        assert change(version, {"ban": 60}, {"ban": " +060 "}) == allowed(version)

    @since("1", "9")
    def test_takes_the_default_for_what_cannot_be_read(self, version: RoomVersion) -> None:
        assert change(version, {"ban": "x"}, {"ban": 50}, level=40) == allowed(version)


class TestSetsNamedLevelAboveOwn:
    RULE = "power_levels.sets_named_level_above_own"

    @everywhere
    @pytest.mark.parametrize("name", NAMED_LEVELS)
    def test_rejects_a_level_above(self, version: RoomVersion, name: str) -> None:
        assert change(version, {name: 50}, {name: 51}) == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("name", NAMED_LEVELS)
    def test_rejects_adding_a_level_above(self, version: RoomVersion, name: str) -> None:
        assert change(version, {}, {name: 51}) == decision(self.RULE, version)

    @everywhere
    def test_takes_the_default_for_what_is_removed(self, version: RoomVersion) -> None:
        given = change(version, {"ban": 30}, {}, level=40)
        assert given == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("name", NAMED_LEVELS)
    def test_stays_silent_at_the_own_level(self, version: RoomVersion, name: str) -> None:
        assert change(version, {}, {name: 50}) == allowed(version)

    @everywhere
    def test_comes_after_what_was_above(self, version: RoomVersion) -> None:
        given = change(version, {"kick": 51}, {"kick": 50, "users_default": 51})
        assert given == decision("power_levels.changes_named_level_above_own", version)


class TestChangesEventLevelAboveOwn:
    RULE = "power_levels.changes_event_level_above_own"

    @having(RULE)
    @pytest.mark.parametrize("after", [{"x": 50}, {}])
    def test_rejects_lowering_and_removing(self, version: RoomVersion, after: Any) -> None:
        given = change(version, {"events": {"x": 51}}, {"events": after})
        assert given == decision(self.RULE, version)

    @having(RULE)
    @pytest.mark.parametrize(("before", "after"), [(51, 51), (50, 49)])
    def test_stays_silent_at_its_border(
        self, version: RoomVersion, before: int, after: int
    ) -> None:
        given = change(version, {"events": {"x": before}}, {"events": {"x": after}})
        assert given == allowed(version)

    @having(RULE)
    def test_stays_silent_at_notifications(self, version: RoomVersion) -> None:
        given = change(version, {"notifications": {"room": 51}}, {"notifications": {"room": 99}})
        assert given == allowed(version)


class TestChangesEventOrNotificationLevelAboveOwn:
    RULE = "power_levels.changes_event_or_notification_level_above_own"

    @having(RULE)
    @pytest.mark.parametrize("name", ["events", "notifications"])
    @pytest.mark.parametrize("after", [{"x": 50}, {}])
    def test_rejects_lowering_and_removing(
        self, version: RoomVersion, name: str, after: Any
    ) -> None:
        given = change(version, {name: {"x": 51}}, {name: after})
        assert given == decision(self.RULE, version)

    @having(RULE)
    @pytest.mark.parametrize("name", ["events", "notifications"])
    @pytest.mark.parametrize(("before", "after"), [(51, 51), (50, 49)])
    def test_stays_silent_at_its_border(
        self, version: RoomVersion, name: str, before: int, after: int
    ) -> None:
        given = change(version, {name: {"x": before}}, {name: {"x": after}})
        assert given == allowed(version)


class TestSetsEventLevelAboveOwn:
    RULE = "power_levels.sets_event_level_above_own"

    @having(RULE)
    @pytest.mark.parametrize("before", [{"x": 50}, {}])
    def test_rejects_raising_and_adding(self, version: RoomVersion, before: Any) -> None:
        given = change(version, {"events": before}, {"events": {"x": 51}})
        assert given == decision(self.RULE, version)

    @having(RULE)
    def test_stays_silent_at_the_own_level(self, version: RoomVersion) -> None:
        assert change(version, {}, {"events": {"x": 50}}) == allowed(version)

    @having(RULE)
    def test_stays_silent_at_notifications(self, version: RoomVersion) -> None:
        assert change(version, {}, {"notifications": {"room": 99}}) == allowed(version)


class TestSetsEventOrNotificationLevelAboveOwn:
    RULE = "power_levels.sets_event_or_notification_level_above_own"

    @having(RULE)
    @pytest.mark.parametrize("name", ["events", "notifications"])
    @pytest.mark.parametrize("before", [{"x": 50}, {}])
    def test_rejects_raising_and_adding(self, version: RoomVersion, name: str, before: Any) -> None:
        given = change(version, {name: before}, {name: {"x": 51}})
        assert given == decision(self.RULE, version)

    @having(RULE)
    @pytest.mark.parametrize("name", ["events", "notifications"])
    def test_stays_silent_at_the_own_level(self, version: RoomVersion, name: str) -> None:
        assert change(version, {}, {name: {"x": 50}}) == allowed(version)


class TestChangesUserNotBelowOwn:
    RULE = "power_levels.changes_user_not_below_own"

    @everywhere
    @pytest.mark.parametrize("level", [50, 51])
    @pytest.mark.parametrize("after", [{BEN: 49}, {}])
    def test_rejects_demoting_peers(self, version: RoomVersion, level: int, after: Any) -> None:
        given = change(version, {"users": {ANA: 50, BEN: level}}, {"users": {ANA: 50, **after}})
        assert given == decision(self.RULE, version)

    @everywhere
    def test_rejects_removing_what_equals_the_default(self, version: RoomVersion) -> None:
        before = {"users": {ANA: 50, BEN: 50}, "users_default": 50}
        given = change(version, before, {**before, "users": {ANA: 50}})
        assert given == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("own", [{ANA: 49}, {ANA: -1}, {}])
    def test_stays_silent_at_the_own_demotion(self, version: RoomVersion, own: Any) -> None:
        assert change(version, {}, {"users": own}) == allowed(version)

    @everywhere
    @pytest.mark.parametrize(("before", "after"), [(49, 0), (49, 50), (51, 51)])
    def test_stays_silent_below_or_unchanged(
        self, version: RoomVersion, before: int, after: int
    ) -> None:
        old, new = {ANA: 50, BEN: before}, {ANA: 50, BEN: after}
        assert change(version, {"users": old}, {"users": new}) == allowed(version)


class TestSetsUserAboveOwn:
    RULE = "power_levels.sets_user_above_own"

    @everywhere
    @pytest.mark.parametrize("user", [ANA, BEN])
    def test_rejects_promoting_above_oneself(self, version: RoomVersion, user: str) -> None:
        given = change(version, {}, {"users": {ANA: 50, user: 51}})
        assert given == decision(self.RULE, version)

    @everywhere
    def test_rejects_raising_who_was_below(self, version: RoomVersion) -> None:
        before = {"users": {ANA: 50, BEN: 49}}
        given = change(version, before, {"users": {ANA: 50, BEN: 51}})
        assert given == decision(self.RULE, version)

    @everywhere
    def test_comes_after_the_demotion_of_peers(self, version: RoomVersion) -> None:
        before = {"users": {ANA: 50, BEN: 50}}
        given = change(version, before, {"users": {ANA: 50, BEN: 51}})
        assert given == decision("power_levels.changes_user_not_below_own", version)


class TestOtherwise:
    @everywhere
    def test_allows_what_changes_nothing(self, version: RoomVersion) -> None:
        assert change(version, {"ban": 99}, {"ban": 99}) == allowed(version)

    @everywhere
    def test_allows_promoting_up_to_oneself(self, version: RoomVersion) -> None:
        assert change(version, {}, {"users": {ANA: 50, BEN: 50}}) == allowed(version)

    @since("12")
    def test_allows_creators_everything(self, version: RoomVersion) -> None:
        room = a_room(version).with_levels({BEN: 2**53 - 1}, ban=2**53 - 1)
        event = room.event(KIND, ANA, {"users": {CAY: 2**53 - 1}, "kick": 2**53 - 1}, "")
        assert room.check(event) == allowed(version)

    @since("1", "9")
    def test_passes_over_levels_that_cannot_be_read(self, version: RoomVersion) -> None:
        content = {"kick": "x", "events": {"x": None}, "notifications": 7}
        assert change(version, {}, content) == allowed(version)


class TestHowAbsenceIsCompared:
    """An absent level is another one than its default, and stands for its default."""

    @everywhere
    @pytest.mark.parametrize(
        ("before", "after", "rule"),
        [
            ({}, {"ban": 50}, "changes_named_level_above_own"),
            ({}, {"ban": 30}, "changes_named_level_above_own"),
            ({"ban": 30}, {}, "sets_named_level_above_own"),
            ({"ban": 50}, {}, "changes_named_level_above_own"),
            ({}, {"kick": 40}, "changes_named_level_above_own"),
            ({}, {"invite": 0}, "otherwise"),
            ({"users_default": 0}, {}, "otherwise"),
        ],
    )
    def test_by_a_sender_of_level_40(
        self, version: RoomVersion, before: Any, after: Any, rule: str
    ) -> None:
        assert change(version, before, after, level=40) == decision(f"power_levels.{rule}", version)
