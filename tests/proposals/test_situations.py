"""Situations: an event and a state that every room version can read."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import Final

import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.auth import rejects
from matrix_membership.errors import InvalidEvent
from matrix_membership.membership import JOIN
from matrix_membership.proposals import Situation
from matrix_membership.proposals.situations import situations
from matrix_membership.room_versions import V1, V9, V11, V12
from tests.builders import ANA, BEN, CAY, VERSIONS, a_room

ALL = tuple(situations())


@rejects("3a")
def without_reason(event: Event, _: RoomState) -> bool:
    """The reason is empty."""
    return not event.content["reason"]


FAILING: Final = V11.evolve(
    identifier="org.example.mine",
    rules=auth.rulebook(V11).insert(
        without_reason, after="every_event.sender_from_unfederated_server"
    ),
)


def test_there_are_no_two_alike() -> None:
    assert len(set(ALL)) == len(ALL)
    assert tuple(islice(situations(), 100)) == ALL[:100]


BEYOND: Final = ("auth_events.", "invite.third_party")
"""Chapters that need more than a state: the events that an event lists, and signatures."""


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_reach_all_rules_that_read_a_state(version: RoomVersion) -> None:
    reached = set()
    for situation in ALL:
        with suppress(InvalidEvent):
            reached.add(situation.decision_in(version).rule)
    rules = {rule.name for _, rule in auth.rules_of(version)}
    missed = {name for name in rules - reached if not name.startswith(BEYOND)}
    assert missed == set()


class TestSituation:
    def test_is_made_of_events(self) -> None:
        room = a_room(V11).with_levels({ANA: 100}).with_member(BEN, "join")
        situation = Situation.of(room.message(BEN), room.events)
        assert situation.event_in(V12).sender == BEN
        assert situation.state_in(V12).membership_of(BEN) is JOIN
        assert situation.decision_in(V12) == auth.check(
            situation.event_in(V12), situation.state_in(V12)
        )

    def test_leaves_privileged_creators_out_of_the_levels(self) -> None:
        room = a_room(V11).with_levels({ANA: 100, BEN: 50})
        situation = Situation.of(room.message(ANA), room.events)
        assert dict(situation.state_in(V11).power_levels.users) == {ANA: 100, BEN: 50}
        assert dict(situation.state_in(V12).power_levels.users) == {BEN: 50}

    def test_counts_the_creator_of_its_room(self) -> None:
        room = a_room(V11)
        create = Event.from_client_event(
            {
                "type": "m.room.create",
                "sender": CAY,
                "state_key": "",
                "content": {"room_version": "11"},
                "room_id": "!mine:c.example",
            },
            V11,
        )
        levels = room.with_levels({ANA: 100, CAY: 100}).events[-1]
        situation = Situation.of(create, [create, levels])
        assert situation.state_in(V9).create.creator == CAY
        assert dict(situation.state_in(V12).power_levels.users) == {ANA: 100}
        assert [situation.decision_in(version).number for version in (V9, V12)] == ["1.5", "1.5"]

    def test_keeps_the_room_of_another_server(self) -> None:
        create = a_room(V11).event("m.room.create", CAY, {}, "", prev_events=())
        assert Situation.of(create, []).decision_in(V11).rule == "create.room_id_of_another_server"

    def test_names_the_create_event_of_the_version(self) -> None:
        room = a_room(V11)
        create = room.events[0]
        first = room.event("m.room.member", ANA, {"membership": "join"}, ANA)
        first = Event.from_pdu({**first.to_pdu(), "prev_events": [create.event_id]}, V11)
        situation = Situation.of(first, [create])
        numbers = [situation.decision_in(version).number for version in (V1, V9, V12)]
        assert numbers == ["5.2.1", "4.3.1", "5.3.1"]

    def test_takes_levels_without_users(self) -> None:
        room = a_room(V11).with_content("m.room.power_levels", {"ban": 60})
        situation = Situation.of(room.message(ANA), room.events)
        assert situation.state_in(V12).power_levels.ban == 60

    def test_names_a_creator_where_the_version_asks_for_one(self) -> None:
        room = a_room(V11)
        situation = Situation.of(room.message(ANA), room.events)
        assert situation.state_in(V9).create.creator == ANA

    def test_prints_a_line_for_each_event(self) -> None:
        room = a_room(V11)
        lines = str(Situation.of(room.message(ANA), room.events)).splitlines()
        assert len(lines) == len(room.events) + 1
        assert lines[-1] == f'then {ANA}: m.room.message {{"body": "hello"}}'

    def test_is_noted_where_a_rule_fails(self) -> None:
        room = a_room(V11)
        situation = Situation.of(room.message(ANA), room.events)
        with pytest.raises(KeyError) as caught:
            situation.decision_in(FAILING)
        assert caught.value.__notes__ == [f"when room version org.example.mine judged\n{situation}"]

    def test_is_told_as_json(self) -> None:
        situation = ALL[0]
        assert situation.to_dict() == {
            "state": [],
            "event": {**situation.event},
            "signed_by": ["a.example", "b.example", "c.example"],
        }
