"""Comparisons of room versions: rules, and verdicts that differ."""

from __future__ import annotations

import json

import pytest

from matrix_membership import RoomState, auth
from matrix_membership.auth import rejects
from matrix_membership.canonical_json import JsonObject
from matrix_membership.events import Event
from matrix_membership.proposals import Situation, compare
from matrix_membership.room_versions import V2, V3, V8, V9, V10, V11, V12
from tests.builders import BEN, CAY, a_room

MINE = "org.example.mine"


@rejects()
def always(event: Event, _: RoomState) -> bool:
    """Nobody may."""
    return True


class TestRules:
    def test_are_the_same_where_only_the_format_differs(self) -> None:
        comparison = compare(V8, V9)
        assert (comparison.rules, comparison.verdicts) == ((), ())
        assert str(comparison).count("differs") == 2

    def test_are_reworded_under_their_number(self) -> None:
        found = [str(change) for change in compare(V9, V10).rules if change.change == "reworded"]
        (told,) = found
        assert told == (
            "reworded   4.7.1              knock.join_rule_is_not_knock -> "
            "knock.join_rule_is_not_knock_or_knock_restricted: "
            "The join rule is neither knock nor knock_restricted."
        )

    def test_are_removed(self) -> None:
        removed = [change.name_before for change in compare(V2, V3).rules if not change.name_after]
        assert removed == [
            "redaction.sender_may_redact",
            "redaction.of_an_event_of_the_same_server",
            "redaction.otherwise",
        ]

    def test_are_added(self) -> None:
        added = [change for change in compare(V11, V12).rules if change.change == "added"]
        assert [(change.number_after, change.name_after) for change in added] == [
            ("1.4", "create.additional_creators_unreadable"),
            ("2", "auth_events.room_id_of_no_accepted_create_event"),
            ("10.4", "power_levels.creator_listed"),
        ]

    def test_are_reworded_when_the_name_stays(self) -> None:
        book = auth.rulebook(V11)
        rule = next(rule for _, rule in book if rule.name == "knock.otherwise")
        changed = auth.Rule(rule.name, False, rule.numbers, "Changed.", always.applies)
        mine = V11.evolve(identifier=MINE, rules=book.replace("knock.otherwise", changed))
        (change,) = compare(V11, mine).rules
        assert (change.change, change.text) == ("reworded", "Changed.")


class TestVerdicts:
    def test_are_told_with_the_first_situation(self) -> None:
        verdicts = compare(V9, V10).verdicts
        pairs = [(change.before.number, change.after.number) for change in verdicts]
        assert ("4.7.1", "4.7.3") in pairs
        change = verdicts[pairs.index(("4.7.1", "4.7.3"))]
        before, after = change.explanations()
        assert (before.decision, after.decision) == (change.before, change.after)
        assert change.count == 3
        assert str(change).startswith(f"{change.before}\n{change.after}\n  situations: 3,")

    def test_are_sorted_by_frequency(self) -> None:
        counts = [change.count for change in compare(V9, V10).verdicts]
        assert counts == sorted(counts, reverse=True)

    def test_come_from_cases_of_ones_own(self) -> None:
        room = a_room(V11).with_join_rule("public").with_member(BEN, "join")
        case = Situation.of(room.event("org.example.poll", CAY, {}, None), room.events)
        usual = compare(V11, V11)
        comparison = compare(V11, V11, [case])
        assert comparison.compared == usual.compared + 1

    def test_leave_out_events_that_a_version_cannot_read(self) -> None:
        unreadable = Situation((), JsonObject({"type": "m.room.message", "content": {}}))
        assert compare(V2, V11, [unreadable]).compared == compare(V2, V11).compared


@pytest.mark.parametrize("versions", [(V9, V10), (V11, V12)], ids=str)
def test_comparison_is_told_as_json_and_text(versions: tuple[object, object]) -> None:
    comparison = compare(*versions)  # type: ignore[arg-type]  # two versions
    told = json.loads(json.dumps(comparison.to_dict()))
    assert told["before"] == comparison.before.identifier
    assert len(told["rules"]) == len(comparison.rules)
    assert [verdict["count"] for verdict in told["verdicts"]] == [
        change.count for change in comparison.verdicts
    ]
    assert f"in {comparison.compared} situations" in str(comparison)
