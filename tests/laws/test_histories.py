"""Laws of admitted histories: what the rules promise a room, and nothing else does."""

from __future__ import annotations

from hypothesis import given, settings

from matrix_membership import Event, Membership, RoomState, auth, machine, strategies
from matrix_membership.auth import Decision
from matrix_membership.strategies import AuthCase, RoomHistory
from matrix_membership.strategies.rooms import Fork


def admitted(history: RoomHistory) -> list[machine.Admission]:
    """The history once more, from nothing."""
    state = RoomState.of(history.room_version, [])
    admissions = []
    for event in history.events:
        admissions.append(machine.admit(event, state))
        state = admissions[-1].state
    return admissions


@settings(max_examples=60)
@given(strategies.room_histories())
def test_replay_gives_the_same_states(history: RoomHistory) -> None:
    admissions = admitted(history)
    assert all(admissions)
    assert [admission.state for admission in admissions] == list(history.states)


@settings(max_examples=60)
@given(strategies.forks())
def test_branches_replay_to_their_own_states(fork: Fork) -> None:
    for branch in fork.branches:
        assert admitted(branch)[-1].state == branch.state


@settings(max_examples=50)
@given(strategies.room_histories())
def test_nobody_joins_who_was_banned_right_before(history: RoomHistory) -> None:
    memberships: dict[str | None, object] = {}
    for event in history.events:
        if event.type == "m.room.member":
            now = event.content["membership"]
            assert (memberships.get(event.state_key), now) != ("ban", "join")
            memberships[event.state_key] = now


@settings(max_examples=50)
@given(strategies.auth_cases())
def test_a_ban_holds_against_all_who_are_judged(case: AuthCase) -> None:
    # The creator's first join comes right after the create event: nobody is banned then.
    decision = auth.check(case.event, case.state)
    if case.event.membership is Membership.JOIN and decision:
        banned = case.state.membership_of(str(case.event.state_key)) is Membership.BAN
        assert not banned or decision.rule == "join.first_join_of_the_creator"


@settings(max_examples=100)
@given(strategies.auth_cases())
def test_rejected_events_change_nothing(case: AuthCase) -> None:
    admission = machine.admit(case.event, case.state)
    assert admission or admission.state is case.state


@settings(max_examples=100)
@given(strategies.auth_cases())
def test_admission_is_what_the_rules_decide(case: AuthCase) -> None:
    admission = machine.admit(case.event, case.state)
    assert admission.decision == auth.check(case.event, case.state)
    assert bool(admission) is admission.decision.allowed


ANY_EVENT = strategies.arbitrary_events() | strategies.malformed_events() | strategies.events()


@settings(max_examples=120)
@given(ANY_EVENT, strategies.room_states())
def test_every_event_gets_a_decision_in_every_room(event: Event, state: RoomState) -> None:
    for decision in (
        auth.check(event, state),
        auth.check_auth_events(event, tuple(state.events), create=state.create_event),
    ):
        assert isinstance(decision, Decision)
        assert not decision.undecided


@settings(max_examples=75)
@given(strategies.auth_cases())
def test_less_knowledge_never_allows_more(case: AuthCase) -> None:
    others = [event for event in case.state.events if event.type != "m.room.member"]
    partial = RoomState.of(case.state.room_version, others, partial=True)
    decision = auth.check(case.event, partial)
    if not decision.undecided:
        assert decision == auth.check(case.event, case.state)
    assert not (decision.undecided and decision.allowed)
