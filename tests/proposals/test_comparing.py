"""Comparisons of room versions: rules, and verdicts that differ."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from matrix_membership import RoomState, RoomVersion, auth
from matrix_membership.auth import rejects
from matrix_membership.canonical_json import JsonObject
from matrix_membership.events import Event
from matrix_membership.proposals import Situation, compare
from matrix_membership.room_versions import KNOWN, V2, V3, V5, V6, V7, V8, V9, V10, V11, V12
from tests.builders import ANA, BEN, CAY, a_room
from tests.sources import ROOT

MINE = "org.example.mine"


def vectors() -> Iterator[Situation]:
    """The published case of each rule that reads a state."""
    for line in (ROOT / "docs" / "vectors" / "rules.jsonl").read_text("utf-8").splitlines():
        case = json.loads(line)
        if case["judged_by"] != "auth_events":
            version = KNOWN[case["room_version"]]
            event = Event.from_pdu(case["event"], version)
            state = [Event.from_pdu(pdu, version) for pdu in case["state"]]
            yield Situation.of(event.with_signers(case["event"]["signatures"]), state)


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

    def test_come_with_the_smallest_case(self) -> None:
        """Both decisions stay the same without the events that are left out."""
        room = a_room(V10).with_levels({ANA: 100, BEN: 50}, kick=50).with_member(CAY, "ban")
        room = room.with_member(BEN, "join")
        content = {"users": {ANA: 100, BEN: 50}, "kick": "50"}
        odd = Situation.of(room.event("m.room.power_levels", BEN, content, ""), room.events)
        pair = [odd.decision_in(version) for version in (V9, V10)]
        usual, more = (
            next(change for change in compare(V9, V10, cases).verdicts if change.after == pair[1])
            for cases in ((), [odd])
        )
        assert (more.situation, more.count) == (usual.situation, usual.count + 1)
        assert more.situation.size < odd.size

    def test_need_all_that_their_case_has(self) -> None:
        for change in compare(V9, V10).verdicts:
            state = change.situation.state
            for index in range(len(state)):
                less = Situation((*state[:index], *state[index + 1 :]), change.situation.event)
                decisions = less.decision_in(V9), less.decision_in(V10)
                assert decisions != (change.before, change.after)

    @pytest.mark.long
    @pytest.mark.parametrize("versions", [(V5, V6), (V7, V8), (V9, V10), (V11, V12)], ids=str)
    def test_of_the_vectors_are_all_among_the_situations(
        self, versions: tuple[RoomVersion, RoomVersion]
    ) -> None:
        known = {(change.before, change.after) for change in compare(*versions).verdicts}
        found = compare(*versions, vectors()).verdicts
        assert {(change.before, change.after) for change in found} == known

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
