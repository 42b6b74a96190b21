"""Laws of visibility: the text of the specification once more, as plain as it stands, over any room.

The rooms are not judged by the rules: users come and go as they like, and set what they like.
"""

from __future__ import annotations

from typing import Final

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix_membership import Event, RoomState
from matrix_membership.identifiers import server_of
from matrix_membership.membership import MEMBERSHIPS
from matrix_membership.room_versions import V11
from matrix_membership.visibility import (
    client_timeline,
    list_members,
    may_see,
    readable_state,
    timeline,
)
from tests.builders import ANA, BEN, CAY, DAN, a_room

PEOPLE: Final = (ANA, BEN, CAY, DAN)
SERVERS: Final = ("a.example", "b.example", "c.example", "x.example")
PLACE: Final = "m.room.history_visibility"

Move = tuple[str, str, object]

MOVES: Final[st.SearchStrategy[Move]] = st.one_of(
    st.tuples(st.just("message"), st.just(""), st.just("")),
    st.tuples(
        st.just(PLACE),
        st.just(""),
        st.sampled_from(["world_readable", "shared", "invited", "joined", "odd", None]),
    ),
    st.tuples(
        st.just("m.room.member"), st.sampled_from(PEOPLE[1:]), st.sampled_from(list(MEMBERSHIPS))
    ),
)


@attrs.frozen
class Line:
    """A room without forks: its events, and the state before each of them and after the last."""

    events: tuple[Event, ...]
    states: tuple[RoomState, ...]

    @property
    def steps(self) -> list[tuple[Event, RoomState]]:
        return list(zip(self.events, self.states, strict=False))


def line_of(moves: list[Move]) -> Line:
    room = a_room(V11)
    states, events = [room.state], []
    for number, (kind, key, value) in enumerate(moves):
        made = attrs.evolve(room, made=number)
        if kind == "message":
            event = made.message(ANA)
        elif kind == PLACE:
            event = made.event(kind, ANA, {"history_visibility": value, "x": 1}, key)
        else:
            event = made.event(kind, key, {"membership": value, "x": 1}, key)
        events.append(event)
        states.append(states[-1].with_event(event))
    return Line(tuple(events), tuple(states))


LINES: Final = st.lists(MOVES, max_size=14).map(line_of)


def plainly(user: str, line: Line, index: int) -> bool:
    """The five points of the text for one user and one event, and its two exceptions."""
    event = line.events[index]

    def membership(state: RoomState) -> str:
        held = state.get("m.room.member", user)
        return "leave" if held is None else str(held.content["membership"])

    def visibility(state: RoomState) -> object:
        held = state.get(PLACE)
        told = None if held is None else held.content["history_visibility"]
        return told if told in ("world_readable", "invited", "joined") else "shared"

    before, after = line.states[index], line.states[index + 1]
    visibilities = {visibility(before)} | ({visibility(after)} if event.type == PLACE else set())
    own = event.type == "m.room.member" and event.state_key == user
    memberships = {membership(before)} | ({membership(after)} if own else set())
    joins_later = any(membership(state) == "join" for state in line.states[index + 2 :])

    def allowed(visible: object, member: str) -> bool:
        if visible == "world_readable":
            return True
        if member == "join":
            return True
        # Joined at the event's end means: by this event, or before it.
        if visible == "shared" and joins_later:
            return True
        return member == "invite" and visible == "invited"

    return any(allowed(visible, member) for visible in visibilities for member in memberships)


def joined_since(user: str, line: Line, index: int) -> bool:
    return any(str(state.membership_of(user)) == "join" for state in line.states[index + 1 :])


@settings(max_examples=100)
@given(LINES)
def test_users_see_what_the_text_says(line: Line) -> None:
    now = line.states[-1]
    for user in PEOPLE:
        expected = [event for index, event in enumerate(line.events) if plainly(user, line, index)]
        assert timeline(user, line.steps, now) == expected
        for index, (event, before) in enumerate(line.steps):
            since = joined_since(user, line, index)
            answer = may_see(user, event, before, now, joined_since=since)
            assert bool(answer) == (event in expected), (str(answer), event)
            assert answer.membership is line.states[index + 1].membership_of(user)
        told = client_timeline(user, line.steps, now)
        assert [event["event_id"] for event in told] == [event.event_id for event in expected]


@settings(max_examples=100)
@given(LINES)
def test_servers_see_what_one_of_their_users_sees(line: Line) -> None:
    now = line.states[-1]
    for server in SERVERS:
        users = [user for user in (*PEOPLE, "@nobody:x.example") if server_of(user) == server]
        served = timeline(server, line.steps, now)
        assert served == list(line.events)
        for index, shown in enumerate(served):
            whole = any(plainly(user, line, index) for user in users)
            assert shown.pdu == (line.events[index] if whole else line.events[index].redacted()).pdu


@settings(max_examples=100)
@given(LINES, st.data())
def test_who_sees_more_now_saw_it_all_along(line: Line, data: st.DataObject) -> None:
    """Joining never hides an event that was visible, and leaving hides none from before it."""
    user = data.draw(st.sampled_from(PEOPLE))
    before = timeline(user, line.steps, line.states[-1], joined_since=False)
    after = timeline(user, line.steps, line.states[-1], joined_since=True)
    assert set(before) <= set(after)


@settings(max_examples=50)
@given(LINES)
def test_nobody_sees_more_of_a_partial_state(line: Line) -> None:
    """What the state leaves out only hides events."""
    for index, (event, before) in enumerate(line.steps):
        known = [entry for entry in before.events if entry.type != "m.room.member"]
        partial = RoomState.of(V11, known, partial=True)
        for viewer in (*PEOPLE, *SERVERS):
            now = line.states[-1]
            # The end of a line tells where a viewer joined since.
            since = None if index % 2 else False
            if may_see(viewer, event, partial, now, joined_since=since):
                assert may_see(viewer, event, before, now, joined_since=since)


@settings(max_examples=100)
@given(LINES, st.sampled_from([*MEMBERSHIPS, None]), st.sampled_from([*MEMBERSHIPS, None]))
def test_members_are_listed_by_either_condition(
    line: Line, wanted: str | None, unwanted: str | None
) -> None:
    state = line.states[-1]

    def listed(membership: str) -> bool:
        if wanted is None and unwanted is None:
            return True
        return membership == wanted or (unwanted is not None and membership != unwanted)

    expected = [e for e in state.members.values() if listed(str(e.membership))]
    assert list_members(state, membership=wanted, not_membership=unwanted) == expected


@settings(max_examples=100)
@given(LINES)
def test_state_at_a_point_is_read_by_who_sees_a_message_there(line: Line) -> None:
    now = line.states[-1]
    message = a_room(V11).message(ANA)
    for at in line.states:
        for user in PEOPLE:
            shown = readable_state(user, now, at=at) is at
            assert shown is bool(may_see(user, message, at, now))
