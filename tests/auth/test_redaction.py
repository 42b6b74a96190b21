"""Rule 11: redactions, in room versions 1 and 2."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.membership import JOIN
from tests.builders import ANA, BEN, Room, a_levelled_room, decision, having, lacking

KIND = "m.room.redaction"


def redaction(room: Room, redacts: Any, sender: str = ANA) -> Event:
    """A redaction whose ID is of server a.example."""
    return room.event(KIND, sender, {}, redacts=redacts)


def a_room_with_a_weak_member(version: RoomVersion, **levels: Any) -> Room:
    return a_levelled_room(version, users={ANA: 49}, **levels).with_member(BEN, JOIN)


class TestSenderMayRedact:
    RULE = "redaction.sender_may_redact"

    @having(RULE)
    @pytest.mark.parametrize("redacts", ["$x:b.example", "$x:a.example", "x", None, 7])
    def test_allows_at_the_redact_level(self, version: RoomVersion, redacts: Any) -> None:
        room = a_levelled_room(version)
        assert room.check(redaction(room, redacts)) == decision(self.RULE, version)

    @having(RULE)
    def test_comes_after_the_required_level(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, events={KIND: 51}, redact=0)
        given = room.check(redaction(room, "$x:a.example"))
        below = "every_event.sender_below_required_power_level"
        assert given == decision(below, version)

    @lacking(RULE)
    def test_is_no_rule_from_version_3_on(self, version: RoomVersion) -> None:
        room = a_levelled_room(version)
        given = room.check(redaction(room, "$" + "x" * 43))
        assert given == decision("every_event.otherwise", version)


class TestOfAnEventOfTheSameServer:
    RULE = "redaction.of_an_event_of_the_same_server"

    @having(RULE)
    @pytest.mark.parametrize("sender", [ANA, BEN])
    def test_compares_the_servers_of_the_event_ids(self, version: RoomVersion, sender: str) -> None:
        room = a_room_with_a_weak_member(version)
        given = room.check(redaction(room, "$x:a.example", sender))
        assert given == decision(self.RULE, version)


class TestOtherwise:
    RULE = "redaction.otherwise"

    @having(RULE)
    @pytest.mark.parametrize(
        "redacts",
        ["$x:b.example", "$x:A.EXAMPLE", "$x:a.example:8448", "$x", "", None, 7, ["$x:a.example"]],
    )
    def test_rejects_events_of_other_servers(self, version: RoomVersion, redacts: Any) -> None:
        room = a_room_with_a_weak_member(version)
        assert room.check(redaction(room, redacts)) == decision(self.RULE, version)

    @having(RULE)
    @pytest.mark.parametrize("redacts", ["x:a.example", ":a.example", "@x:a.example"])
    def test_rejects_what_is_no_event_id(self, version: RoomVersion, redacts: Any) -> None:
        room = a_room_with_a_weak_member(version)
        assert room.check(redaction(room, redacts)) == decision(self.RULE, version)

    @having(RULE)
    def test_rejects_a_redaction_that_names_nothing(self, version: RoomVersion) -> None:
        room = a_room_with_a_weak_member(version)
        assert room.check(room.event(KIND, ANA, {})) == decision(self.RULE, version)

    @having(RULE)
    @pytest.mark.parametrize("redacts", ["$" + "x" * 43, "$x:"])
    def test_rejects_where_neither_id_has_a_server(
        self, version: RoomVersion, redacts: str
    ) -> None:
        """An event in client format may come without an ID."""
        room = a_room_with_a_weak_member(version)
        fields = {"type": KIND, "sender": ANA, "content": {}, "redacts": redacts}
        event = Event.from_client_event(fields, version)
        given = auth.check(event, RoomState.of(version, room.events))
        assert given == decision(self.RULE, version)

    @lacking(RULE)
    def test_is_no_rule_from_version_3_on(self, version: RoomVersion) -> None:
        room = a_room_with_a_weak_member(version)
        given = room.check(redaction(room, "$" + "x" * 43))
        assert given == decision("every_event.otherwise", version)
