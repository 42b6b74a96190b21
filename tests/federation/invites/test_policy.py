"""Whose invites are taken."""

from __future__ import annotations

import pytest

from matrix_membership.canonical_json import JsonValue
from matrix_membership.federation.invites.policy import InvitePolicy, InviteVerdict
from matrix_membership.receipt.policy_list import PolicyList, PolicyRule

ALLOW, IGNORE, BLOCK = InviteVerdict
SENDER = "@Ana:sub.a.example:8448"
ROOM = "!r:c.example"
ALL = ("*",)


class TestVerdict:
    @pytest.mark.parametrize(
        ("policy", "verdict"),
        [
            (InvitePolicy(), ALLOW),
            (InvitePolicy(block=ALL), BLOCK),
            (InvitePolicy(ignore=ALL), IGNORE),
            (InvitePolicy(block=ALL, ignore=ALL, allow=ALL), BLOCK),
            (InvitePolicy(ignore=ALL, allow=ALL), IGNORE),
            (InvitePolicy(allow=ALL, default=BLOCK), ALLOW),
            (InvitePolicy(allow=("other",), default=BLOCK), BLOCK),
            (InvitePolicy(default=IGNORE), IGNORE),
        ],
    )
    def test_is_of_block_then_ignore_then_allow(
        self, policy: InvitePolicy, verdict: InviteVerdict
    ) -> None:
        assert policy.verdict(SENDER, ROOM) is verdict

    @pytest.mark.parametrize(
        "pattern",
        [
            "@ana:*",
            "@?na:sub.a.example:8448",
            "*.A.example",
            "sub.a.example:8448",
            "!r:*",
            "*:8448",
        ],
    )
    def test_blocks_what_a_pattern_matches(self, pattern: str) -> None:
        assert InvitePolicy(block=(pattern,)).verdict(SENDER, ROOM) is BLOCK

    @pytest.mark.parametrize(
        "pattern", ["@ana", "a.example", "*.c.example", "!x:*", "s[u]b.*", "ana:*", ""]
    )
    def test_allows_what_no_pattern_matches(self, pattern: str) -> None:
        assert InvitePolicy(block=(pattern,)).verdict(SENDER, ROOM) is ALLOW

    @pytest.mark.parametrize(
        ("pattern", "server"),
        [("[2001:db8::1]", "[2001:db8::1]:8448"), ("[2001:*]", "[2001:db8::1]"), ("a", "a")],
    )
    def test_is_of_the_server_with_and_without_its_port(self, pattern: str, server: str) -> None:
        assert InvitePolicy(block=(pattern,)).verdict(f"@ana:{server}", ROOM) is BLOCK

    def test_is_of_a_whole_server_name_of_digits(self) -> None:
        assert InvitePolicy(block=("",)).verdict("@ana:123", ROOM) is ALLOW

    @pytest.mark.parametrize(
        ("pattern", "verdict"), [("@\u00e4?a:c", BLOCK), ("@\u00c4na:c", ALLOW)]
    )
    def test_makes_ascii_letters_equal_alone(self, pattern: str, verdict: InviteVerdict) -> None:
        assert InvitePolicy(block=(pattern,)).verdict("@\u00e4NA:c", ROOM) is verdict

    def test_is_quick_for_any_pattern(self) -> None:
        policy = InvitePolicy(block=("@" + "*a" * 60 + "b",))
        assert policy.verdict("@" + "a" * 240 + ":c", ROOM) is ALLOW


def listed(kind: str, entity: str, recommendation: str = "m.ban") -> InvitePolicy:
    """A policy that takes all invites but those of a list with one rule."""
    lists = PolicyList((PolicyRule(kind, entity, recommendation),))
    return InvitePolicy(lists=lists, allow=ALL)


class TestLists:
    @pytest.mark.parametrize(
        ("kind", "entity"), [("user", "*:*"), ("server", "sub.a.*"), ("room", "!r:*")]
    )
    def test_block_whom_they_ban(self, kind: str, entity: str) -> None:
        assert listed(kind, entity).verdict(SENDER, ROOM) is BLOCK

    @pytest.mark.parametrize(
        ("kind", "entity"), [("user", "!r:*"), ("server", "c.example"), ("room", "@ana*")]
    )
    def test_block_nobody_else(self, kind: str, entity: str) -> None:
        assert listed(kind, entity).verdict(SENDER, ROOM) is ALLOW

    def test_block_nobody_by_another_recommendation(self) -> None:
        assert listed("user", "*", "m.warn").verdict(SENDER, ROOM) is ALLOW


class TestFromAccountData:
    def test_blocks_who_asks_for_it(self) -> None:
        assert InvitePolicy.from_account_data({"default_action": "block"}) == InvitePolicy(
            default=BLOCK
        )

    @pytest.mark.parametrize("content", [None, {}, [], {"default_action": "x"}, "block"])
    def test_allows_otherwise(self, content: object) -> None:
        assert InvitePolicy.from_account_data(content) == InvitePolicy()

    def test_ignores_the_users_that_the_user_ignores(self) -> None:
        ignored: JsonValue = {
            "ignored_users": {"@ana:a.example": {}, "@b*:a.example": {}, "*": {}, "!r:x": {}}
        }
        policy = InvitePolicy.from_account_data(None, ignored)
        assert policy == InvitePolicy(ignore=("@ana:a.example", "@b?:a.example"))
        assert policy.verdict("@ana:a.example", ROOM) is IGNORE
        assert policy.verdict("@ben:a.example", ROOM) is ALLOW

    @pytest.mark.parametrize("ignored", [None, [], {}, {"ignored_users": ["@ana:a.example"]}])
    def test_ignores_nobody_by_a_list_that_cannot_be_read(self, ignored: object) -> None:
        assert InvitePolicy.from_account_data(None, ignored) == InvitePolicy()

    def test_names_a_verdict_by_its_word(self) -> None:
        assert list(map(str, InviteVerdict)) == ["allow", "ignore", "block"]
