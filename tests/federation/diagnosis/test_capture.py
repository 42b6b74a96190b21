"""Records: exchanges that are read, and errors that name their place."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from matrix_membership.errors import InvalidMessage
from matrix_membership.federation.diagnosis import conversations, diagnose, read_capture
from matrix_membership.federation.diagnosis.keys import read_keys
from matrix_membership.federation.messages import Request
from matrix_membership.federation.x_matrix import Authorization
from tests.builders import SIGNER_A, SIGNER_B
from tests.captures import captures, key_documents

PATH = "/_matrix/federation/v1/make_join/%21r%3Aa.example/%40ben%3Ab.example"
HEADER = Authorization.of(Request("GET", PATH), "a.example", SIGNER_B).headers[0]


def har(**response: Any) -> dict[str, Any]:
    """A HAR document of one make_join."""
    request = {
        "method": "GET",
        "url": f"https://matrix.a.example:443{PATH}?ver=11",
        "headers": [7, {"name": "authorization", "value": HEADER}],
    }
    return {"log": {"entries": [{"request": request, "response": {"status": 200} | response}]}}


class TestHar:
    def test_is_read(self) -> None:
        body = {"errcode": "M_FORBIDDEN", "error": "no"}
        [read] = read_capture(har(status=403, content={"text": json.dumps(body)}))
        assert (read.endpoint, read.room_id, read.last) == (
            "make_join",
            "!r:a.example",
            "@ben:b.example",
        )
        assert (read.status, read.answer) == (403, body)
        assert read.query == (("ver", "11"),)

    def test_names_servers_by_the_header_rather_than_by_the_host(self) -> None:
        [read] = read_capture(har())
        assert (read.origin, read.destination) == ("b.example", "a.example")

    def test_may_hold_bodies_in_base64(self) -> None:
        text = b64encode(b'{"errcode":"M_NOT_FOUND"}').decode()
        [read] = read_capture(har(content={"text": text, "encoding": "base64"}))
        assert read.answer == {"errcode": "M_NOT_FOUND"}

    @pytest.mark.parametrize(
        "content",
        [None, {}, {"text": "<html>"}, {"text": "\u00e4", "encoding": "base64"}],
        ids=["absent", "empty", "html", "not base64"],
    )
    def test_may_hold_bodies_that_are_not_json(self, content: Any) -> None:
        [read] = read_capture(har(content=content))
        assert read.answer is None

    def test_may_hold_requests_without_an_answer(self) -> None:
        [read] = read_capture(har(status=0))
        assert read.status is None

    @pytest.mark.parametrize(
        ("document", "where"),
        [
            ({"log": {}}, "x.har: log.entries"),
            ({"log": {"entries": [7]}}, "x.har: log.entries[0]"),
            ({"log": {"entries": [{"request": {}}]}}, "x.har: log.entries[0]"),
            (har(status="x"), "x.har: log.entries[0].response.status"),
            (
                {"log": {"entries": [{"request": {}, "response": {"status": 200}}]}},
                "x.har: log.entries[0].request.url",
            ),
            (
                {"log": {"entries": [{"request": {"headers": 7}, "response": {"status": 200}}]}},
                "x.har: log.entries[0].request.headers",
            ),
        ],
    )
    def test_is_refused_with_its_place(self, document: Any, where: str) -> None:
        with pytest.raises(InvalidMessage) as raised:
            read_capture(document, place="x.har")
        assert raised.value.where == where


class TestLine:
    def test_is_what_an_exchange_writes(self) -> None:
        [read] = read_capture({"uri": PATH, "status": 200, "response": {}})
        assert read_capture([read.to_dict()])[0].to_dict() == read.to_dict()

    def test_may_have_a_whole_url(self) -> None:
        [read] = read_capture({"url": f"https://a.example{PATH}", "status": 200})
        assert (read.uri, read.destination) == (PATH, "a.example")

    @pytest.mark.parametrize(
        ("line", "where"),
        [
            ({"uri": 7}, "capture[0].uri"),
            ({"uri": PATH, "status": "200"}, "capture[0].status"),
            ({"uri": PATH, "status": True}, "capture[0].status"),
            ({"uri": PATH, "method": 7}, "capture[0].method"),
            ({"uri": PATH, "origin": 7}, "capture[0].origin"),
            ({"uri": PATH, "destination": ["x"]}, "capture[0].destination"),
            ({"uri": PATH, "authorization": 7}, "capture[0].authorization"),
            ({"uri": PATH, "authorization": [7]}, "capture[0].authorization"),
            ({"uri": PATH, "room_version": 7}, "capture[0].room_version"),
            ({"uri": PATH, "keys": 7}, "capture[0].keys"),
            ({"uri": PATH, "keys": {"a.example": {"ed25519:1": "x"}}}, "capture[0].keys"),
            (7, "capture[0]"),
            ({"x": 1}, "capture[0]"),
        ],
        ids=str,
    )
    def test_is_refused_with_its_place(self, line: Any, where: str) -> None:
        with pytest.raises(InvalidMessage) as raised:
            read_capture([line])
        assert raised.value.where == where

    def test_of_another_endpoint_is_left_out(self) -> None:
        other = {"uri": "/_matrix/federation/v1/version", "status": 200}
        read = read_capture([other, {"uri": PATH, "status": 404}])
        assert [[one.endpoint for one in found] for found in conversations(read)] == [["make_join"]]

    def test_without_a_handshake_cannot_be_diagnosed(self) -> None:
        with pytest.raises(InvalidMessage):
            diagnose(read_capture({"uri": "/_matrix/federation/v1/version"}))


class TestBareAnswer:
    @pytest.mark.parametrize(
        ("answer", "endpoint"),
        [
            ({"event": {"content": {"membership": "join"}}}, "make_join"),
            ({"event": {"content": {"membership": "knock"}}}, "make_knock"),
            ({"event": {"content": {"membership": "leave"}}}, "make_leave"),
            ({"event": {"content": {"membership": "invite"}}}, "invite"),
            ({"event": {}}, "make_join"),
            ({"state": [], "auth_chain": []}, "send_join"),
            ([200, {"state": []}], "send_join"),
            ({"knock_room_state": []}, "send_knock"),
            ({"errcode": "M_FORBIDDEN"}, "make_join"),
        ],
        ids=str,
    )
    def test_tells_its_request(self, answer: Any, endpoint: str) -> None:
        [[found]] = conversations(read_capture(answer))
        assert found.endpoint == endpoint
        assert found.line == f"{endpoint}, not recorded"

    def test_that_is_an_error_after_a_template_answers_the_event(self) -> None:
        template = {"event": {"content": {"membership": "knock"}, "state_key": "@a:b"}}
        [found] = conversations(read_capture([template, {"errcode": "M_FORBIDDEN"}]))
        assert [one.endpoint for one in found] == ["make_knock", "send_knock"]

    def test_that_is_empty_ends_a_leave(self) -> None:
        template = {"event": {"content": {"membership": "leave"}}}
        [found] = conversations(read_capture([template, {}]))
        assert [one.endpoint for one in found] == ["make_leave", "send_leave"]

    def test_that_is_empty_and_alone_tells_nothing(self) -> None:
        assert conversations(read_capture([{}])) == ()

    def test_to_an_invite_alone_tells_nothing(self) -> None:
        answer = {"event": {"content": {"membership": "invite"}}}
        found = diagnose(read_capture(answer))
        assert (found.cause, found.missing) == ("unreadable", ("the request with the invite",))


class TestKeys:
    def test_in_an_answer_of_the_record_count(self) -> None:
        [document] = [*key_documents().values()][:1]
        line = {"uri": "/_matrix/key/v2/server", "status": 200, "response": document}
        [read] = read_capture(line)
        assert document["server_name"] in read.keys

    def test_in_an_answer_that_is_not_good_do_not_count(self) -> None:
        line = {"uri": "/_matrix/key/v2/server", "status": 200, "response": 7}
        [read] = read_capture(line)
        assert read.keys.servers == {}

    def test_may_come_from_a_notary_or_in_a_list(self) -> None:
        documents = [*key_documents().values()]
        for value in (documents, {"server_keys": documents}):
            assert set(read_keys(value, "k").servers) == set(key_documents())

    def test_may_be_plain(self) -> None:
        ring = read_keys({"a.example": {"ed25519:a": SIGNER_A.verify_key}}, "k")
        assert "a.example" in ring

    def test_of_another_form_are_refused(self) -> None:
        with pytest.raises(InvalidMessage):
            read_keys([7], "k")

    def test_of_a_document_without_an_end_are_refused(self) -> None:
        [document] = [*key_documents().values()][:1]
        with pytest.raises(Exception, match="valid_until_ts"):
            read_keys({**document, "valid_until_ts": "x"}, "k")


def test_a_real_record_is_one_conversation_for_each_move() -> None:
    [capture] = captures("11", "make_join")
    line = {"uri": capture.uri, "status": capture.status, "response": capture.response}
    other = {"uri": PATH, "status": 404}
    assert [len(found) for found in conversations(read_capture([line, other, line]))] == [2, 1]
