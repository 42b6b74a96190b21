"""Typed views of contents."""

from __future__ import annotations

import pickle
from base64 import b64encode
from typing import Any

import pytest

from matrix_membership import JoinRule
from matrix_membership.canonical_json import JsonFloat
from matrix_membership.events.contents import (
    NAMED_LEVELS,
    NO_POWER_LEVELS,
    Create,
    JoinRules,
    PowerLevels,
    SignedInvite,
    level_of,
    power_levels_view,
    third_party_invite_view,
    unpadded_base64,
)
from matrix_membership.membership import JOIN_RULES
from matrix_membership.room_versions import V1, V5, V6, V9, V10, V11, V12, RoomVersion
from tests.builders import ANA, BEN, CAY, a_room, an_empty_room, since

EVERY = (V1, V5, V6, V9, V10, V12)
LONGEST = "9" * 400
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""All that has the Unicode property."""


def created(version: RoomVersion, **content: Any) -> Create:
    """The view of Ana's create event."""
    view = an_empty_room(version).event("m.room.create", ANA, content, "", prev_events=[]).view
    assert isinstance(view, Create)
    return view


class TestCreate:
    @pytest.mark.parametrize(
        ("version", "content", "creator"),
        [
            (V10, {"creator": BEN}, BEN),
            (V10, {"creator": 5}, None),
            (V10, {}, None),
            (V11, {"creator": BEN}, ANA),
            (V12, {}, ANA),
        ],
    )
    def test_knows_the_creator(self, version: RoomVersion, content: Any, creator: Any) -> None:
        view = created(version, **content)
        assert (view.creator, view.names_creator) == (creator, "creator" in content)

    @pytest.mark.parametrize(
        ("others", "privileged", "readable"),
        [
            ([], {ANA}, True),
            ([BEN, CAY], {ANA, BEN, CAY}, True),
            ([BEN, "ben"], {ANA, BEN}, False),
            ([5], {ANA}, False),
            ("x", {ANA}, False),
            ({BEN: 1}, {ANA}, False),
            (None, {ANA}, False),
        ],
    )
    def test_knows_who_has_no_limit_in_version_12(
        self, others: Any, privileged: Any, readable: bool
    ) -> None:
        view = created(V12, additional_creators=others)
        assert (view.privileged, view.additional_creators_readable) == (privileged, readable)
        before = created(V11, additional_creators=others)
        assert (before.privileged, before.additional_creators_readable) == (frozenset(), True)

    def test_needs_no_additional_creators(self) -> None:
        assert created(V12).privileged == {ANA}
        assert created(V12).additional_creators_readable

    @pytest.mark.parametrize("value", [False, 0, 1, 1.0, "", "true", "false", [], {}])
    def test_closes_the_room_by_anything_but_true_and_null(self, value: Any) -> None:
        assert not created(V5, **{"m.federate": value}).federate

    @pytest.mark.parametrize("value", [True, None])
    def test_leaves_the_room_open_otherwise(self, value: Any) -> None:
        assert created(V12, **{"m.federate": value}).federate
        assert created(V12).federate

    def test_is_of_version_1_unless_it_says_otherwise(self) -> None:
        assert created(V10).room_version == "1"
        assert created(V10, room_version="10").room_version == "10"
        assert created(V10, room_version=10).room_version == 10

    def test_knows_whether_it_has_a_room_id(self) -> None:
        assert created(V11).has_room_id
        assert not created(V12).has_room_id


def join_rules(**content: Any) -> JoinRules:
    view = a_room(V11).event("m.room.join_rules", ANA, content, "").view
    assert isinstance(view, JoinRules)
    return view


class TestJoinRules:
    @pytest.mark.parametrize("name", JOIN_RULES)
    def test_have_a_rule(self, name: str) -> None:
        assert join_rules(join_rule=name).join_rule is JoinRule(name)

    def test_mean_invite_where_they_name_none(self) -> None:
        assert join_rules().join_rule is JoinRule.INVITE
        assert join_rules().allow == ()

    @pytest.mark.parametrize("value", ["x", "", "unrecognised", 5, None, ["public"]])
    def test_may_be_unrecognised(self, value: Any) -> None:
        assert join_rules(join_rule=value).join_rule is JoinRule.UNRECOGNISED

    def test_allow_the_members_of_rooms_in_their_order(self) -> None:
        def entry(room_id: Any, kind: Any = "m.room_membership") -> dict[str, Any]:
            return {"type": kind, "room_id": room_id}

        good = [entry("!b:a.example"), entry("!a:a.example"), entry("!b:a.example")]
        odd = [entry("!c:a.example", "x"), entry("c"), {"type": "m.room_membership"}, "x", None]
        assert join_rules(allow=[*odd, *good]).allow == ("!b:a.example", "!a:a.example")

    def test_show_the_types_of_other_conditions(self) -> None:
        odd = [{"type": "org.x"}, {"type": 5}, {}, {"type": "m.room_membership"}, {"type": "org.x"}]
        assert join_rules(allow=odd).unknown_conditions == ("org.x",)

    @pytest.mark.parametrize("allow", [None, "x", {"room_id": "!b:a.example"}, 5])
    def test_allow_nobody_by_what_is_no_list(self, allow: Any) -> None:
        assert join_rules(allow=allow).allow == ()


class TestSignedInvite:
    @pytest.mark.parametrize(
        ("value", "seen"),
        [
            (None, (False, None, None, None, False)),
            ([], (False, None, None, None, False)),
            ("signed", (False, None, None, None, False)),
            ({}, (False, None, None, None, False)),
            ({"signed": None}, (True, None, None, None, False)),
            ({"signed": ["mxid", "token"]}, (True, None, None, None, False)),
            ({"signed": {}}, (True, {}, None, None, False)),
            ({"signed": {"mxid": BEN}}, (True, {"mxid": BEN}, BEN, None, False)),
            ({"signed": {"token": "t"}}, (True, {"token": "t"}, None, "t", False)),
            (
                {"signed": {"mxid": 5, "token": None}},
                (True, {"mxid": 5, "token": None}, None, None, True),
            ),
            (
                {"signed": {"mxid": BEN, "token": "t"}},
                (True, {"mxid": BEN, "token": "t"}, BEN, "t", True),
            ),
        ],
    )
    def test_shows_what_is_there(self, value: Any, seen: Any) -> None:
        view = a_room(V11).invite(ANA, BEN, third_party_invite=value).view
        assert isinstance(view, SignedInvite)
        assert (view.has_signed, view.signed, view.mxid, view.token, view.has_names) == seen


class TestAuthoriser:
    @pytest.mark.parametrize(
        ("value", "user"), [(ANA, ANA), ("ana", ""), ("", ""), (None, ""), (5, ""), ([ANA], "")]
    )
    def test_is_a_user_or_nobody(self, value: Any, user: str) -> None:
        event = a_room(V11).join(BEN, join_authorised_via_users_server=value)
        assert event.authorised_via == user

    @since("1", "7")
    def test_means_nothing_before_version_8(self, version: RoomVersion) -> None:
        event = a_room(version).join(BEN, join_authorised_via_users_server=ANA)
        assert (event.authorised_via, event.authorising_server) == (None, None)
        assert event.case == a_room(version).join(BEN).case

    @since("8")
    def test_has_a_server_from_version_8_on(self, version: RoomVersion) -> None:
        event = a_room(version).join(BEN, join_authorised_via_users_server=ANA)
        assert (event.authorised_via, event.authorising_server) == (ANA, "a.example")

    def test_need_not_be_named(self) -> None:
        assert a_room(V11).join(BEN).authorised_via is None


class TestLevel:
    @pytest.mark.parametrize(
        ("value", "level"),
        [
            ("100", 100),
            ("000100", 100),
            ("+100", 100),
            ("-100", -100),
            (" \t+100\n ", 100),
            ("\xa0100\u2003", 100),
            ("0" * 5_000 + "1", 1),
            ("0", 0),
            (LONGEST, int(LONGEST)),
        ],
    )
    def test_may_be_text_before_version_10(self, value: str, level: int) -> None:
        assert [level_of(value, version) for version in EVERY] == [level] * 4 + [None] * 2

    @pytest.mark.parametrize("space", WHITE_SPACE)
    def test_may_stand_between_white_space(self, space: str) -> None:
        assert level_of(f"{space}7{space}", V1) == 7

    @pytest.mark.parametrize(
        "value",
        [
            "",
            " ",
            *(f"7{letter}" for letter in "\x1c\x1d\x1e\x1f\u180e\u200b\u2060\ufeff"),
            "1_000",
            "\u0665",
            "+ 1",
            "--1",
            "1.0",
            "\x1f1",
            "XX1XX",
            "1\x1c",
            "9" * 401,
            "0" * 70_000 + "x",
            "+",
            "\u0661",
            True,
            None,
            [],
        ],
    )
    def test_is_nothing_else(self, value: Any) -> None:
        assert [level_of(value, version) for version in EVERY] == [None] * 6

    @pytest.mark.parametrize(
        ("value", "level"),
        [
            (50.57, 50),
            (-0.9, 0),
            (JsonFloat("5.114698E4"), 51146),
            (JsonFloat("1E400"), None),
            (float("nan"), None),
        ],
    )
    def test_may_be_a_float_before_version_6(self, value: float, level: int | None) -> None:
        assert [level_of(value, version) for version in EVERY] == [level] * 2 + [None] * 4


def view(content: Any, version: RoomVersion) -> PowerLevels:
    return power_levels_view(content, version)


class TestPowerLevels:
    def test_are_defaults_where_there_is_no_event(self) -> None:
        levels = NO_POWER_LEVELS
        assert {name: getattr(levels, name) for name in NAMED_LEVELS} == dict(NAMED_LEVELS)
        maps = (levels.users, levels.events, levels.notifications, levels.named)
        assert maps == ({}, {}, {}, {})
        assert (levels.named_readable, levels.maps_readable, levels.users_readable) == (True,) * 3
        assert levels.exists is False

    def test_are_as_told(self) -> None:
        told = {name: number for number, name in enumerate(NAMED_LEVELS, 3)}
        levels = view(
            {**told, "users": {ANA: 1}, "events": {"x": 2}, "notifications": {"y": 3}}, V12
        )
        assert {name: getattr(levels, name) for name in NAMED_LEVELS} == told == levels.named
        assert (levels.users, levels.events, levels.notifications) == ({ANA: 1}, {"x": 2}, {"y": 3})
        assert (levels.named_readable, levels.maps_readable, levels.users_readable) == (True,) * 3

    def test_have_defaults(self) -> None:
        levels = view({}, V12)
        assert {name: getattr(levels, name) for name in NAMED_LEVELS} == dict(NAMED_LEVELS)
        assert (levels.named, levels.users_readable, levels.exists) == ({}, True, True)

    @pytest.mark.parametrize("odd", [None, "x", [], True])
    def test_read_an_unreadable_level_as_its_default(self, odd: Any) -> None:
        levels = view({"ban": odd, "kick": 1}, V9)
        assert (levels.ban, levels.kick, levels.named) == (50, 1, {"ban": 50, "kick": 1})
        assert not levels.named_readable

    @pytest.mark.parametrize("odd", [None, [], "x", {"a": "x"}, {"a": None}])
    @pytest.mark.parametrize("name", ["events", "notifications"])
    def test_read_what_can_be_read_of_a_map(self, name: str, odd: Any) -> None:
        levels = view({name: {**odd, "b": 5} if isinstance(odd, dict) else odd}, V9)
        assert getattr(levels, name) == ({"b": 5} if isinstance(odd, dict) else {})
        assert (levels.maps_readable, levels.users_readable) == (False, True)

    @pytest.mark.parametrize("users", [None, [], "x", {"ana": 5}, {ANA: "x"}, {ANA: None}])
    def test_know_whether_users_can_be_read(self, users: Any) -> None:
        for version in EVERY:
            assert not view({"users": users}, version).users_readable

    @pytest.mark.parametrize(
        "content",
        [
            {"ban": JsonFloat("1E400")},
            {"events": {"x": JsonFloat("1E400")}},
            {"notifications": {"x": JsonFloat("-1E400")}},
            {"users": {ANA: JsonFloat("1E400")}},
        ],
    )
    def test_are_unreadable_with_a_float_out_of_range(self, content: Any) -> None:
        assert view(content, V5).users_readable is False

    def test_can_be_pickled_and_shown(self) -> None:
        levels = view({"users": {ANA: 5}, "ban": 7, "events": {"x": 1}}, V12)
        again = pickle.loads(pickle.dumps(levels))
        assert repr(again) == repr(levels)
        assert (again.level_of(ANA), again.level_of(BEN)) == (5, 0)
        assert "level_of" not in repr(levels)

    def test_know_the_highest_level_of_a_user(self) -> None:
        levels = view({"users": {ANA: -5, BEN: 5}, "ban": 7, "users_default": 9}, V12)
        assert levels.highest == pickle.loads(pickle.dumps(levels)).highest == 5
        assert view({"users_default": -9}, V12).highest < -9

    def test_say_what_a_type_needs(self) -> None:
        levels = view({"events": {"x": 7}, "events_default": 1, "state_default": 2}, V12)
        needed = [levels.required_for(kind, is_state=s) for kind in "xy" for s in (True, False)]
        assert needed == [7, 7, 2, 1]


class TestThirdPartyInvite:
    def test_has_the_keys_that_can_be_read(self) -> None:
        one, two = bytes(32), b"\xff" * 32
        content = {
            "public_key": b64encode(one).decode(),
            "public_keys": [
                {"public_key": "_" * 42 + "8"},
                {"public_key": b64encode(one).decode().rstrip("=")},
                {"public_key": "AAAA"},
                {"public_key": None},
                "x",
            ],
        }
        assert third_party_invite_view(content).public_keys == (one, two)
        assert third_party_invite_view({"public_keys": "x"}).public_keys == ()


class TestBase64:
    @pytest.mark.parametrize(
        ("raw", "text"),
        [
            (b"", ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (b"foW", "Zm9X"),
            (b"\xfb\xef\xbe", "++++"),
            (b"\xfb\xef\xbe", "----"),
            (b"\xff\xff\xff", "____"),
            (b"\xff\xff\xff", "////"),
        ],
    )
    def test_is_read_with_and_without_padding(self, raw: bytes, text: str) -> None:
        assert unpadded_base64(text) == raw
        assert unpadded_base64(text + "=" * (-len(text) % 4)) == raw

    @pytest.mark.parametrize("text", [None, 5, "A", "é", "Zm 9v", "Zm9v!", "Zm8 ", "=Zm8"])
    def test_is_nothing_else(self, text: Any) -> None:
        assert unpadded_base64(text) is None
