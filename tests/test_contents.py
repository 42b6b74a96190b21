"""Typed views of contents."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from matrix_membership.canonical_json import JsonFloat
from matrix_membership.contents import (
    NAMED_LEVELS,
    PowerLevels,
    level_of,
    power_levels_view,
    third_party_invite_view,
    unpadded_base64,
)
from matrix_membership.room_versions import V1, V5, V6, V9, V10, V12, RoomVersion
from tests.builders import ANA

EVERY = (V1, V5, V6, V9, V10, V12)


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
        ],
    )
    def test_may_be_text_before_version_10(self, value: str, level: int) -> None:
        assert [level_of(value, version) for version in EVERY] == [level] * 4 + [None] * 2

    @pytest.mark.parametrize(
        "value",
        [
            "",
            " ",
            "1_000",
            "\u0665",
            "+ 1",
            "--1",
            "1.0",
            "\x1f1",
            "1\x1c",
            "9" * 401,
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
        assert not view(content, V5).users_readable

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
        ],
    )
    def test_is_read_with_and_without_padding(self, raw: bytes, text: str) -> None:
        assert unpadded_base64(text) == raw
        assert unpadded_base64(text + "=" * (-len(text) % 4)) == raw

    @pytest.mark.parametrize("text", [None, 5, "A", "é", "Zm 9v", "Zm9v!"])
    def test_is_nothing_else(self, text: Any) -> None:
        assert unpadded_base64(text) is None
