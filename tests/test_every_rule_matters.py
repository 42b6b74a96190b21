"""Taking a rule out changes a decision: each row is needed where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import pytest

from matrix_membership import RoomVersion
from matrix_membership._attrs import evolve
from matrix_membership.auth._program import Program, compile_program
from matrix_membership.auth._rule import Rule, Section
from matrix_membership.auth.auth_events import AuthEvents
from matrix_membership.auth.specification import AUTH_EVENTS, CREATE, STATE_DEPENDENT
from tests.builders import decision
from tests.rule_cases import CASES
from tests.test_every_rule_fires import ALL


def without(rules: Iterable[Rule | Section], name: str) -> tuple[Rule | Section, ...]:
    """The rows without one, sections opened."""
    return tuple(
        row if isinstance(row, Rule) else evolve(row, rules=without(row.rules, name))
        for row in rules
        if not (isinstance(row, Rule) and row.name == name)
    )


@cache
def complete(version: RoomVersion, rows: tuple[Rule | Section, ...]) -> Program:
    """The program of all rows, opened and put together again; one serves all rules of a version."""
    return compile_program(without(rows, ""), version, create=without(CREATE, ""))


@pytest.mark.long
@pytest.mark.parametrize(("version", "rule"), ALL)
class TestTakingOut:
    def test_a_rule_changes_the_decision(self, version: RoomVersion, rule: str) -> None:
        case = CASES[rule](version)
        rows = AUTH_EVENTS if isinstance(case.against, AuthEvents) else STATE_DEPENDENT
        program = compile_program(without(rows, rule), version, create=without(CREATE, rule))
        try:
            changed = program.judge(case.event, case.against)
        except AssertionError:
            return  # it was the one that ends the list
        before = decision(rule, version)
        assert (changed.number, changed.allowed) != (before.number, before.allowed)

    def test_nothing_changes_nothing(self, version: RoomVersion, rule: str) -> None:
        case = CASES[rule](version)
        rows = AUTH_EVENTS if isinstance(case.against, AuthEvents) else STATE_DEPENDENT
        assert complete(version, rows).judge(case.event, case.against) == decision(rule, version)
