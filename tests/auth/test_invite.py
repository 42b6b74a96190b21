"""Membership invite, invites through a third party included."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import RoomVersion, auth
from matrix_membership.auth import Decision
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
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
    signed_invite,
)

OTHER_KEY = SIGNER_A.verify_key


def a_room_with_an_invite(version: RoomVersion, **more: Any) -> Room:
    return a_room(version).with_third_party_invite(**more)


def accepted(room: Room, invite: Any = ..., sender: str = ANA) -> Decision:
    """The decision on Ben's invite through the third party."""
    told = signed_invite() if invite is ... else invite
    return room.check(room.invite(sender, BEN, third_party_invite=told))


class TestThirdPartyTargetBanned:
    @everywhere
    def test_rejects_a_banned_user(self, version: RoomVersion) -> None:
        room = a_room_with_an_invite(version).with_member(BEN, BAN)
        assert accepted(room) == decision("invite.third_party_target_banned", version)

    @everywhere
    def test_comes_before_all_others(self, version: RoomVersion) -> None:
        room = a_room_with_an_invite(version).with_member(BEN, BAN)
        assert accepted(room, None) == decision("invite.third_party_target_banned", version)


class TestThirdPartyUnsigned:
    @everywhere
    @pytest.mark.parametrize("invite", [None, {}, [], "x", 7, {"display_name": "b"}])
    def test_rejects_what_has_no_signed_property(self, version: RoomVersion, invite: Any) -> None:
        room = a_room_with_an_invite(version)
        assert accepted(room, invite) == decision("invite.third_party_unsigned", version)


NAMELESS: list[Any] = [None, 7, "x", [], {}, {"mxid": BEN}, {"token": "tok"}]


class TestThirdPartyWithoutMxidOrToken:
    @everywhere
    @pytest.mark.parametrize("signed", NAMELESS)
    def test_rejects_what_lacks_either(self, version: RoomVersion, signed: Any) -> None:
        given = accepted(a_room_with_an_invite(version), {"signed": signed})
        assert given == decision("invite.third_party_without_mxid_or_token", version)


class TestThirdPartyMxidOfAnotherUser:
    RULE = "invite.third_party_mxid_of_another_user"

    @everywhere
    def test_rejects_another_users_invite(self, version: RoomVersion) -> None:
        given = accepted(a_room_with_an_invite(version), signed_invite(CAY))
        assert given == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("mxid", [None, 7, [BEN], {}])
    def test_rejects_what_is_no_text(self, version: RoomVersion, mxid: Any) -> None:
        signed = {"mxid": mxid, "token": "tok"}
        given = accepted(a_room_with_an_invite(version), {"signed": signed})
        assert given == decision(self.RULE, version)


class TestThirdPartyTokenUnknown:
    @everywhere
    @pytest.mark.parametrize("token", ["other", "", None, 7, ["tok"]])
    def test_rejects_another_token(self, version: RoomVersion, token: Any) -> None:
        invite = {"signed": {"mxid": BEN, "token": token}}
        given = accepted(a_room_with_an_invite(version), invite)
        assert given == decision("invite.third_party_token_unknown", version)


class TestThirdPartySenderDiffers:
    @everywhere
    @pytest.mark.parametrize("sender", [DAN, CAY])
    def test_rejects_another_sender(self, version: RoomVersion, sender: str) -> None:
        room = a_room_with_an_invite(version).with_member(sender, JOIN)
        given = accepted(room, sender=sender)
        assert given == decision("invite.third_party_sender_differs", version)

    @everywhere
    def test_rejects_the_stored_invite_of_another(self, version: RoomVersion) -> None:
        given = accepted(a_room_with_an_invite(version, sender=DAN))
        assert given == decision("invite.third_party_sender_differs", version)


KEY = {"public_key": IDENTITY.verify_key}
GOOD_KEYS = [
    KEY,
    {"public_key": None, "public_keys": [KEY]},
    {"public_key": OTHER_KEY, "public_keys": [{"public_key": OTHER_KEY}, KEY]},
    {"public_key": "x", "public_keys": [7, {}, {"public_key": 7}, KEY]},
    {"public_key": IDENTITY.verify_key + "=", "public_keys": "x"},
    {"public_key": IDENTITY.verify_key.replace("+", "-").replace("/", "_")},
]


class TestThirdPartySignedByItsKey:
    RULE = "invite.third_party_signed_by_its_key"

    @everywhere
    @pytest.mark.parametrize("keys", GOOD_KEYS)
    def test_allows_by_any_of_the_keys(self, version: RoomVersion, keys: Any) -> None:
        assert accepted(a_room_with_an_invite(version, **keys)) == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("membership", [JOIN, INVITE, LEAVE, KNOCK])
    def test_allows_whatever_the_user_is(self, version: RoomVersion, membership: Any) -> None:
        room = a_room_with_an_invite(version).with_member(BEN, membership)
        assert accepted(room) == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("membership", [INVITE, LEAVE, BAN])
    def test_allows_whatever_the_sender_is(self, version: RoomVersion, membership: Any) -> None:
        room = a_room_with_an_invite(version).with_member(ANA, membership).with_levels(invite=100)
        assert accepted(room) == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("bad", [{"ed25519:0": "A" * 86}, {"ed25519:0": "x"}, 7, {"x": 7}])
    def test_allows_by_one_good_signature_of_several(self, version: RoomVersion, bad: Any) -> None:
        invite = signed_invite()
        invite["signed"]["signatures"] = {"a.bad": bad, **invite["signed"]["signatures"]}
        assert accepted(a_room_with_an_invite(version), invite) == decision(self.RULE, version)

    @everywhere
    def test_allows_what_else_was_signed(self, version: RoomVersion) -> None:
        invite = signed_invite(sender=ANA, more={"x": 1})
        assert accepted(a_room_with_an_invite(version), invite) == decision(self.RULE, version)

    @everywhere
    def test_allows_under_any_name(self, version: RoomVersion) -> None:
        invite = signed_invite()
        (signature,) = invite["signed"]["signatures"][IDENTITY.server_name].values()
        invite["signed"]["signatures"] = {"x": {"ed25519:other": signature}}
        assert accepted(a_room_with_an_invite(version), invite) == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize(("junk", "allowed"), [(15, True), (16, False)])
    def test_tries_32_pairs_and_otherwise_none(
        self, version: RoomVersion, junk: int, *, allowed: bool
    ) -> None:
        invite = signed_invite()
        signatures = {f"ed25519:{number}": "A" * 86 for number in range(junk)}
        invite["signed"]["signatures"]["z.junk"] = signatures
        room = a_room_with_an_invite(version, public_keys=[{"public_key": OTHER_KEY}])
        rule = self.RULE if allowed else "invite.third_party_otherwise"
        assert accepted(room, invite) == decision(rule, version)


@everywhere
@pytest.mark.parametrize("invite", [{}, {"signed": {}}, signed_invite()])
def test_a_key_signs_nothing_where_nothing_is_stored(version: RoomVersion, invite: Any) -> None:
    """Asked by itself: the rules before it leave nothing of this to it."""
    rules = {rule.name: rule for _, rule in auth.rules_of(version).numbered}
    room = a_room(version)
    event = room.invite(ANA, BEN, third_party_invite=invite)
    assert not rules["invite.third_party_signed_by_its_key"](event, room.state)


@everywhere
def test_no_third_party_is_a_signed_block_that_is_missing(version: RoomVersion) -> None:
    """Asked by themselves: their section is about invites with a third party."""
    rules = [row for _, row in auth.rules_of(version) if row.name.startswith("invite.third_party_")]
    room = a_room(version)
    fired = [rule.name for rule in rules if rule(room.invite(ANA, BEN), room.state)]
    assert fired == [
        "invite.third_party_unsigned",
        "invite.third_party_without_mxid_or_token",
        "invite.third_party_mxid_of_another_user",
        "invite.third_party_token_unknown",
        "invite.third_party_otherwise",
    ]


def changed(**fields: Any) -> Any:
    invite = signed_invite()
    return {"signed": {**invite["signed"], **fields}}


BAD_SIGNATURES = [
    changed(more=1),
    changed(signatures={}),
    changed(signatures=None),
    changed(signatures={"x": {"ed25519:0": "A" * 86}}),
    changed(signatures={"x": {"rsa:0": "A" * 86}}),
    {"signed": {"mxid": BEN, "token": "tok"}},
    {"signed": sign_json({"mxid": BEN, "token": "tok"}, SIGNER_A)},
]


class TestThirdPartyOtherwise:
    @everywhere
    @pytest.mark.parametrize("invite", BAD_SIGNATURES)
    def test_rejects_bad_signatures(self, version: RoomVersion, invite: Any) -> None:
        given = accepted(a_room_with_an_invite(version), invite)
        assert given == decision("invite.third_party_otherwise", version)

    @everywhere
    @pytest.mark.parametrize("key", [None, 7, "", "x", "A" * 42, OTHER_KEY])
    def test_rejects_by_keys_that_are_none(self, version: RoomVersion, key: Any) -> None:
        given = accepted(a_room_with_an_invite(version, public_key=key))
        assert given == decision("invite.third_party_otherwise", version)

    @everywhere
    def test_rejects_a_revoked_invite(self, version: RoomVersion) -> None:
        room = a_room(version).with_content("m.room.third_party_invite", {}, "tok")
        assert accepted(room) == decision("invite.third_party_otherwise", version)


class TestSenderNotJoined:
    @everywhere
    @pytest.mark.parametrize("membership", [INVITE, LEAVE, BAN, KNOCK, "dance"])
    def test_rejects_who_is_not_in_the_room(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_member(CAY, membership)
        assert room.check(room.invite(CAY, BEN)) == decision("invite.sender_not_joined", version)

    @everywhere
    def test_rejects_who_invites_themselves(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.invite(BEN, BEN)) == decision("invite.sender_not_joined", version)


class TestTargetJoinedOrBanned:
    RULE = "invite.target_joined_or_banned"

    @everywhere
    @pytest.mark.parametrize("membership", [JOIN, BAN])
    def test_rejects_who_is_in_or_banned(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_member(BEN, membership)
        assert room.check(room.invite(ANA, BEN)) == decision(self.RULE, version)

    @everywhere
    def test_rejects_who_invites_themselves(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.invite(ANA, ANA)) == decision(self.RULE, version)


class TestSenderMayInvite:
    RULE = "invite.sender_may_invite"

    @everywhere
    @pytest.mark.parametrize("membership", [LEAVE, INVITE, KNOCK, "dance"])
    def test_allows_from_outside(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version).with_member(BEN, membership)
        assert room.check(room.invite(ANA, BEN)) == decision(self.RULE, version)

    @everywhere
    def test_allows_every_member_by_default(self, version: RoomVersion) -> None:
        room = a_levelled_room(version).with_member(CAY, JOIN)
        assert room.check(room.invite(CAY, BEN)) == decision(self.RULE, version)

    @everywhere
    def test_passes_over_the_join_rule(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("private")
        assert room.check(room.invite(ANA, BEN)) == decision(self.RULE, version)

    @everywhere
    def test_allows_at_the_level(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, invite=50)
        assert room.check(room.invite(ANA, BEN)) == decision(self.RULE, version)


class TestOtherwise:
    @everywhere
    def test_rejects_below_the_level(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, invite=51)
        assert room.check(room.invite(ANA, BEN)) == decision("invite.otherwise", version)

    @everywhere
    def test_rejects_below_zero(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={ANA: -1})
        assert room.check(room.invite(ANA, BEN)) == decision("invite.otherwise", version)
