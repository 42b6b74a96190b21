"""The rules have the numbers that the specification prints, in its order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from matrix_membership import RoomVersion, auth
from matrix_membership.auth._rule import Rule, Section, number_in, rows_in
from matrix_membership.auth.specification import STATE_DEPENDENT
from tests.builders import VERSIONS

NUMBERS: dict[str, list[str]] = json.loads(
    (Path(__file__).parent / "spec" / "rule_numbers.json").read_text("utf-8")
)

CLOSING = "auth_events.otherwise"
"""Our own row: what remains of the heading when none of its rules fires."""


def sections_in(
    rules: Iterable[Rule | Section], version: RoomVersion
) -> Iterator[tuple[str, Section]]:
    """All sections of a version with their numbers, the inner ones too."""
    for row in rules:
        if isinstance(row, Section):
            number = number_in(row.numbers, version.auth_rules)
            if number is not None:
                yield number, row
                yield from sections_in(row.rules, version)


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

    def test_start_with_that_of_their_section(self, version: RoomVersion) -> None:
        for heading, section in sections_in(STATE_DEPENDENT, version):
            numbers = [number for number, _ in rows_in(section.rules, version.auth_rules)]
            assert numbers
            assert [
                number for number in numbers if not f"{number}.".startswith(f"{heading}.")
            ] == []

    def test_of_the_rule_that_closes_the_auth_events_is_the_heading(
        self, version: RoomVersion
    ) -> None:
        first = auth.rules_of(version).number_of("auth_events.duplicates")
        assert first == f"{auth.rules_of(version).number_of(CLOSING)}.1"

    def test_have_conditions_in_words(self, version: RoomVersion) -> None:
        told = {
            number: section.text
            for number, section in sections_in(STATE_DEPENDENT, version)
            if section.when is not None
        }
        rules = auth.rules_of(version)
        expected = {
            rules.number_of("invite.third_party_otherwise"): "the content has a third_party_invite"
        }
        if version.restricted_joins:
            rule = (
                "restricted or knock_restricted" if int(version.identifier) >= 10 else "restricted"
            )
            number = rules.number_of("join.authorised_by_a_member")
            expected[number] = f"the join rule is {rule}"
        assert told == {str(number)[:-2]: text for number, text in expected.items()}

    def test_name_a_rule_once(self, version: RoomVersion) -> None:
        names = [rule.name for _, rule in auth.rules_of(version).numbered]
        assert len(names) == len(set(names))

    def test_stand_in_every_printed_row(self, version: RoomVersion) -> None:
        rules = auth.rules_of(version)
        lines = str(rules).splitlines()
        assert [line.split()[0] for line in lines] == [number for number, _ in rules]
        assert len(rules) == len(rules.numbered)
