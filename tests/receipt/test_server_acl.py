"""Server access control lists."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership.receipt.server_acl import (
    ACL_ENDPOINTS,
    ServerAcl,
    permits,
)
from matrix_membership.room_versions import V11
from matrix_membership.state import RoomState
from tests.builders import a_room
from tests.test_globs import letter_by_letter

EVERYBODY = ServerAcl(allow=("*",))


class TestGlobs:
    @pytest.mark.parametrize(
        ("pattern", "server", "matches"),
        [
            ("a.example", "a.example", True),
            ("a.example", "b.a.example", False),
            ("a.example", "axexample", False),
            ("*.a.example", "b.a.example", True),
            ("*.a.example", "a.example", False),
            ("*a.example", "a.example", True),
            ("a.*", "a.example", True),
            ("a.*", "b.example", False),
            ("*", "a.example", True),
            ("***", "a.example", True),
            ("*b*e*", "a.b.example", True),
            ("*b*b*", "a.b.example", False),
            ("*b*e*l?", "a.b.example", True),
            ("?.example", "a.example", True),
            ("?.example", "ab.example", False),
            ("?.example", "b.exampla", False),
            ("*.e?a*", "a.example", True),
            ("*.e?b*", "a.example", False),
            ("?*??", "ab", False),
            ("?*?", "ab", True),
            ("abc*cde", "abcde", False),
            ("[ab].example", "a.example", False),
            ("", "a.example", False),
        ],
    )
    def test_match_the_whole_name(self, pattern: str, server: str, *, matches: bool) -> None:
        assert ServerAcl(allow=(pattern,)).allows(server) is matches

    @pytest.mark.parametrize(
        ("pattern", "server"),
        [("EVIL.example", "evil.EXAMPLE"), ("*.Evil.*", "a.eVIL.example"), ("[::A]", "[::a]")],
    )
    def test_match_in_either_case(self, pattern: str, server: str) -> None:
        assert ServerAcl(allow=(pattern,)).allows(server)

    def test_take_no_other_letter_for_an_ascii_one(self) -> None:
        assert not ServerAcl(allow=("\u212a.example",)).allows("k.example")

    def test_can_hold_what_is_no_character(self) -> None:
        acl = ServerAcl(allow=("\ud800", "\ud800.example"), deny=())
        assert not acl.allows("a.example")

    @given(st.text("ab*?", max_size=8) | st.text("a*?", max_size=12), st.text("ab", max_size=12))
    def test_match_as_they_are_read_letter_by_letter(self, pattern: str, server: str) -> None:
        assert ServerAcl(allow=(pattern,)).allows(server) is letter_by_letter(pattern, server)

    def test_never_match_what_is_too_long_for_a_name(self) -> None:
        assert EVERYBODY.allows("a" * 255)
        assert not EVERYBODY.allows("a" * 256)

    @pytest.mark.parametrize(
        "pattern", ["*" * 60_000 + "x", "*a" * 30_000 + "b", "*a?" * 20_000, "*?????x" * 9_000]
    )
    def test_of_many_stars_are_no_burden(self, pattern: str) -> None:
        assert not ServerAcl(allow=(pattern,)).allows("a" * 255)


class TestAllows:
    def test_nobody_by_an_empty_list(self) -> None:
        assert not ServerAcl().allows("a.example")

    def test_whoever_is_allowed_and_not_denied(self) -> None:
        acl = ServerAcl(allow=("*.example",), deny=("evil.*",))
        named = ("a.example", "evil.example", "a.org")
        assert [acl.allows(server) for server in named] == [True, False, False]

    def test_nobody_who_is_denied_by_name_and_allowed_by_name(self) -> None:
        assert not ServerAcl(allow=("a.example",), deny=("a.example",)).allows("a.example")

    @pytest.mark.parametrize(
        "server", ["evil.example", "evil.example:8448", "evil.example:1", "evil.example:"]
    )
    def test_whatever_the_port(self, server: str) -> None:
        assert not ServerAcl(allow=("*",), deny=("evil.example",)).allows(server)
        assert ServerAcl(allow=("evil.example",)).allows(server)

    @pytest.mark.parametrize("server", ["[::1]", "[::1]:8448"])
    def test_an_ipv6_address_by_its_name_in_brackets(self, server: str) -> None:
        assert ServerAcl(allow=("[::1]",)).allows(server)


class TestIpLiterals:
    @pytest.mark.parametrize(
        "server", ["1.2.3.4", "1.2.3.4:8448", "999.0.0.1", "[::1]", "[2001:DB8::1]:8448"]
    )
    def test_can_be_forbidden(self, server: str) -> None:
        assert not ServerAcl(allow=("*",), allow_ip_literals=False).allows(server)

    @pytest.mark.parametrize("server", ["1.2.3.4", "[::1]"])
    def test_are_allowed_otherwise(self, server: str) -> None:
        assert EVERYBODY.allows(server)

    @pytest.mark.parametrize("server", ["1.2.3", "1.2.3.4.example", "1.2.3.4.5", "a1.2.3.4"])
    def test_are_no_names_that_look_alike(self, server: str) -> None:
        assert ServerAcl(allow=("*",), allow_ip_literals=False).allows(server)

    def test_are_forbidden_even_by_name(self) -> None:
        acl = ServerAcl(allow=("1.2.3.4",), allow_ip_literals=False)
        assert not acl.allows("1.2.3.4")


class TestPatterns:
    def test_are_odd_when_a_name_is_compared_with_each(self) -> None:
        acl = ServerAcl(allow=("*", "a.example"), deny=("*.b", "a*", "?", "*.*", "a*"))
        assert acl.odd_patterns == 3

    def test_come_out_of_a_pickle(self) -> None:
        acl = ServerAcl(allow=("*", "a?"), deny=("*.b",), allow_ip_literals=False)
        copy = pickle.loads(pickle.dumps(acl))
        assert copy == acl
        assert copy.allows("a.example")


class TestFromContent:
    @pytest.mark.parametrize(
        ("content", "acl"),
        [
            ({}, ServerAcl()),
            ({"allow": ["*"], "deny": ["x"]}, ServerAcl(("*",), ("x",))),
            ({"allow": "*", "deny": {"x": "y"}}, ServerAcl()),
            ({"allow": [5, "*", None]}, EVERYBODY),
            ({"allow": ["*"], "allow_ip_literals": False}, ServerAcl(("*",), (), False)),
            ({"allow": ["*"], "allow_ip_literals": 0}, EVERYBODY),
            ({"allow": ["*"], "allow_ip_literals": "false"}, EVERYBODY),
        ],
    )
    def test_reads_what_can_be_read(self, content: dict[str, Any], acl: ServerAcl) -> None:
        assert ServerAcl.from_content(content) == acl


def a_room_with(content: Any, state_key: str = "") -> RoomState:
    return a_room(V11).with_content("m.room.server_acl", content, state_key).state


class TestOfARoom:
    def test_is_absent_at_first(self) -> None:
        assert ServerAcl.of(a_room(V11).state) is None

    def test_stands_in_its_state(self) -> None:
        content = {"allow": ["*"], "deny": ["evil.*"]}
        assert ServerAcl.of(a_room_with(content)) == ServerAcl(("*",), ("evil.*",))

    def test_has_no_state_key(self) -> None:
        assert ServerAcl.of(a_room_with({}, "another")) is None


class TestPermits:
    def test_everybody_without_a_list(self) -> None:
        assert permits(a_room(V11).state, "a.example")

    @pytest.mark.parametrize(("server", "permitted"), [("a.example", True), ("b.example", False)])
    def test_whom_the_list_allows(self, server: str, *, permitted: bool) -> None:
        assert permits(a_room_with({"allow": ["a.*"]}), server) is permitted

    def test_nobody_by_a_list_without_content(self) -> None:
        assert not permits(a_room_with({}), "a.example")


class TestEndpoints:
    @pytest.mark.parametrize(
        "path",
        [
            "/v1/make_join/!r:a.example/@ben:b.example",
            "/v1/make_knock/!r:a.example/@ben:b.example",
            "/v1/make_leave/!r:a.example/@ben:b.example",
            "/v1/send_join/!r:a.example/$e",
            "/v2/send_join/!r:a.example/$e",
            "/v1/send_knock/!r:a.example/$e",
            "/v1/send_leave/!r:a.example/$e",
            "/v2/send_leave/!r:a.example/$e",
            "/v1/invite/!r:a.example/$e",
            "/v2/invite/!r:a.example/$e",
            "/v1/state/!r:a.example",
            "/v1/state_ids/!r:a.example",
            "/v1/backfill/!r:a.example",
            "/v1/event_auth/!r:a.example/$e",
            "/v1/get_missing_events/!r:a.example",
        ],
    )
    def test_are_protected(self, path: str) -> None:
        assert ServerAcl.protects("/_matrix/federation" + path)

    @pytest.mark.parametrize(
        "path",
        [
            "/_matrix/federation/v1/send/1",
            "/_matrix/federation/v1/event/$e",
            "/_matrix/federation/v1/states/!r:a.example",
            "/_matrix/federation/v2/make_join/!r:a.example/@ben:b.example",
            "/_matrix/federation/v1",
            "/_matrix/federation/v1/exchange_third_party_invite/!r:a.example",
            "/_matrix/client/v3/join/!r:a.example",
            "",
        ],
    )
    def test_are_not_all_that_there_are(self, path: str) -> None:
        assert not ServerAcl.protects(path)

    def test_are_fifteen(self) -> None:
        assert len(ACL_ENDPOINTS) == 15

    def test_come_with_two_kinds_of_edus(self) -> None:
        assert {"m.receipt", "m.typing"} == ServerAcl.EDUS
