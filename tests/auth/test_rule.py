"""Rules, sections and programs as values, apart from the rules of Matrix."""

from __future__ import annotations

import pytest

from matrix_membership import Event, RoomState, RoomVersion
from matrix_membership.auth import Decision
from matrix_membership.auth._program import compile_program
from matrix_membership.auth._rule import (
    Rule,
    Section,
    allows,
    number_in,
    numbers_of,
    rejects,
    rows_in,
)
from matrix_membership.room_versions import V1, V5, V6, V9, V10, V11
from tests.builders import ANA, BEN, Room, a_room

ONE = numbers_of({"v1": "1"})


@rejects(v1="2.1", v6="1.1", v10=None)
def by_ben(event: Event, _: RoomState) -> bool:
    """Ben sends it.

    What follows the first line is no part of the text.
    """
    return event.sender == BEN


@allows(v1="3")
def by_anybody(event: Event, _: RoomState) -> bool:
    """Somebody sends it."""
    return True


def always(event: Event, _: RoomState) -> bool:
    return True


def never(event: Event, _: RoomState) -> bool:
    return False


def judged(rules: list[Rule | Section], sender: str = BEN, version: RoomVersion = V6) -> Decision:
    room = a_room(version)
    return compile_program(rules, version).judge(room.message(sender), room.state)


class TestRule:
    def test_is_named_after_its_chapter_and_function(self) -> None:
        assert (by_ben.name, by_anybody.name) == ("test_rule.by_ben", "test_rule.by_anybody")

    def test_carries_its_verdict(self) -> None:
        assert (by_ben.allows, by_anybody.allows) == (False, True)

    def test_takes_its_text_from_the_first_line(self) -> None:
        assert by_ben.text == "Ben sends it."

    def test_may_have_no_text(self) -> None:
        assert allows(v1="1")(always).text == ""

    @pytest.mark.parametrize(
        ("version", "number"), [(V1, "2.1"), (V5, "2.1"), (V6, "1.1"), (V9, "1.1"), (V10, None)]
    )
    def test_has_a_number_from_a_version_on(self, version: RoomVersion, number: str) -> None:
        assert number_in(by_ben.numbers, version.auth_rules) == number

    def test_has_no_number_before_its_first(self) -> None:
        assert number_in(numbers_of({"v8": "1"}), 7) is None

    def test_gives_whole_decisions(self) -> None:
        expected = Decision(
            allowed=False, rule="test_rule.by_ben", number="1.1", room_version=V6, text=by_ben.text
        )
        assert by_ben.decision(V6, "1.1") == expected
        assert judged([by_ben, by_anybody]) == expected


class TestSection:
    def test_has_no_text_of_its_own(self) -> None:
        assert Section(numbers=ONE, rules=()).text == ""

    def test_decides_by_its_first_rule_that_fires(self) -> None:
        section = Section(when=always, numbers=ONE, rules=(by_ben, by_anybody))
        assert judged([section, by_anybody]) == by_ben.decision(V6, "1.1")

    def test_leaves_to_the_next_what_none_of_its_rules_decides(self) -> None:
        section = Section(when=always, numbers=ONE, rules=(by_ben,))
        assert judged([section, by_anybody], ANA) == by_anybody.decision(V6, "3")

    def test_is_passed_over_when_its_condition_fails(self) -> None:
        section = Section(when=never, numbers=ONE, rules=(by_ben,))
        assert judged([section, by_anybody]) == by_anybody.decision(V6, "3")

    def test_is_passed_over_for_other_types(self) -> None:
        section = Section(event_type="m.room.topic", numbers=ONE, rules=(by_ben,))
        assert judged([section, by_anybody]) == by_anybody.decision(V6, "3")

    def test_is_passed_over_in_versions_that_lack_it(self) -> None:
        section = Section(numbers=numbers_of({"v7": "1"}), rules=(by_ben,))
        assert judged([section, by_anybody]) == by_anybody.decision(V6, "3")
        assert list(rows_in([section, by_anybody], V6.auth_rules)) == [("3", by_anybody)]

    def test_opens_into_rows(self) -> None:
        inner = Section(when=always, numbers=ONE, rules=(by_ben,))
        section = Section(event_type="m.room.topic", numbers=ONE, rules=(inner, by_anybody))
        assert list(rows_in([section], V1.auth_rules)) == [("2.1", by_ben), ("3", by_anybody)]


class TestProgram:
    def test_leaves_out_what_the_version_lacks(self) -> None:
        assert judged([by_ben, by_anybody], version=V10) == by_anybody.decision(V10, "3")

    def test_keeps_create_events_apart(self) -> None:
        program = compile_program([by_ben, by_anybody], V11, create=[by_anybody])
        event = Room(V11).event("m.room.create", BEN, {}, "")
        state = RoomState.of(V11, [])
        assert program.judge(event, state) == by_anybody.decision(V11, "3")

    def test_opens_sections_on_create_events(self) -> None:
        section = Section(event_type="m.room.create", numbers=ONE, rules=(by_ben,))
        program = compile_program([by_anybody], V6, create=[section, by_anybody])
        event = Room(V6).event("m.room.create", BEN, {}, "")
        assert program.judge(event, RoomState.of(V6, [])) == by_ben.decision(V6, "1.1")


class TestDecision:
    def test_is_told_as_json(self) -> None:
        room = a_room(V11).with_join_rule("public")
        decision = room.check(room.join(BEN))
        assert decision.to_dict() == {
            "allowed": True,
            "undecided": False,
            "missing": [],
            "rule": "join.public_room",
            "number": "4.3.6",
            "category": "allowed",
            "room_version": "11",
            "text": "The join rule is public.",
            "url": "https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules",
        }
