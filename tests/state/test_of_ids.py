"""A state of the event IDs that a host keeps."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence

import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.auth import rejects, rulebook
from matrix_membership.errors import IncompleteState, InvalidEvent, MissingEvents
from matrix_membership.membership import JOIN, LEAVE, UNKNOWN
from matrix_membership.room_versions import V11, V12
from tests.builders import ANA, BEN, CAY, VERSIONS, Room, a_room

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS, ids=str)
StateKey = tuple[str, str]


def ids_of(room: Room) -> dict[StateKey, str]:
    """The IDs that a host keeps for each place."""
    return {(event.type, event.state_key or ""): event.event_id for event in room.events}


class Store:
    """A store that counts what it is asked for."""

    def __init__(self, room: Room) -> None:
        self.by_id: dict[str, Event] = {event.event_id: event for event in room.events}
        self.asked: list[tuple[str, ...]] = []

    def get(self, wanted: Sequence[str]) -> Mapping[str, Event]:
        self.asked.append(tuple(wanted))
        return {event_id: self.by_id[event_id] for event_id in wanted if event_id in self.by_id}


@EVERY_VERSION
class TestOfIds:
    def test_is_the_whole_state(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public")
        store = Store(room)
        assert RoomState.of_ids(ids_of(room), store.by_id) == room.state
        assert RoomState.of_ids(ids_of(room), store.get) == room.state
        assert store.asked == [tuple(ids_of(room).values())]

    def test_loads_only_what_is_needed(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public").with_member(BEN, "join")
        store = Store(room)
        join = room.join(CAY)
        needed = auth.needed_state(join)
        state = RoomState.of_ids(ids_of(room), store.get, needed=needed)
        (asked,) = store.asked
        assert set(asked) == {ids_of(room)[place] for place in needed if place in ids_of(room)}
        assert auth.check(join, state) == auth.check(join, room.state)


class TestFilteredPlaces:
    def test_are_unknown(self) -> None:
        room = a_room(V11).with_join_rule("public").with_member(BEN, "join")
        needed = [("m.room.create", ""), ("m.room.member", CAY)]
        state = RoomState.of_ids(ids_of(room), Store(room).get, needed=needed)
        assert state.knows("m.room.create")
        assert state.knows("m.room.member", CAY)
        assert state.membership_of(CAY) is LEAVE
        assert not state.knows("m.room.member", BEN)
        assert not state.knows("m.room.join_rules")
        with pytest.raises(IncompleteState):
            _ = state.join_rule
        with pytest.raises(IncompleteState):
            state.membership_of(BEN)
        with pytest.raises(IncompleteState):
            state.heroes()

    @pytest.mark.parametrize("needed", [[], [("m.room.member", CAY)]])
    def test_may_be_nearly_all(self, needed: list[StateKey]) -> None:
        room = a_room(V11).with_levels({CAY: 5})
        state = RoomState.of_ids(ids_of(room), Store(room).get, needed=needed, room_version=V11)
        for ask in (
            "create",
            "create_event",
            "power_levels",
            "power_level_of",
            "join_rule",
            "allow",
        ):
            with pytest.raises(IncompleteState):
                getattr(state, ask)
        assert not auth.check(room.message(CAY), state).allowed

    def test_do_not_make_the_room_partial(self) -> None:
        room = a_room(V11)
        state = RoomState.of_ids(ids_of(room), Store(room).get, needed=[("m.room.create", "")])
        assert (state.is_partial, state.is_whole) == (False, False)
        for ask in ("members", "events", "events_but_members", "servers_in_room"):
            with pytest.raises(IncompleteState):
                list(getattr(state, ask))
        after = state.with_event(room.with_member(BEN, "join").events[-1])
        assert (after.is_whole, after.membership_of(BEN)) == (False, JOIN)
        assert not after.knows("m.room.member", CAY)

    def test_may_be_those_of_a_partial_state(self) -> None:
        room = a_room(V11)
        needed = [("m.room.create", ""), ("m.room.member", ANA), ("m.room.member", CAY)]
        state = RoomState.of_ids(ids_of(room), Store(room).get, needed=needed, partial=True)
        assert (state.is_partial, state.is_whole) == (True, False)
        assert (state.membership_of(ANA), state.membership_of(CAY)) == (JOIN, UNKNOWN)
        assert not state.knows("m.room.member", CAY)
        with pytest.raises(IncompleteState):
            state.membership_of(BEN)
        whole = RoomState.of_ids(ids_of(room), Store(room).get, partial=True, servers=["c.example"])
        assert whole.is_partial
        assert whole.servers_in_room == {"c.example"}

    def test_of_a_partial_state_hold_no_member_who_left(self) -> None:
        room = a_room(V11).with_join_rule("public")
        join = room.join(CAY)
        state = RoomState.of_ids(
            ids_of(room), Store(room).get, needed=auth.needed_state(join), partial=True
        )
        judged = auth.check(join, state)
        assert judged == auth.check(join, RoomState.of(V11, room.events, partial=True))
        assert judged.missing == (f"m.room.member {CAY}",)

    def test_may_be_listed_by_a_generator(self) -> None:
        room = a_room(V11).with_join_rule("public")
        needed = (place for place in auth.needed_state(room.join(CAY)))
        state = RoomState.of_ids(ids_of(room), Store(room).get, needed=needed)  # type: ignore[arg-type]  # on purpose
        assert state.membership_of(CAY) is LEAVE

    def test_leave_the_servers_open_unless_they_are_told(self) -> None:
        room, needed = a_room(V11), [("m.room.create", "")]
        state = RoomState.of_ids(
            ids_of(room), Store(room).get, needed=needed, servers=iter(["c.example"])
        )
        assert state.servers_in_room == {"c.example"}

    @EVERY_VERSION
    def test_do_not_matter_for_levels_that_are_there(self, version: RoomVersion) -> None:
        room = a_room(version).with_levels({BEN: 5}, events={"m.room.message": 3})
        needed = [("m.room.create", ""), ("m.room.power_levels", "")]
        state = RoomState.of_ids(ids_of(room), Store(room).get, needed=needed)
        for user in (ANA, BEN, CAY):
            assert state.power_level_of(user) == room.state.power_level_of(user)
        bare = a_room(version)
        state = RoomState.of_ids(ids_of(bare), Store(bare).get, needed=needed)
        assert state.power_level_of(ANA) == bare.state.power_level_of(ANA)

    def test_do_not_open_a_closed_room(self) -> None:
        room = a_room(V11, **{"m.federate": False}).with_join_rule("public")
        needed = auth.needed_state(room.join(BEN))
        state = RoomState.of_ids(ids_of(room), Store(room).get, needed=needed)
        assert auth.check(room.join(BEN), state) == auth.check(room.join(BEN), room.state)
        assert not auth.check(room.join(BEN), state).allowed

    @EVERY_VERSION
    def test_do_not_open_a_room_whose_create_event_is_not_among_them(
        self, version: RoomVersion
    ) -> None:
        room = a_room(version, **{"m.federate": False}).with_join_rule("public")
        # Of version 12 this is what a host asks for if it takes auth events for what is needed.
        needed = auth.select_auth_events(room.join(BEN)) - {("m.room.create", "")}
        state = RoomState.of_ids(ids_of(room), Store(room).get, needed=needed)
        judged = auth.check(room.join(BEN), state)
        assert (judged.undecided, judged.missing) == (True, ("m.room.create",))
        explanation = auth.explain(room.join(BEN), state)
        assert explanation.decision == judged
        assert "counts as federated" not in str(explanation)

    def test_leave_a_verdict_open(self) -> None:
        room = a_room(V11).with_join_rule("public").with_member(BEN, "join")
        needed = auth.needed_state(room.join(CAY))
        state = RoomState.of_ids(ids_of(room), Store(room).get, needed=needed)
        judged = auth.check(room.message(BEN), state)
        assert judged.undecided
        assert f"m.room.member {BEN}" in judged.missing
        assert auth.explain(room.message(BEN), state).decision == judged
        judged = auth.check(room.kick(CAY, BEN), state)
        assert not judged.allowed

    def test_that_a_rule_of_ones_own_reads_leave_it_open(self) -> None:
        @rejects("4.3.0a")
        def without_a_name(event: Event, state: RoomState) -> bool:
            """The room has no name."""
            return state.get("m.room.name") is None

        book = rulebook(V11).insert(without_a_name, before="join.first_join_of_the_creator")
        mine = V11.evolve(identifier="mine", rules=book)
        room = a_room(mine).with_join_rule("public")
        join = room.join(CAY)
        state = RoomState.of_ids(
            ids_of(room), Store(room).get, needed=auth.needed_state(join), room_version=mine
        )
        assert auth.check(join, state).missing == ("m.room.name",)


class TestMissingEvents:
    def test_are_told_all_at_once(self) -> None:
        room = a_room(V11).with_join_rule("public")
        ids = ids_of(room)
        with pytest.raises(MissingEvents) as caught:
            RoomState.of_ids(ids, {})
        assert caught.value == MissingEvents(tuple(ids.values()))
        assert caught.value.event_ids == tuple(ids.values())
        assert isinstance(caught.value, IncompleteState)
        assert pickle.loads(pickle.dumps(caught.value)).event_ids == caught.value.event_ids

    def test_of_a_function_are_told_all_at_once(self) -> None:
        room = a_room(V12).with_join_rule("public")
        store = Store(a_room(V12))
        with pytest.raises(MissingEvents) as caught:
            RoomState.of_ids(ids_of(room), store.get)
        assert caught.value.event_ids == (room.events[-1].event_id,)


class TestOtherEvents:
    @pytest.mark.parametrize("needed", [None, [("m.room.create", "")], [("m.room.member", ANA)]])
    def test_are_refused_at_a_place(self, needed: list[StateKey] | None) -> None:
        room = a_room(V11)
        create, member, *_ = room.events
        other = room.with_member(CAY, "join").events[-1]
        swapped: dict[str, Event] = {create.event_id: member, member.event_id: other}
        with pytest.raises(InvalidEvent):
            RoomState.of_ids(ids_of(room), swapped, needed=needed)


class TestRoomVersion:
    @pytest.mark.parametrize("needed", [None, []])
    def test_is_no_text(self, needed: list[StateKey] | None) -> None:
        with pytest.raises(TypeError):
            RoomState.of_ids({}, {}, needed=needed, room_version="11")  # type: ignore[arg-type]  # on purpose

    def test_is_told_by_an_event_or_by_the_caller(self) -> None:
        with pytest.raises(IncompleteState):
            RoomState.of_ids({}, {})
        assert RoomState.of_ids({}, {}, room_version=V11) == RoomState.of(V11, [])
        empty = RoomState.of_ids({}, {}, needed=[("m.room.create", "")], room_version=V11)
        assert auth.check(a_room(V11).join(ANA), empty).number == "2.4"
