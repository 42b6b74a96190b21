"""The messages of invites: read strictly, written back as they came."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership.canonical_json import freeze
from matrix_membership.errors import InvalidMessage
from matrix_membership.federation.invites.messages import (
    MOST_BOUND,
    MOST_SERVERS_OF_ROOM_STATE,
    ExchangeRequest,
    InviteRequest,
    InviteResponse,
    OnBindRequest,
    PendingInvite,
    StoredInvite,
)
from matrix_membership.signing import MOST_NEEDED_KEY_IDS
from tests.captures import Capture, captures

KEY = "A" * 43
SIGNED = {"mxid": "@ben:b.example", "token": "t", "signatures": {}}
PENDING = {
    "medium": "email",
    "address": "ben@example.org",
    "mxid": "@ben:b.example",
    "room_id": "!r:a.example",
    "sender": "@ana:a.example",
    "signed": SIGNED,
}
BOUND = {
    "medium": "email",
    "address": "ben@example.org",
    "mxid": "@ben:b.example",
    "invites": [PENDING],
}
STORED = {"token": "t", "public_keys": [{"public_key": KEY}], "display_name": "b..."}
PARTS = {
    "type": "m.room.member",
    "room_id": "!r:a.example",
    "sender": "@ana:a.example",
    "state_key": "@ben:b.example",
    "content": {},
}

REQUESTS = [
    capture
    for name in ("invite", "invite_v1_endpoint", "synapse_invite*")
    for capture in captures(name=name)
]
ANSWERS = [capture for capture in REQUESTS if capture.status == 200]


def request_of(capture: Capture) -> InviteRequest:
    _, _, endpoint, _, room_id, event_id = capture.path
    return InviteRequest.from_json(
        capture.request,
        room_id=room_id,
        event_id=event_id,
        origin=capture.origin,
        endpoint=endpoint,
    )


def read(body: Any, endpoint: str = "v2") -> InviteRequest:
    return InviteRequest.from_json(
        body, room_id="!r:a.example", event_id="$e:a.example", origin="a.example", endpoint=endpoint
    )


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


class TestInviteRequest:
    @pytest.mark.parametrize("capture", REQUESTS, ids=str)
    def test_is_sent_as_synapse_sends_it(self, capture: Capture) -> None:
        request = request_of(capture).request
        assert (request.method, request.uri.lower()) == (capture.method, capture.uri.lower())
        assert request.content == freeze(capture.request)

    @pytest.mark.parametrize("capture", REQUESTS, ids=str)
    def test_needs_the_keys_of_the_inviting_server(self, capture: Capture) -> None:
        assert request_of(capture).needs == {
            capture.origin: frozenset(capture.keys[capture.origin])
        }

    def test_tells_nothing_of_the_room_when_it_says_nothing(self) -> None:
        assert read({"event": {}, "room_version": "1"}).invite_room_state == ()
        assert read({}, "v1").invite_room_state == ()
        assert read({"unsigned": 1}, "v1").invite_room_state == ()

    def test_gets_unsigned_data_at_the_v1_endpoint(self) -> None:
        assert read({"unsigned": 1}, "v1").to_json() == {"unsigned": {"invite_room_state": []}}

    def test_needs_no_keys_without_signatures(self) -> None:
        entries = [1, {"sender": "@a:b"}, {"sender": "@a:b", "signatures": {"b": 1}}]
        request = read({"event": {}, "room_version": "1", "invite_room_state": entries})
        assert request.needs == {}

    @pytest.mark.parametrize(("version", "named"), [("1", {"c"}), ("3", set()), ("99", set())])
    def test_needs_the_keys_of_the_server_of_the_id_where_it_must_sign(
        self, version: str, named: set[str]
    ) -> None:
        key = {"ed25519:k": ""}
        pdu = {"sender": "@a:b", "event_id": "$1:c", "signatures": {"c": key, "d": key}}
        assert set(read({"event": pdu, "room_version": version}).needs) == named
        assert set(read(pdu, "v1").needs) == {"c"}

    def test_needs_a_bounded_number_of_keys(self) -> None:
        key_ids = {f"ed25519:{n}": "" for n in range(99)}
        entries = [
            {"sender": f"@a:s{n}.example", "signatures": {f"s{n}.example": key_ids}}
            for n in range(99)
        ]
        body = {"event": {}, "room_version": "11", "invite_room_state": entries}
        needs = read(body).needs
        assert list(needs) == [f"s{n}.example" for n in range(MOST_SERVERS_OF_ROOM_STATE)]
        assert {len(of_server) for of_server in needs.values()} == {MOST_NEEDED_KEY_IDS}

    def test_needs_nothing_of_what_is_not_a_server(self) -> None:
        names = ("a_b", "", "x/../y")
        entries = [
            {"sender": f"@a:{name}", "signatures": {name: {"ed25519:k": "", "rsa:1": ""}}}
            for name in names
        ]
        body = {"event": {}, "room_version": "11", "invite_room_state": entries}
        assert read(body).needs == {}

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ([], InvalidMessage("invite", "an object", [])),
            ({}, InvalidMessage("invite.event", "an object", None)),
            ({"event": {}}, InvalidMessage("invite.room_version", "text", None)),
            (
                {"event": {}, "room_version": "1", "invite_room_state": {}},
                InvalidMessage("invite.invite_room_state", "a list", {}),
            ),
        ],
    )
    def test_refuses_another_form(self, body: Any, error: InvalidMessage) -> None:
        with pytest.raises(InvalidMessage) as raised:
            read(body)
        assert raised.value == error

    def test_refuses_what_json_cannot_hold(self) -> None:
        with pytest.raises(InvalidMessage) as raised:
            read({"event": {"a": {1}}, "room_version": "1"})
        assert (raised.value.where, raised.value.expected) == ("invite.event", "JSON values")

    def test_refuses_room_state_that_json_cannot_hold(self) -> None:
        with pytest.raises(InvalidMessage) as raised:
            read({"event": {}, "room_version": "1", "invite_room_state": [{1}]})
        assert raised.value.where == "invite.invite_room_state"
        assert raised.value.expected == "JSON values"


class TestInviteResponse:
    @pytest.mark.parametrize("capture", ANSWERS, ids=str)
    def test_is_written_as_it_was_read(self, capture: Capture) -> None:
        response = InviteResponse.from_json(capture.response)
        assert (response.to_json(), response.endpoint) == (capture.response, capture.path[2])

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ([], InvalidMessage("invite answer", "an object", [])),
            ([403, {}], InvalidMessage("invite answer", "an object", [403, {}])),
            ({}, InvalidMessage("invite answer.event", "an object", None)),
            ([200, {}], InvalidMessage("invite answer.event", "an object", None)),
        ],
    )
    def test_refuses_another_form(self, body: Any, error: InvalidMessage) -> None:
        with pytest.raises(InvalidMessage) as raised:
            InviteResponse.from_json(body)
        assert raised.value == error


class TestStoredInvite:
    def test_keeps_the_keys_as_they_came(self) -> None:
        keys = [
            {"public_key": KEY + "=", "key_validity_url": "https://i.example"},
            {"public_key": "x"},
        ]
        stored = StoredInvite.from_json({**STORED, "public_keys": keys})
        assert stored == StoredInvite("t", tuple(map(freeze, keys)), "b...")

    @pytest.mark.parametrize("token", ["", "a b", "ä", "x" * 256])
    def test_refuses_a_token_of_another_form(self, token: str) -> None:
        with pytest.raises(InvalidMessage) as raised:
            StoredInvite.from_json({**STORED, "token": token})
        expected = "1 to 255 of [0-9a-zA-Z.=_-]"
        assert raised.value == InvalidMessage("stored invite.token", expected, token)

    @pytest.mark.parametrize("keys", [None, [], [{"public_key": "x"}], [{"public_key": KEY[:40]}]])
    def test_refuses_an_invite_that_nobody_could_redeem(self, keys: Any) -> None:
        with pytest.raises(InvalidMessage) as raised:
            StoredInvite.from_json({**STORED, "public_keys": keys})
        where = "stored invite.public_keys"
        assert raised.value == InvalidMessage(where, "an Ed25519 key in base64", keys)

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"token": 1}, InvalidMessage("stored invite.token", "text", 1)),
            ({"display_name": None}, InvalidMessage("stored invite.display_name", "text", None)),
            ({"public_keys": {}}, InvalidMessage("stored invite.public_keys", "a list", {})),
            (
                {"public_keys": [KEY]},
                InvalidMessage("stored invite.public_keys[0]", "an object", KEY),
            ),
            (
                {"public_keys": [{}]},
                InvalidMessage("stored invite.public_keys[0].public_key", "text", None),
            ),
        ],
    )
    def test_refuses_another_form(self, change: dict[str, Any], error: InvalidMessage) -> None:
        with pytest.raises(InvalidMessage) as raised:
            StoredInvite.from_json({**STORED, **change})
        assert raised.value == error


class TestOnBind:
    def test_comes_by_either_method(self) -> None:
        assert OnBindRequest.METHODS == ("PUT", "POST")
        assert OnBindRequest.PATH == "/_matrix/federation/v1/3pid/onbind"

    def test_holds_pending_invites(self) -> None:
        request = OnBindRequest.from_json(BOUND)
        assert request.invites == (PendingInvite.from_json(PENDING),)
        assert request.invites[0].signed == SIGNED

    @pytest.mark.parametrize(
        "change",
        [
            {"medium": 1},
            {"address": None},
            {"mxid": "ben"},
            {"room_id": "r"},
            {"sender": ""},
            {"signed": []},
        ],
    )
    def test_sets_a_malformed_invite_aside(self, change: dict[str, Any]) -> None:
        malformed = {**PENDING, **change}
        request = OnBindRequest.from_json({**BOUND, "invites": [malformed, PENDING]})
        assert request.invites == (PendingInvite.from_json(PENDING),)
        assert request.malformed == (freeze(malformed),)

    def test_holds_no_more_invites_than_a_server_answers_at_once(self) -> None:
        many = OnBindRequest.from_json({**BOUND, "invites": [PENDING] * MOST_BOUND})
        assert len(many.invites) == MOST_BOUND
        with pytest.raises(InvalidMessage) as raised:
            OnBindRequest.from_json({**BOUND, "invites": [PENDING] * (MOST_BOUND + 1)})
        assert raised.value == InvalidMessage("onbind.invites", "at most 100 invites", 101)

    def test_may_have_no_invites(self) -> None:
        assert OnBindRequest.from_json({**BOUND, "invites": None}).invites == ()

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"medium": 1}, InvalidMessage("onbind.medium", "text", 1)),
            ({"address": 1}, InvalidMessage("onbind.address", "text", 1)),
            ({"mxid": "ben"}, InvalidMessage("onbind.mxid", "a user ID", "ben")),
            ({"invites": "no"}, InvalidMessage("onbind.invites", "a list", "no")),
        ],
    )
    def test_refuses_another_form(self, change: dict[str, Any], error: InvalidMessage) -> None:
        with pytest.raises(InvalidMessage) as raised:
            OnBindRequest.from_json({**BOUND, **change})
        assert raised.value == error

    def test_refuses_what_is_nested_too_deep_for_an_event(self) -> None:
        deep = {**PENDING, "signed": {"x": nested(126)}}
        with pytest.raises(InvalidMessage) as raised:
            OnBindRequest.from_json({**BOUND, "invites": [deep]})
        assert (raised.value.where, raised.value.expected) == ("onbind", "JSON values")


class TestExchangeRequest:
    def test_is_sent_to_the_inviting_server(self) -> None:
        exchange = ExchangeRequest.from_json(PARTS, room_id="!r:a.example", origin="b.example")
        path = "/_matrix/federation/v1/exchange_third_party_invite/%21r%3Aa.example"
        assert (exchange.request.method, exchange.request.path) == ("PUT", path)
        assert exchange.request.content == exchange.to_json() == PARTS
        assert exchange.destination == "a.example"

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"content": []}, InvalidMessage("exchange.content", "an object", [])),
            ({"type": 1}, InvalidMessage("exchange.type", "text", 1)),
            ({"room_id": 1}, InvalidMessage("exchange.room_id", "text", 1)),
            ({"sender": 1}, InvalidMessage("exchange.sender", "text", 1)),
            ({"state_key": None}, InvalidMessage("exchange.state_key", "text", None)),
        ],
    )
    def test_refuses_another_form(self, change: dict[str, Any], error: InvalidMessage) -> None:
        with pytest.raises(InvalidMessage) as raised:
            ExchangeRequest.from_json({**PARTS, **change}, room_id="!r", origin="b.example")
        assert raised.value == error
