"""Rows of state changes: which are resets, why, and what a row that cannot be read says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership.errors import InvalidMessage
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID, UserID
from matrix_membership.membership import BAN, INVITE, LEAVE
from matrix_membership.resolution import Repair, resets, resets_in, resolve
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, CAY, DAN
from tests.resolution.forks import Fork, a_fork
from tests.resolution.planted import a_clean_history, a_planted_history

TOPIC = ("m.room.topic", "")
LEVELS = ("m.room.power_levels", "")
VALUES = "5 values: stream_id, type, state_key, event_id, prev_event_id"
ONE, TWO, THREE = ("$" + letter * 43 for letter in "abc")


def rows_of(*states: dict[tuple[str, str], EventID]) -> list[list[Any]]:
    """The rows that a server would write for states that follow each other."""
    rows: list[list[Any]] = []
    before: dict[tuple[str, str], EventID] = {}
    for step, state in enumerate(states):
        rows += [
            [step, *place, state.get(place), before.get(place)]
            for place in sorted({*before, *state})
            if before.get(place) != state.get(place)
        ]
        before = state
    return rows


class TestWithoutEvents:
    def test_what_stood_there_before_is_a_reset(self) -> None:
        rows = [(1, *TOPIC, ONE, None), (2, *TOPIC, TWO, ONE), (3, *TOPIC, ONE, TWO)]
        (reset,) = resets_in(rows)
        assert (reset.place, reset.before, reset.after, reset.at) == (TOPIC, TWO, ONE, 3)
        assert (reset.cause, reset.repair, reset.branches) == (None, None, ())

    def test_what_stood_there_as_the_previous_event_counts(self) -> None:
        (reset,) = resets_in([(2, *TOPIC, TWO, ONE), (3, *TOPIC, ONE, TWO)])
        assert reset.after == ONE

    def test_a_place_that_became_empty_is_a_reset(self) -> None:
        (reset,) = resets_in([(1, *TOPIC, ONE, None), (2, *TOPIC, None, ONE)])
        assert str(reset).splitlines()[0] == f"m.room.topic: went from {ONE} to nothing at 2"
        assert reset.to_dict()["at"] == 2

    def test_the_event_before_is_known_from_the_rows(self) -> None:
        (reset,) = resets_in([(1, *TOPIC, ONE, None), (2, *TOPIC, None, None)])
        assert reset.before == ONE

    def test_new_events_are_no_resets(self) -> None:
        rows = [(1, *TOPIC, ONE, None), (2, *TOPIC, TWO, ONE), (2, *LEVELS, THREE, None)]
        assert resets_in(rows) == ()

    def test_a_row_that_changes_nothing_is_no_reset(self) -> None:
        assert resets_in([(1, *TOPIC, ONE, ONE)]) == ()

    def test_leaving_the_room_resets_nothing(self) -> None:
        create = ("m.room.create", "")
        rows = [(1, *create, ONE, None), (1, *TOPIC, TWO, None)]
        assert resets_in([*rows, (2, *create, None, ONE), (2, *TOPIC, None, TWO)]) == ()


class TestWithEvents:
    @staticmethod
    def a_lost_topic() -> tuple[Fork, Fork]:
        room = a_fork(V11)
        late = room.branch()
        late.levels(ANA, {BEN: 0, CAY: 50})
        room.add("m.room.topic", BEN, {"topic": "second"})
        return room, late

    def test_the_cause_is_the_new_event_of_its_step(self) -> None:
        room, late = self.a_lost_topic()
        found = resolve(V11, [room.state, late.state], room.events)
        (reset,) = resets_in(rows_of(room.state, dict(found.state)), room.events)
        assert reset.cause == late.state[LEVELS]
        assert reset.decision is not None
        assert reset.decision.rule == "every_event.sender_below_required_power_level"
        assert reset.repair is not None
        assert reset.repair.sender == ANA
        assert "caused by" in str(reset)
        assert "states" not in str(reset)

    def test_events_may_be_looked_up(self) -> None:
        room, late = self.a_lost_topic()
        found = resolve(V11, [room.state, late.state], room.events)
        rows = rows_of(room.state, dict(found.state))
        assert resets_in(rows, room.events.get) == resets_in(rows, room.events)

    def test_older_events_are_told_by_depth_and_time(self) -> None:
        room = a_fork(V11)
        old = room.make("m.room.topic", ANA, {"topic": "old"}).event_id
        new = room.add("m.room.topic", ANA, {"topic": "new"})
        rows = [(1, *TOPIC, new, None), (2, *TOPIC, old, new)]
        assert [reset.after for reset in resets_in(rows, room.events)] == [old]
        assert resets_in(rows) == ()
        assert resets_in([(1, *TOPIC, old, None), (2, *TOPIC, new, old)], room.events) == ()

    def test_older_events_are_told_by_the_auth_chain(self) -> None:
        room = a_fork(V11)
        first = room.state[LEVELS]
        second = room.levels(ANA, {BEN: 60}, depth=1)
        rows = [(1, *LEVELS, second, None), (2, *LEVELS, first, second)]
        assert [reset.after for reset in resets_in(rows, room.events)] == [first]

    def test_events_older_than_an_earlier_one_are_not_older(self) -> None:
        """It authorises what stood in the place once, not what stands there now."""
        room = a_fork(V11)
        rules = ("m.room.join_rules", "")
        public = room.state[rules]
        room.member(DAN, DAN)
        first = room.add("m.room.join_rules", DAN, {})
        second = room.add("m.room.join_rules", ANA, {}, depth=0)
        rows = [(1, *rules, first, None), (2, *rules, second, first), (3, *rules, public, second)]
        assert resets_in(rows, room.events) == ()

    @pytest.mark.parametrize("place", [LEVELS, ("m.room.join_rules", ""), TOPIC])
    def test_many_changes_of_one_place_take_linear_time(self, place: tuple[str, str]) -> None:
        def questions(count: int) -> int:
            room = a_fork(V11)
            asked: list[EventID] = []

            def get(event_id: EventID) -> Event | None:
                asked.append(event_id)
                return room.events.get(event_id)

            rows: list[list[Any]] = []
            before = None
            for step in range(count):
                room.levels(ANA, {BEN: step})
                content = {"join_rule": "public", "users": {ANA: 100}, "topic": str(step)}
                event_id = room.add(place[0], ANA, content)
                rows.append([step, *place, event_id, before])
                before = event_id
            assert resets_in(rows, get) == ()
            return len(asked)

        assert questions(80) < 2.5 * questions(40)

    def test_a_member_needs_an_invite_first(self) -> None:
        room = a_fork(V11)
        late = room.branch()
        closed = late.add("m.room.join_rules", ANA, {"join_rule": "invite"})
        join = room.member(DAN, DAN)
        found = resolve(V11, [room.state, late.state], room.events)
        (reset,) = resets_in(rows_of(room.state, dict(found.state)), room.events)
        repair = Repair(UserID(ANA), ("m.room.member", DAN), join, INVITE)
        assert (reset.cause, reset.repair) == (closed, repair)

    def test_without_the_state_there_is_neither_cause_nor_repair(self) -> None:
        room, late = self.a_lost_topic()
        found = resolve(V11, [room.state, late.state], room.events)
        rows = rows_of(room.state, dict(found.state))
        del room.events[room.state["m.room.member", BEN]]
        (reset,) = resets_in(rows, room.events)
        assert (reset.cause, reset.repair, reset.decision) == (None, None, None)
        assert not reset.is_repair_known
        assert str(reset).endswith("is unknown: not all events are at hand")

    def test_rows_that_begin_after_the_create_event_tell_a_part_of_the_state(self) -> None:
        room, late = self.a_lost_topic()
        found = resolve(V11, [room.state, late.state], room.events)
        rows = rows_of(room.state, dict(found.state))
        (reset,) = resets_in(rows[-2:], room.events)
        assert (reset.place, reset.cause, reset.repair) == (TOPIC, None, None)
        assert reset.to_dict()["repair_known"] is False

    def test_a_cause_that_is_not_among_the_rows_is_not_named(self) -> None:
        """The end of the ban was lost in the same step as the join after it."""
        room = a_fork(V11)
        room.member(ANA, DAN, BAN)
        banned = dict(room.state)
        room.member(BEN, DAN, LEAVE)
        room.member(DAN, DAN)
        (reset,) = resets_in(rows_of(banned, room.state, banned), room.events)
        assert reset.cause is None
        assert reset.repair is not None
        assert reset.repair.first is LEAVE


class TestForms:
    def test_rows_may_be_mappings_with_the_names_of_columns(self) -> None:
        keys = ("stream_id", "type", "state_key", "event_id", "prev_event_id")
        rows = [(1, *TOPIC, ONE, None), (2, *TOPIC, None, ONE)]
        named = [{**dict(zip(keys, row, strict=True)), "room_id": "!r"} for row in rows]
        assert resets_in(named) == resets_in(rows)

    def test_rows_may_be_lines_of_json(self) -> None:
        rows = [(1, *TOPIC, ONE, None), (2, *TOPIC, None, ONE)]
        lines = "\n".join([json.dumps(rows[0]), "", json.dumps(rows[1])])
        assert resets_in(lines) == resets_in(lines.encode()) == resets_in(rows)


class TestBadRows:
    @pytest.mark.parametrize(
        ("row", "error"),
        [
            (
                7,
                (
                    "changes[1]",
                    VALUES,
                    7,
                ),
            ),
            ("12345", ("changes[1]", VALUES, "12345")),
            ([1], ("changes[1]", VALUES, [1])),
            ([True, "t", "", ONE, None], ("changes[1].stream_id", "an integer", True)),
            (["1", "t", "", ONE, None], ("changes[1].stream_id", "an integer", "1")),
            ([1, 2, "", ONE, None], ("changes[1].type", "text", 2)),
            ([1, "t", None, ONE, None], ("changes[1].state_key", "text", None)),
            ([1, "t", "", 3, None], ("changes[1].event_id", "an event ID or null", 3)),
            ([1, "t", "", ONE, ""], ("changes[1].prev_event_id", "an event ID or null", "")),
            ([0, "t", "", ONE, None], ("changes[1].stream_id", "1 or more", 0)),
        ],
    )
    def test_are_named(self, row: Any, error: tuple[str, str, Any]) -> None:
        with pytest.raises(InvalidMessage) as raised:
            resets_in([(1, *TOPIC, ONE, None), row])
        assert raised.value == InvalidMessage(*error)

    def test_of_another_room_are_named(self) -> None:
        row = {"stream_id": 1, "type": "t", "state_key": "", "event_id": ONE, "room_id": "!r"}
        with pytest.raises(InvalidMessage) as raised:
            resets_in([row, {**row, "room_id": "!s"}])
        assert raised.value == InvalidMessage("changes[1].room_id", "the room '!r'", "!s")

    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_end_only_where_a_line_ends(self, end: str) -> None:
        row = f'[1, "t", "a\u2028b", "{ONE}", null]'
        assert resets_in(end.join([row, row])) == ()

    def test_name_their_line(self) -> None:
        with pytest.raises(InvalidMessage) as raised:
            resets_in('[1, "t", "", null, null]\n\n{')
        assert raised.value.where == "line 3"


@given(st.integers(0, 2**32))
def test_every_reset_of_a_resolution_stands_in_the_rows(seed: int) -> None:
    history = a_planted_history(seed)
    room = history.room
    found = resolve(room.version, history.state_sets, room.events)
    told = resets_in(rows_of(room.state, dict(found.state)), room.events)
    in_rows = {(reset.place, reset.before, reset.after) for reset in told}
    for reset in resets(room.state, found):
        assert (reset.place, reset.before, reset.after) in in_rows


@given(st.integers(0, 2**32))
def test_clean_rows_raise_no_alarm(seed: int) -> None:
    history = a_clean_history(seed)
    room = history.room
    found = resolve(room.version, history.state_sets, room.events)
    assert resets_in(rows_of(room.state, dict(found.state)), room.events) == ()
