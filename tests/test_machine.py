"""Admitting events."""

from __future__ import annotations

import pytest

from matrix_membership import V1, V2, V6, V7, V10, V11, V12, Event, JoinRule, RoomState, RoomVersion
from matrix_membership.errors import IncompleteState, InvalidEvent
from matrix_membership.identifiers import ServerName
from matrix_membership.machine import Admission, Evidence, admit
from matrix_membership.membership import (
    BAN,
    INVITE,
    JOIN,
    KNOCK,
    LEAVE,
    UNRECOGNISED,
    Membership,
    Transition,
)
from tests.builders import (
    ANA,
    BEN,
    CAY,
    DAN,
    VERSIONS,
    Room,
    a_room,
    an_empty_room,
    decision,
    signed_invite,
)

T = Transition
EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS, ids=str)
KNOCKING = pytest.mark.parametrize(
    "version", [version for version in VERSIONS if version.knocking], ids=str
)

# Memberships before and after, and what the move is called.
OWN_MOVES = (
    (JoinRule.PUBLIC, LEAVE, JOIN, T.JOINED),
    (JoinRule.INVITE, INVITE, JOIN, T.JOINED),
    (JoinRule.INVITE, INVITE, LEAVE, T.INVITE_REJECTED),
    (JoinRule.INVITE, JOIN, LEAVE, T.LEFT),
)
OWN_MOVES_OF_KNOCKING = (
    (LEAVE, KNOCK, T.KNOCKED),
    (KNOCK, KNOCK, T.UNCHANGED),
    (KNOCK, LEAVE, T.KNOCK_RETRACTED),
)
MOVES_OF_ANOTHER = (
    (LEAVE, INVITE, T.INVITED),
    (LEAVE, BAN, T.BANNED),
    (LEAVE, LEAVE, T.UNCHANGED),
    (INVITE, INVITE, T.UNCHANGED),
    (INVITE, LEAVE, T.INVITE_WITHDRAWN),
    (INVITE, BAN, T.BANNED),
    (JOIN, LEAVE, T.KICKED),
    (JOIN, BAN, T.KICKED_AND_BANNED),
    (BAN, BAN, T.UNCHANGED),
    (BAN, LEAVE, T.UNBANNED),
)
MOVES_AFTER_A_KNOCK = ((INVITE, T.KNOCK_ACCEPTED), (LEAVE, T.KNOCK_DENIED), (BAN, T.BANNED))


def open_to(rule: JoinRule, version: RoomVersion, *, ben: Membership = LEAVE) -> Room:
    """A room of Ana's in which Ben may have a membership already."""
    room = a_room(version).with_join_rule(rule)
    return room if ben is LEAVE else room.with_member(BEN, ben)


def move(room: Room, after: Membership, *, sender: str = BEN) -> Transition | None:
    """What Ben's next membership is called, which has to be allowed."""
    admission = admit(room.member(sender, BEN, after), room.state)
    assert admission
    assert admission.state.membership_of(BEN) is after
    return admission.transition


class TestMovesOfOneself:
    @EVERY_VERSION
    @pytest.mark.parametrize(
        ("rule", "before", "after", "name"),
        OWN_MOVES,
    )
    def test_have_a_name(
        self,
        version: RoomVersion,
        rule: JoinRule,
        before: Membership,
        after: Membership,
        name: Transition,
    ) -> None:
        assert move(open_to(rule, version, ben=before), after) is name

    @KNOCKING
    @pytest.mark.parametrize(
        ("before", "after", "name"),
        OWN_MOVES_OF_KNOCKING,
    )
    def test_have_a_name_in_rooms_to_knock_at(
        self, version: RoomVersion, before: Membership, after: Membership, name: Transition
    ) -> None:
        assert move(open_to(JoinRule.KNOCK, version, ben=before), after) is name

    @KNOCKING
    def test_can_be_such_as_the_table_does_not_expect(self, version: RoomVersion) -> None:
        room = open_to(JoinRule.PUBLIC, version, ben=KNOCK)
        assert move(room, JOIN) is T.UNEXPECTED


class TestMovesOfAnother:
    @EVERY_VERSION
    @pytest.mark.parametrize(
        ("before", "after", "name"),
        MOVES_OF_ANOTHER,
    )
    def test_have_a_name(
        self, version: RoomVersion, before: Membership, after: Membership, name: Transition
    ) -> None:
        room = open_to(JoinRule.INVITE, version, ben=before)
        assert move(room, after, sender=ANA) is name

    @KNOCKING
    @pytest.mark.parametrize(
        ("after", "name"),
        MOVES_AFTER_A_KNOCK,
    )
    def test_have_a_name_after_a_knock(
        self, version: RoomVersion, after: Membership, name: Transition
    ) -> None:
        room = open_to(JoinRule.KNOCK, version, ben=KNOCK)
        assert move(room, after, sender=ANA) is name

    @EVERY_VERSION
    def test_can_be_such_as_the_table_does_not_expect(self, version: RoomVersion) -> None:
        room = open_to(JoinRule.INVITE, version, ben=JOIN).with_third_party_invite()
        event = room.invite(ANA, BEN, third_party_invite=signed_invite(BEN))
        assert admit(event, room.state).transition is T.UNEXPECTED


class TestNames:
    def test_are_all_seen_in_these_tests(self) -> None:
        tables = (OWN_MOVES, OWN_MOVES_OF_KNOCKING, MOVES_OF_ANOTHER, MOVES_AFTER_A_KNOCK)
        seen = {row[-1] for table in tables for row in table}
        assert seen | {T.UNEXPECTED, T.PROFILE_CHANGED} == set(Transition)


class TestJoinAgain:
    @EVERY_VERSION
    def test_changes_the_profile(self, version: RoomVersion) -> None:
        room = open_to(JoinRule.INVITE, version, ben=JOIN)
        event = room.join(BEN, displayname="Ben")
        assert admit(event, room.state).transition is T.PROFILE_CHANGED

    @EVERY_VERSION
    def test_changes_nothing_when_it_says_the_same(self, version: RoomVersion) -> None:
        room = open_to(JoinRule.INVITE, version, ben=JOIN)
        admission = admit(room.join(BEN), room.state)
        assert admission.transition is T.UNCHANGED
        assert admission.state is not room.state


class TestRejected:
    @EVERY_VERSION
    def test_leaves_the_state_as_it_was(self, version: RoomVersion) -> None:
        room = open_to(JoinRule.INVITE, version)
        state = room.state
        admission = admit(room.join(BEN), state)
        assert admission == Admission(
            decision("join.otherwise", version), None, state, Evidence.SIGNATURES
        )
        assert admission.state is state
        assert not admission

    @pytest.mark.parametrize(
        ("version", "before", "sender", "after"),
        [
            (V6, LEAVE, BEN, KNOCK),
            (V7, INVITE, BEN, KNOCK),
            (V7, BAN, BEN, KNOCK),
            (V7, JOIN, BEN, KNOCK),
            (V11, LEAVE, BEN, LEAVE),
            (V11, BAN, BEN, JOIN),
            (V11, BAN, ANA, INVITE),
            (V11, JOIN, ANA, INVITE),
            (V11, LEAVE, ANA, JOIN),
            (V11, JOIN, CAY, LEAVE),
            (V11, LEAVE, ANA, UNRECOGNISED),
        ],
    )
    def test_has_no_name(
        self, version: RoomVersion, before: Membership, sender: str, after: Membership
    ) -> None:
        room = open_to(JoinRule.KNOCK, version, ben=before)
        admission = admit(room.member(sender, BEN, after), room.state)
        assert (bool(admission), admission.transition) == (False, None)

    def test_can_be_for_want_of_members(self) -> None:
        room = open_to(JoinRule.INVITE, V11)
        state = RoomState.of(V11, room.events[:1], partial=True)
        admission = admit(room.join(BEN), state)
        assert (bool(admission), admission.decision.undecided) == (False, True)


class TestOtherEvents:
    @EVERY_VERSION
    def test_have_no_transition(self, version: RoomVersion) -> None:
        room = a_room(version)
        admission = admit(room.message(ANA), room.state)
        found = decision("every_event.otherwise", version)
        assert admission == Admission(found, None, room.state, Evidence.SIGNATURES)
        assert admission

    @EVERY_VERSION
    def test_change_the_state(self, version: RoomVersion) -> None:
        room = a_room(version)
        event = room.event("m.room.topic", ANA, {"topic": "x"}, "")
        assert admit(event, room.state).state.get("m.room.topic") == event

    @EVERY_VERSION
    def test_begin_the_room(self, version: RoomVersion) -> None:
        empty = an_empty_room(version)
        content = {"room_version": version.identifier, "creator": ANA}
        create = empty.event("m.room.create", ANA, content, "", prev_events=())
        admission = admit(create, empty.state)
        assert (admission.state.create_event, admission.transition) == (create, None)


class TestOverALookUp:
    def test_rejects_as_ever(self) -> None:
        room = open_to(JoinRule.INVITE, V12)
        state = RoomState.over(V12, room.state.get)
        assert admit(room.join(BEN), state).decision == decision("join.otherwise", V12)

    def test_cannot_make_the_next_state(self) -> None:
        room = open_to(JoinRule.PUBLIC, V12)
        state = RoomState.over(V12, room.state.get)
        with pytest.raises(IncompleteState) as caught:
            admit(room.join(BEN), state)
        assert caught.value == IncompleteState("a changed state", "all members")


class TestHistory:
    def test_keeps_every_state_valid(self) -> None:
        room = open_to(JoinRule.PUBLIC, V1)
        events: list[Event] = [room.join(BEN), room.leave(BEN), room.join(BEN)]
        states = [room.state]
        for event in events:
            states.append(admit(event, states[-1]).state)
        found = [state.membership_of(BEN) for state in states]
        assert found == [LEAVE, JOIN, LEAVE, JOIN]


FIVE_VERSIONS = pytest.mark.parametrize("version", [V1, V6, V10, V11, V12], ids=str)


class TestUnverifiedPdu:
    """A PDU is admitted by its signatures, or not at all."""

    @FIVE_VERSIONS
    def test_is_refused_though_the_rules_allow_it(self, version: RoomVersion) -> None:
        room = a_room(version)
        levels = room.event("m.room.power_levels", ANA, {"users": {ANA: 100}}, "")
        if version.privileged_creators:
            levels = room.event("m.room.power_levels", ANA, {"users": {BEN: 100}}, "")
        state = room.state
        admission = admit(levels.with_signers([]), state)
        assert admission.state is state
        assert admission == Admission(
            admit(levels, state).decision,
            None,
            state,
            Evidence.MISSING,
            InvalidEvent("signatures", "good signatures of a.example", []),
            frozenset({ServerName("a.example")}),
        )
        assert (bool(admission), bool(admission.decision)) == (False, True)

    def test_is_refused_with_the_signature_of_another_server(self) -> None:
        room = open_to(JoinRule.PUBLIC, V11)
        admission = admit(room.join(BEN).with_signers(["a.example"]), room.state)
        assert admission.missing_signers == {"b.example"}

    def test_says_whose_signature_is_missing(self) -> None:
        room = open_to(JoinRule.PUBLIC, V11)
        said = str(admit(room.join(BEN).with_signers([]), room.state))
        assert said == "refused: signatures: expected good signatures of b.example, got []"

    @pytest.mark.parametrize("version", [V1, V2], ids=str)
    def test_is_refused_without_the_server_of_its_id(self, version: RoomVersion) -> None:
        room = open_to(JoinRule.PUBLIC, version)
        admission = admit(room.join(BEN).with_signers(["b.example"]), room.state)
        assert not admission
        assert admission.missing_signers == {"a.example"}

    @FIVE_VERSIONS
    def test_is_an_invite_of_no_third_party(self, version: RoomVersion) -> None:
        room = a_room(version)
        invite = room.invite(ANA, BEN, third_party_invite={"signed": 0})
        assert admit(invite.with_signers([]), room.state).evidence is Evidence.MISSING


class TestEvidence:
    def test_is_the_signatures_of_a_pdu(self) -> None:
        room = open_to(JoinRule.PUBLIC, V11)
        admission = admit(room.join(BEN), room.state)
        assert (bool(admission), admission.evidence) == (True, Evidence.SIGNATURES)
        assert str(admission) == str(admission.decision)

    def test_is_the_callers_trust_for_an_event_in_client_format(self) -> None:
        room = open_to(JoinRule.PUBLIC, V11)
        event = Event.from_client_event(room.join(BEN).to_client_event(), V11)
        admission = admit(event, room.state)
        assert (bool(admission), admission.evidence) == (True, Evidence.CALLER)
        assert str(admission) == f"{admission.decision} (in client format: nothing was verified)"

    def test_can_be_printed(self) -> None:
        assert [str(kind) for kind in Evidence] == ["signatures", "the caller's trust", "missing"]


class TestSecondCreateEvent:
    @FIVE_VERSIONS
    @pytest.mark.parametrize("sender", [ANA, DAN])
    @pytest.mark.parametrize("key", ["", "x", None])
    def test_changes_nothing(self, version: RoomVersion, sender: str, key: str | None) -> None:
        room = a_room(version).with_member(DAN, BAN)
        content = {"room_version": version.identifier, "creator": sender, "m.federate": False}
        second = room.event("m.room.create", sender, content, key, prev_events=())
        state = room.state
        admission = admit(second, state)
        expected = f"{room.events[0].event_id}, the create event that the room has"
        error = InvalidEvent("m.room.create", expected, second.event_id)
        assert admission == Admission(
            decision("create.otherwise", version), None, state, Evidence.SIGNATURES, error
        )
        assert (bool(admission), admission.state is state) == (False, True)

    @FIVE_VERSIONS
    def test_may_be_the_first_one_again(self, version: RoomVersion) -> None:
        room = an_empty_room(version)
        content = {"room_version": version.identifier, "creator": ANA}
        create = room.event("m.room.create", ANA, content, "", prev_events=())
        state = RoomState.of(version, [create])
        admission = admit(create, state)
        assert (bool(admission), admission.state is state) == (True, True)
