"""JSON or text in place of a value: read or refused, never taken for something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from matrix_membership import (
    Event,
    Membership,
    RoomState,
    lint,
    lint_change,
    may,
    read_state,
    who_may,
)
from matrix_membership.errors import InvalidMessage
from matrix_membership.identifiers import RoomID
from matrix_membership.membership import BAN, JOIN, UNRECOGNISED, Transition, transition
from matrix_membership.restricted import Forbidden, Granted, authorise
from matrix_membership.room_versions import V11
from matrix_membership.state.from_client import read_event
from tests.builders import ANA, BEN, a_room

NAME = {"type": "m.room.name", "sender": ANA, "content": {}, "state_key": ""}
SPACE = RoomID("!space:a.example")
TEXT: Any = "11"


class TestRoomVersion:
    @pytest.mark.parametrize(
        "entry",
        [
            lambda: RoomState.of(TEXT, []),
            lambda: RoomState.of(TEXT, [], stripped=True),
            lambda: RoomState.over(TEXT, lambda event_type, state_key: None),
            lambda: Event.from_client_event(NAME, TEXT),
            lambda: read_event(NAME, TEXT),
            lambda: read_state([], room_version=TEXT),
        ],
    )
    def test_is_never_text(self, entry: Callable[[], object]) -> None:
        with pytest.raises(TypeError, match="expected a room version, such as KNOWN"):
            entry()


class TestAdvice:
    """A bot has its state as JSON."""

    @pytest.mark.parametrize(
        "entry",
        [
            lambda told: may(ANA, told),
            lambda told: list(who_may(told, lambda user: user.join())),
            lint,
            lambda told: lint_change(told, a_room(V11).events[0]),
        ],
    )
    def test_is_of_no_list(self, entry: Callable[[Any], object]) -> None:
        with pytest.raises(TypeError, match="expected a RoomState, as read_state makes of JSON"):
            entry([NAME])

    @pytest.mark.parametrize("event", [NAME, "$event"])
    def test_is_about_no_json(self, event: Any) -> None:
        state = a_room(V11).state
        for entry in (lambda: lint_change(state, event), lambda: may(ANA, state).redact(event)):
            with pytest.raises(TypeError, match="expected an Event, as "):
                entry()


class TestMembership:
    def authorised(self, told: Any) -> object:
        allow = [{"type": "m.room_membership", "room_id": SPACE}]
        room = a_room(V11).with_join_rule("restricted", allow=allow)
        return authorise(BEN, room.state, {SPACE: told}, "a.example")

    @pytest.mark.parametrize("told", [JOIN, "join"])
    def test_is_read_by_restricted_joins(self, told: Membership | str) -> None:
        assert isinstance(self.authorised(told), Granted)

    @pytest.mark.parametrize("told", [BAN, "ban", "leave"])
    def test_that_lets_nobody_in_is_read_too(self, told: Membership | str) -> None:
        assert isinstance(self.authorised(told), Forbidden)

    @pytest.mark.parametrize("told", ["joined", "", 7, ["join"]])
    def test_that_is_none_is_refused(self, told: Any) -> None:
        with pytest.raises(InvalidMessage) as raised:
            self.authorised(told)
        assert raised.value == InvalidMessage(SPACE, "a membership, as text or not", told)

    @pytest.mark.parametrize(("before", "after"), [("join", "leave"), (JOIN, "leave")])
    def test_makes_no_move_as_text(self, before: Any, after: Any) -> None:
        with pytest.raises(TypeError, match="expected a membership"):
            transition(before, after, by_self=True)

    def test_that_the_table_lacks_makes_an_unexpected_move(self) -> None:
        assert transition(JOIN, UNRECOGNISED, by_self=True) is Transition.UNEXPECTED
