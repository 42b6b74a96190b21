"""Drawn histories are what an honest server would have written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.vendor import pretty

from matrix_membership import KNOWN, V11, RoomState, RoomVersion, auth, strategies
from matrix_membership.signing import missing_signers, verify
from matrix_membership.strategies import RoomHistory, key_ring_of
from matrix_membership.strategies.rooms import Fork, sent_for
from tests.strategies.minimal import any_of, minimal

ANA, BEN = "@ana:a.example", "@ben:b.example"


class TestRoomHistories:
    @pytest.mark.parametrize("version", KNOWN.values(), ids=str)
    @settings(max_examples=5)
    @given(data=st.data())
    def test_hold_what_is_admitted(self, data: st.DataObject, version: RoomVersion) -> None:
        history = data.draw(strategies.room_histories(room_version=version))
        by_id = {event.event_id: event for event in history.events}
        for event, before in history.steps:
            cited = [by_id[event_id] for event_id in event.auth_events]
            assert auth.check_auth_events(event, cited, create=before.create_event)
            assert auth.check(event, before)

    @given(strategies.room_histories())
    @settings(max_examples=15)
    def test_hold_events_that_follow_each_other(self, history: RoomHistory) -> None:
        ids = [event.event_id for event in history.events]
        assert [list(event.prev_events) for event in history.events[1:]] == [[i] for i in ids[:-1]]
        assert [event.depth for event in history.events] == list(range(1, len(ids) + 1))

    @given(strategies.room_histories())
    @settings(max_examples=60, derandomize=True)
    def test_hold_events_that_are_signed(self, history: RoomHistory) -> None:
        ring = key_ring_of(history.events)
        for event in history.events:
            verified = verify(event, ring)
            assert verified.signed_by == event.signed_by
            assert missing_signers(verified) == frozenset()

    @given(strategies.room_histories())
    @settings(max_examples=15)
    def test_end_in_their_last_state(self, history: RoomHistory) -> None:
        assert history.state == RoomState.of(history.room_version, history.events)

    @pytest.mark.long
    def test_let_ana_authorise_joins_of_a_restricted_room(self) -> None:
        history = minimal(strategies.room_histories(room_version=V11))
        rule = {
            "type": "m.room.join_rules",
            "state_key": "",
            "content": {"join_rule": "restricted"},
        }
        history = history.with_event(history.next_event(ANA, rule))
        (fields,) = sent_for(("member", BEN, BEN, "join"), history.state)
        decision = auth.check(history.next_event(BEN, fields), history.state)
        assert decision.rule == "join.authorised_by_a_member"

    @pytest.mark.parametrize(
        "rule",
        [
            "invite.third_party_signed_by_its_key",
            "join.public_room",
            "power_levels.otherwise",
        ],
    )
    def test_use_many_rules(self, rule: str) -> None:
        def uses(history: RoomHistory) -> bool:
            return any(auth.check(event, before).rule == rule for event, before in history.steps)

        assert any_of(strategies.room_histories(room_version=V11), uses)

    @pytest.mark.long
    def test_shrink_to_the_room_of_one(self) -> None:
        history = minimal(strategies.room_histories())
        assert [event.sender for event in history.events] == ["@ana:a.example"] * 2
        assert repr(history) == "<history of 2 events, version 11>"

    def test_start_with_nothing(self) -> None:
        assert RoomHistory(V11).state == RoomState.of(V11, [])


class TestScript:
    @given(strategies.room_histories(max_moves=6))
    @settings(max_examples=20)
    def test_makes_the_same_history(self, history: RoomHistory) -> None:
        names: dict[str, object] = {}
        exec(history.script, names)
        assert (names["events"], names["state"]) == (list(history.events), history.state)

    def test_is_what_a_history_prints(self) -> None:
        history = any_of(strategies.room_histories(), bool)
        assert str(history) == history.script
        assert history.script in pretty.pretty(history)


class TestForks:
    @given(strategies.forks(branches=3))
    @settings(max_examples=15)
    def test_share_their_trunk(self, fork: Fork) -> None:
        assert len(fork.branches) == 3
        for branch in fork.branches:
            assert branch.events[: len(fork.trunk.events)] == fork.trunk.events

    @pytest.mark.parametrize("version", [KNOWN["1"], V11], ids=str)
    def test_can_differ_in_state(self, version: RoomVersion) -> None:
        def differs(fork: Fork) -> bool:
            one, other = fork.branches
            return one.state != other.state

        fork = any_of(strategies.forks(room_version=version), differs)
        one, other = (branch.events[len(fork.trunk.events) :] for branch in fork.branches)
        assert one != other


class TestNextEvent:
    @pytest.mark.parametrize("version", KNOWN.values(), ids=str)
    def test_can_be_one_that_the_rules_reject(self, version: RoomVersion) -> None:
        history = RoomHistory(version)
        fields = {"type": "m.room.name", "state_key": "", "content": {}}
        event = history.next_event("@ben:b.example", fields | {"room_id": "!room:b.example"})
        assert not auth.check(event, history.state)
        assert history.with_event(event).events == (event,)
