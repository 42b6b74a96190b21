"""By how much a level falls short, in numbers."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.auth.explaining.levels import _CHANGED, _NEEDED
from matrix_membership.membership import BAN, JOIN
from matrix_membership.room_versions import V1, V2, V5, V10, V11, V12
from tests.builders import ANA, BEN, CAY, Room, a_levelled_room, a_room, everywhere, versions_having
from tests.rule_cases import CASES


def numbers(room: Room, event: Event) -> tuple[str, ...]:
    """The numbers of an explanation."""
    return auth.explain(event, room.state).shortfalls


class TestShortfalls:
    @pytest.mark.parametrize("rule", CASES)
    def test_are_told_by_rules_that_compare_levels_alone(self, rule: str) -> None:
        for version in versions_having(rule):
            case = CASES[rule](version)
            if isinstance(case.against, RoomState):
                found = auth.explain(case.event, case.against).shortfalls
                if rule in _CHANGED:
                    assert found
                elif rule not in _NEEDED:
                    assert found == ()

    @everywhere
    def test_tell_the_level_that_is_needed(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, ban=75, kick=60, invite=51, events={"x": 70})
        assert numbers(room, room.ban(ANA, BEN)) == (f"{ANA} has 50, ban needs 75",)
        assert numbers(room, room.kick(ANA, BEN)) == (f"{ANA} has 50, kick needs 60",)
        assert numbers(room, room.invite(ANA, BEN)) == (f"{ANA} has 50, invite needs 51",)
        assert numbers(room, room.event("x", ANA, {})) == (f"{ANA} has 50, x needs 70",)
        third_party = room.event("m.room.third_party_invite", ANA, {}, "t")
        assert numbers(room, third_party) == (f"{ANA} has 50, invite needs 51",)

    @everywhere
    def test_tell_of_a_user_of_as_much_power(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={BEN: 50}, kick=60)
        compared = f"{ANA} has 50, which is not more than the 50 of {BEN}"
        assert numbers(room, room.ban(ANA, BEN)) == (compared,)
        assert numbers(room, room.kick(ANA, BEN)) == (f"{ANA} has 50, kick needs 60", compared)

    def test_tell_of_a_creator(self) -> None:
        room = a_room(V12).with_member(BEN, JOIN).with_levels({BEN: 100})
        compared = f"{BEN} has 100, which is not more than the infinite level of {ANA}"
        assert numbers(room, room.kick(BEN, ANA)) == (compared,)
        compared = (
            f"{ANA} has an infinite level, which is not more than the infinite level of {ANA}"
        )
        assert numbers(room, room.ban(ANA, ANA)) == (compared,)

    def test_tell_both_levels_of_an_unban(self) -> None:
        room = a_levelled_room(V11, ban=60, kick=55).with_member(BEN, BAN)
        assert numbers(room, room.kick(ANA, BEN)) == (
            f"{ANA} has 50, ban needs 60",
            f"{ANA} has 50, kick needs 55",
        )

    def test_tell_of_the_authorising_user(self) -> None:
        room = a_levelled_room(V10, invite=60).with_join_rule("restricted")
        join = room.join(BEN, signed_by=["a.example"], join_authorised_via_users_server=ANA)
        assert numbers(room, join) == (f"{ANA} has 50, invite needs 60",)
        assert numbers(room, room.join(BEN)) == ()

    @pytest.mark.parametrize("version", [V1, V2], ids=str)
    def test_tell_of_a_redaction(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, redact=60)
        event = room.event("m.room.redaction", ANA, {}, redacts="$1:c.example")
        assert numbers(room, event) == (f"{ANA} has 50, redact needs 60",)

    def test_are_left_out_where_no_level_decided(self) -> None:
        room = a_room(V11)
        assert numbers(room, room.message(ANA)) == ()
        assert numbers(room, room.ban(BEN, CAY)) == ()


class TestShortfallsOfPowerLevels:
    @pytest.mark.parametrize(
        ("before", "after", "told"),
        [
            ({"ban": 60}, {"ban": 50}, f"{ANA} has 50, ban has 60"),
            ({"ban": 40}, {"ban": 60}, f"{ANA} has 50, ban would get 60"),
            ({"ban": 60}, {}, f"{ANA} has 50, ban has 60"),
            ({}, {"users_default": 60}, f"{ANA} has 50, users_default would get 60"),
            ({"events": {"x": 60}}, {"events": {}}, f"{ANA} has 50, x has 60"),
            ({"events": {}}, {"events": {"x": 60}}, f"{ANA} has 50, x would get 60"),
            ({"users": {BEN: 50}}, {"users": {}}, f"{ANA} has 50, {BEN} has 50"),
            ({"users": {}}, {"users": {BEN: 60}}, f"{ANA} has 50, {BEN} would get 60"),
            ({}, {"users": {ANA: 60}}, f"{ANA} has 50, {ANA} would get 60"),
        ],
    )
    @pytest.mark.parametrize("version", [V5, V11], ids=str)
    def test_name_what_is_changed(
        self, version: RoomVersion, before: Any, after: Any, told: str
    ) -> None:
        room = a_levelled_room(version, **before)
        content = {**after, "users": {ANA: 50, **after.get("users", {})}}
        assert numbers(room, room.event("m.room.power_levels", ANA, content, "")) == (told,)

    def test_name_notifications(self) -> None:
        room = a_levelled_room(V11)
        content = {"users": {ANA: 50}, "notifications": {"room": 60}}
        event = room.event("m.room.power_levels", ANA, content, "")
        assert numbers(room, event) == (f"{ANA} has 50, room would get 60",)

    def test_leave_out_what_the_sender_may_change(self) -> None:
        room = a_levelled_room(V11, events={"x": 10})
        content = {"users": {ANA: 50}, "events": {"x": 20, "y": 60}}
        event = room.event("m.room.power_levels", ANA, content, "")
        assert numbers(room, event) == (f"{ANA} has 50, y would get 60",)

    def test_are_three_at_most(self) -> None:
        room = a_levelled_room(V11)
        content = {"users": {ANA: 50}, "events": {f"x{number}": 60 for number in range(9)}}
        event = room.event("m.room.power_levels", ANA, content, "")
        assert len(numbers(room, event)) == 3


class TestLevels:
    """The numbers as values, for hosts that map them to their own errors."""

    @everywhere
    def test_tell_had_and_needed(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, ban=75)
        ban = room.ban(ANA, BEN)
        (level,) = auth.explain(ban, room.state).levels
        assert (level.user, level.had, level.name, level.needed) == (ANA, 50, "ban", 75)
        assert auth.shortfalls(ban, room.state, room.check(ban)) == (level,)
        assert str(level) == level.text

    @everywhere
    def test_would_do(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={BEN: 50}).with_member(BEN, JOIN)
        demote = room.event("m.room.power_levels", ANA, {"users": {ANA: 50, BEN: 0}}, "")
        for event in (room.kick(ANA, BEN), room.ban(ANA, BEN), demote):
            found = auth.explain(event, room.state).levels
            assert {level.needed for level in found} == {51}
