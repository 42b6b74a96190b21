"""Rule 7 (versions 6 to 11: 6): `m.room.third_party_invite`."""

from __future__ import annotations

import pytest

from matrix_membership import Event, RoomVersion
from matrix_membership.membership import INVITE
from tests.builders import ANA, BEN, Room, a_levelled_room, a_room, decision, everywhere

KIND = "m.room.third_party_invite"


def stored(room: Room, sender: str = ANA, key: str | None = "tok") -> Event:
    return room.event(KIND, sender, {}, key)


class TestSenderMayInvite:
    RULE = "third_party_invite.sender_may_invite"

    @everywhere
    @pytest.mark.parametrize("level", [50, 49, 0, -1])
    def test_allows_at_the_invite_level(self, version: RoomVersion, level: int) -> None:
        room = a_levelled_room(version, invite=level)
        assert room.check(stored(room)) == decision(self.RULE, version)

    @everywhere
    def test_asks_for_no_other_level(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, events={KIND: 100}, state_default=100)
        assert room.check(stored(room)) == decision(self.RULE, version)

    @everywhere
    @pytest.mark.parametrize("key", ["@tok", BEN, "", None])
    def test_takes_any_state_key(self, version: RoomVersion, key: str | None) -> None:
        room = a_room(version)
        assert room.check(stored(room, key=key)) == decision(self.RULE, version)


class TestOtherwise:
    @everywhere
    def test_rejects_below_the_invite_level(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, invite=51)
        assert room.check(stored(room)) == decision("third_party_invite.otherwise", version)

    @everywhere
    def test_comes_after_the_senders_membership(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, invite=51).with_member(BEN, INVITE)
        given = room.check(stored(room, BEN))
        assert given == decision("every_event.sender_not_joined", version)
