"""Room state."""

from __future__ import annotations

import pickle
import weakref
from collections.abc import Callable
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership import Event, RoomState, RoomVersion, auth, read_state
from matrix_membership._attrs import evolve
from matrix_membership.errors import IncompleteState, InvalidEvent
from matrix_membership.events.contents import NO_POWER_LEVELS
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, UNKNOWN, JoinRule
from matrix_membership.room_versions import V1, V2, V6, V10, V11, V12
from matrix_membership.state import CREATOR_POWER_LEVEL, Storage
from matrix_membership.state._persistent_map import PersistentMap
from matrix_membership.state.create_event import second_create_event
from tests.builders import ANA, BEN, CAY, DAN, VERSIONS, a_room

FIVE_VERSIONS = (V1, V6, V10, V11, V12)
ALLOW = [{"type": "m.room_membership", "room_id": "!s:a.example"}]


def user(number: int) -> str:
    return f"@u{number}:s{number % 3}.example"


def nothing(_type: str, _key: str) -> None:
    """A look-up of a room that has no state."""


def answers(state: RoomState) -> tuple[Any, ...]:
    """What a state says of itself, but for the members."""
    create = state.create
    return (
        *(state.room_version, state.is_partial, state.create_event),
        *(create.creator, create.names_creator, create.privileged, create.federate),
        *(create.additional_creators_readable, create.room_version, create.has_room_id),
        *(state.join_rule, state.allow, state.power_levels),
    )


class TestEmptyState:
    @pytest.mark.parametrize("state", [RoomState.of(V11, []), RoomState.over(V11, nothing)])
    def test_is_all_defaults(self, state: RoomState) -> None:
        created: tuple[Any, ...] = (None, None, False, frozenset(), True, True, "1", False)
        assert answers(state) == (V11, False, *created, JoinRule.INVITE, (), NO_POWER_LEVELS)
        assert (state.membership_of(ANA), state.power_level_of(ANA)) == (LEAVE, 0)

    def test_grows(self) -> None:
        events = a_room(V12).with_join_rule("restricted").with_levels({BEN: 5}).events
        state = RoomState.of(V12, [])
        for event in events:
            state = state.with_event(event)
        assert answers(state) == answers(RoomState.of(V12, events))


class TestLookUp:
    @pytest.mark.parametrize("version", [V1, V10, V11, V12], ids=str)
    def test_gives_the_same_however_it_was_made(self, version: RoomVersion) -> None:
        room = a_room(version, **{"m.federate": False}).with_join_rule("restricted", allow=ALLOW)
        state = room.with_levels({BEN: 7}).state
        over = RoomState.over(version, state.get)
        assert answers(over) == answers(state)
        after = state.with_event(room.join(CAY)).with_event(room.leave(ANA))
        assert answers(after) == answers(state)
        assert state.allow == ("!s:a.example",)

    @pytest.mark.parametrize("name", ["create", "create_event", "join_rule", "allow"])
    def test_may_begin_anywhere(self, name: str) -> None:
        state = a_room(V11).with_join_rule("restricted", allow=ALLOW).state
        over = RoomState.over(V11, state.get)
        assert getattr(over, name) is getattr(state, name)
        assert answers(over) == answers(state)

    def test_keeps_places_of_one_type_apart(self) -> None:
        room = a_room(V11).with_third_party_invite("a").with_third_party_invite("b")
        room = room.with_third_party_invite("b").with_third_party_invite("")
        kind, expected = "m.room.third_party_invite", (room.events[2], *room.events[4:])
        by_steps = RoomState.of(V11, [])
        for event in room.events:
            by_steps = by_steps.with_event(event)
        for state in (room.state, by_steps):
            assert tuple(state.get(kind, key) for key in ("a", "b", "")) == expected
            assert state.get(kind, "c") is None
            assert {e for e in state.events if e.type == kind} == set(expected)

    @pytest.mark.parametrize(
        "place",
        [
            lambda number: (f"x.{number}", ""),
            lambda number: ("x", f"{number}"),
            lambda number: (f"x.{number}", "y"),
        ],
        ids=["types", "keys", "types with a key"],
    )
    def test_is_the_same_in_steps_however_many_places_it_has(
        self, place: Callable[[int], tuple[str, str]]
    ) -> None:
        room = a_room(V11)
        events = [room.event(place(n)[0], ANA, {"n": n}, place(n)[1]) for n in range(200)]
        again = [room.event(place(n)[0], ANA, {"again": n}, place(n)[1]) for n in range(0, 200, 3)]
        by_steps = room.state
        for event in (*events, *again):
            by_steps = by_steps.with_event(event)
        at_once = RoomState.of(V11, [*room.events, *events, *again])
        assert by_steps == at_once
        assert by_steps != RoomState.of(V11, [*room.events, *events[1:]])
        assert by_steps.get(*place(198)) is again[-1]
        assert by_steps.get(*place(200)) is None

    def test_gives_what_was_put_in(self) -> None:
        room = a_room(V11).with_join_rule("public").with_levels({BEN: 7}, invite=3)
        state = room.state
        assert state.get("m.room.create") is room.events[0]
        assert state.get("m.room.member", ANA) is room.events[1]
        assert state.get("m.room.topic") is None
        assert state.get("m.room.create", "x") is None
        assert state.join_rule is JoinRule.PUBLIC
        assert state.power_levels.invite == 3
        assert state.power_level_of(BEN) == 7
        assert list(state.events) == [*state.events_but_members, *state.members.values()]

    def test_passes_over_what_is_no_state(self) -> None:
        room = a_room(V11)
        state = RoomState.of(V11, [room.message(ANA), *room.events])
        assert state == room.state
        assert state.with_event(room.message(ANA)) is state
        nobody = room.event("m.room.member", ANA, {"membership": "join"})
        assert RoomState.of(V11, [*room.events, nobody]) == room.state

    def test_of_memberships(self) -> None:
        room = a_room(V11).with_member(BEN, BAN)
        assert room.state.membership_of(BEN) is BAN
        assert room.state.membership_of(CAY) is LEAVE
        nameless = room.with_content("m.room.member", {}, CAY).state
        assert nameless.membership_of(CAY) is LEAVE

    def test_of_power_without_levels(self) -> None:
        assert a_room(V10).state.power_level_of(ANA) == 100
        assert a_room(V10, creator=BEN).state.power_level_of(ANA) == 0
        assert a_room(V12).state.power_level_of(ANA) == CREATOR_POWER_LEVEL
        other = a_room(V12, additional_creators=[CAY]).with_levels({BEN: 5}, users_default=2).state
        assert [other.power_level_of(who) for who in (CAY, BEN, DAN)] == [2**53, 5, 2]


class TestWithEvent:
    def test_leaves_the_old_state_valid(self) -> None:
        room = a_room(V11)
        state = room.state
        after = state.with_event(room.join(BEN))
        topic = after.with_event(room.event("m.room.topic", ANA, {}, ""))
        assert (state.membership_of(BEN), after.membership_of(BEN)) == (LEAVE, JOIN)
        assert (after.get("m.room.topic"), topic.membership_of(BEN)) == (None, JOIN)
        assert topic.get("m.room.topic") is not None
        assert state == room.state

    def test_counts_servers_and_keeps_order(self) -> None:
        room = a_room(V11)
        states = [room.state]
        for number in range(600):
            states.append(states[-1].with_event(room.join(user(number))))
        assert states[-1].servers_in_room == {"a.example", *(f"s{n}.example" for n in range(3))}
        assert states[1].servers_in_room == {"a.example", "s0.example"}
        assert list(states[-1].joined_members()) == [ANA, *map(user, range(600))]
        assert len(states[-1].members) == 601
        last = states[-1].with_event(room.leave(user(0)))
        assert (list(last.members)[-1], last.membership_of(user(0))) == (user(0), LEAVE)
        with pytest.raises(KeyError) as raised:
            last.members["@nobody:x"]
        assert raised.value.args == ("@nobody:x",)

    def test_forgets_a_server_whose_last_member_left(self) -> None:
        room = a_room(V11)
        state = room.state.with_event(room.join(BEN))
        assert state.servers_in_room == {"a.example", "b.example"}
        assert state.with_event(room.join(BEN)).servers_in_room is state.servers_in_room
        assert state.with_event(room.leave(BEN)).servers_in_room == {"a.example"}

    @pytest.mark.parametrize("at_once", [True, False])
    def test_keeps_a_server_until_its_last_member_left(self, at_once: bool) -> None:
        room = a_room(V11).with_member(BEN, JOIN).with_member("@two:b.example", JOIN)
        state = RoomState.of(V11, room.events if at_once else [])
        for event in () if at_once else room.events:
            state = state.with_event(event)
        left = state.with_event(room.leave("@two:b.example"))
        assert left.servers_in_room == state.servers_in_room == {"a.example", "b.example"}
        assert left.with_event(room.leave(BEN)).servers_in_room == {"a.example"}

    def test_has_every_member_once(self) -> None:
        room = a_room(V11)
        state = room.state
        for event in (room.join(BEN), room.leave(BEN), room.leave(CAY), room.join(BEN)):
            state = state.with_event(event)
        assert list(state.members) == [ANA, BEN, CAY]
        assert len(state.members) == 3
        assert state.members[BEN].membership is JOIN

    def test_is_as_if_built_at_once(self) -> None:
        room = a_room(V1).with_member(BEN, INVITE).with_join_rule("public").with_levels({BEN: 5})
        state = RoomState.of(V1, room.events[:1])
        for event in room.events[1:]:
            state = state.with_event(event)
        assert state == room.state
        assert hash(state) == hash(room.state) != hash(RoomState.of(V1, []))
        assert state != room.with_member(CAY, JOIN).state
        assert state != "x"


class TestHeroes:
    def test_are_the_first_five_joined_or_invited(self) -> None:
        room = a_room(V11).with_member(BEN, KNOCK).with_member(CAY, INVITE)
        for number in range(5):
            room = room.with_member(user(number), JOIN)
        assert room.state.heroes() == (ANA, CAY, user(0), user(1), user(2))
        assert room.state.heroes(excluding=ANA, at_most=2) == (CAY, user(0))

    def test_are_in_the_order_of_their_last_memberships(self) -> None:
        room = a_room(V11).with_member(BEN, JOIN)
        events = [*room.events, room.leave(ANA), room.join(ANA)]
        state = RoomState.of(V11, events)
        assert state.heroes() == room.with_member(ANA, JOIN).state.heroes() == (BEN, ANA)
        stripped = RoomState.of(V11, events, stripped=True)
        assert list(stripped.joined_members()) == [BEN, ANA]

    def test_are_others_when_nobody_is_left(self) -> None:
        room = a_room(V11).with_member(CAY, BAN).with_member(DAN, KNOCK).with_member(BEN, LEAVE)
        assert room.state.heroes(excluding=ANA) == (CAY, BEN)
        assert a_room(V11).state.heroes(excluding=ANA) == ()


class TestSecondCreateEvent:
    @pytest.mark.parametrize("version", FIVE_VERSIONS, ids=str)
    @pytest.mark.parametrize("key", ["", "x"])
    def test_changes_nothing(self, version: RoomVersion, key: str) -> None:
        room = a_room(version)
        second = room.event("m.room.create", ANA, {}, key, prev_events=())
        state = room.state
        assert state.with_event(second) is state

    @pytest.mark.parametrize("version", FIVE_VERSIONS, ids=str)
    @pytest.mark.parametrize("key", ["", "x"])
    def test_is_ignored_among_the_events_of_a_state(self, version: RoomVersion, key: str) -> None:
        room = a_room(version)
        second = room.event("m.room.create", ANA, {}, key, prev_events=())
        state = RoomState.of(version, [*room.events, second])
        assert state.create_event is room.events[0]
        assert state == room.state

    def test_changes_nothing_in_a_look_up(self) -> None:
        room = a_room(V11)
        state = RoomState.over(V11, room.state.get)
        second = room.event("m.room.create", ANA, {}, "", prev_events=())
        assert state.with_event(second) is state

    def test_changes_nothing_as_a_copy_that_says_less(self) -> None:
        create = a_room(V6, **{"m.federate": False}).events[0]
        state = RoomState.of(V6, [create])
        assert state.with_event(create.redacted()).create.federate is False

    @pytest.mark.parametrize("version", FIVE_VERSIONS, ids=str)
    def test_is_another_one_of_any_state_key(self, version: RoomVersion) -> None:
        room = a_room(version)
        for key in ("", "x", None):
            second = room.event("m.room.create", ANA, {}, key, prev_events=())
            error = InvalidEvent(
                "m.room.create",
                f"{room.events[0].event_id}, the create event that the room has",
                second.event_id,
            )
            assert second_create_event(second, RoomState.of(version, []), room.state) == error

    @pytest.mark.parametrize("version", FIVE_VERSIONS, ids=str)
    def test_is_not_the_first_one_again(self, version: RoomVersion) -> None:
        state = a_room(version).state
        first = state.create_event
        assert first is not None
        again = Event.from_pdu(first.pdu, version, event_id=first.event_id)
        for event in (first, again, again.redacted(), a_room(version).join(BEN)):
            assert second_create_event(event, state) is None

    @pytest.mark.parametrize("version", [V1, V2], ids=str)
    def test_is_another_one_under_the_same_id(self, version: RoomVersion) -> None:
        first = a_room(version).events[0]
        other = Event.from_pdu({**first.to_pdu(), "sender": BEN}, version)
        assert other == first
        assert second_create_event(other, RoomState.of(version, [first])) is not None

    def test_without_an_id_is_compared_by_what_it_says(self) -> None:
        fields = {"type": "m.room.create", "sender": ANA, "state_key": "", "content": {}}
        state = RoomState.of(V11, [Event.from_client_event(fields, V11)])
        again, other = (
            Event.from_client_event({**fields, "content": content}, V11)
            for content in ({}, {"x": 1})
        )
        assert second_create_event(again, state) is None
        assert second_create_event(other, state) is not None


def _pickled(state: RoomState) -> RoomState:
    again: RoomState = pickle.loads(pickle.dumps(state))
    assert again.servers_in_room == state.servers_in_room
    return again


class TestWholeState:
    def test_gives_the_servers_that_were_told(self) -> None:
        state = RoomState.of(V11, a_room(V11).events, servers=["z.example"])
        assert not state.is_partial
        assert state.servers_in_room == {"z.example"}
        assert state.with_event(a_room(V11).join(BEN)).servers_in_room > {"b.example"}

    def test_of_nothing_stays_empty_when_others_grow(self) -> None:
        """States without members or keyed events share what they hold of them."""
        empty, room = RoomState.of(V11, []), a_room(V11)
        grown = reduce(RoomState.with_event, room.events, empty)
        token = room.event("org.example.token", ANA, {}, "token")
        assert grown.with_event(token).get("org.example.token", "token") is token
        assert RoomState.of(V11, [token]).with_event(token).members == {}
        for state in (empty, RoomState.of(V11, [])):
            assert ([*state.events], dict(state.members)) == ([], {})


class TestPartialState:
    def test_does_not_know_who_was_left_out(self) -> None:
        room = a_room(V11)
        state = RoomState.of(V11, room.events, partial=True, servers=["a.example", "z.example"])
        assert (state.membership_of(ANA), state.membership_of(BEN)) == (JOIN, UNKNOWN)
        after = state.with_event(room.join(BEN)).with_event(room.leave(ANA))
        assert after.servers_in_room == {"a.example", "b.example", "z.example"}
        assert (after.is_partial, after.membership_of(ANA)) == (True, LEAVE)

    @pytest.mark.parametrize("between", [lambda state: state, _pickled], ids=["", "pickled"])
    def test_loses_a_server_whose_members_all_came_since(self, between: Any) -> None:
        """As the own server: it was not in the room when another one told the servers."""
        room = a_room(V11)
        state = RoomState.of(V11, room.events, partial=True, servers=["a.example", "z.example"])
        for event in (room.join(BEN), room.join("@bob:b.example"), room.leave(BEN)):
            state = between(state.with_event(event))
            assert state.servers_in_room == {"a.example", "b.example", "z.example"}
        last = between(state.with_event(room.leave("@bob:b.example")))
        assert last.servers_in_room == {"a.example", "z.example"}

    def test_does_not_know_the_servers_unless_told(self) -> None:
        state = RoomState.of(V11, a_room(V11).events, partial=True)
        with pytest.raises(IncompleteState) as raised:
            state.servers_in_room  # noqa: B018 - it raises
        assert raised.value == IncompleteState("servers in the room", "all members")
        assert state.with_event(a_room(V11).join(BEN)).is_partial

    def test_stays_partial(self) -> None:
        room = a_room(V11)
        state = RoomState.of(V11, room.events, partial=True, servers=["z.example"])
        for event in (room.join(BEN), room.event("m.room.topic", ANA, {}, "")):
            state = state.with_event(event)
            assert (state.is_partial, state.membership_of(CAY)) == (True, UNKNOWN)
        assert state.servers_in_room == {"a.example", "b.example", "z.example"}
        assert state != RoomState.of(V11, state.events)


class TestPreparedOverALookUp:
    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_judges_as_a_state_of_these_events(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public")
        over = RoomState.over(version, room.state.get, prepare=True)
        for event in (room.join(BEN), room.kick(BEN, ANA), room.message(ANA)):
            for _ in range(2):
                assert auth.check(event, over) == auth.check(event, room.state)

    @pytest.mark.parametrize("partial", [True, False])
    def test_is_not_prepared_where_that_cannot_be(self, partial: bool) -> None:
        unfederated = a_room(V11, **{"m.federate": False}).state
        nothing = RoomState.of(V11, [])
        for state in (unfederated, nothing):
            over = RoomState.over(V11, state.get, partial=partial, prepare=True)
            assert over.prepared[1] is False

    def test_over_a_storage_too(self) -> None:
        state = a_room(V11).state
        storage = Storage(state.get, lambda: (), lambda wanted: (), lambda: ())
        assert RoomState.over(V11, storage, prepare=True).prepared[1] is True


class TestOverALookUp:
    def test_looks_up_only_what_is_asked(self) -> None:
        state = a_room(V11).with_join_rule("knock").state
        asked: list[tuple[str, str]] = []

        def get(event_type: str, state_key: str) -> Event | None:
            asked.append((event_type, state_key))
            return state.get(event_type, state_key)

        over = RoomState.over(V11, get)
        assert asked == []
        assert over.membership_of(ANA) is JOIN
        assert over.join_rule is JoinRule.KNOCK
        assert over.allow == ()
        assert over.power_level_of(ANA) == 100
        assert asked == [
            ("m.room.member", ANA),
            ("m.room.join_rules", ""),
            ("m.room.create", ""),
            ("m.room.power_levels", ""),
        ]
        assert over.create_event is state.create_event
        assert over.get("m.room.topic") is None
        assert over != state
        assert over == over  # noqa: PLR0124 - that is the question

    def test_passes_over_what_is_of_another_type(self) -> None:
        message = a_room(V11).message(ANA)
        over = RoomState.over(V11, lambda _type, _key: message)
        empty = RoomState.of(V11, [])
        assert over.create is empty.create
        assert answers(over)[3:] == answers(empty)[3:]

    def test_knows_nothing_of_the_whole(self) -> None:
        over = RoomState.over(V11, nothing, partial=True)
        assert (over.membership_of(ANA), over.is_partial) == (UNKNOWN, True)
        questions: dict[str, Callable[[], object]] = {
            "the members": lambda: over.members,
            "all events": lambda: list(over.events),
            "all events but members": lambda: list(over.events_but_members),
            "servers in the room": lambda: over.servers_in_room,
            "the heroes": over.heroes,
            "the joined members": over.joined_members,
            "a changed state": lambda: over.with_event(a_room(V11).join(BEN)),
        }
        for question, ask in questions.items():
            with pytest.raises(IncompleteState) as raised:
                ask()
            assert raised.value == IncompleteState(question, "all members")


class TestPreparation:
    """Of a state that is judged against again and again, by `auth`."""

    @pytest.mark.parametrize(
        ("federate", "partial", "can_be"),
        [(True, False, True), (True, True, False), (False, False, False), (False, True, False)],
    )
    def test_is_of_whole_states_of_federated_rooms(
        self, federate: bool, partial: bool, can_be: bool
    ) -> None:
        events = a_room(V11, **{"m.federate": federate}).events
        assert RoomState.of(V11, events, partial=partial).prepared == (None, can_be, None)

    def test_is_not_of_others(self) -> None:
        state = a_room(V11).state
        for other in (RoomState.of(V11, []), RoomState.over(V11, state.get)):
            assert other.prepared == (None, False, None)

    def test_lasts_when_members_change(self) -> None:
        room = a_room(V11)
        state = room.state
        auth.check(room.message(ANA), state)
        assert state.prepared[0] is V11
        assert state.with_event(room.join(BEN)).prepared is state.prepared

    def test_serves_other_states_with_the_join_rules(self) -> None:
        room = a_room(V11).with_join_rule("public")
        auth.check(room.message(ANA), room.state)
        again = RoomState.of(V11, [*room.events, room.join(BEN)])
        assert again.prepared is room.state.prepared
        assert RoomState.of(V11, room.events, partial=True).prepared == (None, False, None)

    def test_of_the_join_rules_serves_no_event_of_another_version(self) -> None:
        room, other = a_room(V11).with_join_rule("public"), V11.evolve(identifier="org.example.x")
        decided = auth.check(room.join(BEN), room.state)
        join = Event.from_pdu(room.join(BEN).pdu, other)
        assert auth.check(join, room.state) == evolve(decided, room_version=other)

    def test_of_the_join_rules_is_not_pickled(self) -> None:
        room = a_room(V11).with_join_rule("public")
        auth.check(room.message(ANA), room.state)
        rules = pickle.loads(pickle.dumps(room.state)).get("m.room.join_rules").view
        assert (rules.prepared, rules.join_rule) == ((None, True, None), JoinRule.PUBLIC)

    def test_asks_for_levels_as_they_are_written(self) -> None:
        state = a_room(V11).with_levels({BEN: 5}).state
        assert state.power_level_of is state.power_levels.level_of


class TestStateItself:
    def test_is_immutable_and_sealed(self) -> None:
        state = a_room(V11).state
        for change in (
            lambda: setattr(state, "join_rule", 5),
            lambda: delattr(state, "join_rule"),
            RoomState,
            lambda: type("Other", (RoomState,), {}),
        ):
            with pytest.raises(TypeError):
                change()
        with pytest.raises(AttributeError):
            state.nothing  # type: ignore[attr-defined]  # noqa: B018 - it raises

    def test_can_be_referred_to_weakly(self) -> None:
        state = a_room(V11).state
        assert weakref.ref(state)() is state

    def test_can_be_pickled(self) -> None:
        state = RoomState.of(V11, a_room(V11).events, partial=True, servers=["z.example"])
        again = pickle.loads(pickle.dumps(state))
        assert again == state
        assert again.servers_in_room == {"z.example"}

    def test_has_a_name(self) -> None:
        assert repr(a_room(V11).state) == "<state of !r:a.example, version 11>"
        assert repr(RoomState.of(V11, [])) == "<state without a create event, version 11>"
        stripped = [event.to_stripped() for event in a_room(V11).events]
        assert repr(read_state(stripped)) == "<state, version 11>"

    def test_reads_odd_events_as_defaults(self) -> None:
        room = a_room(V11)
        odd = room.event("m.room.create", ANA, {}, "x", prev_events=[])
        assert RoomState.of(V11, [odd]).create_event is None


OPERATIONS = st.lists(
    st.tuples(st.integers(0, 40), st.booleans() | st.just(True)),
    max_size=400,
)


class TestPersistentMap:
    @given(st.lists(st.integers(0, 60), max_size=30, unique=True), OPERATIONS)
    def test_behaves_as_a_dict(self, start: list[int], changes: list[tuple[int, bool]]) -> None:
        plain = {key: str(key) for key in start}
        map_ = PersistentMap(plain)
        versions = [(map_, dict(plain))]
        for index, (key, sets) in enumerate(changes):
            plain.pop(key, None)
            if sets:
                plain[key] = f"{index}"
            map_ = map_.with_item(key, f"{index}") if sets else map_.without(key)
            versions.append((map_, dict(plain)))
        for found, expected in versions[:: max(1, len(versions) // 8)]:
            assert list(found.items()) == list(expected.items())
            assert (list(found), len(found)) == (list(expected), len(expected))
            assert [found.get(key) for key in range(61)] == [expected.get(k) for k in range(61)]

    def test_leaves_out_what_went_some_changes_ago(self) -> None:
        map_ = PersistentMap({number: number for number in range(400)}).without(7)
        for number in range(400, 425):
            map_ = map_.with_item(number, number)
        assert len(map_.levels) > 2
        assert list(map_) == [number for number in range(425) if number != 7]

    def test_is_the_same_without_what_it_has_not(self) -> None:
        map_ = PersistentMap({1: "a"})
        assert map_.without(2) is map_

    def test_stays_shallow(self) -> None:
        map_: PersistentMap[int, int] = PersistentMap()
        for number in range(20_000):
            map_ = map_.with_item(number, number)
        assert len(map_.levels) < 8
        for number in range(20_000):
            map_ = map_.without(number)
        assert (len(map_), list(map_)) == (0, [])
