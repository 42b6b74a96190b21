"""Invites, of a user and by address."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import RoomVersion
from matrix_membership.client import (
    Answer,
    NeedsIdentityServer,
    Send,
    UserSettings,
    invite,
)
from matrix_membership.federation import InvitePolicy, StoredInvite
from matrix_membership.membership import BAN, INVITE, JOIN
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.room_versions import V6, V11, V12
from tests.builders import (
    ANA,
    BEN,
    CAY,
    DAN,
    IDENTITY,
    a_levelled_room,
    a_room,
    decision,
    everywhere,
)
from tests.client.rooms import about, content_of, invited, invites_address, refusal, resident

STORED = StoredInvite.from_json(
    {
        "token": "tok",
        "display_name": "b...",
        "public_keys": [
            {"public_key": IDENTITY.verify_key, "key_validity_url": "https://id.example/valid"}
        ],
    }
)


class TestInvite:
    @everywhere
    def test_of_another_servers_user_is_offered_first(self, version: RoomVersion) -> None:
        room = a_room(version)
        outcome = invite(about(ANA, room.room_id, BEN, reason="hi"), resident(room), at=9)
        assert isinstance(outcome, Send)
        assert outcome.offer_to == "b.example"
        assert outcome.decision == decision("invite.sender_may_invite", version)
        assert content_of(outcome) == {"membership": "invite", "reason": "hi"}

    def test_of_a_user_of_this_server_is_not(self) -> None:
        room = a_room(V11)
        outcome = invite(about(ANA, room.room_id, DAN), resident(room), at=9)
        assert isinstance(outcome, Send)
        assert outcome.offer_to is None

    def test_of_who_is_invited_is_answered_at_once(self) -> None:
        room = a_room(V11).with_member(BEN, INVITE)
        assert isinstance(invite(about(ANA, room.room_id, BEN), resident(room), at=9), Answer)

    def test_of_who_is_invited_by_an_outsider_is_refused(self) -> None:
        room = a_room(V11).with_member(BEN, INVITE)
        outcome = invite(about(DAN, room.room_id, BEN), resident(room), at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", "you are not in this room")

    @pytest.mark.parametrize(
        ("membership", "told"),
        [(JOIN, f"{BEN} is in this room already"), (BAN, f"{BEN} is banned from this room")],
    )
    def test_of_who_is_in_the_way_is_refused(self, membership: Any, told: str) -> None:
        room = a_room(V11).with_member(BEN, membership)
        outcome = invite(about(ANA, room.room_id, BEN), resident(room), at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)

    def test_below_the_invite_level_is_refused(self) -> None:
        room = a_levelled_room(V11, invite=60)
        outcome = invite(about(ANA, room.room_id, BEN), resident(room), at=9)
        told = "your power level is too low to invite users: 50, and 60 is needed"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)

    def test_that_the_user_does_not_take_is_blocked(self) -> None:
        room = a_room(V11)
        settings = UserSettings(invites=InvitePolicy(block=("@ana:*",)))
        outcome = invite(about(ANA, room.room_id, DAN), resident(room), at=9, settings=settings)
        assert refusal(outcome)[:2] == (403, "M_INVITE_BLOCKED")

    def test_of_another_servers_user_is_that_servers_to_block(self) -> None:
        room = a_room(V11)
        settings = UserSettings(invites=InvitePolicy(block=("*",)))
        outcome = invite(about(ANA, room.room_id, BEN), resident(room), at=9, settings=settings)
        assert isinstance(outcome, Send)

    @pytest.mark.parametrize(
        ("user", "policy", "shown"),
        [
            (DAN, InvitePolicy(), True),
            (DAN, InvitePolicy(ignore=(ANA,)), False),
            (BEN, InvitePolicy(ignore=(ANA,)), True),
        ],
    )
    def test_is_sent_and_hidden_from_a_user_who_ignores_it(
        self, user: str, policy: InvitePolicy, *, shown: bool
    ) -> None:
        room, settings = a_room(V11), UserSettings(invites=policy)
        outcome = invite(about(ANA, room.room_id, user), resident(room), at=9, settings=settings)
        assert isinstance(outcome, Send)
        assert outcome.shown is shown

    def test_to_a_direct_chat_says_so(self) -> None:
        room = a_room(V11)
        request = about(ANA, room.room_id, BEN, reason="hi")
        outcome = invite(request, resident(room), at=9, is_direct=True)
        assert content_of(outcome) == {"membership": "invite", "reason": "hi", "is_direct": True}

    def test_by_a_suspended_user_is_refused(self) -> None:
        room = a_room(V11)
        settings = UserSettings(suspended=True)
        outcome = invite(about(ANA, room.room_id, BEN), resident(room), at=9, settings=settings)
        assert refusal(outcome)[1] == "M_USER_SUSPENDED"

    def test_to_a_room_that_this_server_is_not_in_is_refused(self) -> None:
        outcome = invite(about(ANA, "!r:c.example", BEN), None, at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", "you are not in this room")

    def test_to_a_room_that_only_invited_the_user_is_refused(self) -> None:
        room = a_room(V11)
        outcome = invite(about(BEN, room.room_id, CAY), invited(room), at=9)
        told = "you are not in this room, though you are invited to it"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)

    def test_to_a_room_on_which_the_user_knocked_is_refused(self) -> None:
        room = a_room(V11).with_join_rule("knock")
        held = OutOfBand.knocked(room.knock(BEN), at=0)
        outcome = invite(about(BEN, room.room_id, CAY), held, at=9)
        told = "you are not in this room: nobody has answered your knock yet"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)

    def test_to_a_room_that_the_user_is_out_of_is_refused(self) -> None:
        room = a_room(V11)
        held = invited(room).reject_locally(at=1)
        outcome = invite(about(BEN, room.room_id, CAY), held, at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", "you are not in this room")


class TestInviteThatCannotBeAccepted:
    @everywhere
    def test_into_a_closed_room_is_refused(self, version: RoomVersion) -> None:
        room = a_room(version, **{"m.federate": False})
        outcome = invite(about(ANA, room.room_id, BEN), resident(room), at=9)
        told = f"this room is closed to other servers: {BEN} can never join it"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)
        rule = "every_event.sender_from_unfederated_server"
        assert getattr(outcome, "decision", None) == decision(rule, version)

    def test_of_a_server_that_the_acl_shuts_out_is_refused(self) -> None:
        room = a_room(V11).with_content("m.room.server_acl", {"allow": ["a.example"]})
        outcome = invite(about(ANA, room.room_id, BEN), resident(room), at=9)
        told = "the server ACL of this room shuts out b.example"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)
        assert getattr(outcome, "decision", 0) is None

    def test_by_a_join_rule_that_is_unknown_is_refused(self) -> None:
        room = a_room(V6).with_join_rule("knock")
        outcome = invite(about(ANA, room.room_id, DAN), resident(room), at=9)
        told = "the join rule of this room, 'knock', lets nobody in: "
        assert refusal(outcome)[2] == told + "room version 6 does not know it"

    def test_is_refused_for_the_lack_of_power_first(self) -> None:
        room = a_levelled_room(V11, invite=60).with_content("m.room.server_acl", {})
        outcome = invite(about(ANA, room.room_id, BEN), resident(room), at=9)
        assert refusal(outcome)[2].startswith("your power level is too low")

    def test_leaves_users_of_the_own_server_alone(self) -> None:
        room = a_room(V11, **{"m.federate": False})
        outcome = invite(about(ANA, room.room_id, DAN), resident(room), at=9)
        assert content_of(outcome) == {"membership": "invite"}


class TestInviteByAddress:
    def test_needs_the_identity_server(self) -> None:
        room = a_room(V11)
        request = invites_address(ANA, room.room_id)
        assert invite(request, resident(room), at=9) == NeedsIdentityServer(request)

    def test_that_could_not_be_stored_is_refused_before(self) -> None:
        room = a_levelled_room(V11, invite=60, state_default=0)
        outcome = invite(invites_address(ANA, room.room_id), resident(room), at=9)
        told = "your power level is too low to invite users: 50, and 60 is needed"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)

    def test_by_an_outsider_is_refused(self) -> None:
        room = a_room(V11)
        outcome = invite(invites_address(DAN, room.room_id), resident(room), at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", "you are not in this room")

    @everywhere
    def test_is_stored_in_the_room(self, version: RoomVersion) -> None:
        room = a_room(version)
        request = invites_address(ANA, room.room_id)
        outcome = invite(request, resident(room), at=9, stored=STORED)
        assert isinstance(outcome, Send)
        assert outcome.template.get("state_key") == "tok"
        assert content_of(outcome)["display_name"] == "b..."
        assert content_of(outcome)["public_key"] == IDENTITY.verify_key

    def test_that_no_event_can_hold_is_refused(self) -> None:
        room = a_room(V12)
        broken = StoredInvite("\ud800", STORED.public_keys, "b...")
        request = invites_address(ANA, room.room_id)
        outcome = invite(request, resident(room), at=9, stored=broken)
        assert refusal(outcome)[:2] == (400, "M_BAD_JSON")
