from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix_membership import Membership, RoomState
from matrix_membership.errors import IncompleteState, InvalidMessage
from matrix_membership.identifiers import RoomID
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from matrix_membership.room_summary import (
    Ground,
    children_of,
    hierarchy,
    may_learn_of,
    summarise,
    with_children,
)
from matrix_membership.room_versions import V6, V7, V8, V10, V11, V12, RoomVersion
from tests.builders import ANA, BEN, CAY, Room, a_room

PUBLIC: Final = {"join_rule": "public"}
TYPES: Final = {
    "room_id": str,
    "num_joined_members": int,
    "world_readable": bool,
    "guest_can_join": bool,
    "room_version": str,
    "join_rule": str,
    "name": str,
    "topic": str,
    "avatar_url": str,
    "canonical_alias": str,
    "room_type": str,
    "encryption": str,
    "allowed_room_ids": list,
    "children_state": list,
}
"""The keys of a summary in the specification's OpenAPI files, with their types."""

REQUIRED: Final = {"room_id", "num_joined_members", "world_readable", "guest_can_join"}


def restricted(*allowed: str, rule: str = "restricted") -> dict[str, Any]:
    allow = [{"type": "m.room_membership", "room_id": room} for room in allowed]
    return {"join_rule": rule, "allow": allow}


def a_space(*children: Mapping[str, Any], version: RoomVersion = V11, rules: Any = PUBLIC) -> Room:
    """A public space; each child is its content, with `id` and `ts`."""
    room = a_room(version, type="m.space").with_content("m.room.join_rules", rules)
    for number, child in enumerate(children):
        content = {key: value for key, value in child.items() if key not in ("id", "ts")}
        event = attrs.evolve(room, made=number).event(
            "m.space.child",
            ANA,
            {"via": ["x.example"]} | content,
            child["id"],
            origin_server_ts=child.get("ts", 1),
        )
        room = room.with_state(event)
    return room


class TestSummarise:
    def test_says_the_least_of_a_bare_room(self) -> None:
        assert summarise(a_room(V11).state) == {
            "room_id": "!r:a.example",
            "num_joined_members": 1,
            "world_readable": False,
            "guest_can_join": False,
            "room_version": "11",
            "join_rule": "invite",
        }

    def test_says_all_of_a_room_that_has_it(self) -> None:
        room = a_room(V11, type="m.space").with_member(BEN, JOIN).with_member(CAY, INVITE)
        for kind, content in (
            ("m.room.name", {"name": "Cheese"}),
            ("m.room.topic", {"topic": "Tasty"}),
            ("m.room.avatar", {"url": "mxc://a.example/x"}),
            ("m.room.canonical_alias", {"alias": "#cheese:a.example"}),
            ("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"}),
            ("m.room.history_visibility", {"history_visibility": "world_readable"}),
            ("m.room.guest_access", {"guest_access": "can_join"}),
            ("m.room.join_rules", restricted("!a:a.example", "!b:b.example")),
        ):
            room = room.with_content(kind, content)
        assert summarise(room.state) == {
            "room_id": "!r:a.example",
            "num_joined_members": 2,
            "world_readable": True,
            "guest_can_join": True,
            "room_version": "11",
            "join_rule": "restricted",
            "name": "Cheese",
            "topic": "Tasty",
            "avatar_url": "mxc://a.example/x",
            "canonical_alias": "#cheese:a.example",
            "room_type": "m.space",
            "encryption": "m.megolm.v1.aes-sha2",
            "allowed_room_ids": ["!a:a.example", "!b:b.example"],
        }

    @pytest.mark.parametrize("value", [None, "", 5, [], {}, True])
    @pytest.mark.parametrize(
        ("kind", "field", "key"),
        [
            ("m.room.name", "name", "name"),
            ("m.room.topic", "topic", "topic"),
            ("m.room.avatar", "url", "avatar_url"),
            ("m.room.canonical_alias", "alias", "canonical_alias"),
            ("m.room.encryption", "algorithm", "encryption"),
        ],
    )
    def test_leaves_out_values_of_another_type(
        self, kind: str, field: str, key: str, value: Any
    ) -> None:
        assert key not in summarise(a_room(V11).with_content(kind, {field: value}).state)

    def test_leaves_out_addresses_of_another_form(self) -> None:
        room = a_room(V11).with_content("m.room.avatar", {"url": "https://a.example/x"})
        room = room.with_content("m.room.canonical_alias", {"alias": "cheese"})
        assert summarise(room.state).keys() & {"avatar_url", "canonical_alias"} == set()

    @pytest.mark.parametrize(
        ("block", "topic"),
        [
            ({"m.text": [{"body": "Plain"}]}, "Plain"),
            ({"m.text": [{"mimetype": "text/html", "body": "<b>"}, {"body": "Plain"}]}, "Plain"),
            ({"m.text": [{"mimetype": "text/plain", "body": "Plain"}, {"body": "x"}]}, "Plain"),
            ({"m.text": [{"mimetype": "text/html", "body": "<b>"}]}, "Old"),
            ({"m.text": [5, {"body": 5}]}, "Old"),
            ({"m.text": {}}, "Old"),
            ([], "Old"),
        ],
    )
    def test_tells_the_plain_text_of_a_topic(self, block: Any, topic: str) -> None:
        room = a_room(V11).with_content("m.room.topic", {"topic": "Old", "m.topic": block})
        assert summarise(room.state)["topic"] == topic

    def test_has_no_topic_where_it_is_unset(self) -> None:
        content = {"topic": "", "m.topic": {"m.text": [{"body": "Plain"}]}}
        assert "topic" not in summarise(a_room(V11).with_content("m.room.topic", content).state)

    def test_names_allowed_rooms_of_restricted_rooms_alone(self) -> None:
        for version, rules, told in (
            (V8, restricted("!a:a.example"), True),
            (V7, restricted("!a:a.example"), False),
            (V10, restricted("!a:a.example", rule="knock_restricted"), True),
            (V11, restricted("!a:a.example", rule="invite"), False),
        ):
            room = a_room(version).with_content("m.room.join_rules", rules)
            assert ("allowed_room_ids" in summarise(room.state)) is told

    @pytest.mark.parametrize(
        ("rule", "told"), [("odd", "odd"), (5, "invite"), (None, "invite"), ("private", "private")]
    )
    def test_tells_a_join_rule_that_lets_nobody_in(self, rule: Any, told: str) -> None:
        room = a_room(V11).with_content("m.room.join_rules", {"join_rule": rule})
        assert summarise(room.state)["join_rule"] == told

    def test_takes_the_number_of_members(self) -> None:
        over = RoomState.over(V11, a_room(V11).state.get)
        assert summarise(over, joined_members=7)["num_joined_members"] == 7
        with pytest.raises(IncompleteState):
            summarise(over)

    @settings(max_examples=50)
    @given(
        st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "topic",
                    "url",
                    "alias",
                    "algorithm",
                    "join_rule",
                    "allow",
                    "history_visibility",
                    "guest_access",
                    "m.topic",
                    "type",
                    "via",
                    "order",
                ]
            ),
            st.none()
            | st.booleans()
            | st.integers(0, 9)
            | st.text(max_size=3)
            | st.lists(st.text(max_size=2), max_size=2)
            | st.just({"m.text": [{"body": 1}]}),
        )
    )
    def test_has_the_keys_and_types_of_the_specification(self, content: dict[str, Any]) -> None:
        room = a_room(V11, type=content.get("type"))
        for kind in ("name", "topic", "avatar", "canonical_alias", "encryption", "join_rules",
                     "history_visibility", "guest_access"):  # fmt: skip # a table, read by rows
            room = room.with_content(f"m.room.{kind}", content)
        told = with_children(room.with_content("m.space.child", content, "!c:a.example").state)
        assert told.keys() >= REQUIRED
        assert {key for key, value in told.items() if type(value) is not TYPES[key]} == set()


class TestMayLearnOf:
    @pytest.mark.parametrize("viewer", [BEN, "b.example"])
    @pytest.mark.parametrize(
        ("membership", "ground"),
        [(JOIN, Ground.JOINED), (INVITE, Ground.INVITED), (KNOCK, None), (LEAVE, None)],
    )
    def test_by_a_membership(
        self, viewer: str, membership: Membership, ground: Ground | None
    ) -> None:
        room = a_room(V11).with_member(BEN, membership)
        assert may_learn_of(viewer, room.state) is ground

    @pytest.mark.parametrize("viewer", [None, BEN, "b.example"])
    @pytest.mark.parametrize(
        ("version", "rule", "ground"),
        [
            (V6, "public", Ground.PUBLIC),
            (V6, "knock", None),
            (V7, "knock", Ground.KNOCK),
            (V8, "knock_restricted", None),
            (V10, "knock_restricted", Ground.KNOCK),
            (V11, "restricted", None),
            (V11, "invite", None),
            (V11, "odd", None),
        ],
    )
    def test_by_a_join_rule_that_the_version_knows(
        self, viewer: str | None, version: RoomVersion, rule: str, ground: Ground | None
    ) -> None:
        room = a_room(version).with_content("m.room.join_rules", {"join_rule": rule})
        assert may_learn_of(viewer, room.state) is ground

    @pytest.mark.parametrize("viewer", [BEN, "b.example"])
    def test_by_a_room_that_a_restricted_room_allows(self, viewer: str) -> None:
        room = a_room(V11).with_content("m.room.join_rules", restricted("!a:a.example"))
        for membership, ground in ((JOIN, Ground.ALLOWED), (INVITE, None), (None, None)):
            asked = {"!a:a.example": membership}
            assert may_learn_of(viewer, room.state, membership_of=asked.get) is ground
        assert may_learn_of(None, room.state, membership_of=lambda _: JOIN) is None

    def test_by_memberships_that_are_text(self) -> None:
        room = a_room(V11).with_content("m.room.join_rules", restricted("!a:a.example"))
        assert may_learn_of(BEN, room.state, membership_of=lambda _: "join") is Ground.ALLOWED
        assert may_learn_of(BEN, room.state, membership_of=lambda _: "ban") is None
        document = {"room_id": "!i:a.example", "join_rule": "public"}
        assert may_learn_of(BEN, document, membership_of=lambda _: "ban") is None
        with pytest.raises(InvalidMessage, match="expected a membership, as text or not"):
            may_learn_of(BEN, room.state, membership_of=lambda _: "joined")

    @pytest.mark.parametrize("viewer", [None, BEN, "b.example"])
    def test_by_a_history_that_everybody_may_read(self, viewer: str | None) -> None:
        content = {"history_visibility": "world_readable"}
        room = a_room(V11).with_content("m.room.history_visibility", content)
        assert may_learn_of(viewer, room.state) is Ground.WORLD_READABLE

    def test_of_a_room_from_which_the_user_is_banned_by_reading_alone(self) -> None:
        room = a_room(V11).with_content("m.room.join_rules", PUBLIC).with_member(BEN, BAN)
        assert may_learn_of(BEN, room.state) is None
        content = {"history_visibility": "world_readable"}
        readable = room.with_content("m.room.history_visibility", content)
        assert may_learn_of(BEN, readable.state) is Ground.WORLD_READABLE

    def test_not_by_a_server_that_the_room_denies(self) -> None:
        room = a_room(V11).with_content("m.room.join_rules", PUBLIC)
        denied = room.with_content("m.room.server_acl", {"allow": ["*"], "deny": ["b.example"]})
        assert may_learn_of("b.example", denied.state) is None
        assert may_learn_of("c.example", denied.state) is Ground.PUBLIC

    def test_of_a_partial_state_by_what_it_shows(self) -> None:
        partial = RoomState.of(V11, a_room(V11).events, partial=True)
        assert may_learn_of("a.example", partial) is Ground.JOINED
        assert may_learn_of("b.example", partial) is None

    @pytest.mark.parametrize(
        ("document", "ground"),
        [
            ({}, Ground.PUBLIC),  # the specification's default
            ({"join_rule": "public"}, Ground.PUBLIC),
            ({"join_rule": "knock_restricted"}, Ground.KNOCK),
            ({"join_rule": "invite"}, None),
            ({"join_rule": 5}, None),
            ({"join_rule": "invite", "world_readable": True}, Ground.WORLD_READABLE),
            ({"join_rule": "invite", "world_readable": "yes"}, None),
            ({"join_rule": "restricted", "allowed_room_ids": ["!a:a.example"]}, Ground.ALLOWED),
            ({"join_rule": "restricted", "allowed_room_ids": ["!b:a.example", 5]}, None),
            ({"join_rule": "restricted", "allowed_room_ids": "!a:a.example"}, None),
            ({"join_rule": "invite", "room_id": "!i:a.example"}, Ground.INVITED),
            ({"join_rule": "public", "room_id": "!banned:a.example"}, None),
            ({"join_rule": "invite", "room_id": 5}, None),
        ],
    )
    def test_of_what_another_server_tells(self, document: Any, ground: Ground | None) -> None:
        known: dict[str, Membership] = {
            "!a:a.example": JOIN, "!i:a.example": INVITE, "!banned:a.example": BAN
        }  # fmt: skip # a table, read by rows
        assert may_learn_of(BEN, document, membership_of=known.get) is ground

    def test_of_what_another_server_tells_a_third(self) -> None:
        assert may_learn_of("c.example", {"join_rule": "invite"}) is None


class TestChildrenOf:
    def test_come_in_the_order_of_the_specification(self) -> None:
        room = a_space(
            {"id": "!e:x.example", "ts": 1640641000000},
            {"id": "!d:x.example", "ts": 1640741000000},
            {"id": "!b:x.example", "ts": 1640341000000, "order": " "},
            {"id": "!a:x.example", "ts": 1640141000000, "order": "aaaa"},
            {"id": "!c:x.example", "ts": 1640841000000, "order": "first"},
        )
        found = [str(child.state_key)[1] for child in children_of(room.state)]
        assert "".join(found) == "baced"

    def test_come_by_time_and_room_id_where_the_order_is_the_same(self) -> None:
        room = a_space(
            {"id": "!c:x.example", "ts": 2, "order": "x"},
            {"id": "!b:x.example", "ts": 1, "order": "x"},
            {"id": "!a:x.example", "ts": 2, "order": "x"},
        )
        assert [str(child.state_key)[1] for child in children_of(room.state)] == ["b", "a", "c"]

    @pytest.mark.parametrize("order", ["", "x" * 51, "é", "\n", 5, None, ["a"]])
    def test_with_another_order_come_last(self, order: Any) -> None:
        room = a_space(
            {"id": "!a:x.example", "ts": 1, "order": order},
            {"id": "!b:x.example", "ts": 2, "order": "z"},
        )
        assert [str(child.state_key)[1] for child in children_of(room.state)] == ["b", "a"]

    @pytest.mark.parametrize("via", [None, [], "x.example", [5], [""], {}])
    def test_need_servers_to_reach_them(self, via: Any) -> None:
        assert children_of(a_space({"id": "!a:x.example", "via": via}).state) == []

    def test_are_rooms(self) -> None:
        assert children_of(a_space({"id": ""}, {"id": "a"}, {"id": ANA}).state) == []

    def test_are_those_of_spaces(self) -> None:
        room = a_room(V11).with_content("m.space.child", {"via": ["x.example"]}, "!a:x.example")
        assert children_of(room.state) == []

    def test_may_be_the_suggested_ones(self) -> None:
        room = a_space(
            {"id": "!a:x.example"},
            {"id": "!b:x.example", "suggested": True},
            {"id": "!c:x.example", "suggested": "true"},
        )
        children = children_of(room.state, suggested_only=True)
        assert [child.state_key for child in children] == ["!b:x.example"]

    def test_are_told_as_stripped_state_with_their_time(self) -> None:
        room = a_space({"id": "!a:x.example", "ts": 5})
        assert with_children(room.state)["children_state"] == [
            {
                "type": "m.space.child",
                "sender": ANA,
                "state_key": "!a:x.example",
                "content": {"via": ["x.example"]},
                "origin_server_ts": 5,
            }
        ]


def rename(room: Room, room_id: str) -> Room:
    """The same room under another ID."""
    return attrs.evolve(room, events=tuple(_renamed(event, room_id) for event in room.events))


def _renamed(event: Any, room_id: str) -> Any:
    fields = {**event.to_pdu(), "room_id": room_id}
    return type(event).from_pdu(fields, event.room_version, event_id=event.event_id)


class TestHierarchy:
    ROOMS: Final[Mapping[str, Any]] = {
        "!s:x.example": rename(
            a_space({"id": "!t:x.example", "order": "a", "suggested": True},
                    {"id": "!c:x.example", "order": "b"},
                    {"id": "!secret:x.example", "order": "c"},
                    {"id": "!far:x.example", "order": "d"},
                    {"id": "!unknown:x.example", "order": "e"}),
            "!s:x.example",
        ).state,
        "!t:x.example": rename(
            a_space({"id": "!u:x.example"}, {"id": "!s:x.example"}), "!t:x.example"
        ).state,
        "!u:x.example": rename(a_space({"id": "!c:x.example"}), "!u:x.example").state,
        "!c:x.example": rename(
            a_room(V11).with_content("m.room.join_rules", PUBLIC), "!c:x.example"
        ).state,
        "!secret:x.example": rename(a_space({"id": "!d:x.example"}, rules={}), "!secret:x.example").state,
        "!far:x.example": {
            "room_id": "!far:x.example",
            "join_rule": "knock",
            "children_state": [
                {"state_key": "!near:x.example", "content": {"via": ["x.example"]}},
                {"state_key": "!odd:x.example", "content": 5},
                {"state_key": "!odd:x.example"},
                5,
            ],
        },
        "!near:x.example": {"room_id": "!near:x.example", "children_state": "odd"},
    }  # fmt: skip # a table, read by rows

    def walked(self, room_id: str = "!s:x.example", **more: Any) -> tuple[list[str], Any, bool]:
        tree = hierarchy(BEN, room_id, self.ROOMS.get, **more)
        assert tree is not None
        return [room["room_id"][1:-10] for room in tree.rooms], tree.needs, tree.more

    def test_goes_down_before_it_goes_on(self) -> None:
        assert self.walked() == (
            ["s", "t", "u", "c", "far", "near"],
            {"!unknown:x.example": ("x.example",)},
            False,
        )

    def test_stops_at_a_depth(self) -> None:
        assert self.walked(max_depth=0)[0] == ["s"]
        assert self.walked(max_depth=1)[0] == ["s", "t", "c", "far"]
        assert self.walked(max_depth=1_000)[0] == ["s", "t", "u", "c", "far", "near"]

    def test_follows_suggested_children_alone(self) -> None:
        assert self.walked(suggested_only=True)[0] == ["s", "t"]
        assert self.walked("!far:x.example", suggested_only=True)[0] == ["far"]

    def test_gives_pages(self) -> None:
        pages = [self.walked(skip=skip, limit=2) for skip in (0, 2, 4, 6)]
        assert [(names, more) for names, _, more in pages] == [
            (["s", "t"], True), (["u", "c"], True), (["far", "near"], False), ([], False),
        ]  # fmt: skip # a table, read by rows

    def test_gives_a_page_whatever_the_client_asks(self) -> None:
        for limit in (0, -1, -60):
            assert self.walked(limit=limit)[::2] == (["s"], True)
        assert self.walked(skip=-60, limit=2)[::2] == (["s", "t"], True)

    def test_is_forbidden_where_the_user_may_not_learn_of_the_space(self) -> None:
        assert hierarchy(BEN, "!secret:x.example", self.ROOMS.get) is None
        known = {"!d:x.example": JOIN}
        assert hierarchy(BEN, "!secret:x.example", self.ROOMS.get, membership_of=known.get) is None

    def test_needs_a_space_that_is_not_known(self) -> None:
        assert self.walked("!unknown:x.example") == ([], {"!unknown:x.example": ()}, False)

    def test_shows_what_the_user_may_join_through_another_room(self) -> None:
        room = rename(a_space(rules=restricted("!a:a.example")), "!r:x.example").state
        rooms = {RoomID("!r:x.example"): room}
        assert hierarchy(BEN, "!r:x.example", rooms.get) is None
        known = {"!a:a.example": JOIN}
        tree = hierarchy(BEN, "!r:x.example", rooms.get, membership_of=known.get)
        assert tree is not None
        assert len(tree.rooms) == 1


def test_a_room_of_version_12_is_named_by_its_create_event() -> None:
    state = a_room(V12).state
    assert state.create_event is not None
    assert summarise(state)["room_id"] == state.create_event.room_id
