"""The joined members, and memberships set through the endpoint for state events."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import RoomVersion, auth
from matrix_membership.canonical_json import freeze
from matrix_membership.client import (
    Answer,
    NeedsMemberships,
    Send,
    UserSettings,
    joined_members,
    read_joined_members,
    set_membership,
)
from matrix_membership.federation import InvitePolicy
from matrix_membership.identifiers import UserID
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, CAY, DAN, SIGNER_A, Room, a_room, everywhere, since
from tests.client.rooms import ALLOW, asks, content_of, invited, refusal, resident, sets


class TestJoinedMembers:
    def ask(self, user: str, room: Room) -> Any:
        """What a user is told."""
        return joined_members(asks(read_joined_members(UserID(user), room.room_id)), resident(room))

    def test_are_told_with_their_profiles(self) -> None:
        room = a_room(V11).with_member(BEN, INVITE)
        room = room.with_state(room.join(CAY, displayname="Cay", avatar_url=7))
        assert self.ask(ANA, room) == Answer(
            freeze({"joined": {ANA: {}, CAY: {"display_name": "Cay"}}})
        )

    @pytest.mark.parametrize("user", [BEN, DAN])
    def test_are_told_to_joined_members_alone(self, user: str) -> None:
        room = a_room(V11).with_member(BEN, INVITE)
        assert refusal(self.ask(user, room)) == (403, "M_FORBIDDEN", "you are not in this room")

    @pytest.mark.parametrize("user", [ANA, DAN])
    def test_are_not_told_in_part(self, user: str) -> None:
        room = Room(V11, a_room(V11).with_member(BEN, JOIN).events, partial=True)
        assert refusal(self.ask(user, room))[:2] == (503, "M_UNKNOWN")

    def test_of_another_servers_room_are_not_told(self) -> None:
        request = asks(read_joined_members(UserID(BEN), "!r:a.example"))
        assert refusal(joined_members(request, None))[:2] == (403, "M_FORBIDDEN")


class TestSetMembership:
    def ask(
        self, room: Room, *asked: Any, settings: UserSettings | None = None, **fields: Any
    ) -> Any:
        """What comes of a membership set by one user, of another or oneself."""
        user, target, membership = asked
        request = sets(user, room.room_id, target, membership, **fields)
        return set_membership(request, resident(room), at=9, settings=settings or UserSettings())

    @everywhere
    @pytest.mark.parametrize(
        ("before", "asked"),
        [
            (None, (DAN, DAN, "join")),
            (None, (ANA, BEN, "invite")),
            (None, (ANA, BEN, "ban")),
            (JOIN, (ANA, BEN, "leave")),
            (JOIN, (BEN, BEN, "leave")),
            (BAN, (ANA, BEN, "leave")),
        ],
    )
    def test_answers_with_the_id_of_the_event(
        self, version: RoomVersion, before: Any, asked: Any
    ) -> None:
        room = a_room(version).with_join_rule("public")
        room = room if before is None else room.with_member(BEN, before)
        outcome = self.ask(room, *asked)
        assert isinstance(outcome, Send)
        event = room.event("x", ANA, {})
        assert outcome.answer(event) == {"event_id": event.event_id}

    @since("7")
    def test_knocks(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("knock")
        assert content_of(self.ask(room, DAN, DAN, "knock")) == {"membership": "knock"}

    def test_changes_a_profile_in_one_room(self) -> None:
        room = a_room(V11)
        outcome = self.ask(room, ANA, ANA, "join", displayname="Anna")
        assert content_of(outcome) == {"membership": "join", "displayname": "Anna"}
        assert auth.check(outcome.template.complete(SIGNER_A), room.state).allowed

    def test_that_changes_nothing_gives_the_event_that_is_there(self) -> None:
        room = a_room(V11)
        outcome = self.ask(room, ANA, ANA, "join")
        assert outcome == Answer(freeze({"event_id": room.events[1].event_id}))

    def test_never_carries_an_authorising_user(self) -> None:
        room = a_room(V11).with_join_rule("public")
        outcome = self.ask(room, DAN, DAN, "join", join_authorised_via_users_server=ANA)
        assert content_of(outcome) == {"membership": "join"}

    def test_of_a_restricted_room_needs_to_know_more(self) -> None:
        room = a_room(V11).with_join_rule("restricted", allow=ALLOW)
        assert isinstance(self.ask(room, DAN, DAN, "join"), NeedsMemberships)

    def test_invites_once_more_for_another_reason(self) -> None:
        room = a_room(V11).with_member(BEN, INVITE)
        outcome = self.ask(room, ANA, BEN, "invite", reason="again")
        assert content_of(outcome)["reason"] == "again"

    @pytest.mark.parametrize(
        ("asked", "told"),
        [
            ((DAN, BEN, "join"), "you cannot join for another user"),
            ((DAN, BEN, "knock"), "you cannot knock for another user"),
            ((ANA, BEN, "leave"), f"{BEN} is not in this room"),
            ((DAN, DAN, "leave"), "you are not in this room"),
        ],
    )
    def test_that_the_rules_reject_is_refused(self, asked: Any, told: str) -> None:
        room = a_room(V11).with_join_rule("knock")
        assert refusal(self.ask(room, *asked)) == (403, "M_FORBIDDEN", told)

    def test_of_a_user_who_takes_no_invites_is_blocked(self) -> None:
        settings = UserSettings(invites=InvitePolicy(block=("*",)))
        outcome = self.ask(a_room(V11), ANA, DAN, "invite", settings=settings)
        assert refusal(outcome)[1] == "M_INVITE_BLOCKED"

    def test_of_a_suspended_user_is_a_leave_alone(self) -> None:
        settings = UserSettings(suspended=True)
        room = a_room(V11).with_join_rule("public").with_member(DAN, KNOCK)
        assert isinstance(self.ask(room, DAN, DAN, "leave", settings=settings), Send)
        assert refusal(self.ask(room, DAN, DAN, "join", settings=settings))[1] == "M_USER_SUSPENDED"

    def test_in_another_servers_room_is_refused(self) -> None:
        room = a_room(V11)
        request = sets(BEN, room.room_id, BEN, "join")
        outcome = set_membership(request, invited(room), at=9)
        told = "you are not in this room, though you are invited to it"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)
