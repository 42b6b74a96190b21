"""Where the letter of the specification leaves a trap: what it says today, and what a server can do.

docs/explanation/conformance.md has a paragraph on each of them.
"""

from __future__ import annotations

import pytest

from matrix_membership import auth
from matrix_membership.identifiers import is_server_name, server_of
from matrix_membership.membership import BAN, LEAVE
from matrix_membership.receipt.server_acl import ServerAcl
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import missing_signers
from tests.builders import ANA, BEN, a_room, decision, everywhere, signed_invite


class TestAThirdPartysWordAfterAKick:
    """A server that has the word can make the invite again, in the name of the user who invited."""

    @everywhere
    def test_invites_again(self, version: RoomVersion) -> None:
        room = a_room(version).with_third_party_invite().with_member(BEN, LEAVE)
        replayed = room.invite(ANA, BEN, third_party_invite=signed_invite()).with_signers([])
        assert room.check(replayed) == decision("invite.third_party_signed_by_its_key", version)
        # In versions 1 and 2 the server that chose the event ID signs: it may be any.
        assert missing_signers(replayed) <= {server_of(replayed.event_id)}

    @everywhere
    def test_ends_when_the_invite_by_address_is_emptied(self, version: RoomVersion) -> None:
        room = a_room(version).with_third_party_invite().with_member(BEN, LEAVE)
        emptied = room.with_content("m.room.third_party_invite", {}, "tok")
        replayed = room.invite(ANA, BEN, third_party_invite=signed_invite())
        assert not emptied.check(replayed).allowed

    @everywhere
    def test_ends_when_the_user_is_banned(self, version: RoomVersion) -> None:
        room = a_room(version).with_third_party_invite().with_member(BEN, BAN)
        replayed = room.invite(ANA, BEN, third_party_invite=signed_invite())
        assert room.check(replayed) == decision("invite.third_party_target_banned", version)


class TestABannedCreator:
    """The rule for the first join is before the one on bans, and looks at no state."""

    @everywhere
    def test_joins_with_the_create_event_as_the_only_previous_one(
        self, version: RoomVersion
    ) -> None:
        room = a_room(version).with_member(BEN, "join").with_member(ANA, BAN)
        create = room.state.create_event
        assert create is not None
        content = {"membership": "join"}
        event = room.event("m.room.member", ANA, content, ANA, prev_events=[create.event_id])
        assert auth.check(event, room.state) == decision("join.first_join_of_the_creator", version)

    @everywhere
    def test_does_not_join_otherwise(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(ANA, BAN)
        assert room.check(room.join(ANA)) == decision("join.while_banned", version)


class TestATrailingDot:
    """`a.example.` is a server name by the grammar, another one than `a.example`."""

    def test_is_in_the_grammar(self) -> None:
        assert is_server_name("a.example.")

    @pytest.mark.parametrize(
        ("deny", "is_permitted"), [(["a.example"], True), (["a.example", "a.example."], False)]
    )
    def test_is_denied_only_when_it_is_named(self, deny: list[str], *, is_permitted: bool) -> None:
        acl = ServerAcl.from_content({"allow": ["*"], "deny": deny})
        assert not acl.allows("a.example")
        assert acl.allows("a.example.") is is_permitted
