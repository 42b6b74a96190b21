"""Drafts of state events."""

from __future__ import annotations

import pytest

from matrix_membership import auth
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event
from matrix_membership.federation.drafts import draft
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.hashing import reference_hash
from matrix_membership.room_versions import V1, V2, V3, V5, V7, V12, RoomVersion
from matrix_membership.state import RoomState
from tests.builders import ANA, BEN, VERSIONS
from tests.federation.signed_rooms import AT, A, a_signed_room, after

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS, ids=str)


def invite_in(room: ResidentRoom) -> Event:
    content = {"membership": "invite"}
    return draft(room, "m.room.member", BEN, sender=ANA, content=content, at=AT).complete(A)


class TestDraft:
    @EVERY_VERSION
    def test_is_what_the_rules_allow(self, version: RoomVersion) -> None:
        room = a_signed_room(version)
        assert auth.check(invite_in(room), room.state)

    @EVERY_VERSION
    def test_lists_the_auth_events_that_the_rules_expect(self, version: RoomVersion) -> None:
        room = a_signed_room(version)
        event = invite_in(room)
        listed = [e for e in room.state.events if e.event_id in event.auth_events]
        create = room.state.create_event
        assert len(listed) == len(event.auth_events)
        assert auth.check_auth_events(event, listed, create=create)

    @pytest.mark.parametrize(
        ("user", "membership", "kept"),
        [(BEN, "join", True), (BEN, "invite", False), (BEN, "leave", False), (ANA, "join", False)],
    )
    def test_names_who_vouches_where_somebody_has_to(
        self, user: str, membership: str, kept: bool
    ) -> None:
        content = {"membership": membership, "join_authorised_via_users_server": ANA}
        room = a_signed_room(V12)
        template = draft(room, "m.room.member", user, sender=user, content=content, at=AT)
        assert ("join_authorised_via_users_server" in template.content) is kept

    def test_names_nobody_before_version_8(self) -> None:
        content = {"membership": "join", "join_authorised_via_users_server": ANA}
        room = a_signed_room(V7)
        template = draft(room, "m.room.member", BEN, sender=BEN, content=content, at=AT)
        assert template.content == {"membership": "join"}

    def test_leaves_other_contents_alone(self) -> None:
        content = {"join_authorised_via_users_server": ANA}
        template = draft(a_signed_room(V12), "x.y", "", sender=ANA, content=content, at=AT)
        assert template.content == content

    def test_follows_the_newest_events(self) -> None:
        room = a_signed_room(V12)
        event = invite_in(room)
        assert (event.prev_events, event.depth) == (room.prev_events, room.depth + 1)

    def test_is_no_deeper_than_its_version_allows(self) -> None:
        room = a_signed_room(V12)
        deep = ResidentRoom(A.server_name, room.state, room.prev_events, 2**53 - 1, room.get_event)
        assert invite_in(deep).depth == 2**53 - 1

    @pytest.mark.parametrize("version", [V1, V2], ids=str)
    def test_has_an_id_of_its_servers_own(self, version: RoomVersion) -> None:
        event = invite_in(a_signed_room(version))
        assert event.event_id.endswith(":a.example")

    def test_has_another_id_when_it_says_something_else(self) -> None:
        room = a_signed_room(V1)
        first = invite_in(room)
        assert invite_in(after(room, first)) != first

    def test_refers_with_a_hash_in_version_1(self) -> None:
        room = a_signed_room(V1)
        (before,) = [room.get_event(event_id) for event_id in room.prev_events]
        assert before is not None
        expected = [[before.event_id, {"sha256": reference_hash(before.document, V1)}]]
        assert invite_in(room).to_pdu()["prev_events"] == expected

    def test_refers_without_a_hash_to_what_is_not_at_hand(self) -> None:
        room = a_signed_room(V1)
        bare = ResidentRoom(A.server_name, room.state, room.prev_events, 2, lambda _: None)
        assert invite_in(bare).to_pdu()["prev_events"] == [[room.prev_events[0], {}]]

    def test_refers_by_plain_id_from_version_3_on(self) -> None:
        room = a_signed_room(V3)
        assert invite_in(room).to_pdu()["prev_events"] == list(room.prev_events)

    def test_names_its_origin_when_it_is_a_membership(self) -> None:
        assert invite_in(a_signed_room(V12)).document["origin"] == "a.example"

    def test_names_no_origin_otherwise(self) -> None:
        room = a_signed_room(V12)
        template = draft(room, "m.room.name", "", sender=ANA, content={"name": "R"}, at=AT)
        assert template.get("origin") is None

    def test_needs_a_create_event(self) -> None:
        room = a_signed_room(V5)
        empty = ResidentRoom(A.server_name, RoomState.of(V5, []), (), 0, room.get_event)
        with pytest.raises(InvalidEvent) as raised:
            draft(empty, "m.room.name", "", sender=ANA, content={}, at=AT)
        assert raised.value == InvalidEvent("room_id", "a room ID", "")
