"""Rule 4: aliases, in room versions 1 to 5."""

from __future__ import annotations

import pytest

from matrix_membership import RoomVersion
from tests.builders import ANA, BEN, a_room, decision, having, lacking


class TestNoStateKey:
    @having("aliases.no_state_key")
    def test_rejects_an_event_that_is_no_state(self, version: RoomVersion) -> None:
        room = a_room(version)
        given = room.check(room.event("m.room.aliases", ANA, {}))
        assert given == decision("aliases.no_state_key", version)

    @lacking("aliases.no_state_key")
    def test_is_no_rule_from_version_6_on(self, version: RoomVersion) -> None:
        room = a_room(version)
        given = room.check(room.event("m.room.aliases", ANA, {}))
        assert given == decision("every_event.otherwise", version)


class TestStateKeyOfAnotherServer:
    @having("aliases.state_key_of_another_server")
    @pytest.mark.parametrize("key", ["b.example", "", "A.EXAMPLE", "a.example:8448", ANA])
    def test_rejects_any_other_state_key(self, version: RoomVersion, key: str) -> None:
        room = a_room(version)
        given = room.check(room.event("m.room.aliases", ANA, {}, key))
        assert given == decision("aliases.state_key_of_another_server", version)

    @lacking("aliases.state_key_of_another_server")
    def test_is_no_rule_from_version_6_on(self, version: RoomVersion) -> None:
        room = a_room(version)
        given = room.check(room.event("m.room.aliases", ANA, {}, "b.example"))
        assert given == decision("every_event.otherwise", version)


class TestOtherwise:
    @having("aliases.otherwise")
    def test_allows_a_server_to_list_its_own(self, version: RoomVersion) -> None:
        room = a_room(version)
        given = room.check(room.event("m.room.aliases", ANA, {}, "a.example"))
        assert given == decision("aliases.otherwise", version)

    @having("aliases.otherwise")
    def test_asks_for_no_membership(self, version: RoomVersion) -> None:
        room = a_room(version)
        given = room.check(room.event("m.room.aliases", BEN, {}, "b.example"))
        assert given == decision("aliases.otherwise", version)

    @lacking("aliases.otherwise")
    def test_is_no_rule_from_version_6_on(self, version: RoomVersion) -> None:
        room = a_room(version)
        given = room.check(room.event("m.room.aliases", BEN, {}, "b.example"))
        assert given == decision("every_event.sender_not_joined", version)

    @having("aliases.otherwise")
    def test_comes_after_federation(self, version: RoomVersion) -> None:
        room = a_room(version, **{"m.federate": False})
        given = room.check(room.event("m.room.aliases", BEN, {}, "b.example"))
        assert given == decision("every_event.sender_from_unfederated_server", version)
