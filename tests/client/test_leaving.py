"""Leave, kick, ban, unban and forget."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import RoomVersion
from matrix_membership.client import (
    Answer,
    Begin,
    Forget,
    UserSettings,
    ban,
    forget,
    kick,
    leave,
    unban,
)
from matrix_membership.federation import LEAVING
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, CAY, DAN, Room, a_levelled_room, a_room, everywhere
from tests.client.rooms import about, content_of, forgets, invited, leaves, refusal, resident

NOTHING = Answer(forgets(ANA, "!r:a.example").content)


class TestLeaveHere:
    @everywhere
    @pytest.mark.parametrize("membership", [JOIN, INVITE])
    def test_sends_an_event(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_member(DAN, membership)
        outcome = leave(leaves(DAN, room.room_id, reason="bye"), resident(room), at=9)
        assert content_of(outcome) == {"membership": "leave", "reason": "bye"}

    def test_of_who_has_left_is_answered_at_once(self) -> None:
        room = a_room(V11).with_member(DAN, LEAVE)
        outcome = leave(leaves(DAN, room.room_id, reason="bye"), resident(room), at=9)
        assert outcome == NOTHING

    def test_of_who_was_never_there_is_refused(self) -> None:
        room = a_room(V11)
        outcome = leave(leaves(DAN, room.room_id), resident(room), at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", "you are not in this room")

    def test_of_who_is_banned_is_refused(self) -> None:
        room = a_room(V11).with_member(DAN, BAN)
        outcome = leave(leaves(DAN, room.room_id), resident(room), at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", "you are banned from this room")


class TestLeaveElsewhere:
    def test_rejects_an_invite_through_the_inviting_server(self) -> None:
        room = a_room(V11)
        held = invited(room)
        outcome = leave(leaves(BEN, room.room_id, reason="no"), held, at=9)
        assert isinstance(outcome, Begin)
        assert (outcome.handshake, outcome.servers) == (LEAVING, ("a.example",))
        assert outcome.content == {"reason": "no"}
        assert outcome.locally == held.reject_locally(at=9)

    def test_retracts_a_knock_through_servers_seen(self) -> None:
        room = a_room(V11)
        event = room.knock(BEN).with_signers(["b.example"])
        held = OutOfBand.knocked(event, at=0, servers=["c.example", "a.example"])
        outcome = leave(leaves(BEN, room.room_id), held, at=9)
        assert isinstance(outcome, Begin)
        assert outcome.servers == ("a.example", "c.example")

    def test_of_an_invite_rejected_before_is_answered_at_once(self) -> None:
        room = a_room(V11)
        outcome = leave(leaves(BEN, room.room_id), invited(room).reject_locally(at=1), at=9)
        assert outcome == NOTHING

    def test_of_an_unknown_room_is_not_found(self) -> None:
        assert refusal(leave(leaves(BEN, "!r:a.example"), None, at=9))[:2] == (404, "M_NOT_FOUND")


class TestKick:
    @everywhere
    @pytest.mark.parametrize("membership", [JOIN, INVITE])
    def test_sends_an_event(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_member(BEN, membership)
        outcome = kick(about(ANA, room.room_id, BEN, reason="why"), resident(room), at=9)
        assert content_of(outcome) == {"membership": "leave", "reason": "why"}

    def test_denies_a_knock(self) -> None:
        room = a_room(V11).with_join_rule("knock").with_member(BEN, KNOCK)
        assert content_of(kick(about(ANA, room.room_id, BEN), resident(room), at=9))

    @pytest.mark.parametrize("membership", [LEAVE, BAN])
    def test_of_who_is_not_there_is_refused(self, membership: Any) -> None:
        room = a_room(V11).with_member(BEN, membership)
        outcome = kick(about(ANA, room.room_id, BEN), resident(room), at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", f"{BEN} is not in this room")

    def test_by_an_outsider_is_refused(self) -> None:
        room = a_room(V11)
        outcome = kick(about(DAN, room.room_id, ANA), resident(room), at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", "you are not in this room")

    def test_below_the_kick_level_is_refused(self) -> None:
        room = a_levelled_room(V11, kick=60).with_member(BEN, JOIN)
        outcome = kick(about(ANA, room.room_id, BEN), resident(room), at=9)
        told = "your power level is too low to remove users: 50, and 60 is needed"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)

    def test_of_an_equal_is_refused(self) -> None:
        room = a_levelled_room(V11, users={BEN: 50}).with_member(BEN, JOIN)
        outcome = kick(about(ANA, room.room_id, BEN), resident(room), at=9)
        assert refusal(outcome)[2] == f"the power level of {BEN} is not below yours"

    @pytest.mark.parametrize("remove", [kick, ban, unban])
    def test_by_a_suspended_user_is_refused(self, remove: Any) -> None:
        room = a_room(V11).with_member(BEN, JOIN)
        settings = UserSettings(suspended=True)
        outcome = remove(about(ANA, room.room_id, BEN), resident(room), at=9, settings=settings)
        assert refusal(outcome)[1] == "M_USER_SUSPENDED"

    @pytest.mark.parametrize("remove", [kick, ban, unban])
    def test_from_a_room_that_this_server_is_not_in_is_refused(self, remove: Any) -> None:
        outcome = remove(about(ANA, "!r:c.example", BEN), None, at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", "you are not in this room")


class TestBan:
    @everywhere
    @pytest.mark.parametrize("membership", [JOIN, INVITE, LEAVE])
    def test_sends_an_event(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_member(BEN, membership)
        outcome = ban(about(ANA, room.room_id, BEN), resident(room), at=9)
        assert content_of(outcome) == {"membership": "ban"}

    def test_that_repeats_the_last_one_is_answered_at_once(self) -> None:
        room = a_room(V11)
        room = room.with_state(room.ban(ANA, BEN))
        assert ban(about(ANA, room.room_id, BEN), resident(room), at=9) == NOTHING

    def test_for_another_reason_is_sent(self) -> None:
        room = a_room(V11)
        room = room.with_state(room.ban(ANA, BEN))
        outcome = ban(about(ANA, room.room_id, BEN, reason="more"), resident(room), at=9)
        assert content_of(outcome)["reason"] == "more"

    def test_below_the_ban_level_is_refused(self) -> None:
        room = a_levelled_room(V11, ban=60)
        outcome = ban(about(ANA, room.room_id, BEN), resident(room), at=9)
        told = "your power level is too low to ban users: 50, and 60 is needed"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)

    def test_by_an_outsider_is_refused(self) -> None:
        room = a_room(V11)
        outcome = ban(about(DAN, room.room_id, CAY), resident(room), at=9)
        assert refusal(outcome)[2] == "you are not in this room"

    def test_of_oneself_is_refused(self) -> None:
        room = a_levelled_room(V11)
        outcome = ban(about(ANA, room.room_id, ANA), resident(room), at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", "you cannot ban yourself")


class TestUnban:
    @everywhere
    def test_sends_an_event(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(BEN, BAN)
        outcome = unban(about(ANA, room.room_id, BEN), resident(room), at=9)
        assert content_of(outcome) == {"membership": "leave"}

    @pytest.mark.parametrize("membership", [JOIN, INVITE, KNOCK, LEAVE])
    def test_of_who_is_not_banned_is_refused(self, membership: Any) -> None:
        room = a_room(V11).with_member(BEN, membership)
        outcome = unban(about(ANA, room.room_id, BEN), resident(room), at=9)
        assert refusal(outcome) == (403, "M_BAD_STATE", f"{BEN} is not banned from this room")

    def test_below_the_ban_level_is_refused(self) -> None:
        room = a_levelled_room(V11, ban=60).with_member(BEN, BAN)
        outcome = unban(about(ANA, room.room_id, BEN), resident(room), at=9)
        told = "your power level is too low to unban users: 50, and 60 is needed"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)


class TestPartialState:
    """A kick and an unban are one event, and the membership before tells which."""

    @everywhere
    @pytest.mark.parametrize("remove", [kick, unban])
    def test_leaves_open_which_move_it_would_be(self, version: RoomVersion, remove: Any) -> None:
        room = Room(version, a_room(version).events, partial=True)
        outcome = remove(about(ANA, room.room_id, BEN), resident(room), at=9)
        assert refusal(outcome)[:2] == (503, "M_UNKNOWN")

    def test_does_not_change_a_ban(self) -> None:
        room = Room(V11, a_room(V11).events, partial=True)
        assert content_of(ban(about(ANA, room.room_id, BEN), resident(room), at=9))

    def test_does_not_tell_whether_a_room_can_be_forgotten(self) -> None:
        room = Room(V11, a_room(V11).events, partial=True)
        outcome = forget(forgets(DAN, room.room_id), resident(room))
        assert refusal(outcome)[:2] == (503, "M_UNKNOWN")


class TestForget:
    @pytest.mark.parametrize(
        ("membership", "told"),
        [
            (JOIN, "you are in this room: leave it first"),
            (INVITE, "you are invited to this room: reject the invite first"),
            (KNOCK, "you have knocked on this room: retract the knock first"),
        ],
    )
    def test_is_refused_before_the_user_has_left(self, membership: Any, told: str) -> None:
        room = a_room(V11).with_member(DAN, membership)
        outcome = forget(forgets(DAN, room.room_id), resident(room))
        assert refusal(outcome) == (400, "M_UNKNOWN", told)

    @pytest.mark.parametrize("membership", [LEAVE, BAN])
    def test_forgets_after_that(self, membership: Any) -> None:
        room = a_room(V11).with_member(DAN, membership)
        request = forgets(DAN, room.room_id)
        outcome = forget(request, resident(room))
        assert isinstance(outcome, Forget)
        assert (outcome.user, outcome.room_id, outcome.body) == (DAN, room.room_id, {})

    def test_is_refused_of_an_invite_that_is_held(self) -> None:
        room = a_room(V11)
        assert refusal(forget(forgets(BEN, room.room_id), invited(room)))[1] == "M_UNKNOWN"

    def test_forgets_what_was_never_known(self) -> None:
        assert isinstance(forget(forgets(BEN, "!r:a.example"), None), Forget)
