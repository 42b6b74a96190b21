"""Requests read strictly: every error says which field, what was expected, and what came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership.client import (
    AddressRequest,
    ClientRequest,
    read_forget,
    read_invite,
    read_join,
    read_joined_members,
    read_knock,
    read_leave,
    read_membership,
    read_target,
)
from matrix_membership.errors import InvalidIdentifier
from matrix_membership.federation import MatrixError
from matrix_membership.identifiers import RoomID, ServerName, UserID
from tests.builders import ANA, BEN
from tests.client.rooms import asks, body, invites_address, joins, refusal

USER = UserID(BEN)
ROOM = "!r:a.example"

SIGNED = {"sender": ANA, "mxid": BEN, "token": "tok", "signatures": {}}
ADDRESS = {
    "id_server": "id.example",
    "id_access_token": "secret",
    "medium": "email",
    "address": "ben@b.example",
}

READERS: tuple[Callable[[bytes], Any], ...] = (
    lambda data: read_join(USER, ROOM, body=data),
    lambda data: read_knock(USER, ROOM, body=data),
    lambda data: read_leave(USER, ROOM, body=data),
    lambda data: read_forget(USER, ROOM, body=data),
    lambda data: read_target(USER, ROOM, body=data),
    lambda data: read_invite(USER, ROOM, body=data),
    lambda data: read_membership(USER, ROOM, BEN, body=data),
)


class TestBody:
    @pytest.mark.parametrize("read", READERS)
    @pytest.mark.parametrize("data", [b"{", b"\xff", b'{"a":1,"a":1}', b'{"a":1.5}', b"NaN"])
    def test_that_is_no_json_is_refused(self, read: Callable[[bytes], Any], data: bytes) -> None:
        assert refusal(read(data))[:2] == (400, "M_NOT_JSON")

    @pytest.mark.parametrize("read", READERS)
    @pytest.mark.parametrize("data", [b"[]", b"null", b'"x"', b"7"])
    def test_that_is_no_object_is_refused(self, read: Callable[[bytes], Any], data: bytes) -> None:
        assert refusal(read(data))[:2] == (400, "M_BAD_JSON")

    @pytest.mark.parametrize("read", READERS[:4])
    def test_may_be_empty_where_nothing_is_required(self, read: Callable[[bytes], Any]) -> None:
        assert asks(read(b"")).content == {}

    @pytest.mark.parametrize("read", READERS[4:])
    def test_may_not_be_empty_where_something_is(self, read: Callable[[bytes], Any]) -> None:
        assert refusal(read(b""))[:2] == (400, "M_NOT_JSON")

    @pytest.mark.parametrize("read", READERS[:4])
    def test_may_give_a_reason(self, read: Callable[[bytes], Any]) -> None:
        assert asks(read(body(reason="why", other=1))).content == {"reason": "why"}

    @pytest.mark.parametrize("read", READERS[:4])
    def test_must_give_a_reason_as_text(self, read: Callable[[bytes], Any]) -> None:
        assert refusal(read(body(reason=7))) == (
            400,
            "M_INVALID_PARAM",
            "reason: expected text, got 7",
        )

    @given(
        value=st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.text(max_size=9)
            | st.sampled_from([ANA, "join"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["user_id", "reason", "membership", "third_party_signed", *SIGNED, *ADDRESS]
                    ),
                    inner,
                    max_size=5,
                )
            ),
        )
    )
    def test_of_any_json_is_a_request_or_an_error(self, value: Any) -> None:
        data = body(x=value) if not isinstance(value, dict) else body(**value)
        for read in READERS:
            assert isinstance(read(data), ClientRequest | AddressRequest | MatrixError)


class TestPath:
    @pytest.mark.parametrize("room", ["", "r", "@ben:b.example", "#", "#x", "#x:", "#x:a/b"])
    @pytest.mark.parametrize("read", [read_join, read_knock])
    def test_names_a_room_or_an_alias(self, read: Callable[..., Any], room: str) -> None:
        found = refusal(read(USER, room))
        expected = f"roomIdOrAlias: expected a room ID or an alias, got {room!r}"
        assert found == (400, "M_INVALID_PARAM", expected)

    @pytest.mark.parametrize("read", [read_leave, read_forget, read_joined_members])
    def test_names_no_alias_elsewhere(self, read: Callable[..., Any]) -> None:
        expected = "roomId: expected a room ID, got '#x:a.example'"
        assert refusal(read(USER, "#x:a.example")) == (400, "M_INVALID_PARAM", expected)

    def test_names_no_alias_to_kick_from(self) -> None:
        found = refusal(read_target(USER, "#x:a.example", body=body(user_id=ANA)))
        assert found[:2] == (400, "M_INVALID_PARAM")


class TestVia:
    def via(self, *query: tuple[str, str]) -> tuple[str, ...]:
        """The servers that a join names."""
        return asks(read_join(USER, ROOM, query=query)).via

    def test_is_kept_in_order_and_once(self) -> None:
        found = self.via(("via", "b.c"), ("x", "y"), ("via", "a.c"), ("via", "b.c"))
        assert found == ("b.c", "a.c")

    def test_may_have_its_old_name(self) -> None:
        assert self.via(("server_name", "a.c")) == ("a.c",)

    def test_goes_before_its_old_name(self) -> None:
        assert self.via(("server_name", "a.c"), ("via", "b.c")) == ("b.c",)

    def test_must_be_a_server_name(self) -> None:
        found = refusal(read_knock(USER, ROOM, query=[("via", "a b")]))
        assert found == (400, "M_INVALID_PARAM", "via: expected a server name, got 'a b'")


class TestAlias:
    def test_is_put_into_the_request(self) -> None:
        request = joins(BEN, "#talk:a.example", via=("c.example",))
        assert request.is_by_alias
        resolved = request.with_room(RoomID(ROOM), ["a.example", "c.example"])
        assert (resolved.room, resolved.via) == (ROOM, ("c.example", "a.example"))
        assert not resolved.is_by_alias

    @pytest.mark.parametrize("room_id", ["#talk:a.example", "", "!"])
    def test_is_resolved_to_a_room_id_only(self, room_id: Any) -> None:
        request = joins(BEN, "#talk:a.example")
        with pytest.raises(InvalidIdentifier):
            request.with_room(room_id, ["a.example"])

    def test_is_resolved_to_names_of_servers_only(self) -> None:
        told: Any = ["a.example", "no server", 5, None, "c.example:8448"]
        resolved = joins(BEN, "#talk:a.example").with_room(RoomID(ROOM), told)
        assert resolved.via == ("a.example", "c.example:8448")


class TestThirdPartySigned:
    def test_is_kept(self) -> None:
        assert joins(BEN, ROOM, third_party_signed=SIGNED).third_party_signed == SIGNED

    @pytest.mark.parametrize("name", SIGNED)
    def test_must_have_every_field(self, name: str) -> None:
        signed = {key: value for key, value in SIGNED.items() if key != name}
        found = refusal(read_join(USER, ROOM, body=body(third_party_signed=signed)))
        assert found[:2] == (400, "M_MISSING_PARAM")
        assert found[2].startswith(f"{name}: expected ")

    @pytest.mark.parametrize("name", SIGNED)
    def test_must_have_every_field_of_its_kind(self, name: str) -> None:
        signed = {**SIGNED, name: 7}
        found = refusal(read_join(USER, ROOM, body=body(third_party_signed=signed)))
        assert found[:2] == (400, "M_INVALID_PARAM")
        assert found[2].startswith(f"third_party_signed.{name}: expected ")

    def test_must_be_an_object(self) -> None:
        found = refusal(read_join(USER, ROOM, body=body(third_party_signed=7)))
        assert found[2] == "third_party_signed: expected an object, got 7"


class TestTarget:
    def test_is_required(self) -> None:
        found = refusal(read_target(USER, ROOM, body=b"{}"))
        assert found == (400, "M_MISSING_PARAM", "user_id: expected a user ID, got nothing")

    def test_must_be_a_user(self) -> None:
        found = refusal(read_target(USER, ROOM, body=body(user_id="ana")))
        assert found == (400, "M_INVALID_PARAM", "user_id: expected a user ID, got 'ana'")


class TestInvite:
    def test_of_a_user_is_about_that_user(self) -> None:
        found = asks(read_invite(USER, ROOM, body=body(user_id=ANA, reason="x")))
        assert isinstance(found, ClientRequest)
        assert (found.target, found.content) == (ANA, {"reason": "x"})

    def test_of_nobody_lacks_the_user(self) -> None:
        assert refusal(read_invite(USER, ROOM, body=b"{}"))[1] == "M_MISSING_PARAM"

    def test_by_address_is_kept_whole(self) -> None:
        found = read_invite(USER, ROOM, body=body(**ADDRESS, reason="x"))
        assert found == AddressRequest(
            user=USER,
            room=RoomID(ROOM),
            id_server=ServerName("id.example"),
            id_access_token="secret",
            medium="email",
            address="ben@b.example",
            reason="x",
        )

    @pytest.mark.parametrize("name", ADDRESS)
    def test_by_address_lacks_nothing(self, name: str) -> None:
        fields = {key: value for key, value in ADDRESS.items() if key != name}
        found = refusal(read_invite(USER, ROOM, body=body(**fields)))
        assert found == (400, "M_MISSING_PARAM", f"{name}: expected text, got nothing")

    @pytest.mark.parametrize("name", ADDRESS)
    @pytest.mark.parametrize("value", [7, "", None])
    def test_by_address_is_told_in_text(self, name: str, value: Any) -> None:
        found = refusal(read_invite(USER, ROOM, body=body(**{**ADDRESS, name: value})))
        assert found[:2] == (400, "M_INVALID_PARAM")
        assert found[2].startswith(f"{name}: expected ")

    def test_by_address_names_an_identity_server(self) -> None:
        found = refusal(read_invite(USER, ROOM, body=body(**{**ADDRESS, "id_server": "a b"})))
        assert found[2] == "id_server: expected a server name, got 'a b'"

    @pytest.mark.parametrize("reason", [None, "x"])
    def test_by_address_becomes_one_of_a_user(self, reason: str | None) -> None:
        more = {} if reason is None else {"reason": reason}
        request = invites_address(BEN, ROOM, **more)
        found = request.for_user(UserID(ANA))
        assert found == ClientRequest(USER, ROOM, UserID(ANA), content=found.content)
        assert found.content == more


class TestMembership:
    def test_is_required(self) -> None:
        found = refusal(read_membership(USER, ROOM, BEN, body=b"{}"))
        assert found == (400, "M_MISSING_PARAM", "membership: expected a membership, got nothing")

    @pytest.mark.parametrize("value", [7, "dance", None, ["join"], "unknown"])
    def test_must_be_one_of_five(self, value: Any) -> None:
        found = refusal(read_membership(USER, ROOM, BEN, body=body(membership=value)))
        assert found[:2] == (400, "M_INVALID_PARAM")
        assert found[2].startswith("membership: expected one of invite, join, leave, ban, knock")

    def test_is_of_a_user(self) -> None:
        found = refusal(read_membership(USER, ROOM, "ben", body=body(membership="join")))
        assert found == (400, "M_INVALID_PARAM", "state_key: expected a user ID, got 'ben'")

    def test_keeps_what_a_client_may_say(self) -> None:
        fields = {"membership": "join", "displayname": "Ben", "org.example.mood": ["good"]}
        found = asks(read_membership(USER, ROOM, BEN, body=body(**fields)))
        assert found.content == {**fields, "org.example.mood": ("good",)}

    @pytest.mark.parametrize("key", ["join_authorised_via_users_server", "third_party_invite"])
    def test_drops_what_a_client_may_not_say(self, key: str) -> None:
        found = asks(read_membership(USER, ROOM, BEN, body=body(membership="join", **{key: ANA})))
        assert found.content == {"membership": "join"}

    def test_must_give_a_reason_as_text(self) -> None:
        found = refusal(read_membership(USER, ROOM, BEN, body=body(membership="join", reason=1)))
        assert found[1] == "M_INVALID_PARAM"
