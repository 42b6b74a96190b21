"""Member events (rule 5; versions 6 to 11: 4): the checks before and after the five chapters."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import RoomVersion
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from tests.builders import ANA, BEN, DAN, a_room, decision, everywhere, having, lacking, since

VIA = "join_authorised_via_users_server"


class TestNoStateKeyOrMembership:
    RULE = "member.no_state_key_or_membership"

    @everywhere
    def test_rejects_an_event_that_is_no_state(self, version: RoomVersion) -> None:
        room = a_room(version)
        event = room.event("m.room.member", ANA, {"membership": "join"})
        assert room.check(event) == decision(self.RULE, version)

    @everywhere
    def test_rejects_a_missing_membership(self, version: RoomVersion) -> None:
        room = a_room(version)
        event = room.event("m.room.member", ANA, {"Membership": "join"}, ANA)
        assert room.check(event) == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("key", ["", "ben", "@ben", "@ben:", "ben:b.example", "@b:x y"])
    @pytest.mark.parametrize("membership", ["join", "leave", "dance"])
    def test_rejects_a_state_key_that_is_no_user(
        self, version: RoomVersion, key: str, membership: str
    ) -> None:
        room = a_room(version)
        assert room.check(room.member(ANA, key, membership)) == decision(self.RULE, version)

    @everywhere
    def test_stays_silent_at_historical_user_names(self, version: RoomVersion) -> None:
        room = a_room(version)
        given = room.check(room.invite(ANA, "@:b.example"))
        assert given == decision("invite.sender_may_invite", version)

    @everywhere
    def test_comes_before_the_authoriser(self, version: RoomVersion) -> None:
        room = a_room(version)
        event = room.event("m.room.member", ANA, {VIA: BEN}, ANA)
        assert room.check(event) == decision(self.RULE, version)

    @everywhere
    def test_comes_after_federation(self, version: RoomVersion) -> None:
        room = a_room(version, **{"m.federate": False})
        event = room.event("m.room.member", BEN, {}, BEN)
        given = room.check(event)
        assert given == decision("every_event.sender_from_unfederated_server", version)


class TestUnsignedByTheAuthoriser:
    RULE = "member.unsigned_by_the_authoriser"

    @having(RULE)
    @pytest.mark.parametrize("membership", [JOIN, INVITE, LEAVE, BAN, KNOCK, "dance"])
    def test_rejects_every_membership(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_join_rule("restricted")
        event = room.member(BEN, BEN, membership, **{VIA: ANA})
        assert room.check(event) == decision(self.RULE, version)

    @having(RULE)
    @pytest.mark.parametrize("rule", ["public", "invite", "private", "knock"])
    def test_rejects_where_no_authoriser_is_needed(self, version: RoomVersion, rule: str) -> None:
        room = a_room(version).with_join_rule(rule).with_member(BEN, JOIN)
        event = room.join(BEN, **{VIA: ANA})
        assert room.check(event) == decision(self.RULE, version)

    @having(RULE)
    @pytest.mark.parametrize("via", [None, 7, "", "ana", "a.example", [], {}])
    def test_rejects_an_authoriser_that_is_no_user(self, version: RoomVersion, via: Any) -> None:
        room = a_room(version).with_join_rule("public")
        event = room.join(BEN, signed_by=["a.example", ""], **{VIA: via})
        given = room.check(event.with_signers(["a.example", "b.example"]))
        assert given == decision(self.RULE, version)

    @having(RULE)
    def test_stays_silent_at_a_signature_of_the_authorisers_server(
        self, version: RoomVersion
    ) -> None:
        room = a_room(version).with_join_rule("public")
        event = room.join(BEN, signed_by=["a.example"], **{VIA: DAN})
        assert room.check(event) == decision("join.public_room", version)

    @having(RULE)
    def test_comes_before_the_creators_first_join(self, version: RoomVersion) -> None:
        room = a_room(version)
        event = room.event(
            "m.room.member",
            ANA,
            {"membership": "join", VIA: BEN},
            ANA,
            prev_events=[room.events[0].event_id],
        )
        assert room.check(event) == decision(self.RULE, version)

    @lacking(RULE)
    @pytest.mark.parametrize("via", [ANA, None, "ana"])
    def test_is_no_rule_before_version_8(self, version: RoomVersion, via: Any) -> None:
        room = a_room(version).with_join_rule("public")
        given = room.check(room.join(BEN, **{VIA: via}))
        assert given == decision("join.public_room", version)


class TestUnknownMembership:
    @everywhere
    @pytest.mark.parametrize("value", ["dance", "", "JOIN", None, True, 7, [], {}, "unknown"])
    def test_rejects_what_is_no_membership(self, version: RoomVersion, value: Any) -> None:
        room = a_room(version)
        event = room.event("m.room.member", ANA, {"membership": value}, ANA)
        assert room.check(event) == decision("member.unknown_membership", version)

    @since("1", "6")
    def test_rejects_knocks_before_version_7(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("knock")
        given = room.check(room.knock(BEN))
        assert given == decision("member.unknown_membership", version)

    @since("7")
    def test_stays_silent_at_knocks_from_version_7_on(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("knock")
        assert room.check(room.knock(BEN)) == decision("knock.from_outside", version)
