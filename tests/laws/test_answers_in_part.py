"""What a part of the state answers, the whole state answers too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership import Event, RoomState, RoomVersion, client, may, who_may
from matrix_membership.errors import IncompleteState, InvalidEvent
from matrix_membership.fate import fate_of
from matrix_membership.federation import MatrixError, ResidentRoom
from matrix_membership.identifiers import UserID
from matrix_membership.room_versions import V1, V6, V8, V10, V11, V12
from matrix_membership.state import PassedOver
from tests.builders import ANA, BEN, CAY, Room, a_room
from tests.client.rooms import HERE, about, forgets, leaves

pytestmark = pytest.mark.long

USERS: Final = (ANA, BEN, CAY)
FAULT: Final = InvalidEvent("event", "JSON values", "?")
ASKED: Final[Mapping[str, tuple[Any, ...]]] = {
    "join": (),
    "knock": (),
    "leave": (),
    "invite": (CAY,),
    "kick": (BEN,),
    "ban": (BEN,),
    "unban": (CAY,),
    "send": ("m.room.message",),
    "set": ("m.room.topic",),
    "change_level": (BEN, 30),
    "notify": (),
    "upgrade": (),
}
JOIN_RULES: Final = ("public", "invite", "knock", "restricted", "knock_restricted", "private")
LEVELS: Final = st.fixed_dictionaries(
    {"users": st.dictionaries(st.sampled_from(USERS), st.sampled_from([0, 50, 100]))},
    optional={name: st.sampled_from([0, 50]) for name in ("users_default", "invite", "ban")},
)


@st.composite
def rooms(draw: st.DrawFn) -> Room:
    """Rooms of three users, with or without each of the events that decide."""
    room = a_room(draw(st.sampled_from([V1, V6, V8, V10, V11, V12])))
    found = {
        ("m.room.join_rules", ""): {"join_rule": draw(st.sampled_from(JOIN_RULES))},
        ("m.room.power_levels", ""): draw(LEVELS),
        ("m.room.server_acl", ""): {"allow": ["*"], "deny": ["c.example"]},
    }
    memberships = st.sampled_from(["join", "invite", "leave", "ban", "knock"])
    for user in USERS[1:]:
        found["m.room.member", user] = {"membership": draw(memberships)}
    for (kind, key), content in found.items():
        if draw(st.booleans()):
            room = room.with_state(room.event(kind, ANA, content, key))
    return room


@st.composite
def parts(draw: st.DrawFn) -> tuple[RoomState, RoomState]:
    """A whole state without a list of servers, or with it; and a part of it."""
    whole = draw(rooms()).state
    events = list(whole.events)
    # Without its create event a state counts as that of a federated room: a choice, not a law.
    kept = [event for event in events if event.type == "m.room.create" or draw(st.booleans())]
    return whole, _part(whole.room_version, events, kept, draw(st.integers(0, 2)))


def _part(version: RoomVersion, events: list[Event], kept: list[Event], kind: int) -> RoomState:
    if kind == 0:
        # A stripped state leaves the list of servers out as a rule: it counts as absent there.
        lists = [event for event in events if event.type == "m.room.server_acl"]
        return RoomState.of(version, [*kept, *lists], stripped=True)
    if kind == 1:
        members = [event for event in kept if event.type == "m.room.member"]
        others = [event for event in events if event.type != "m.room.member"]
        return RoomState.of(version, [*others, *members], partial=True)
    gone = [event for event in events if event not in kept]
    passed_over = [
        PassedOver(index, event.type, event.state_key, event.event_id, FAULT)
        for index, event in enumerate(gone)
    ]
    return RoomState.of(version, kept, passed_over=passed_over)


@pytest.mark.parametrize("question", ASKED)
@given(states=parts(), user=st.sampled_from(USERS))
def test_an_answer_from_a_part_is_that_of_the_whole(
    question: str, states: tuple[RoomState, RoomState], user: str
) -> None:
    whole, part = (getattr(may(user, state), question)(*ASKED[question]) for state in states)
    assert part.unknown or whole.unknown or bool(part) == bool(whole)


@given(states=parts(), user=st.sampled_from(USERS))
def test_a_fate_from_a_part_is_that_of_the_whole(
    states: tuple[RoomState, RoomState], user: str
) -> None:
    whole, part = (fate_of(user, state) for state in states)
    assert part.can_accept in (None, whole.can_accept)
    assert part.can_reject in (None, whole.can_reject)


@given(states=parts())
def test_those_who_may_by_a_part_may_by_the_whole(states: tuple[RoomState, RoomState]) -> None:
    whole, part = states
    able = set(who_may(whole, lambda user: user.invite(CAY)))
    found: list[str] = []
    try:
        found += who_may(part, lambda user: user.invite(CAY))
    except IncompleteState:
        assert set(found) <= able
    else:
        assert set(found) == able


ENDPOINTS: Final[Mapping[str, Any]] = {
    "invite": lambda room, user: client.invite(about(ANA, room.room_id, user), room, at=1),
    "kick": lambda room, user: client.kick(about(ANA, room.room_id, user), room, at=1),
    "ban": lambda room, user: client.ban(about(ANA, room.room_id, user), room, at=1),
    "unban": lambda room, user: client.unban(about(ANA, room.room_id, user), room, at=1),
    "leave": lambda room, user: client.leave(leaves(user, room.room_id), room, at=1),
    "forget": lambda room, user: client.forget(forgets(user, room.room_id), room),
    "joined_members": lambda room, user: client.joined_members(leaves(user, room.room_id), room),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@given(whole=rooms(), kept=st.sets(st.sampled_from(USERS)), user=st.sampled_from(USERS))
def test_an_endpoint_never_knows_members_left_out(
    endpoint: str, whole: Room, kept: set[str], user: str
) -> None:
    events = whole.events
    known = [e for e in events if e.type != "m.room.member" or e.state_key in kept]
    partial = RoomState.of(whole.version, known, partial=True)
    by_id = {event.event_id: event for event in events}
    told, true = (
        ENDPOINTS[endpoint](
            ResidentRoom(HERE, state, (events[-1].event_id,), 7, by_id.get), UserID(user)
        )
        for state in (partial, whole.state)
    )
    if isinstance(told, client.Send):
        assert not isinstance(true, MatrixError)
    elif not isinstance(told, MatrixError):
        assert told == true
    elif told.status != 503:
        assert not isinstance(true, client.Send)
