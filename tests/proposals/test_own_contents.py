"""A join rule, a condition and a membership that the specification does not have."""

from __future__ import annotations

import pickle
from typing import Any, Final

import pytest

from matrix_membership import Event, RoomState, auth, client, lint, may
from matrix_membership.auth import allows, rejects
from matrix_membership.fate import fate_of
from matrix_membership.federation import (
    JOINING,
    AwaitingAcceptance,
    MakeResponse,
    MatrixError,
    SendJoinResponse,
)
from matrix_membership.federation.resident import answer_make
from matrix_membership.membership import BAN, JOIN, UNRECOGNISED
from matrix_membership.proposals import compare, review
from matrix_membership.room_versions import V11
from matrix_membership.strategies import auth_cases, draw_cases, events
from tests.builders import ANA, BEN, CAY, Room, a_room
from tests.client.rooms import joins, resident
from tests.federation.conversation import accepted, begin, finish, make_request
from tests.federation.signed_rooms import AT, a_signed_room, with_state
from tests.strategies.minimal import any_of, minimal

LEVEL: Final = "org.example.level"
MUTED: Final = "org.example.muted"


def level_needed(state: RoomState) -> int | None:
    """The level that a room asks for by its join rule; None under another one."""
    rules = state.get("m.room.join_rules")
    if rules is None or rules.content.get("join_rule") != LEVEL:
        return None
    conditions: Any = rules.content.get("allow") or ()
    levels = [entry["level"] for entry in conditions if entry.get("type") == LEVEL]
    return min(levels, default=50)


@allows("4.3.6a")
def of_the_level_needed(event: Event, state: RoomState) -> bool:
    """The sender has the level that the room asks for."""
    needed = level_needed(state)
    return needed is not None and state.power_level_of(event.sender) >= needed


@allows("4.7a")
def sender_may_mute(event: Event, state: RoomState) -> bool:
    """The sender has the ban level, and mutes the user."""
    muted: bool = event.content.get("membership") == MUTED
    return muted and state.power_level_of(event.sender) >= state.power_levels.ban


@rejects("4.6.1a")
def of_a_muted_user(event: Event, state: RoomState) -> bool:
    """The user is muted, and that is enough."""
    member = state.get("m.room.member", str(event.state_key))
    return member is not None and member.membership is UNRECOGNISED


BY_LEVEL: Final = V11.evolve(
    identifier=LEVEL,
    join_rules=V11.join_rules | {LEVEL},
    rules=auth.rulebook(V11).insert(of_the_level_needed, before="join.otherwise"),
)
WITH_MUTED: Final = V11.evolve(
    identifier=MUTED,
    rules=auth.rulebook(V11)
    .insert(sender_may_mute, after="4.7")
    .insert(of_a_muted_user, before="ban.sender_may_ban"),
)


def by_level(level: int = 10) -> Room:
    """A room that users of this level may join; Ben has 10."""
    room = a_room(BY_LEVEL).with_levels({ANA: 100, BEN: 10})
    return room.with_join_rule(LEVEL, allow=[{"type": LEVEL, "level": level}])


class TestJoinRule:
    @pytest.mark.parametrize(("level", "number"), [(9, "4.3.6a"), (10, "4.3.6a"), (11, "4.3.7")])
    def test_is_judged(self, level: int, number: str) -> None:
        room = by_level(level)
        assert room.check(room.join(BEN)).number == number
        decision = may(BEN, room.state).join().decision
        assert decision is not None
        assert decision.number == number
        assert fate_of(BEN, room.state).joining.number == number

    def test_is_judged_in_another_room_as_before(self) -> None:
        room = a_room(BY_LEVEL).with_join_rule("public")
        assert room.check(room.join(BEN)).number == "4.3.6"

    def test_stands_among_the_facts(self) -> None:
        room = by_level()
        facts = auth.explain(room.join(CAY), room.state).facts
        assert [fact.value for fact in facts if fact.name == "join rule"] == [LEVEL]

    def test_is_known_to_lint(self) -> None:
        assert lint(by_level().state) == ()
        unknown = a_room(BY_LEVEL).with_join_rule("org.example.other")
        (found,) = lint(unknown.state)
        assert found.remedy == (
            f"set one that it knows: invite, knock, knock_restricted, {LEVEL}, public, restricted"
        )

    def test_is_told_to_a_client(self) -> None:
        answer = client.join(joins(CAY, "!r:a.example"), resident(by_level(), "c.example"), at=0)
        assert isinstance(answer, MatrixError)
        assert answer.error == "the join rule of this room does not let you in"

    def test_is_no_obstacle(self) -> None:
        assert "does not know it" not in fate_of(CAY, by_level().state).obstacle

    def test_lets_a_user_of_another_server_in(self) -> None:
        room = with_state(a_signed_room(BY_LEVEL), "m.room.join_rules", {"join_rule": LEVEL})
        room = with_state(room, "m.room.power_levels", {"users": {ANA: 100, BEN: 50}})
        begun = begin(room, room_versions={LEVEL: BY_LEVEL})
        template = answer_make(JOINING, make_request(room, begun), room, at=AT)
        assert isinstance(template, MakeResponse)
        step = begun.receive(template, at=AT)
        assert isinstance(step, AwaitingAcceptance)
        response = accepted(room, step).response
        assert isinstance(response, SendJoinResponse)
        joined = finish(step, response)
        assert joined.state.membership_of(BEN) is JOIN

    @pytest.mark.long
    def test_is_drawn(self) -> None:
        drawn = minimal(
            auth_cases(room_version=BY_LEVEL),
            lambda case: case.decision.rule == "test_own_contents.of_the_level_needed",
        )
        assert level_needed(drawn.state) == 50
        rules = events(type="m.room.join_rules", room_version=BY_LEVEL)
        assert any_of(rules, lambda event: event.content["join_rule"] == LEVEL)
        reached = {case.decision.rule for case in draw_cases(BY_LEVEL, 2000)}
        assert "test_own_contents.of_the_level_needed" in reached

    def test_is_compared(self) -> None:
        (change,) = compare(V11, BY_LEVEL).verdicts
        assert (change.before.number, change.after.number) == ("4.3.7", "4.3.6a")
        assert change.situation.state[-1]["content"] == {"join_rule": LEVEL}

    @pytest.mark.long
    def test_is_reviewed(self) -> None:
        kinds = {remark.kind for remark in review(BY_LEVEL).remarks}
        assert kinds == {"lost by redaction", "dead end"}  # as in version 11

    def test_survives_pickling(self) -> None:
        again = pickle.loads(pickle.dumps(BY_LEVEL))
        assert again == BY_LEVEL
        room = a_room(again).with_levels({BEN: 50}).with_join_rule(LEVEL)
        assert room.check(room.join(BEN)).number == "4.3.6a"


class TestMembership:
    room = a_room(WITH_MUTED).with_levels({ANA: 100, CAY: 60}).with_member(CAY, "join")

    def muted(self) -> Room:
        return self.room.with_member(BEN, MUTED)

    def test_is_judged(self) -> None:
        room = self.room.with_member(BEN, "join")
        assert room.check(room.member(ANA, BEN, MUTED)).number == "4.7a"
        assert room.check(room.member(BEN, CAY, MUTED)).number == "4.8"
        assert room.check(room.member(ANA, BEN, "org.example.other")).number == "4.8"

    def test_is_in_the_state(self) -> None:
        room = self.muted()
        assert room.state.membership_of(BEN) is UNRECOGNISED
        assert room.check(room.message(BEN)).number == "5"
        assert room.check(room.ban(CAY, BEN)).number == "4.6.1a"
        assert auth.explain(room.ban(CAY, BEN), room.state).decision.number == "4.6.1a"

    def test_may_be_that_of_a_member_left_out(self) -> None:
        room = self.room
        state = RoomState.of(room.version, room.events, partial=True)
        decision = auth.check(room.ban(CAY, BEN), state)
        assert decision.undecided
        assert decision.missing == (f"m.room.member {BEN}",)
        usual = RoomState.of(V11, a_room(V11).with_levels({ANA: 100}).events, partial=True)
        assert auth.check(a_room(V11).ban(ANA, BEN), usual).number == "4.6.2"

    def test_is_ended_by_others(self) -> None:
        room = self.muted()
        assert room.with_state(room.kick(ANA, BEN)).check(room.ban(CAY, BEN)).allowed
        assert may(BEN, room.state).leave().decision is not None
        assert lint(room.state) == ()
        assert room.state.membership_of(BEN) is not BAN
