"""Laws of room state: it is what its events say, however it was built, and it never changes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import reduce
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from matrix_membership import V11, Event, Membership, RoomState, auth, strategies
from matrix_membership.state import Storage
from matrix_membership.strategies import AuthCase, RoomHistory

PEOPLE = ("@ana:a.example", "@ben:b.example", "@cleo:c.example", "@dan:a.example", "@x:y.example")
ANY_EVENT = strategies.events() | strategies.malformed_events()


def answers(state: RoomState) -> tuple[object, ...]:
    """What a state says of itself, whatever it was built from."""
    levels = state.power_levels
    return (
        *(state.create_event, state.join_rule, state.allow, state.is_partial, levels.exists),
        *(levels.users, levels.events, levels.named, levels.invite, levels.kick, levels.ban),
        tuple((state.membership_of(user), state.power_level_of(user)) for user in PEOPLE),
    )


def everything(state: RoomState) -> tuple[object, ...]:
    """What a state says of itself and of the whole room."""
    return (
        *answers(state),
        dict(state.members),
        {(event.type, event.state_key): event for event in state.events},
        state.servers_in_room,
        frozenset(state.joined_members()),
    )


def member(user: str, membership: str) -> Event:
    fields = {"type": "m.room.member", "sender": user, "state_key": user}
    return Event.from_client_event({**fields, "content": {"membership": membership}}, V11)


MEMBERS = st.builds(member, st.sampled_from(PEOPLE), st.sampled_from(["join", "leave", "invite"]))


@given(st.lists(MEMBERS, max_size=12))
def test_members_have_one_order_however_the_state_was_built(events: list[Event]) -> None:
    by_steps = reduce(RoomState.with_event, events, RoomState.of(V11, []))
    at_once = RoomState.of(V11, events)
    stripped = RoomState.of(V11, events, stripped=True)
    over = RoomState.over(V11, storage(at_once))
    assert at_once.heroes() == by_steps.heroes() == over.heroes()
    joined = list(by_steps.joined_members())
    assert list(at_once.joined_members()) == list(stripped.joined_members()) == joined
    again = pickle.loads(pickle.dumps(by_steps))
    assert (again.heroes(), list(again.joined_members())) == (by_steps.heroes(), joined)


@settings(max_examples=60)
@given(strategies.room_states(room_version=V11))
def test_what_events_say_is_compared_by_value(state: RoomState) -> None:
    again = [Event.from_client_event(event.to_client_event(), V11) for event in state.events]
    copied, read = pickle.loads(pickle.dumps(state)), RoomState.of(V11, again)
    taken = [Event.accepted(event.to_client_event(), V11) for event in state.events]
    for other in (copied, read, RoomState.of(V11, taken)):
        assert (other.create == state.create) is (other.power_levels == state.power_levels) is True
        assert hash(other.create) == hash(state.create)
        assert hash(other.power_levels) == hash(state.power_levels)
    other = RoomState.of(V11, [levels({"users": {PEOPLE[0]: 7}})])
    assert other.power_levels not in (RoomState.of(V11, []).power_levels, other.create)


def levels(content: dict[str, Any]) -> Event:
    fields = {"type": "m.room.power_levels", "sender": PEOPLE[0], "state_key": ""}
    return Event.from_client_event({**fields, "content": content}, V11)


def storage(state: RoomState) -> Storage:
    def members(wanted: tuple[Membership, ...] | None) -> Iterator[Event]:
        return (event for event in state.members.values() if event.membership in (wanted or ()))

    return Storage(state.get, lambda: state.events_but_members, members, list)


@settings(max_examples=60)
@given(strategies.room_histories())
def test_state_is_the_same_all_at_once_and_step_by_step(history: RoomHistory) -> None:
    at_once = RoomState.of(history.room_version, history.events)
    start = RoomState.of(history.room_version, [])
    by_steps = reduce(RoomState.with_event, history.events, start)
    assert at_once == by_steps == history.state
    assert everything(at_once) == everything(by_steps)


@settings(max_examples=60)
@given(strategies.room_histories())
def test_state_is_the_same_behind_a_look_up(history: RoomHistory) -> None:
    whole = history.state
    assert answers(RoomState.over(history.room_version, whole.get)) == answers(whole)


@settings(max_examples=60)
@given(data=st.data())
def test_state_does_not_depend_on_the_order_of_its_places(data: st.DataObject) -> None:
    state = data.draw(strategies.room_states())
    events = data.draw(st.permutations(list(state.events)))
    one_by_one = reduce(RoomState.with_event, events, RoomState.of(state.room_version, []))
    assert one_by_one == state == RoomState.of(state.room_version, events)
    assert everything(one_by_one) == everything(state)


@settings(max_examples=50)
@given(strategies.room_states(), ANY_EVENT)
def test_state_never_changes(state: RoomState, event: Event) -> None:
    before = everything(state)
    after = state.with_event(event)
    auth.check(event, state)
    assert everything(state) == before
    assert (after is state) is (event.state_key is None or is_second_create(event, state))


def is_second_create(event: Event, state: RoomState) -> bool:
    return event.type == "m.room.create" and state.create_event is not None


@settings(max_examples=50)
@given(strategies.room_states(), ANY_EVENT)
def test_state_takes_in_an_event_in_its_place_alone(state: RoomState, event: Event) -> None:
    after = {(entry.type, entry.state_key): entry for entry in state.with_event(event).events}
    before = {(entry.type, entry.state_key): entry for entry in state.events}
    taken = event.is_state and not is_second_create(event, state)
    assert after == before | ({(event.type, event.state_key): event} if taken else {})


@settings(max_examples=100)
@given(strategies.auth_cases())
def test_decision_is_the_same_behind_a_look_up(case: AuthCase) -> None:
    over = RoomState.over(case.state.room_version, case.state.get)
    assert auth.check(case.event, over) == auth.check(case.event, case.state)


@settings(max_examples=100)
@given(strategies.auth_cases(unsound_auth_events=False))
def test_decision_needs_no_more_than_the_auth_events(case: AuthCase) -> None:
    create = [case.state.create_event] if case.state.create_event else []
    listed = RoomState.of(case.state.room_version, [*create, *case.auth_events])
    assert auth.check(case.event, listed) == auth.check(case.event, case.state)


@settings(max_examples=200)
@given(strategies.auth_cases())
def test_rules_read_no_other_places_than_those_selected(case: AuthCase) -> None:
    event, state = case.event, case.state
    assume(not state.is_partial)
    places = {("m.room.create", ""), *auth.select_auth_events(event)}
    selected = [held for place in sorted(places) if (held := state.get(*place)) is not None]
    assert auth.check(event, RoomState.of(event.room_version, selected)) == auth.check(event, state)
