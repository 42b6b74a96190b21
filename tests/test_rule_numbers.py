"""The rules have the numbers that the specification prints, in its order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from matrix_membership import RoomVersion, auth
from tests.builders import VERSIONS

NUMBERS: dict[str, list[str]] = json.loads(
    (Path(__file__).parent / "spec" / "rule_numbers.json").read_text("utf-8")
)

CLOSING = "auth_events.otherwise"
"""Our own row: what remains of the heading when none of its rules fires."""


@pytest.mark.parametrize("version", VERSIONS, ids=str)
class TestNumbers:
    def test_are_those_of_the_specification(self, version: RoomVersion) -> None:
        ours = [number for number, rule in auth.rules_of(version).numbered if rule.name != CLOSING]
        # Where a rule allows if and only if, two of our rows share its number.
        assert list(dict.fromkeys(ours)) == NUMBERS[version.identifier]

    def test_are_shared_where_a_rule_allows_if_and_only_if(self, version: RoomVersion) -> None:
        rules = auth.rules_of(version)
        own_leave = "leave.of_oneself_from_invite_or_join"
        if version.knocking:
            own_leave = "leave.of_oneself_from_invite_join_or_knock"
        shared = {
            number: [rule.name for other, rule in rules.numbered if other == number]
            for number, _ in rules.numbered
        }
        assert [names for names in shared.values() if len(names) > 1] == [
            [own_leave, "leave.of_oneself_otherwise"],
            ["third_party_invite.sender_may_invite", "third_party_invite.otherwise"],
        ]

    def test_are_in_order(self, version: RoomVersion) -> None:
        ours = [
            tuple(map(int, number.split(".")))
            for number, rule in auth.rules_of(version).numbered
            if rule.name != CLOSING
        ]
        assert ours == sorted(ours)

    def test_name_a_rule_once(self, version: RoomVersion) -> None:
        names = [rule.name for _, rule in auth.rules_of(version).numbered]
        assert len(names) == len(set(names))

    def test_stand_in_every_printed_row(self, version: RoomVersion) -> None:
        rules = auth.rules_of(version)
        lines = str(rules).splitlines()
        assert [line.split()[0] for line in lines] == [number for number, _ in rules]
        assert len(rules) == len(rules.numbered)
