"""Messages between servers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from matrix_membership.canonical_json import JsonObject, freeze
from matrix_membership.errors import InvalidMessage
from matrix_membership.federation.messages import (
    MakeResponse,
    MatrixError,
    Request,
    SendJoinResponse,
    SendKnockResponse,
    SendLeaveResponse,
)
from matrix_membership.room_versions import V5, V12
from tests.builders import a_room
from tests.captures import captures

STATE = [b'{"a":1}', b'{"b":2}']


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


class TestRequest:
    def test_has_a_uri(self) -> None:
        assert Request("GET", "/p").uri == "/p"
        assert Request("GET", "/p", (("ver", "1"), ("ver", "a b"))).uri == "/p?ver=1&ver=a+b"

    def test_has_content(self) -> None:
        assert Request("GET", "/p").content is None
        assert Request("PUT", "/p", (), b'{"a":[1]}').content == {"a": (1,)}


class TestMatrixError:
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (
                {"errcode": "M_FORBIDDEN", "error": "no", "x": [1]},
                MatrixError("M_FORBIDDEN", "no", 400, freeze({"x": [1]})),
            ),
            ({"errcode": "M_X", "error": 5}, MatrixError("M_X", "", 400)),
            ({"errcode": "M_X", "a": float("nan")}, MatrixError("M_X", "", 400)),
            ({"errcode": 5}, MatrixError("M_UNKNOWN", "HTTP status 400", 400)),
            (None, MatrixError("M_UNKNOWN", "HTTP status 400", 400)),
            ([], MatrixError("M_UNKNOWN", "HTTP status 400", 400)),
        ],
    )
    def test_is_read_from_anything(self, body: Any, expected: MatrixError) -> None:
        assert MatrixError.from_json(body, status=400) == expected

    @pytest.mark.parametrize(
        ("status", "body", "unknown"),
        [
            (404, None, True),
            (405, "Method Not Allowed", True),
            (404, {"errcode": "M_UNRECOGNIZED", "error": "no"}, True),
            (404, {"errcode": "M_UNKNOWN", "error": "no such room"}, False),
            (404, {"errcode": "M_UNKNOWN"}, False),
            (404, {"errcode": "M_NOT_FOUND", "error": "no"}, False),
            (500, None, False),
            (500, {"errcode": "M_UNRECOGNIZED", "error": "no"}, False),
        ],
    )
    def test_means_an_unknown_endpoint(self, status: int, body: Any, unknown: bool) -> None:
        assert MatrixError.from_json(body, status=status).means_unknown_endpoint is unknown

    def test_writes_what_it_read(self) -> None:
        body = {"errcode": "M_INCOMPATIBLE_ROOM_VERSION", "error": "", "room_version": "9"}
        assert MatrixError.from_json(body, status=400).to_json() == body

    def test_has_the_status_of_its_code(self) -> None:
        assert MatrixError.of("M_FORBIDDEN", "").status == 403
        assert MatrixError.of("M_UNABLE_TO_GRANT_JOIN", "").status == 400

    def test_of_a_captured_answer(self) -> None:
        for capture in captures(name="make_join_error_version"):
            error = MatrixError.from_json(capture.response, status=capture.status)
            assert error.errcode == "M_INCOMPATIBLE_ROOM_VERSION"
            assert error.extra["room_version"] == capture.version


class TestMakeResponse:
    def test_writes_what_it_read(self) -> None:
        body = {"event": {"type": "m.room.member", "auth_events": []}, "room_version": "11"}
        assert MakeResponse.from_json(body).to_json() == body

    def test_may_name_no_version(self) -> None:
        assert MakeResponse.from_json({"event": {}}).to_json() == {"event": {}}

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            (None, InvalidMessage("make answer", "an object", None)),
            ({}, InvalidMessage("make answer.event", "an object", None)),
            ({"event": []}, InvalidMessage("make answer.event", "an object", [])),
            (
                {"event": {}, "room_version": 11},
                InvalidMessage("make answer.room_version", "text", 11),
            ),
        ],
    )
    def test_refuses_another_shape(self, body: Any, error: InvalidMessage) -> None:
        with pytest.raises(InvalidMessage) as raised:
            MakeResponse.from_json(body)
        assert raised.value == error

    def test_refuses_what_json_cannot_hold(self) -> None:
        with pytest.raises(InvalidMessage):
            MakeResponse.from_json({"event": {"a": {1}}})


class TestSendLeaveResponse:
    @pytest.mark.parametrize("body", [{}, {"x": 1}, [200, {}]])
    def test_is_read(self, body: Any) -> None:
        assert SendLeaveResponse.from_json(body).to_json() == {}

    @pytest.mark.parametrize("body", [None, [200], [400, {}], "x"])
    def test_refuses_another_shape(self, body: Any) -> None:
        with pytest.raises(InvalidMessage):
            SendLeaveResponse.from_json(body)


class TestSendKnockResponse:
    def test_writes_what_it_read(self) -> None:
        body = {"knock_room_state": [{"type": "m.room.name"}]}
        assert SendKnockResponse.from_json(body).to_json() == body

    @pytest.mark.parametrize("body", [{}, {"knock_room_state": {}}, {"knock_room_state": [5]}])
    def test_refuses_another_shape(self, body: Any) -> None:
        with pytest.raises(InvalidMessage):
            SendKnockResponse.from_json(body)


class TestSendJoinResponse:
    def test_writes_what_it_was_made_of(self) -> None:
        events = a_room(V12).events
        response = SendJoinResponse.of(
            events, events[:1], event=events[1], servers_in_room=["a.example"]
        )
        body = json.loads(response.to_bytes())
        assert body == response.to_json()
        assert [len(body["state"]), len(body["auth_chain"])] == [2, 1]
        assert body["members_omitted"] is True
        assert body["servers_in_room"] == ["a.example"]
        assert SendJoinResponse.from_bytes(response.to_bytes()) == response

    def test_of_a_full_answer_names_no_servers(self) -> None:
        body = SendJoinResponse.of([], []).to_json()
        assert body == {"state": [], "auth_chain": [], "members_omitted": False}

    def test_keeps_floats_of_old_versions(self) -> None:
        room = a_room(V5)
        event = room.event("x", room.events[0].sender, {"n": 1.5}, "")
        response = SendJoinResponse.of([event], [])
        assert SendJoinResponse.from_bytes(response.to_bytes()).state == (event.pdu,)

    @pytest.mark.parametrize("event", [{"a": {1}}, {"a": nested(5_000)}], ids=["set", "deep"])
    def test_refuses_what_json_cannot_hold(self, event: Any) -> None:
        with pytest.raises(InvalidMessage):
            SendJoinResponse.from_json({"state": [event], "auth_chain": []})

    @pytest.mark.parametrize(
        "change",
        [
            {"state": None},
            {"state": {}},
            {"auth_chain": "x"},
            {"state": [5]},
            {"event": []},
            {"members_omitted": "yes"},
            {"servers_in_room": "a.example"},
            {"servers_in_room": ["a_b"]},
        ],
        ids=str,
    )
    def test_refuses_another_shape(self, change: Any) -> None:
        body = {"state": [], "auth_chain": [], **change}
        with pytest.raises(InvalidMessage):
            SendJoinResponse.from_json(body)

    @pytest.mark.parametrize("data", [b"", b"{", b"[]", b'"x"'])
    def test_refuses_what_is_no_answer(self, data: bytes) -> None:
        with pytest.raises(InvalidMessage):
            SendJoinResponse.from_bytes(data)

    def test_reads_the_pair_of_v1(self) -> None:
        body = {"state": [{"a": 1}], "auth_chain": []}
        assert SendJoinResponse.from_json([200, body]) == SendJoinResponse.from_json(body)

    def test_is_a_value(self) -> None:
        assert SendJoinResponse((), ()) == SendJoinResponse((), ())
        assert isinstance(MatrixError("M_X", "", 400).extra, JsonObject)
