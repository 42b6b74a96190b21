"""Join and knock: what is sent, begun, needed, answered or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from matrix_membership import RoomVersion, auth
from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import JsonObject, freeze
from matrix_membership.client import (
    Answer,
    Begin,
    NeedsAlias,
    NeedsExchange,
    NeedsMemberships,
    Send,
    UserSettings,
    join,
    knock,
)
from matrix_membership.federation import JOINING, KNOCKING, MatrixError
from matrix_membership.identifiers import RoomID, ServerName
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.restricted import rooms_to_check
from matrix_membership.room_versions import V10, V11, V12
from matrix_membership.signing import sign_json
from tests.builders import (
    ANA,
    BEN,
    CAY,
    DAN,
    IDENTITY,
    SIGNER_A,
    Room,
    a_levelled_room,
    a_room,
    decision,
    everywhere,
    since,
)
from tests.client.rooms import (
    ALLOW,
    content_of,
    invited,
    joins,
    knocks,
    refusal,
    resident,
)

PROFILE = freeze({"displayname": "Dan", "avatar_url": "mxc://a.example/d", "other": 1})
SUSPENDED = UserSettings(suspended=True)
GUEST = UserSettings(guest=True)


class TestJoinHere:
    @everywhere
    def test_sends_an_event_that_the_rules_allow(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public")
        outcome = join(joins(DAN, room.room_id, reason="why"), resident(room), at=9)
        assert isinstance(outcome, Send)
        assert outcome.decision == decision("join.public_room", version)
        assert outcome.template.content == {"membership": "join", "reason": "why"}
        event = outcome.template.complete(SIGNER_A)
        assert auth.check(event, room.state).allowed
        assert outcome.answer(event) == {"room_id": room.room_id}

    def test_carries_the_profile(self) -> None:
        room = a_room(V11).with_join_rule("public")
        outcome = join(
            joins(DAN, room.room_id), resident(room), at=9, settings=UserSettings(profile=PROFILE)
        )
        assert content_of(outcome) == {
            "membership": "join",
            "displayname": "Dan",
            "avatar_url": "mxc://a.example/d",
        }

    def test_of_a_joined_user_is_answered_at_once(self) -> None:
        room = a_room(V11)
        outcome = join(joins(ANA, room.room_id, reason="again"), resident(room), at=9)
        assert outcome == Answer(freeze({"room_id": room.room_id}))

    def test_of_an_alias_needs_the_room(self) -> None:
        request = joins(DAN, "#talk:a.example")
        assert join(request, None, at=9) == NeedsAlias("#talk:a.example", request)

    def test_of_an_invited_user_is_sent_whatever_the_conditions(self) -> None:
        room = a_room(V11).with_join_rule("restricted", allow=ALLOW).with_member(DAN, INVITE)
        assert content_of(join(joins(DAN, room.room_id), resident(room), at=9)) == {
            "membership": "join"
        }

    @everywhere
    def test_of_whom_nobody_invited_is_refused(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("invite")
        outcome = join(joins(DAN, room.room_id), resident(room), at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", "you are not invited to this room")
        assert getattr(outcome, "decision", None) == decision("join.otherwise", version)

    @everywhere
    @pytest.mark.parametrize("membership", [INVITE, LEAVE])
    def test_by_a_join_rule_that_is_unknown_is_refused(
        self, version: RoomVersion, membership: Any
    ) -> None:
        room = a_room(version).with_join_rule("private").with_member(DAN, membership)
        outcome = join(joins(DAN, room.room_id), resident(room), at=9)
        told = "the join rule of this room, 'private', lets nobody in: "
        known = f"room version {version} does not know it"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told + known)

    @everywhere
    def test_of_a_banned_user_is_refused(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public").with_member(DAN, BAN)
        outcome = join(joins(DAN, room.room_id), resident(room), at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", "you are banned from this room")

    def test_of_a_banned_user_needs_no_look_into_other_rooms(self) -> None:
        room = a_room(V11).with_join_rule("restricted", allow=ALLOW).with_member(DAN, BAN)
        outcome = join(joins(DAN, room.room_id), resident(room), at=9)
        assert refusal(outcome)[2] == "you are banned from this room"

    def test_into_a_room_closed_to_other_servers_is_refused(self) -> None:
        room = a_room(V11, **{"m.federate": False}).with_join_rule("public")
        outcome = join(joins(BEN, room.room_id), resident(room, "b.example"), at=9)
        assert refusal(outcome)[2] == "this room is closed to other servers"

    def test_of_a_suspended_user_is_refused(self) -> None:
        room = a_room(V11).with_join_rule("public")
        outcome = join(joins(DAN, room.room_id), resident(room), at=9, settings=SUSPENDED)
        assert refusal(outcome)[:2] == (403, "M_USER_SUSPENDED")

    def test_of_a_guest_needs_a_room_that_lets_guests_in(self) -> None:
        room = a_room(V11).with_join_rule("public")
        outcome = join(joins(DAN, room.room_id), resident(room), at=9, settings=GUEST)
        assert refusal(outcome)[:2] == (403, "M_GUEST_ACCESS_FORBIDDEN")
        closed = room.with_content("m.room.guest_access", {"guest_access": "forbidden"})
        outcome = join(joins(DAN, room.room_id), resident(closed), at=9, settings=GUEST)
        assert refusal(outcome)[1] == "M_GUEST_ACCESS_FORBIDDEN"
        open_to_all = room.with_content("m.room.guest_access", {"guest_access": "can_join"})
        outcome = join(joins(DAN, room.room_id), resident(open_to_all), at=9, settings=GUEST)
        assert isinstance(outcome, Send)

    def test_in_a_state_that_leaves_members_out_waits(self) -> None:
        room = Room(V11, a_room(V11).with_join_rule("invite").events, partial=True)
        outcome = join(joins(DAN, room.room_id), resident(room), at=9)
        assert refusal(outcome)[:2] == (503, "M_UNKNOWN")

    @everywhere
    def test_into_a_public_room_whose_members_are_not_all_known(self, version: RoomVersion) -> None:
        known = a_room(version).with_join_rule("public")
        room = Room(version, known.events, partial=True)
        outcome = join(joins(DAN, room.room_id), resident(room), at=9)
        assert isinstance(outcome, Send)
        assert (outcome.decision.undecided, outcome.decision.allowed) == (True, False)

    def test_into_a_closed_room_whose_members_are_not_all_known_is_refused(self) -> None:
        known = a_room(V11, **{"m.federate": False}).with_join_rule("public")
        room = Room(V11, known.events, partial=True)
        outcome = join(joins(BEN, room.room_id), resident(room, "b.example"), at=9)
        assert refusal(outcome)[2] == "this room is closed to other servers"

    def test_that_no_event_can_hold_is_refused(self) -> None:
        room = a_room(V11).with_join_rule("public")
        broken = UserSettings(profile=JsonObject(displayname="\ud800"))
        outcome = join(joins(DAN, room.room_id), resident(room), at=9, settings=broken)
        assert refusal(outcome)[:2] == (400, "M_BAD_JSON")


class TestRestrictedJoin:
    def room(self, version: RoomVersion = V11, **levels: Any) -> Room:
        """A restricted room of one other room, where Ana may invite."""
        return (
            a_levelled_room(version, **levels)
            .with_join_rule("restricted", allow=ALLOW)
            .with_member(CAY, JOIN)
        )

    @since("8")
    def test_needs_to_know_the_user_elsewhere(self, version: RoomVersion) -> None:
        room = self.room(version)
        outcome = join(joins(DAN, room.room_id), resident(room), at=9)
        assert outcome == NeedsMemberships(
            joins(DAN, room.room_id).user, rooms_to_check(room.state)
        )

    @since("8")
    def test_names_the_authorising_user(self, version: RoomVersion) -> None:
        room = self.room(version)
        outcome = join(
            joins(DAN, room.room_id),
            resident(room),
            at=9,
            memberships={"!s:a.example": JOIN},
        )
        assert content_of(outcome)["join_authorised_via_users_server"] == ANA

    @pytest.mark.parametrize("elsewhere", [LEAVE, BAN, INVITE, KNOCK])
    def test_of_whom_no_condition_lets_in_is_refused(self, elsewhere: Any) -> None:
        room = self.room()
        outcome = join(
            joins(DAN, room.room_id),
            resident(room),
            at=9,
            memberships={"!s:a.example": elsewhere},
        )
        told = "you are not invited, and in none of the rooms whose members may join"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)

    @pytest.mark.parametrize("memberships", [{}, {"!s:a.example": None}])
    def test_goes_to_servers_that_may_know_more(self, memberships: Mapping[str, Any]) -> None:
        room = self.room(users={CAY: 50}, invite=50)
        outcome = join(joins(DAN, room.room_id), resident(room), at=9, memberships=memberships)
        assert isinstance(outcome, Begin)
        assert (outcome.handshake, outcome.servers) == (JOINING, ("c.example",))

    def test_goes_to_servers_that_can_authorise(self) -> None:
        room = self.room(users={ANA: 0, CAY: 50}, invite=50)
        outcome = join(
            joins(DAN, room.room_id), resident(room), at=9, memberships={"!s:a.example": JOIN}
        )
        assert isinstance(outcome, Begin)
        assert outcome.servers == ("c.example",)

    def test_into_a_room_where_nobody_can_authorise_is_refused(self) -> None:
        room = self.room(users={ANA: 0}, invite=50)
        outcome = join(
            joins(DAN, room.room_id), resident(room), at=9, memberships={"!s:a.example": JOIN}
        )
        told = "nobody in this room may invite, so nobody can let you in"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)

    @pytest.mark.parametrize("memberships", [{}, {"!s:a.example": None}])
    def test_that_only_a_hidden_room_could_allow_is_refused(
        self, memberships: Mapping[str, Any]
    ) -> None:
        room = self.room(invite=50)
        outcome = join(joins(DAN, room.room_id), resident(room), at=9, memberships=memberships)
        told = "this server cannot see whether you are in a room whose members may join"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)

    @pytest.mark.parametrize("elsewhere", [JOIN, None])
    def test_waits_for_members_who_may_let_the_user_in(self, elsewhere: Any) -> None:
        room = self.room(users={ANA: 0}, invite=50).with_member(DAN, LEAVE)
        partial = Room(V11, room.events, partial=True)
        outcome = join(
            joins(DAN, room.room_id),
            resident(partial),
            at=9,
            memberships={"!s:a.example": elsewhere},
        )
        told = "the members of this room are not known yet: try again later"
        assert refusal(outcome) == (503, "M_UNKNOWN", told)

    def test_without_conditions_lets_nobody_in(self) -> None:
        room = a_room(V11).with_join_rule("restricted")
        outcome = join(joins(DAN, room.room_id), resident(room), at=9)
        told = "you are not invited, and this room names no other room whose members may join"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)

    def test_of_a_suspended_user_is_refused(self) -> None:
        room = self.room()
        outcome = join(joins(DAN, room.room_id), resident(room), at=9, settings=SUSPENDED)
        assert refusal(outcome)[1] == "M_USER_SUSPENDED"


class TestJoinElsewhere:
    def test_begins_with_the_servers_that_the_client_names(self) -> None:
        request = joins(BEN, "!r:a.example", via=("c.example", "b.example"), reason="why")
        outcome = join(request, None, at=9, settings=UserSettings(profile=PROFILE))
        assert outcome == Begin(
            JOINING,
            request.user,
            RoomID("!r:a.example"),
            (ServerName("c.example"), ServerName("a.example")),
            freeze(
                {"displayname": "Dan", "avatar_url": "mxc://a.example/d", "reason": "why"},
            ),
            freeze({"room_id": "!r:a.example"}),
        )

    def test_of_an_invite_asks_the_senders_server_first(self) -> None:
        room = a_room(V12)
        held = evolve(invited(room), servers=frozenset({ServerName("0.example")}))
        request = joins(BEN, room.room_id, via=("z.example", "a.example", "c.example"))
        outcome = join(request, held, at=9)
        assert isinstance(outcome, Begin)
        assert outcome.servers == ("a.example", "z.example", "c.example", "0.example")
        assert outcome.invited

    def test_of_several_invites_asks_the_server_of_each_first(self) -> None:
        room = a_room(V12)
        by_ana = invited(room)
        by_cay = (
            room.with_state(by_ana.event).invite(CAY, BEN).with_signers({"c.example", "b.example"})
        )
        held = by_ana.receive(by_cay, at=1).after
        outcome = join(joins(BEN, room.room_id, via=("z.example",)), held, at=9)
        assert isinstance(outcome, Begin)
        assert outcome.servers == ("c.example", "a.example", "z.example")

    def test_without_an_invite_asks_the_clients_servers_first(self) -> None:
        room = a_room(V11)
        held = OutOfBand.knocked(room.knock(BEN), at=0, servers=["a.example"])
        outcome = join(joins(BEN, room.room_id, via=("z.example",)), held, at=9)
        assert isinstance(outcome, Begin)
        assert (outcome.servers, outcome.invited) == (("z.example", "a.example"), False)

    def test_without_any_server_is_not_found(self) -> None:
        outcome = join(joins(BEN, "!" + "x" * 43), None, at=9)
        assert refusal(outcome)[:2] == (404, "M_NOT_FOUND")

    def test_of_a_suspended_user_is_refused(self) -> None:
        outcome = join(joins(BEN, "!r:a.example"), None, at=9, settings=SUSPENDED)
        assert refusal(outcome)[1] == "M_USER_SUSPENDED"

    @pytest.mark.parametrize("enter", [join, knock])
    def test_after_a_ban_that_was_seen_asks_the_room(self, enter: Any) -> None:
        """Any server can invite a user, then ban them."""
        room = a_room(V11)
        held = invited(room)
        ban = room.with_state(held.event).event(
            "m.room.member", ANA, {"membership": "ban"}, BEN, auth_events=[held.event.event_id]
        )
        banned = held.receive(ban, at=1).after
        assert banned.membership is BAN
        outcome = enter(joins(BEN, room.room_id), banned, at=9)
        assert isinstance(outcome, Begin)
        assert outcome.servers == ("a.example",)


def signed(**fields: Any) -> dict[str, Any]:
    """The identity server's word that Dan is meant by Ana's invite."""
    return sign_json({"mxid": DAN, "sender": ANA, "token": "tok", **fields}, IDENTITY)


class TestJoinWithThirdPartySigned:
    def join(self, room: Room, word: Mapping[str, Any], user: str = DAN) -> object:
        """What comes of a join with an identity server's word."""
        return join(joins(user, room.room_id, third_party_signed=word), resident(room), at=9)

    @everywhere
    def test_needs_an_invite_made_of_it(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("invite").with_third_party_invite()
        outcome = self.join(room, signed())
        assert isinstance(outcome, NeedsExchange)
        assert (outcome.pending.mxid, outcome.pending.sender) == (DAN, ANA)
        assert outcome.pending.signed == freeze(signed())

    @pytest.mark.parametrize(
        ("word", "told"),
        [
            (signed(token="x"), "this room has no such invite by address"),
            (signed(sender=BEN), "somebody else sent that invite by address"),
            ({**signed(), "more": 1}, "no key of that invite by address has signed"),
            (signed(mxid=BEN), "the identity server signed for another user"),
        ],
    )
    def test_that_does_not_match_is_refused(self, word: Mapping[str, Any], told: str) -> None:
        room = a_room(V11).with_join_rule("invite").with_third_party_invite()
        assert refusal(self.join(room, word)) == (403, "M_FORBIDDEN", told)

    @pytest.mark.parametrize("inside", [True, False])
    def test_is_needed_once(self, inside: bool) -> None:
        room = a_room(V11).with_join_rule("invite").with_third_party_invite()
        request = joins(DAN, room.room_id, third_party_signed=signed(), via=("c.example",))
        known = resident(room) if inside else None
        outcome = join(request, known, at=9)
        assert isinstance(outcome, NeedsExchange)
        assert outcome.request == request
        again = join(outcome.request.after_exchange(), known, at=9)
        assert isinstance(again, MatrixError if inside else Begin)

    def test_of_an_invited_user_is_not_needed(self) -> None:
        room = a_room(V11).with_join_rule("invite").with_member(DAN, INVITE)
        assert isinstance(self.join(room, signed()), Send)

    def test_goes_to_the_inviting_server_from_outside(self) -> None:
        word = signed(mxid=BEN)
        request = joins(BEN, "!r:a.example", third_party_signed=word)
        assert isinstance(join(request, None, at=9), NeedsExchange)

    def test_is_not_needed_by_who_is_invited_outside(self) -> None:
        room = a_room(V11)
        request = joins(BEN, room.room_id, third_party_signed=signed(mxid=BEN))
        assert isinstance(join(request, invited(room), at=9), Begin)


class TestKnock:
    @since("7")
    def test_sends_an_event(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("knock")
        outcome = knock(knocks(DAN, room.room_id, reason="hi"), resident(room), at=9)
        assert content_of(outcome) == {"membership": "knock", "reason": "hi"}

    @since("7")
    def test_on_a_room_that_takes_none_is_refused(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("invite")
        outcome = knock(knocks(DAN, room.room_id), resident(room), at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", "this room is not set up for knocking")

    @since("1", "6")
    def test_in_a_version_without_knocking_is_refused(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("knock")
        outcome = knock(knocks(DAN, room.room_id), resident(room), at=9)
        told = f"room version {version} has no knocking"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)

    @pytest.mark.parametrize(
        ("membership", "told"),
        [
            (BAN, "you are banned from this room"),
            (INVITE, "you are invited to this room already: join it"),
            (JOIN, "you are in this room already"),
        ],
    )
    def test_by_somebody_the_room_knows_is_refused(self, membership: Any, told: str) -> None:
        room = a_room(V10).with_join_rule("knock").with_member(DAN, membership)
        outcome = knock(knocks(DAN, room.room_id), resident(room), at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)

    def test_that_repeats_the_last_one_is_answered_at_once(self) -> None:
        room = a_room(V10).with_join_rule("knock").with_member(DAN, KNOCK)
        outcome = knock(knocks(DAN, room.room_id), resident(room), at=9)
        assert outcome == Answer(freeze({"room_id": room.room_id}))

    def test_of_an_alias_needs_the_room(self) -> None:
        request = knocks(DAN, "#talk:a.example")
        assert knock(request, None, at=9) == NeedsAlias("#talk:a.example", request)

    def test_begins_elsewhere(self) -> None:
        outcome = knock(knocks(BEN, "!r:a.example", via=("c.example",)), None, at=9)
        assert isinstance(outcome, Begin)
        assert (outcome.handshake, outcome.servers) == (KNOCKING, ("c.example", "a.example"))

    def test_of_who_is_invited_elsewhere_is_refused(self) -> None:
        room = a_room(V10)
        outcome = knock(knocks(BEN, room.room_id), invited(room), at=9)
        assert refusal(outcome)[2] == "you are invited to this room already: join it"

    def test_of_who_was_likely_uninvited_asks_the_room(self) -> None:
        room = a_room(V10)
        held = evolve(invited(room), likely=LEAVE)
        outcome = knock(knocks(BEN, room.room_id), held, at=9)
        assert isinstance(outcome, Begin)
        assert (outcome.servers, outcome.invited) == (("a.example",), False)

    def test_of_a_suspended_user_is_refused(self) -> None:
        room = a_room(V10).with_join_rule("knock")
        outcome = knock(knocks(DAN, room.room_id), resident(room), at=9, settings=SUSPENDED)
        assert refusal(outcome)[1] == "M_USER_SUSPENDED"
