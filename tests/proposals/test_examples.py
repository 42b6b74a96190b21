"""The proposals of docs/examples/proposals: each does what it says, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.proposals import Situation, compare
from matrix_membership.redaction import redact
from matrix_membership.room_versions import V11, V12
from matrix_membership.strategies import AuthCase, Disagreement, assert_agrees, auth_cases
from proposals import msc2870, msc3757, msc4242, msc4361, version_12
from tests.builders import ANA, BEN, CAY, a_room


class TestVersion12:
    def test_has_the_numbers(self) -> None:
        ours = [number for number, _ in auth.rulebook(version_12.VERSION)]
        assert ours == [number for number, _ in auth.rulebook(V12)]

    def test_judges_all_situations_alike(self) -> None:
        assert compare(V12, version_12.VERSION).verdicts == ()

    @settings(max_examples=300, deadline=None)
    @given(auth_cases(room_version=V12, unsound_auth_events=False))
    def test_judges_drawn_cases_alike(self, case: AuthCase) -> None:
        situation = Situation.of(case.event, case.state.events)
        ours, theirs = (situation.decision_in(v) for v in (version_12.VERSION, V12))
        assert (ours.allowed, ours.number) == (theirs.allowed, theirs.number)


@pytest.mark.parametrize("version", [msc3757.ON_V10, msc3757.ON_V11], ids=str)
class TestOwnedState:
    @pytest.mark.parametrize(
        ("key", "allowed"),
        [
            (BEN, True),
            (f"{BEN}_device", True),
            (CAY, True),
            (f"{CAY}_device", True),
            (ANA, False),
            (f"{ANA}_device", False),
            ("@not a user", False),
            ("", True),
        ],
    )
    def test_belongs_to_its_user(self, version: RoomVersion, key: str, *, allowed: bool) -> None:
        room = a_room(version).with_member(BEN, "join").with_levels({ANA: 50, BEN: 50})
        assert room.check(room.event("org.example.own", BEN, {}, key)).allowed is allowed

    def test_is_no_matter_of_messages(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(BEN, "join").with_levels({ANA: 50, BEN: 50})
        assert room.check(room.message(BEN)).allowed


class TestServerOfAProposal:
    """A server that implements a proposal is tested against the amended rulebook."""

    def test_agrees(self) -> None:
        assert_agrees(auth.check, room_version=msc3757.ON_V11, max_examples=200)

    def test_disagrees_where_it_keeps_the_old_rule(self) -> None:
        def old(event: Event, state: RoomState) -> bool:
            key = event.state_key
            foreign = key is not None and key.startswith("@") and key != event.sender
            return bool(auth.check(event, state)) and (event.type == "m.room.member" or not foreign)

        with pytest.raises(Disagreement) as caught:
            assert_agrees(old, room_version=msc3757.ON_V11)
        assert caught.value.case.event.room_version is msc3757.ON_V11


class TestUnfederatedTargets:
    def test_are_refused(self) -> None:
        changes = compare(V12, msc4361.VERSION).verdicts
        assert {change.after.number for change in changes} == {"5.0"}
        assert all(change.before.allowed for change in changes)
        assert {change.situation.event["state_key"] for change in changes} == {CAY}

    def test_of_its_own_server_are_not(self) -> None:
        room = a_room(msc4361.VERSION, **{"m.federate": False})
        assert room.check(room.invite(ANA, "@dan:a.example")).allowed


class TestCalculatedAuthEvents:
    room = a_room(msc4242.VERSION).with_levels({BEN: 50}).with_member(BEN, "join")

    def test_are_not_listed(self) -> None:
        message = self.room.message(BEN)
        assert auth.select_auth_events(message) == frozenset()
        decision = msc4242.check(message, self.room.state, self.room.events[-1:])
        assert decision.number == "11"

    def test_give_way_to_state_events_that_were_accepted(self) -> None:
        message, last = self.room.message(BEN), self.room.events[-1]
        elsewhere = self.room.event("m.room.topic", BEN, {}, "", room_id="!" + "o" * 43)
        for followed, rejected, number in (
            ([message], (), "3.1"),
            ([last], {last.event_id}, "3.3"),
            ([elsewhere], (), "3.4"),
            ([last, last], (), "11"),
            ([], (), "11"),
        ):
            decision = msc4242.check(
                message, self.room.state, followed, rejected=frozenset(rejected)
            )
            assert decision.number == number

    def test_are_not_asked_for_a_create_event(self) -> None:
        content = {"room_version": msc4242.VERSION.identifier}
        create = self.room.event("m.room.create", ANA, content, "", prev_events=())
        empty = RoomState.of(msc4242.VERSION, [])
        assert msc4242.check(create, empty, ()).number == "1.5"

    def test_come_from_the_state(self) -> None:
        found = msc4242.calculated_auth_events(self.room.message(BEN), self.room.state)
        assert [(event.type, event.state_key) for event in found] == [
            ("m.room.member", BEN),
            ("m.room.power_levels", ""),
        ]


def test_access_list_survives_redaction() -> None:
    content = {"allow": ["*"], "deny": ["b.example"], "allow_ip_literals": False, "note": "x"}
    pdu = {"type": "m.room.server_acl", "content": content}
    del content["note"]
    assert redact(pdu, msc2870.ON_V11)["content"] == content
    assert redact(pdu, V11)["content"] == {}
