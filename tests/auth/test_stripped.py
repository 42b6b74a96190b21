"""The rules on stripped state: a rule that reads what is missing leaves the verdict open."""

from __future__ import annotations

from collections.abc import Callable

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership._attrs import evolve
from matrix_membership.auth import Decision
from matrix_membership.auth.explaining._facts import Fact, Origin
from matrix_membership.errors import IncompleteState
from matrix_membership.membership import BAN, INVITE, JOIN
from matrix_membership.room_versions import V11, V12
from tests.builders import ANA, BEN, CAY, Room, a_levelled_room, a_room, decision, everywhere, since


def without(room: Room, *types: str) -> RoomState:
    """The stripped state of a room from which events of these types are missing."""
    events = [event for event in room.events if event.type not in types]
    return RoomState.of(room.version, events, stripped=True)


def lookup_of(room: Room, lacking: str) -> Callable[[str, str], Event | None]:
    """A look-up of a room that raises for events of one type."""

    def get(event_type: str, state_key: str) -> Event | None:
        if event_type == lacking:
            raise IncompleteState("a look-up", lacking)
        return room.state.get(event_type, state_key)

    return get


def undecided(rule: str, version: RoomVersion, *missing: str) -> Decision:
    return evolve(decision(rule, version), allowed=False, undecided=True, missing=missing)


@everywhere
class TestUndecided:
    def test_is_what_the_power_levels_decide(self, version: RoomVersion) -> None:
        room = a_levelled_room(version).with_member(BEN, JOIN)
        found = auth.check(room.kick(ANA, BEN), without(room, "m.room.power_levels"))
        assert found == undecided("leave.sender_may_kick", version, "m.room.power_levels")

    def test_names_members_and_others(self, version: RoomVersion) -> None:
        room = a_levelled_room(version)
        found = auth.check(room.invite(ANA, CAY), without(room, "m.room.power_levels"))
        missing = f"m.room.member {CAY}", "m.room.power_levels"
        assert found == undecided("invite.sender_may_invite", version, *missing)

    def test_is_not_what_the_events_at_hand_decide(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public").with_member(BEN, BAN)
        found = auth.check(room.join(BEN), without(room, "m.room.power_levels"))
        assert found == decision("join.while_banned", version)


class TestWithoutItsCreateEvent:
    @everywhere
    def test_a_room_counts_as_federated(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public").with_member(BEN, INVITE)
        state = without(room, "m.room.create")
        assert auth.check(room.join(BEN), state) == room.check(room.join(BEN))
        explanation = auth.explain(room.join(BEN), state)
        assert explanation
        place = "the state leaves it out; the room counts as federated"
        fact = Fact("m.room.create", "unknown", Origin.UNKNOWN, place)
        assert fact in explanation.facts

    @since("12")
    def test_nobody_knows_who_is_a_creator(self, version: RoomVersion) -> None:
        room = a_levelled_room(version).with_member(BEN, JOIN)
        found = auth.explain(room.kick(ANA, BEN), without(room, "m.room.create"))
        assert found.decision == undecided("leave.sender_may_kick", version, "m.room.create")
        assert not any("power level" in fact.name for fact in found.facts)

    @since("1", "11")
    def test_the_power_levels_tell_who_has_power(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, ban=60).with_member(BEN, JOIN)
        found = auth.check(room.ban(ANA, BEN), without(room, "m.room.create"))
        assert found == room.check(room.ban(ANA, BEN))

    @since("1", "11")
    def test_nobody_knows_the_creator_who_had_power_before_levels(
        self, version: RoomVersion
    ) -> None:
        room = a_room(version)
        levels = room.with_levels().event("m.room.power_levels", ANA, {}, "")
        state = RoomState.over(version, lookup_of(room, "m.room.create"), partial=True)
        found = auth.check(levels, state)
        rule = "every_event.sender_below_required_power_level"
        assert found == undecided(rule, version, "m.room.create")

    def test_a_create_event_is_judged_as_ever(self) -> None:
        room = a_room(V11)
        create = room.events[0]
        state = without(room, "m.room.create")
        assert auth.check(create, state) == room.check(create)


class TestExplanation:
    def test_ends_at_the_rule_that_is_unknown(self) -> None:
        room = a_levelled_room(V12).with_member(BEN, JOIN)
        found = auth.explain(room.kick(ANA, BEN), without(room, "m.room.power_levels"))
        last = found.steps[-1]
        assert (last.name, last.fired) == (found.decision.rule, None)
        assert " unknown " in str(last)
        told = "m.room.power_levels: unknown (unknown: the state leaves it out)"
        assert told in [str(fact) for fact in found.facts]
        assert "a state that tells m.room.power_levels" in str(found)
        assert found.to_dict()["missing"] == ["m.room.power_levels"]

    @since("8")
    def test_ends_at_a_condition_that_is_unknown(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(BEN, BAN)
        found = auth.explain(room.join(CAY), without(room, "m.room.join_rules"))
        assert found.decision.undecided
        assert found.steps[-1].fired is None
