"""An explanation is the verdict with its trail, and every remedy that it names works."""

from __future__ import annotations

import json
from functools import cache

import pytest

from matrix_membership import Event, RoomState, auth
from matrix_membership.auth import Explanation, Remedy
from matrix_membership.auth.explaining._changes import Repair
from matrix_membership.identifiers import is_user_id
from matrix_membership.membership import JOIN
from matrix_membership.room_versions import KNOWN
from tests.generated_cases import events_of, generate

CASES = 250
VERSIONS = tuple(KNOWN)


@cache
def explanations(version: str) -> list[tuple[Explanation, RoomState]]:
    """Explanations of the generated cases of a version, with the states."""
    found = []
    for seed in range(CASES):
        events, event = events_of(generate(seed, version))
        state = RoomState.of(KNOWN[version], events)
        found.append((auth.explain(event, state), state))
    return found


def makers_of(change: Repair, state: RoomState) -> list[str]:
    """Those who are said to be able to make a change of the state."""
    named: list[str] = list(change.makers)
    if change.anyone_joined:
        written_down = {*state.power_levels.users, *state.create.privileged, *named}
        plain = [user for user in state.joined_members() if user not in written_down]
        assert plain
        named += plain[:1]
    return named


def after(remedy: Remedy, state: RoomState) -> RoomState:
    """The state after the changes, each made by each of those who can."""
    for change in remedy.changes:
        if not change.type:
            continue
        makers = makers_of(change, state)
        assert makers, remedy
        fields = {"type": change.type, "state_key": change.state_key, "content": change.content}
        made = [
            Event.from_client_event({**fields, "sender": maker}, state.room_version)
            for maker in makers
        ]
        assert all(auth.check(event, state) for event in made), remedy
        state = state.with_event(made[0])
    return state


@pytest.mark.parametrize("version", VERSIONS)
class TestExplanation:
    def test_ends_in_the_decision(self, version: str) -> None:
        for explanation, state in explanations(version):
            last = explanation.steps[-1]
            assert explanation.decision == auth.check(explanation.event, state)
            assert last.fired
            assert (last.name, last.number, last.text, last.verdict == "allow") == (
                explanation.decision.rule,
                explanation.decision.number,
                explanation.decision.text,
                explanation.decision.allowed,
            )

    def test_has_no_rule_that_fired_before_the_last(self, version: str) -> None:
        for explanation, _ in explanations(version):
            assert not [step for step in explanation.steps[:-1] if step.fired and step.name]

    def test_can_be_printed_and_sent(self, version: str) -> None:
        for explanation, _ in explanations(version):
            assert str(explanation).startswith(str(explanation.decision))
            assert json.loads(json.dumps(explanation.to_dict())) == explanation.to_dict()

    def test_names_remedies_that_work(self, version: str) -> None:
        found = [
            (remedy, state)
            for explanation, state in explanations(version)
            for remedy in explanation.remedies
        ]
        assert len(found) > CASES / 10
        for remedy, state in found:
            decision = auth.check(remedy.event, after(remedy, state))
            assert decision.allowed
            assert decision == remedy.decision

    def test_names_nobody_who_is_no_user(self, version: str) -> None:
        for explanation, _ in explanations(version):
            for remedy in explanation.remedies:
                named = [user for change in remedy.changes for user in change.makers]
                assert all(map(is_user_id, named)), remedy

    def test_names_no_remedy_that_holds_another(self, version: str) -> None:
        for explanation, _ in explanations(version):
            sets = [
                {change.sentence for change in remedy.changes} for remedy in explanation.remedies
            ]
            pairs = [(a, b) for a in sets for b in sets if a is not b]
            assert not [pair for pair in pairs if pair[0] <= pair[1]]

    def test_helps_every_outsider_whom_a_member_may_let_in(self, version: str) -> None:
        """Where somebody may invite, a join that is the user's own never lacks a remedy."""
        for explanation, state in explanations(version):
            event = explanation.event
            joins = event.kind == "m.room.member join" and event.sender == event.state_key
            if explanation or not joins or event.authorised_via is not None:
                continue
            creator = state.create.creator
            reachable = (
                creator in state.create.privileged
                and state.membership_of(creator or "") is JOIN
                and state.create.federate
                and str(state.join_rule) in ("invite", "public", "knock", "restricted")
            )
            assert explanation.remedies or not reachable
