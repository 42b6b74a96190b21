"""Categories of decisions, which hosts map to their own errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.auth import Category, rejects, rulebook
from matrix_membership.room_versions import V11
from tests.builders import BEN, CAY, VERSIONS, a_room

# By hand: a category that changes breaks the hosts that map it.
CATEGORIES: Final[dict[str, str]] = json.loads(
    (Path(__file__).parents[1] / "spec" / "rule_categories.json").read_text("utf-8")
)


def test_stays_the_same_for_every_rule_that_rejects() -> None:
    rules = {rule.name: rule for v in VERSIONS for _, rule in auth.rules_of(v) if not rule.allows}
    assert {name: str(rule.category) for name, rule in rules.items()} == CATEGORIES


@pytest.mark.parametrize("version", VERSIONS, ids=str)
class TestCategory:
    def test_of_a_decision_is_its_rules(self, version: RoomVersion) -> None:
        for number, rule in auth.rules_of(version):
            decision = rule.decision(version, number)
            assert decision.category is rule.category
            assert decision.to_dict()["category"] == str(rule.category)
            assert (rule.category is Category.ALLOWED) == rule.allows

    def test_of_an_undecided_decision_is_that(self, version: RoomVersion) -> None:
        room = a_room(version)
        state = RoomState.of(version, room.events, partial=True)
        assert auth.check(room.message(BEN), state).category is Category.UNDECIDED

    def test_tells_why(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(BEN, "ban")
        assert room.check(room.join(BEN)).category is Category.BANNED
        assert room.check(room.join(CAY)).category is Category.NOT_INVITED
        assert room.check(room.message(CAY)).category is Category.NOT_JOINED
        assert auth.judge(room.message(CAY), []).category is Category.AUTH_EVENTS


class TestRuleOfOnesOwn:
    @pytest.mark.parametrize("category", [None, Category.POWER])
    def test_has_the_category_that_it_names(self, category: Category | None) -> None:
        named = rejects("4.3.0a") if category is None else rejects("4.3.0a", category=category)

        @named
        def always(event: Event, state: RoomState) -> bool:
            """Nobody joins."""
            return True

        book = rulebook(V11).insert(always, before="join.first_join_of_the_creator")
        mine = V11.evolve(identifier="mine", rules=book)
        room = a_room(mine)
        assert room.check(room.join(BEN)).category is (category or Category.OTHER)
