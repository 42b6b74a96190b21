from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings

from matrix_membership import Membership, RoomState, strategies
from matrix_membership.errors import IncompleteState
from matrix_membership.identifiers import server_of
from matrix_membership.room_versions import V11
from matrix_membership.state.of_servers import has_invited, has_joined
from matrix_membership.strategies import RoomHistory
from tests.builders import BEN, CAY, a_room
from tests.state.test_storage import over

INVITE, LEAVE = Membership.INVITE, Membership.LEAVE
SERVERS = ("a.example", "b.example", "c.example", "d.example", "e.example", "x.example")
ROOM = a_room(V11).with_member(BEN, INVITE).with_member(CAY, LEAVE)


def told(state: RoomState, membership: Membership) -> set[str]:
    """The servers of the members with a membership, found by looking at all of them."""
    return {server_of(user) for user, e in state.members.items() if e.membership is membership}


@settings(max_examples=60)
@given(strategies.room_histories())
def test_servers_have_whom_the_members_show(history: RoomHistory) -> None:
    for state in (*history.states, RoomState.of(history.room_version, history.events)):
        for server in {*SERVERS, *map(server_of, state.members)}:
            assert has_joined(state, server) == (server in told(state, Membership.JOIN))
            assert has_invited(state, server) == (server in told(state, INVITE))


class TestOverAStorage:
    def test_asks_for_the_servers_and_for_invited_members(self) -> None:
        state = over(ROOM)
        assert [has_joined(state, server) for server in SERVERS[:3]] == [True, False, False]
        assert [has_invited(state, server) for server in SERVERS[:3]] == [False, True, False]


class TestOverALookUp:
    @pytest.mark.parametrize("question", [has_joined, has_invited])
    def test_cannot_tell(self, question: Callable[[RoomState, str], bool]) -> None:
        with pytest.raises(IncompleteState):
            question(RoomState.over(V11, ROOM.state.get), "a.example")


class TestOfAPartialState:
    def test_is_true_for_servers_that_were_told(self) -> None:
        state = RoomState.of(V11, ROOM.events, partial=True, servers=["a.example", "x.example"])
        told_or_shown = [has_joined(state, server) for server in ("a.example", "x.example")]
        assert (told_or_shown, has_joined(state, "b.example")) == ([True, True], False)

    def test_is_true_for_members_that_it_shows(self) -> None:
        state = RoomState.of(V11, ROOM.events, partial=True)
        assert has_joined(state, "a.example")
        assert has_invited(state, "b.example")

    @pytest.mark.parametrize("question", [has_joined, has_invited])
    def test_is_unknown_for_others(self, question: Callable[[RoomState, str], bool]) -> None:
        with pytest.raises(IncompleteState):
            question(RoomState.of(V11, ROOM.events, partial=True), "x.example")
