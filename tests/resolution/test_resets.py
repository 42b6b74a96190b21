"""Resets: found, named, and the cause proved by leaving it out."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership import Event, RoomVersion, auth
from matrix_membership.identifiers import EventID, UserID
from matrix_membership.membership import BAN, INVITE, LEAVE
from matrix_membership.resolution import ChainIndex, Repair, Reset, Resolution, resets, resolve
from matrix_membership.resolution._auth_difference import auth_difference
from matrix_membership.room_versions import V2, V11, V12
from tests.builders import ANA, BEN, CAY, DAN, VERSIONS
from tests.resolution.forks import Fork, a_fork
from tests.resolution.room_graphs import a_case

TOPIC = ("m.room.topic", "")
LEVELS = ("m.room.power_levels", "")

newer = pytest.mark.parametrize("version", VERSIONS[1:], ids=str)


def resolved(*forks: Fork) -> Resolution:
    return resolve(forks[0].version, [fork.state for fork in forks], forks[0].events)


def built_on(cause: EventID, events: Mapping[EventID, Event]) -> set[EventID]:
    """An event and all that it authorises, directly or not."""
    found = {cause}
    while more := {
        name
        for name, event in events.items()
        if name not in found and not found.isdisjoint(event.auth_events)
    }:
        found |= more
    return found


def proved(reset: Reset, *forks: Fork) -> bool:
    """Tell whether the place comes out otherwise without the cause."""
    assert reset.cause is not None
    found = resolve(
        forks[0].version,
        [fork.state for fork in forks],
        forks[0].events,
        rejected={reset.cause},
    )
    return found.state.get(reset.place) != reset.after


class TestAnOldBranchThatComesLate:
    @newer
    def test_its_demotion_undoes_what_was_done_since(self, version: RoomVersion) -> None:
        room = a_fork(version)
        room.add("m.room.topic", ANA, {"topic": "first"})
        late = room.branch()
        demotion = late.levels(ANA, {BEN: 0, CAY: 50})
        topic = room.add("m.room.topic", BEN, {"topic": "second"})
        (reset,) = resets(room.state, resolved(room, late))
        assert (reset.place, reset.before, reset.after) == (TOPIC, topic, late.state[TOPIC])
        assert (reset.cause, reset.branches) == (demotion, (1,))
        assert reset.decision is not None
        assert reset.decision.rule == "every_event.sender_below_required_power_level"
        assert proved(reset, room, late)

    def test_what_would_repair_it(self) -> None:
        room = a_fork(V11)
        late = room.branch()
        late.levels(ANA, {BEN: 0, CAY: 50})
        topic = room.add("m.room.topic", BEN, {"topic": "second"})
        (reset,) = resets(room.state, resolved(room, late))
        assert reset.after is None
        assert reset.repair is not None
        assert (reset.repair.sender, reset.repair.content_of) == (ANA, topic)


class TestAMemberWhomNobodyRemoved:
    @newer
    def test_is_gone_when_the_room_had_been_closed(self, version: RoomVersion) -> None:
        room = a_fork(version)
        late = room.branch()
        closed = late.add("m.room.join_rules", ANA, {"join_rule": "invite"})
        join = room.member(DAN, DAN)
        (reset,) = resets(room.state, resolved(room, late))
        assert (reset.place[1], reset.before, reset.after) == (DAN, join, None)
        assert reset.cause == closed
        assert reset.repair == Repair(UserID(ANA), ("m.room.member", DAN), join, INVITE)
        assert proved(reset, room, late)


class TestABanThatDisappears:
    @newer
    def test_when_the_moderator_had_lost_the_power(self, version: RoomVersion) -> None:
        room = a_fork(version)
        late = room.branch()
        demotion = late.levels(ANA, {BEN: 50, CAY: 0})
        ban = room.member(CAY, DAN, BAN)
        (reset,) = resets(room.state, resolved(room, late))
        assert (reset.before, reset.after, reset.cause) == (ban, None, demotion)
        assert reset.repair is not None
        assert reset.repair.sender == ANA


class TestAMemberDroppedByExpiredPower:
    @newer
    def test_who_was_unbanned_is_banned_again(self, version: RoomVersion) -> None:
        """Ben let Dan back in, not knowing that he had been demoted; Dan's join goes with it."""
        room = a_fork(version)
        ban = room.member(ANA, DAN, BAN)
        late = room.branch()
        demotion = late.levels(ANA, {BEN: 0, CAY: 50})
        room.member(BEN, DAN, LEAVE)
        join = room.member(DAN, DAN)
        (reset,) = resets(room.state, resolved(room, late))
        assert (reset.before, reset.after, reset.cause) == (join, ban, demotion)
        assert reset.repair == Repair(UserID(ANA), ("m.room.member", DAN), join, LEAVE)

    def test_the_repair_tells_what_comes_first(self) -> None:
        repair = Repair(UserID(ANA), ("m.room.member", DAN), EventID("$x"), LEAVE)
        assert str(repair) == (
            f"{ANA} can send m.room.member '{DAN}' with leave, then {DAN} can join again, as in $x"
        )

    @newer
    def test_the_repair_brings_the_member_back(self, version: RoomVersion) -> None:
        room = a_fork(version)
        room.member(ANA, DAN, BAN)
        late = room.branch()
        late.levels(ANA, {BEN: 0, CAY: 50})
        room.member(BEN, DAN, LEAVE)
        room.member(DAN, DAN)
        room.state = dict(resolved(room, late).state)
        room.member(ANA, DAN, LEAVE)
        join = room.make("m.room.member", DAN, {"membership": "join"}, DAN)
        assert auth.check(join, room.room_state)


class TestACauseThatIsRepeated:
    def test_is_the_event_that_said_it_first(self) -> None:
        """Later power levels repeat the demotion: the place changes only without both."""
        room = a_fork(V11)
        late = room.branch()
        late.levels(ANA, {BEN: 50, CAY: 50, DAN: 10})
        demotion = late.levels(ANA, {BEN: 0, CAY: 50, DAN: 10})
        late.levels(ANA, {BEN: 0, CAY: 50, DAN: 20})
        room.add("m.room.topic", BEN, {"topic": "second"})
        (reset,) = resets(room.state, resolved(room, late))
        assert (reset.cause, reset.branches) == (demotion, (1,))

    def test_is_found_with_the_auth_difference_of_the_caller(self) -> None:
        room = a_fork(V11)
        late = room.branch()
        demotion = late.levels(ANA, {BEN: 0, CAY: 50})
        late.levels(ANA, {BEN: 0, CAY: 50, DAN: 20})
        room.add("m.room.topic", BEN, {"topic": "second"})
        states = [room.state, late.state]
        difference = ChainIndex.of(room.events.values()).auth_difference(states)
        found = resolve(V11, states, room.events, auth_difference=difference)
        (reset,) = resets(room.state, found)
        assert reset.cause == demotion


class TestWhatVersion12WasMadeFor:
    """The two problems of algorithm 2 that algorithm 2.1 solves, each in versions 11 and 12."""

    @staticmethod
    def rules_by_someone_who_left(version: RoomVersion) -> tuple[Fork, Fork]:
        """Both branches have join rules by Ben, and the same leave of Ben's after them."""
        room = a_fork(version)
        late = room.branch()
        late.add("m.room.join_rules", BEN, {"join_rule": "knock"})
        room.add("m.room.join_rules", BEN, {"join_rule": "invite"})
        late.state["m.room.member", BEN] = room.member(BEN, BEN, LEAVE)
        return room, late

    @staticmethod
    def levels_with_a_gap(version: RoomVersion) -> tuple[Fork, Fork]:
        """The late state has the first levels, but also a note that the second ones authorise.

        So the second levels are in both auth chains, and not in the auth difference.
        """
        room = a_fork(version)
        late = room.branch()
        second = room.levels(ANA, {BEN: 50, CAY: 90})
        note = room.add("x.note", CAY, {})
        third = room.levels(CAY, {BEN: 60, CAY: 90})
        late.state["x.note", ""] = note
        assert room.events[third].auth_events.count(second) == 1
        return room, late

    def test_undisputed_state_judges_what_came_before_it(self) -> None:
        room, late = self.rules_by_someone_who_left(V11)
        (reset,) = resets(room.state, resolved(room, late))
        assert (reset.place[0], reset.after) == ("m.room.join_rules", None)
        assert (reset.cause, reset.branches) == (room.state["m.room.member", BEN], (0, 1))
        assert reset.repair is not None
        assert reset.repair.sender == ANA

    def test_undisputed_state_does_not_in_version_12(self) -> None:
        room, late = self.rules_by_someone_who_left(V12)
        found = resolved(room, late)
        assert found.state["m.room.join_rules", ""] == room.state["m.room.join_rules", ""]
        assert resets(room.state, found) == ()

    def test_events_in_between_are_not_replayed(self) -> None:
        room, late = self.levels_with_a_gap(V11)
        (reset,) = resets(room.state, resolved(room, late))
        assert (reset.place, reset.after) == (LEVELS, late.state[LEVELS])
        assert reset.cause == late.state[LEVELS]

    def test_events_in_between_are_replayed_in_version_12(self) -> None:
        room, late = self.levels_with_a_gap(V12)
        found = resolved(room, late)
        assert found.state[LEVELS] == room.state[LEVELS]
        assert resets(room.state, found) == ()


class TestNoAlarm:
    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_when_a_branch_only_grows(self, version: RoomVersion) -> None:
        room = a_fork(version)
        old = room.branch()
        room.add("m.room.topic", ANA, {})
        room.levels(ANA, {BEN: 50})
        room.member(DAN, DAN)
        room.member(ANA, CAY, LEAVE)
        assert resets(room.state, resolved(old, room)) == ()

    @newer
    def test_when_a_newer_event_replaces_one(self, version: RoomVersion) -> None:
        room = a_fork(version)
        other = room.branch()
        room.add("m.room.topic", ANA, {"topic": "one"})
        other.add("m.room.topic", ANA, {"topic": "two"})
        assert resets(room.state, resolved(room, other)) == ()

    def test_when_the_new_event_is_not_at_hand(self) -> None:
        """In version 1 it may stand all the same, where only one state has something."""
        room = a_fork(VERSIONS[0])
        other = room.branch()
        topic = room.add("m.room.topic", ANA, {"topic": "one"})
        del room.events[topic]
        before = {**other.state, TOPIC: other.state[LEVELS]}
        assert resets(before, resolved(room, other)) == ()


class TestWithoutTheEvents:
    def test_an_event_that_is_not_at_hand_has_no_cause(self) -> None:
        room = a_fork(V11)
        other = room.branch()
        topic = room.add("m.room.topic", ANA, {})
        del room.events[topic]
        found = resolved(room, other)
        assert resets(room.state, found) == (
            Reset(TOPIC, topic, None, None, None, (), None, is_repair_known=False),
        )

    def test_a_state_that_is_not_at_hand_has_no_repair(self) -> None:
        room = a_fork(V11)
        late = room.branch()
        late.levels(ANA, {BEN: 0, CAY: 50})
        room.add("m.room.topic", BEN, {})
        del room.events[room.state["m.room.join_rules", ""]]
        (reset,) = resets(room.state, resolved(room, late))
        assert reset.repair is None


class TestOldPowerLevels:
    def test_those_in_the_auth_chain_are_older(self) -> None:
        room = a_fork(V2)
        first = room.state[LEVELS]
        room.levels(BEN, {BEN: 100, CAY: 50})
        found = resolve(V2, [room.state, {**room.state, LEVELS: first}], room.events)
        (reset,) = resets(room.state, found)
        assert (reset.place, reset.after, reset.cause) == (LEVELS, first, first)


class TestReset:
    def test_reads_like_an_account(self) -> None:
        room = a_fork(V2)
        late = room.branch()
        late.levels(ANA, {BEN: 0, CAY: 50})
        room.add("m.room.topic", BEN, {})
        (reset,) = resets(room.room_state, resolved(room, late))
        assert str(reset) == "\n".join(
            [
                "m.room.topic: went from $e7:a.example to nothing",
                "  $e7:a.example was rejected by rule 8 of room version 2: the sender's power level is below the one that this type of event needs",
                "  caused by $e6:a.example (states: 1)",
                f"  {ANA} can send m.room.topic '' again, as in $e7:a.example",
            ]
        )
        assert json.loads(json.dumps(reset.to_dict())) == {
            "type": "m.room.topic",
            "state_key": "",
            "before": "$e7:a.example",
            "after": None,
            "rule": "every_event.sender_below_required_power_level",
            "rule_number": "8",
            "cause": "$e6:a.example",
            "branches": [1],
            "repair": {"sender": ANA, "content_of": "$e7:a.example", "first": None},
            "repair_known": True,
            "at": None,
        }

    def test_says_that_nobody_can_repair_it(self) -> None:
        reset = Reset(TOPIC, "$a:a.example", "$b:a.example", None, "$c:a.example", (), None)  # type: ignore[arg-type]  # IDs
        assert str(reset).splitlines() == [
            "m.room.topic: went from $a:a.example to $b:a.example",
            "  caused by $c:a.example (states: none of the states)",
            "  nobody who was tried can bring it back",
        ]
        assert reset.to_dict()["repair"] is None

    def test_says_nothing_of_a_cause_that_was_not_found(self) -> None:
        reset = Reset(TOPIC, "$a:a.example", None, None, None, (), None)  # type: ignore[arg-type]  # IDs
        assert len(str(reset).splitlines()) == 2


@given(st.integers(0, 2**32))
def test_without_its_cause_a_place_comes_out_otherwise(seed: int) -> None:
    case = a_case(seed)
    found = resolve(case.version, case.state_sets, case.events, rejected=case.rejected)
    question, graph = found._question, found._graph
    difference = auth_difference(question.state_sets, question.common, graph.auth_events)
    considered = {
        entry.event_id: case.events[entry.event_id]
        for entry in found.story.considered
        if entry.event_id in case.events
    }
    for reset in resets(case.state_sets[0], found):
        if reset.cause is not None:
            outcomes = [
                resolve(
                    case.version,
                    case.state_sets,
                    case.events,
                    rejected=case.rejected | without,
                    unconflicted={
                        place: name
                        for place, name in question.common.items()
                        if name not in without
                    },
                    auth_difference=difference,
                ).state.get(reset.place)
                for without in ({reset.cause}, built_on(reset.cause, considered))
            ]
            assert outcomes != [reset.after, reset.after]


@given(st.integers(0, 2**32))
def test_a_state_alone_is_never_reset(seed: int) -> None:
    case = a_case(seed)
    for state in case.state_sets:
        found = resolve(case.version, [state, state], case.events, rejected=case.rejected)
        assert resets(state, found) == ()


class TestVersion12:
    def test_what_version_11_resets_version_12_keeps(self) -> None:
        """The ban of the moderator who let Dan in takes Dan's join back in neither."""
        for version in (V11, V12):
            room = a_fork(version)
            late = room.branch()
            late.member(ANA, BEN, BAN)
            room.member(DAN, DAN)
            assert resets(room.state, resolved(room, late)) == ()
