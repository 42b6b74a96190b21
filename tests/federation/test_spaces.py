from __future__ import annotations

from typing import Any, Final

import pytest

from matrix_membership.canonical_json import freeze, thaw
from matrix_membership.errors import InvalidMessage
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.spaces import answer_hierarchy, read_hierarchy
from matrix_membership.identifiers import RoomID
from matrix_membership.membership import INVITE, JOIN
from matrix_membership.room_summary import with_children
from tests.builders import BEN
from tests.test_room_summary import PUBLIC, REQUIRED, TYPES, a_space, rename, restricted

SPACE: Final = "!s:x.example"
CHILD_TYPES: Final = {
    "type": str,
    "state_key": str,
    "sender": str,
    "content": dict,
    "origin_server_ts": int,
}
"""The keys of an entry of `children_state` in the OpenAPI file, all required, with their types."""
STATES: Final = {
    SPACE: rename(
        a_space(
            {"id": "!open:x.example", "suggested": True},
            {"id": "!closed:x.example"},
            {"id": "!unknown:x.example"},
            {"id": "!limited:x.example"},
        ),
        SPACE,
    ).state,
    "!open:x.example": rename(a_space({"id": "!deep:x.example"}), "!open:x.example").state,
    "!closed:x.example": rename(a_space(rules={}), "!closed:x.example").state,
    "!limited:x.example": rename(
        a_space(rules=restricted("!a:a.example")), "!limited:x.example"
    ).state,
    "!deep:x.example": rename(a_space(), "!deep:x.example").state,
}


def asked(room_id: str = SPACE, origin: str = "b.example", **more: Any) -> Any:
    return answer_hierarchy(origin, room_id, STATES.get, **more)


class TestAnswerHierarchy:
    def test_tells_of_the_space_and_its_children(self) -> None:
        assert asked() == {
            "room": with_children(STATES[SPACE]),
            "children": [with_children(STATES["!open:x.example"])],
            "inaccessible_children": ["!closed:x.example", "!limited:x.example"],
        }

    def test_has_the_shape_of_the_openapi_file(self) -> None:
        told = thaw(freeze(asked()))
        assert told.keys() == {"room", "children", "inaccessible_children"}
        assert {type(room_id) for room_id in told["inaccessible_children"]} == {str}
        assert "children_state" in told["room"]
        for room in (told["room"], *told["children"]):
            assert room.keys() >= REQUIRED
            assert {key: type(value) for key, value in room.items()} == {
                key: TYPES[key] for key in room
            }
            for child in room.get("children_state", ()):
                assert {key: type(value) for key, value in child.items()} == CHILD_TYPES

    def test_tells_of_rooms_that_its_users_may_join_through_others(self) -> None:
        known = {"!a:a.example": JOIN}
        told = asked(membership_of=known.get)
        names = [room["room_id"] for room in told["children"]]
        assert names == ["!limited:x.example", "!open:x.example"]
        assert told["children"][0]["allowed_room_ids"] == ["!a:a.example"]

    def test_tells_of_suggested_children_alone(self) -> None:
        told = asked(suggested_only=True)
        assert [room["room_id"] for room in told["children"]] == ["!open:x.example"]
        assert told["inaccessible_children"] == []
        assert len(told["room"]["children_state"]) == 1

    @pytest.mark.parametrize("room_id", ["!unknown:x.example", "!closed:x.example"])
    def test_is_not_found_where_the_server_may_not_learn_of_the_room(self, room_id: str) -> None:
        error = MatrixError.of("M_NOT_FOUND", f"this server does not tell of {room_id}")
        assert asked(room_id) == error

    def test_is_found_by_the_server_of_an_invited_user(self) -> None:
        room = rename(a_space(rules={}).with_member(BEN, INVITE), SPACE)
        told = answer_hierarchy("b.example", SPACE, {SPACE: room.state}.get)
        assert isinstance(told, dict)

    def test_has_fifty_children_at_most(self) -> None:
        room = rename(a_space(*({"id": f"!{n}:x.example"} for n in range(60))), SPACE)
        child = rename(a_space(), "!c:x.example").state
        told = answer_hierarchy(
            "b.example", SPACE, lambda room_id: room.state if room_id == SPACE else child
        )
        assert isinstance(told, dict)
        assert len(told["children"]) == 50


class TestReadHierarchy:
    def test_reads_what_the_other_side_tells(self) -> None:
        told = read_hierarchy(asked(), SPACE)
        assert list(told.rooms) == [SPACE, "!open:x.example"]
        assert told.rooms[RoomID("!open:x.example")]["join_rule"] == PUBLIC["join_rule"]
        assert told.inaccessible == {"!closed:x.example", "!limited:x.example"}

    @pytest.mark.parametrize(
        "odd",
        [
            {"num_joined_members": "5"},
            {"num_joined_members": True},
            {"world_readable": None},
            {"guest_can_join": 1},
            {"room_id": "x"},
            {"room_id": "!foreign:x.example"},
        ],
    )
    def test_leaves_out_children_of_another_form(self, odd: Any) -> None:
        body = asked()
        body["children"][0] |= odd
        assert list(read_hierarchy(body, SPACE).rooms) == [SPACE]

    @pytest.mark.parametrize("children", ["odd", None, [{"state_key": 5}, 5], []])
    def test_leaves_out_rooms_that_the_space_does_not_name(self, children: Any) -> None:
        body = asked()
        body["room"]["children_state"] = children
        told = read_hierarchy(body, SPACE)
        assert (list(told.rooms), told.inaccessible) == ([SPACE], frozenset())

    @pytest.mark.parametrize("closed", [None, "odd", [5, "x"], {}])
    def test_leaves_out_inaccessible_children_of_another_form(self, closed: Any) -> None:
        assert (
            read_hierarchy(asked() | {"inaccessible_children": closed}, SPACE).inaccessible
            == frozenset()
        )

    @pytest.mark.parametrize(
        "odd", [{"room": None}, {"children": None}, {"children": [5]}, {"room": {"room_id": SPACE}}]
    )
    def test_refuses_another_body(self, odd: Any) -> None:
        with pytest.raises(InvalidMessage):
            read_hierarchy(asked() | odd, SPACE)

    def test_refuses_another_room(self) -> None:
        with pytest.raises(InvalidMessage):
            read_hierarchy(asked(), "!open:x.example")
        with pytest.raises(InvalidMessage):
            read_hierarchy([], SPACE)
