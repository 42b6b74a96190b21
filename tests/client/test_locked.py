"""Locked users may do nothing; suspended ones may leave, forget and look."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership.client import (
    Answer,
    Forget,
    Send,
    UserSettings,
    ban,
    forget,
    invite,
    join,
    joined_members,
    kick,
    knock,
    leave,
    read_joined_members,
    set_membership,
    unban,
)
from matrix_membership.federation import MatrixError
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, DAN, a_room
from tests.client.rooms import (
    HERE,
    about,
    asks,
    forgets,
    invites_address,
    joins,
    knocks,
    leaves,
    resident,
    sets,
)

LOCKED = UserSettings(locked=True)
SUSPENDED = UserSettings(suspended=True)
TOLD = MatrixError.of("M_USER_LOCKED", "your account is locked", soft_logout=True)
ROOM = a_room(V11)
ID = ROOM.room_id

REQUESTS: tuple[tuple[Any, Any], ...] = (
    (join, joins(ANA, ID)),
    (join, joins(ANA, "#talk:a.example")),
    (knock, knocks(ANA, ID)),
    (knock, knocks(ANA, "#talk:a.example")),
    (leave, leaves(ANA, ID)),
    (invite, about(ANA, ID, BEN)),
    (invite, invites_address(ANA, ID)),
    (kick, about(ANA, ID, BEN)),
    (ban, about(ANA, ID, BEN)),
    (unban, about(ANA, ID, BEN)),
    *((set_membership, sets(ANA, ID, ANA, word)) for word in ("join", "knock", "leave")),
    *((set_membership, sets(ANA, ID, BEN, word)) for word in ("invite", "leave", "ban")),
)


class TestLockedUser:
    @pytest.mark.parametrize("room", [resident(ROOM), None], ids=["resident", "outside"])
    @pytest.mark.parametrize(("ask", "request_"), REQUESTS)
    def test_changes_no_membership(self, ask: Any, request_: Any, room: Any) -> None:
        assert ask(request_, room, at=9, settings=LOCKED) == TOLD

    @pytest.mark.parametrize("room", [resident(ROOM), None], ids=["resident", "outside"])
    def test_forgets_and_lists_nothing(self, room: Any) -> None:
        listed = asks(read_joined_members(ANA, ID))  # type: ignore[arg-type]  # a user ID is text
        assert joined_members(listed, room, settings=LOCKED) == TOLD
        assert forget(forgets(ANA, ID), room, settings=LOCKED) == TOLD

    def test_is_told_to_keep_the_session(self) -> None:
        assert TOLD.status == 401
        assert TOLD.to_json() == {
            "errcode": "M_USER_LOCKED",
            "error": "your account is locked",
            "soft_logout": True,
        }


class TestSuspendedUser:
    def test_leaves_forgets_and_looks(self) -> None:
        room = resident(ROOM)
        listed = asks(read_joined_members(ANA, ID))  # type: ignore[arg-type]  # a user ID is text
        assert isinstance(leave(leaves(ANA, ID), room, at=9, settings=SUSPENDED), Send)
        assert isinstance(joined_members(listed, room, settings=SUSPENDED), Answer)
        assert isinstance(forget(forgets(DAN, ID), room, settings=SUSPENDED), Forget)


class TestForgetForcedUponLeave:
    @pytest.mark.parametrize(
        ("user", "membership", "forgotten"),
        [
            (ANA, LEAVE, True),
            (ANA, BAN, True),
            (ANA, JOIN, False),
            (ANA, INVITE, False),
            (ANA, KNOCK, False),
            (BEN, LEAVE, False),
        ],
    )
    def test_is_of_an_own_user_who_is_out(
        self, user: str, membership: Any, *, forgotten: bool
    ) -> None:
        event = ROOM.member(user, user, membership)
        expected = Forget(user, ID) if forgotten else None  # type: ignore[arg-type]  # IDs are text
        assert Forget.forced_by(event, HERE) == expected

    def test_is_not_of_other_events(self) -> None:
        assert Forget.forced_by(ROOM.message(ANA), HERE) is None
        odd = ROOM.event("m.room.member", ANA, {"membership": "leave"}, "ana")
        assert Forget.forced_by(odd, HERE) is None
