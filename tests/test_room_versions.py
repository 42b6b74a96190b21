"""Room versions."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from matrix_membership.errors import InvalidRulebook, UnknownRoomVersion
from matrix_membership.membership import JoinRule
from matrix_membership.room_versions import KNOWN, V11, V12, RoomVersion, room_version
from tests.builders import VERSIONS

NEWEST = len(KNOWN)
"""The number of the newest version: no number is left out."""

# A fact, and the versions (first, last) in which it holds.
FACTS: list[tuple[Callable[[RoomVersion], Any], int, int]] = [
    (lambda version: version.event_id_in_pdu, 1, 2),
    (lambda version: version.float_levels, 1, 5),
    (lambda version: version.enforces_key_validity, 5, NEWEST),
    (lambda version: version.strict_json, 6, NEWEST),
    (lambda version: version.max_depth == 2**53 - 1, 6, NEWEST),
    (lambda version: version.knocking, 7, NEWEST),
    (lambda version: version.restricted_joins, 8, NEWEST),
    (lambda version: version.integer_levels, 10, NEWEST),
    (lambda version: version.creator_in_content, 1, 10),
    (lambda version: version.privileged_creators, 12, NEWEST),
    (lambda version: version.room_id_is_create_event, 12, NEWEST),
    (lambda version: version.state_resolution == "2", 2, 11),
]


class TestRoomVersions:
    @pytest.mark.parametrize(("fact", "first", "last"), FACTS)
    def test_differ(self, fact: Callable[[RoomVersion], Any], first: int, last: int) -> None:
        holding = [int(version.identifier) for version in VERSIONS if fact(version)]
        assert holding == list(range(first, last + 1))

    def test_are_known_by_their_names(self) -> None:
        assert [str(version) for version in KNOWN.values()] == [
            f"{n}" for n in range(1, NEWEST + 1)
        ]
        assert room_version("12") is V12

    @pytest.mark.parametrize("name", ["0", "1000", 11, None, [], "org.example.x"])
    def test_are_none_else(self, name: Any) -> None:
        with pytest.raises(UnknownRoomVersion) as raised:
            room_version(name)
        assert raised.value == UnknownRoomVersion(name)

    def test_keep_their_identity(self) -> None:
        for version in VERSIONS:
            assert pickle.loads(pickle.dumps(version)) is version


class TestVersionOfOnesOwn:
    def test_is_an_evolution(self) -> None:
        mine = V11.evolve(identifier="org.example.mine", strict_json=False)
        assert (mine.identifier, mine.strict_json, mine.auth_rules) == (
            "org.example.mine",
            False,
            11,
        )
        assert room_version("org.example.mine", {mine.identifier: mine}) is mine
        again = pickle.loads(pickle.dumps(mine))
        assert again.identifier == mine.identifier

    @pytest.mark.parametrize("number", [0, 1000, 99, -1, "11", True, None, 11.0])
    @pytest.mark.parametrize("field", ["auth_rules", "redaction_rules"])
    def test_follows_rules_that_exist(self, field: str, number: Any) -> None:
        with pytest.raises(UnknownRoomVersion) as raised:
            V11.evolve(identifier="org.example.mine", **{field: number})
        assert raised.value == UnknownRoomVersion(number)

    def test_has_join_rules_of_its_own(self) -> None:
        rules = {*V11.join_rules, "org.example.b", "org.example.a"}
        mine = V11.evolve(identifier="org.example.mine", join_rules=rules)
        assert mine.own_join_rules == ("org.example.a", "org.example.b")
        assert pickle.loads(pickle.dumps(mine)) == mine
        assert V11.own_join_rules == ()

    def test_reads_known_join_rules_in_text(self) -> None:
        mine = V11.evolve(identifier="org.example.mine", join_rules=["public", "knock"])
        assert mine.join_rules == {JoinRule.PUBLIC, JoinRule.KNOCK}
        assert mine.knocking

    def test_refuses_one_join_rule_in_place_of_a_set(self) -> None:
        with pytest.raises(InvalidRulebook):
            V11.evolve(identifier="org.example.mine", join_rules="public")
