"""The short way of reading a PDU: it takes nothing that the long way refuses or reads otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership import Event, RoomVersion
from matrix_membership.canonical_json import encode, read
from matrix_membership.errors import InvalidEvent, InvalidJson
from matrix_membership.events._fast_read import is_usual, usual_document
from matrix_membership.events.format import MAX_PDU_BYTES, check_format
from matrix_membership.events.reading import KnownNames
from matrix_membership.identifiers import EventID, RoomID
from matrix_membership.room_versions import V1, V10, V11, V12
from matrix_membership.strategies import events
from tests.builders import ANA, VERSIONS

HASH = "$" + "h" * 43
PDU: dict[str, Any] = {
    "type": "m.room.message",
    "room_id": "!r:a.example",
    "sender": ANA,
    "content": {"body": "x"},
    "depth": 5,
    "origin_server_ts": 7,
    "auth_events": [HASH],
    "prev_events": [HASH],
    "hashes": {"sha256": "x"},
    "signatures": {"a.example": {"ed25519:1": "x"}},
}


def short_way(text: str, version: RoomVersion = V11) -> Any:
    return usual_document(text.encode(), version)


def with_content(content: str) -> str:
    return json.dumps(PDU).replace('{"body": "x"}', content)


class TestUsual:
    @pytest.mark.parametrize(
        "more",
        [
            {},
            {"state_key": ""},
            {"origin": "a.example"},
            {"unsigned": {}},
            {"unsigned": {"age": 5, "prev_content": {"a": [1, ["x", {"b": None}], True]}}},
            {"hashes": {"sha256": "x", "md5": "y"}},
            {"content": {"body": "日本語", "n": 999_999_999_999_999}},
            {"content": {"a": 0, "b": -1, "c": [-999_999_999_999_999], "d": "-0"}},
            {"auth_events": [], "prev_events": ["$e:a.example"]},
        ],
    )
    def test_is_a_pdu_in_any_layout(self, more: dict[str, Any]) -> None:
        pdu = PDU | more
        for text in (json.dumps(pdu, ensure_ascii=False), encode(pdu).decode()):
            assert short_way(text) == pdu

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "5",
            json.dumps(PDU) + " x",
            json.dumps(PDU | {"prev_state": []}),
            json.dumps(PDU | {"origin": 5}),
            json.dumps({key: value for key, value in PDU.items() if key != "room_id"} | {"x": 1}),
            json.dumps(PDU | {"sender": "ana"}),
            with_content('{"a": 1, "a": 1}'),
            with_content('{"a": {"b": "x"}, "a": {}}'),
            with_content('{"a": "\\""}'),
            with_content('{"a": "\\u00e9"}'),
            with_content('{"a": -0}'),
            with_content('{"a":-0}'),
            with_content('{"a": [0,-0]}'),
            with_content('{"a": [-0]}'),
            with_content('{"a": -1000000000000000}'),
            json.dumps(PDU).replace('"depth": 5', '"depth": -0'),
            json.dumps(PDU).replace('"origin_server_ts": 7', '"origin_server_ts": -0'),
            with_content('{"a": 1000000000000000}'),
            with_content('{"a": 1.0}'),
            with_content('{"a": NaN}'),
            with_content('{"a": ' + "9" * 5_000 + "}"),
            with_content('{"a": ' + "[" * 125 + "]" * 125 + "}"),
            with_content('{"a": ' + "[" * 5_000 + "]" * 5_000 + "}"),
            with_content('{"a": "' + "x" * (MAX_PDU_BYTES // 4) + '"}'),
        ],
    )
    def test_is_not_what_has_to_be_looked_at_longer(self, text: str) -> None:
        assert short_way(text) is None

    @pytest.mark.parametrize("field", ["state_key", "origin", "unsigned"])
    def test_has_nothing_that_is_null(self, field: str) -> None:
        assert short_way(json.dumps(PDU | {field: None})) is None

    def test_has_no_number_but_integers(self) -> None:
        text = with_content('{"a": [1.5]}')
        assert not is_usual(json.loads(text), text.encode(), V11)

    def test_is_no_text_but_utf_8(self) -> None:
        assert usual_document(json.dumps(PDU).encode().replace(b'"x"', b'"\xff"'), V11) is None

    def test_is_no_pdu_with_an_event_id(self) -> None:
        assert short_way(json.dumps(PDU | {"event_id": "$e:a.example"}), V1) is None
        assert short_way(json.dumps(PDU | {"event_id": "$e:a.example"}), V11) is None

    def test_is_no_create_event_of_version_12_with_an_odd_room(self) -> None:
        pdu = PDU | {"type": "m.room.create", "state_key": "", "room_id": 5}
        assert short_way(json.dumps(pdu), V12) is None
        assert Event.from_pdu(json.dumps(pdu), V12).room_id == ""

    def test_may_be_frozen_when_its_format_is_checked(self) -> None:
        event = Event.from_pdu(json.dumps(PDU | {"unsigned": {}}), V10)
        check_format(event.document, V10)


class TestKnownNames:
    def test_are_not_looked_at_again(self) -> None:
        text, known = json.dumps(PDU), KnownNames(RoomID("!r:a.example"))
        assert known.listed((EventID(HASH),)) == (HASH,)
        assert is_usual(json.loads(text), text.encode(), V11, known.are_good)

    @pytest.mark.parametrize(
        "more",
        [
            {"room_id": "!"},
            {"room_id": 5},
            {"auth_events": ["no ID"]},
            {"auth_events": [["no text"]]},
            {"prev_events": ["no ID"]},
            {"prev_events": [{}]},
        ],
    )
    def test_excuse_no_others(self, more: dict[str, Any]) -> None:
        text, known = json.dumps(PDU | more), KnownNames(RoomID("!r:a.example"))
        known.listed((EventID(HASH),))
        assert not is_usual(json.loads(text), text.encode(), V11, known.are_good)

    def test_may_be_of_another_room(self) -> None:
        text, known = json.dumps(PDU), KnownNames(RoomID("!other:a.example"))
        assert is_usual(json.loads(text), text.encode(), V11, known.are_good)

    def test_are_held_once(self) -> None:
        known = KnownNames(RoomID("!r:a.example"))
        first = known.listed((EventID("$" + "a" * 43), EventID("$" + "b" * 43)))
        again = known.listed((EventID("$" + "a" * 43), EventID("$" + "b" * 43)))
        assert again is first
        assert known.listed((EventID("$" + "b" * 43),))[0] is first[1]


ODD = st.sampled_from(
    ["{", "}", "[", "]", '"', ":", ",", "\\", "-", "0", "1.5", "é", "\\u0061", "null", " ", '"a":']
)


@given(
    event=events(),
    version=st.sampled_from(VERSIONS),
    data=st.data(),
    layout=st.sampled_from([None, (",", ":")]),
)
def test_the_short_way_reads_what_the_long_way_reads(
    event: Event, version: RoomVersion, data: st.DataObject, layout: tuple[str, str] | None
) -> None:
    text = json.dumps(event.to_pdu(), separators=layout, ensure_ascii=False, sort_keys=True)
    for _ in range(data.draw(st.integers(0, 2))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 9)))
        inserted = data.draw(ODD | st.just(text[start:end] * 2))
        text = text[:start] + inserted + text[end:]
    document = usual_document(text.encode(), version)
    if document is None:
        return
    try:
        assert read(text.encode(), strict=True) == (document, False)
        check_format(document, version)
    except (InvalidJson, InvalidEvent) as error:
        pytest.fail(str(error))
