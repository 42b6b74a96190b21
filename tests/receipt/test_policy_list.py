"""Moderation policy lists."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from matrix_membership.receipt.policy_list import PolicyList, PolicyRule
from matrix_membership.room_versions import V11
from matrix_membership.state import RoomState
from tests.builders import a_room

BAN = {"recommendation": "m.ban", "reason": "spam"}
USERS = PolicyRule("user", "@ana*:*", "m.ban", "spam")
SERVERS = PolicyRule("server", "*.evil.example", "m.ban", "spam")
ROOMS = PolicyRule("room", "?r:*", "m.ban", "spam")


def a_list(*rules: tuple[str, Any]) -> RoomState:
    """The state of a policy room."""
    room = a_room(V11)
    for number, (kind, content) in enumerate(rules):
        room = room.with_content(kind, content, str(number))
    return room.state


class TestOf:
    def test_reads_the_three_kinds_of_rules(self) -> None:
        listed = [
            (f"m.policy.rule.{rule.kind}", {"entity": rule.entity, **BAN})
            for rule in (USERS, SERVERS, ROOMS)
        ]
        assert set(PolicyList.of(a_list(*listed)).rules) == {USERS, SERVERS, ROOMS}

    def test_reads_several_rooms_in_their_order(self) -> None:
        first = a_list(("m.policy.rule.user", {"entity": "@ana*:*", **BAN}))
        second = a_list(("m.policy.rule.server", {"entity": "*.evil.example", **BAN}))
        assert PolicyList.of(first, second).rules == (USERS, SERVERS)
        assert PolicyList.of(second, first).rules == (SERVERS, USERS)

    @pytest.mark.parametrize("reason", [{}, {"reason": 5}])
    def test_takes_a_rule_without_a_reason(self, reason: dict[str, Any]) -> None:
        content = {"entity": "*", "recommendation": "m.warn", **reason}
        (rule,) = PolicyList.of(a_list(("m.policy.rule.user", content))).rules
        assert rule == PolicyRule("user", "*", "m.warn", "")
        assert not rule.bans

    @pytest.mark.parametrize(
        ("kind", "content"),
        [
            ("m.policy.rule.user", {}),
            ("m.policy.rule.user", {"entity": "*"}),
            ("m.policy.rule.user", {"recommendation": "m.ban"}),
            ("m.policy.rule.user", {"entity": 5, "recommendation": "m.ban"}),
            ("m.policy.rule.user", {"entity": "*", "recommendation": ["m.ban"]}),
            ("m.policy.rule.alias", {"entity": "*", **BAN}),
            ("user", {"entity": "*", **BAN}),
            ("m.room.rule.user", {"entity": "*", **BAN}),
        ],
    )
    def test_leaves_other_events_out(self, kind: str, content: Any) -> None:
        assert PolicyList.of(a_list((kind, content))) == PolicyList()


class TestAbout:
    @pytest.mark.parametrize(
        ("entity", "rules"),
        [
            ("@ana:a.example", (USERS,)),
            ("@anastasia:x.evil.example", (USERS, SERVERS)),
            ("@ANA:a.example", (USERS,)),
            ("@ben:x.EVIL.example:8448", (SERVERS,)),
            ("@ben:a.example", ()),
            ("x.evil.example", (SERVERS,)),
            ("x.evil.example:8448", (SERVERS,)),
            ("evil.example", ()),
            ("[::1]", ()),
            ("!r:a.example", (ROOMS,)),
            ("#r:x.evil.example", (ROOMS,)),
            ("!rr:x.evil.example", ()),
        ],
    )
    def test_gives_the_rules_that_match(self, entity: str, rules: tuple[PolicyRule, ...]) -> None:
        assert PolicyList((USERS, SERVERS, ROOMS)).about(entity) == rules

    def test_can_be_of_one_port(self) -> None:
        rule = PolicyRule("server", "evil.example:1", "m.ban")
        listed = PolicyList((rule,))
        assert listed.about("evil.example:1") == (rule,)
        assert listed.about("evil.example:2") == ()

    @pytest.mark.parametrize("pattern", ["*a" * 10_000 + "b", "*?????x" * 5_000])
    def test_is_no_burden_by_a_pattern_of_many_stars(self, pattern: str) -> None:
        listed = PolicyList((PolicyRule("user", pattern, "m.ban"),))
        assert listed.about("@" + "a" * 252 + ":c") == ()


class TestPolicyList:
    def test_comes_out_of_a_pickle(self) -> None:
        listed = PolicyList((USERS, SERVERS))
        copy = pickle.loads(pickle.dumps(listed))
        assert copy == listed
        assert copy.about("@ana:a.example") == (USERS,)
