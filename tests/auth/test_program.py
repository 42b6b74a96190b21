"""Programs: what is judged beforehand is judged as it would be later."""

from __future__ import annotations

import pytest
from hypothesis import given

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.auth._program import compile_program
from matrix_membership.auth._rule import Section
from matrix_membership.auth.specification import CREATE, STATE_DEPENDENT
from matrix_membership.events.facts import MESSAGE, RULED_TYPES
from matrix_membership.membership import INVITE, JOIN, LEAVE, JoinRule
from matrix_membership.room_versions import V11
from matrix_membership.strategies import auth_cases
from matrix_membership.strategies.cases import AuthCase
from tests.builders import ANA, BEN, CAY, VERSIONS, a_room, decision

PROGRAM = compile_program(STATE_DEPENDENT, V11, create=CREATE)


def left(rule: JoinRule, event: Event, *members: JoinRule | object) -> list[str]:
    """The names of the rules that are tried on an event in a room of a join rule."""
    _, find, otherwise = PROGRAM.in_state[rule]
    rows, end = find(event.case, otherwise)[members[0]]  # type: ignore[index]  # a membership
    for membership in members[1:]:
        rows, end = rows[membership]
    return [decision.rule for _, decision in rows] + [end.rule]


class TestRowsThatAreLeft:
    def test_for_a_join_to_a_public_room(self) -> None:
        event = a_room(V11).join(BEN)
        expected = ["join.first_join_of_the_creator", "join.public_room"]
        assert left(JoinRule.PUBLIC, event, None) == expected
        assert left(JoinRule.PUBLIC, event, LEAVE) == expected

    def test_for_a_join_of_somebody_else(self) -> None:
        event = a_room(V11).member(ANA, BEN, "join")
        expected = ["join.first_join_of_the_creator", "join.of_another_user"]
        assert left(JoinRule.PUBLIC, event, JOIN) == expected

    def test_for_a_kick(self) -> None:
        event = a_room(V11).kick(ANA, BEN)
        expected = ["leave.sender_may_kick", "leave.otherwise"]
        assert left(JoinRule.PUBLIC, event, JOIN, JOIN) == expected
        assert left(JoinRule.PUBLIC, event, INVITE) == ["leave.sender_not_joined"]

    def test_for_an_invite(self) -> None:
        event = a_room(V11).invite(ANA, BEN)
        expected = ["invite.sender_may_invite", "invite.otherwise"]
        assert left(JoinRule.INVITE, event, JOIN, LEAVE) == expected
        assert left(JoinRule.INVITE, event, LEAVE) == ["invite.sender_not_joined"]

    def test_for_a_restricted_join(self) -> None:
        event = a_room(V11).join(BEN, join_authorised_via_users_server=ANA)
        assert left(JoinRule.RESTRICTED, event, None) == [
            "member.unsigned_by_the_authoriser",
            "join.first_join_of_the_creator",
            "join.authoriser_may_not_invite",
            "join.authorised_by_a_member",
        ]

    def test_for_a_message(self) -> None:
        event = a_room(V11).message(BEN)
        assert event.case == MESSAGE
        expected = ["every_event.sender_below_required_power_level", "every_event.otherwise"]
        assert left(JoinRule.PUBLIC, event, JOIN) == expected


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_program_is_of_its_version(version: RoomVersion) -> None:
    program = compile_program(STATE_DEPENDENT, version, create=CREATE)
    assert program.in_any_state.room_version is version
    assert [prepared[0] for prepared in program.in_state.values()] == [version] * len(
        (None, *JoinRule)
    )


def test_program_judges_in_any_state() -> None:
    room = a_room(V11).with_join_rule("public")
    for user in (ANA, BEN):
        event = room.message(user)
        assert PROGRAM.judge(event, room.state) == room.check(event)


class TestCases:
    def test_are_kept_for_the_types_that_rules_are_about(self) -> None:
        types = {row.event_type for row in STATE_DEPENDENT if isinstance(row, Section)}
        assert types | {"m.room.create"} == RULED_TYPES

    @pytest.mark.parametrize("key", [None, ""])
    @pytest.mark.parametrize("like", [MESSAGE, a_room(V11).join(BEN).case, ""])
    def test_are_no_types(self, like: str, key: str | None) -> None:
        room = a_room(V11).with_levels({ANA: 100})
        event = room.event(like, CAY, {"membership": "join"}, key)
        assert room.check(event) == decision("every_event.sender_not_joined", V11)


class TestPreparedState:
    def test_is_prepared_by_the_first_question(self) -> None:
        room = a_room(V11)
        state = room.state
        assert state.prepared[0] is None
        for kind in ("m.room.topic", "m.room.power_levels", "m.room.name"):
            assert auth.check(room.event(kind, ANA, {}, ""), state).allowed
            assert state.prepared[0] is V11

    def test_judges_events_of_another_version_too(self) -> None:
        state = a_room(V11).with_join_rule("public").state
        for version in (*VERSIONS, V11.evolve(identifier="org.example.x")):
            event = a_room(version).join(BEN)
            assert auth.check(event, state).room_version == version  # a copy shares its decisions

    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_is_prepared_anew_when_the_room_changes(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public")
        state, join = room.state, room.join(BEN)
        assert auth.check(join, state).allowed
        closed = state.with_event(room.with_join_rule("invite").events[-1])
        assert not auth.check(join, closed).allowed
        banned = state.with_event(room.ban(ANA, BEN))
        assert auth.check(join, banned) == decision("join.while_banned", version)


@given(case=auth_cases())
def test_preparing_a_state_changes_no_verdict(case: AuthCase) -> None:
    state = RoomState.of(case.event.room_version, case.state.events)
    looked_up = RoomState.over(case.event.room_version, state.get)
    assert auth.check(case.event, state) == auth.check(case.event, looked_up)
