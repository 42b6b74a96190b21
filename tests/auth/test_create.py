"""Rule 1: the create event of a room."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.auth import Decision
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, an_empty_room, decision, everywhere, having, since


def created(version: RoomVersion, content: Any = None, **fields: Any) -> Event:
    told: dict[str, Any] = {"room_version": version.identifier, "creator": ANA}
    told |= content or {}
    kept = {key: value for key, value in told.items() if value is not ...}
    more = {"state_key": "", "prev_events": [], **fields}
    return an_empty_room(version).event("m.room.create", ANA, kept, **more)


def judged(event: Event) -> Decision:
    """Both entries say the same of a create event, whatever the state is."""
    on_state = auth.check(event, RoomState.of(event.room_version, []))
    assert auth.check_auth_events(event, []) == on_state
    return on_state


class TestHasPrevEvents:
    @everywhere
    def test_rejects_a_second_beginning(self, version: RoomVersion) -> None:
        event = created(version, prev_events=["$p:a.example"])
        assert judged(event) == decision("create.has_prev_events", version)

    @everywhere
    def test_comes_before_all_others(self, version: RoomVersion) -> None:
        event = created(version, {"room_version": "0"}, prev_events=["$p:a.example"])
        assert judged(event) == decision("create.has_prev_events", version)


class TestRoomIdOfAnotherServer:
    @having("create.room_id_of_another_server")
    def test_rejects_a_room_id_of_another_server(self, version: RoomVersion) -> None:
        event = created(version, room_id="!r:b.example")
        assert judged(event) == decision("create.room_id_of_another_server", version)

    @having("create.room_id_of_another_server")
    def test_rejects_another_port(self, version: RoomVersion) -> None:
        event = created(version, room_id="!r:a.example:8448")
        assert judged(event) == decision("create.room_id_of_another_server", version)

    @having("create.room_id_of_another_server")
    def test_rejects_a_room_id_without_a_server(self, version: RoomVersion) -> None:
        event = created(version, room_id="!" + "r" * 43)
        assert judged(event) == decision("create.room_id_of_another_server", version)


class TestHasRoomId:
    @having("create.has_room_id")
    @pytest.mark.parametrize("room_id", ["!r:a.example", "", None, "!" + "x" * 43])
    def test_rejects_any_room_id(self, version: RoomVersion, room_id: Any) -> None:
        pdu = {**created(version).to_pdu(), "room_id": room_id}
        event = Event.from_pdu(pdu, version, event_id="$" + "x" * 43)
        assert judged(event) == decision("create.has_room_id", version)

    @since("1", "11")
    def test_is_no_rule_where_every_event_has_one(self, version: RoomVersion) -> None:
        assert judged(created(version)) == decision("create.otherwise", version)


class TestUnknownRoomVersion:
    @everywhere
    @pytest.mark.parametrize("named", ["0", "1000", "org.example.x", "", "1 ", None, 1, ["1"]])
    def test_rejects_what_is_no_version(self, version: RoomVersion, named: Any) -> None:
        event = created(version, {"room_version": named})
        assert judged(event) == decision("create.unknown_room_version", version)

    @everywhere
    @pytest.mark.parametrize("named", ["1", "12", ...])
    def test_stays_silent_at_another_known_version_or_none(
        self, version: RoomVersion, named: Any
    ) -> None:
        event = created(version, {"room_version": named})
        assert judged(event) == decision("create.otherwise", version)

    def test_knows_the_version_of_the_callers_own(self) -> None:
        mine = V11.evolve(identifier="org.example.x")
        assert judged(created(mine)) == decision("create.otherwise", mine)

    def test_knows_no_other_version_of_somebodys_own(self) -> None:
        mine = V11.evolve(identifier="org.example.x")
        event = created(mine, {"room_version": "org.example.y"})
        assert judged(event) == decision("create.unknown_room_version", mine)


class TestNoCreator:
    @having("create.no_creator")
    def test_rejects_a_missing_creator(self, version: RoomVersion) -> None:
        event = created(version, {"creator": ...})
        assert judged(event) == decision("create.no_creator", version)

    @having("create.no_creator")
    @pytest.mark.parametrize("creator", [None, 7, "ana", BEN, {}])
    def test_stays_silent_at_any_creator(self, version: RoomVersion, creator: Any) -> None:
        event = created(version, {"creator": creator})
        assert judged(event) == decision("create.otherwise", version)

    @since("11")
    def test_is_no_rule_from_version_11_on(self, version: RoomVersion) -> None:
        event = created(version, {"creator": ...})
        assert judged(event) == decision("create.otherwise", version)


UNREADABLE: list[Any] = [
    None,
    "x",
    {},
    ["ben"],
    [BEN, None],
    [BEN, "@ben"],
    [f"@{'x' * 255}:b.example"],
]


class TestAdditionalCreatorsUnreadable:
    @having("create.additional_creators_unreadable")
    @pytest.mark.parametrize("creators", UNREADABLE)
    def test_rejects_what_is_no_list_of_users(self, version: RoomVersion, creators: Any) -> None:
        event = created(version, {"additional_creators": creators})
        assert judged(event) == decision("create.additional_creators_unreadable", version)

    @having("create.additional_creators_unreadable")
    @pytest.mark.parametrize("creators", [[], [BEN], [ANA, BEN, BEN], ["@:b.example"]])
    def test_stays_silent_at_lists_of_users(self, version: RoomVersion, creators: Any) -> None:
        event = created(version, {"additional_creators": creators})
        assert judged(event) == decision("create.otherwise", version)

    @since("1", "11")
    @pytest.mark.parametrize("creators", UNREADABLE)
    def test_is_no_rule_before_version_12(self, version: RoomVersion, creators: Any) -> None:
        event = created(version, {"additional_creators": creators})
        assert judged(event) == decision("create.otherwise", version)


class TestOtherwise:
    @everywhere
    def test_allows_a_create_event(self, version: RoomVersion) -> None:
        assert judged(created(version)) == decision("create.otherwise", version)

    @everywhere
    @pytest.mark.parametrize("fields", [{"state_key": "x"}, {"state_key": None}])
    def test_asks_for_no_state_key(self, version: RoomVersion, fields: Any) -> None:
        assert judged(created(version, **fields)) == decision("create.otherwise", version)

    @everywhere
    @pytest.mark.parametrize("more", [{"predecessor": "x"}, {"type": 1}, {"m.federate": "no"}])
    def test_reads_nothing_else(self, version: RoomVersion, more: Any) -> None:
        assert judged(created(version, more)) == decision("create.otherwise", version)
