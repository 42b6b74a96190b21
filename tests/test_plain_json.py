"""Plain JSON: with and without the extra `speed`, events are read alike and written alike."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any, Final
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership.canonical_json import JsonFloat, _plain, encode, freeze
from matrix_membership.errors import InvalidEvent, InvalidMessage
from matrix_membership.events import Event, _cut_member, _fast_read, read_pdu, reading
from matrix_membership.federation.audit import SendJoinReader
from matrix_membership.room_versions import V1, V5, V11, RoomVersion
from matrix_membership.strategies import events
from matrix_membership.strategies._json import json_objects, json_values
from tests.builders import ANA, VERSIONS
from tests.events.test_fast_read import ODD, PDU, with_content


def chosen(orjson: Any) -> Any:
    """The module as it is imported where orjson is this module, or not installed."""
    spec = spec_from_file_location("plain_json", _plain.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with patch.dict(sys.modules, {"orjson": orjson}):
        spec.loader.exec_module(module)
    return module


ORJSON: Final[Any] = sys.modules.get("orjson")
WITHOUT: Final = chosen(None)
WITH: Final = chosen(ORJSON)

needs_orjson = pytest.mark.skipif(ORJSON is None, reason="the extra speed is not installed")


class TestChoice:
    def test_is_json_where_orjson_is_not_installed(self) -> None:
        assert WITHOUT.read_plain is WITHOUT.read_by_json
        assert WITHOUT.write_plain is WITHOUT.write_by_json

    @needs_orjson
    def test_is_orjson_where_it_is_installed(self) -> None:
        assert WITH.read_plain is ORJSON.loads
        assert WITH.write_plain is not WITH.write_by_json


def outcome(data: bytes, version: RoomVersion) -> object:
    """Read a PDU, and return the event or the error."""
    try:
        read = read_pdu(data, version)
    except InvalidEvent as error:
        # The text of the error tells whether the long way was taken, which one may and one not.
        return error
    document = json.dumps(read.document, sort_keys=True, default=str)
    return read.event.event_id, read.event.pdu, document, read.covered, read.content_hash_matches


def outcomes(data: bytes, version: RoomVersion) -> Iterator[object]:
    for plain in (WITH, WITHOUT):
        with (
            patch.object(_fast_read, "read_plain", plain.read_plain),
            patch.object(reading, "read_plain", plain.read_plain),
        ):
            yield outcome(data, version)


def in_canonical_form(content: str) -> str:
    return encode(PDU).decode().replace('{"body":"x"}', content)


TEXTS: Final = (
    json.dumps(PDU),
    " \t\n\r" + json.dumps(PDU) + "\n ",
    json.dumps(PDU) + " x",
    "\ufeff" + json.dumps(PDU),
    *(
        compose(f'{{"a":{value}}}')
        for compose in (with_content, in_canonical_form)
        for value in (
            *("0", "-0", "-1", "1.0", "1e2", "-0.0", "1E400", "NaN", "Infinity", "01", "+1"),
            *("9007199254740991", "9007199254740992", "18446744073709551615"),
            *("18446744073709551616", "-9223372036854775809", "1" * 400, "1" * 401),
            *('"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\x7f"', '"\x1f"', '"\ufffe"'),
            *("[" * depth + "]" * depth for depth in (124, 125, 126, 1_023, 1_024, 9_000)),
            '1, "a": 2',
            '{"b": 1, "b": 1}',
            "tru",
            '"\n"',
        )
    ),
)


class TestReading:
    @pytest.mark.parametrize("version", [V1, V5, V11], ids=str)
    @pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
    def test_gives_the_same_event_or_error(self, text: str, version: RoomVersion) -> None:
        if version is V1:
            text = text.replace('"type"', '"event_id": "$e:a.example", "type"')
        with_orjson, without = outcomes(text.encode(), version)
        assert with_orjson == without

    @pytest.mark.parametrize("found", [b"\xff", b"\xed\xa0\x80", b"\xc0\x80"])
    def test_takes_only_utf_8(self, found: bytes) -> None:
        with_orjson, without = outcomes(json.dumps(PDU).encode().replace(b'"x"', found), V11)
        assert isinstance(with_orjson, InvalidEvent)
        assert with_orjson == without

    @given(
        event=events(),
        version=st.sampled_from(VERSIONS),
        data=st.data(),
        layout=st.sampled_from([None, (",", ":")]),
    )
    def test_agrees_on_altered_events(
        self,
        event: Any,
        version: RoomVersion,
        data: st.DataObject,
        layout: tuple[str, str] | None,
    ) -> None:
        text = json.dumps(
            event.to_pdu(), ensure_ascii=False, separators=layout, sort_keys=layout is not None
        )
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + data.draw(st.just("") | ODD) + text[place:]
        with_orjson, without = outcomes(text.encode(), version)
        assert with_orjson == without


def defects(answer: str, scan: Any) -> object:
    """The defects that an answer to send_join has, or the error that it raises."""
    join = Event.from_client_event({"type": "m.room.member", "sender": ANA, "content": {}}, V11)
    reader = SendJoinReader(join, asked_to_omit=False, resident="a.example")
    try:
        with patch.object(_cut_member, "scan_in_list", scan):
            reader.feed(answer.encode())
            return reader.finish().defects
    except InvalidMessage as error:
        return error


class TestScanning:
    @pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
    def test_gives_the_same_defects_of_an_answer(self, text: str) -> None:
        for listed in (text, f"{text},{text}", f"{text},{{}}", f'{{"a":[{{}},{{"b":1}}]}},{text}'):
            answer = f'{{"state":[{listed}],"auth_chain":[]}}'
            assert defects(answer, WITH.scan_in_list) == defects(answer, WITHOUT.scan_in_list)

    @given(st.lists(json_objects(), min_size=1), st.booleans())
    def test_finds_the_same_objects(self, values: list[Any], ascii_only: bool) -> None:
        text = json.dumps(values, ensure_ascii=ascii_only, separators=(",", ":"))
        place = 1
        for value in values:
            found = WITH.scan_in_list(text, place)
            assert found == WITHOUT.scan_in_list(text, place)
            assert found[0] == value
            place = found[1] + 1


class Word(StrEnum):
    A = "a"


class TestWriting:
    @given(json_values() | st.dictionaries(st.text(), st.integers() | st.text()))
    def test_gives_the_same_bytes(self, value: Any) -> None:
        for given_value in (value, freeze(value)):
            assert WITH.write_plain(given_value) == WITHOUT.write_plain(given_value)

    @pytest.mark.parametrize(
        "value",
        [
            {"\uffff": 1, "\U00010000": 2, "": 3, "\x7f": 4, "é": 5},
            "".join(map(chr, range(0x100))) + "\u2028\ufffe\U0010ffff",
            [2**63, 2**64, -(2**63), -(2**63) - 1, 10**399],
            {Word.A: Word.A},
            (True, None, ()),
        ],
    )
    def test_gives_the_same_bytes_for_odd_values(self, value: Any) -> None:
        assert WITH.write_plain(value) == WITHOUT.write_plain(value)

    def test_refuses_a_lone_surrogate(self) -> None:
        for plain in (WITH, WITHOUT):
            with pytest.raises(UnicodeEncodeError):
                plain.write_plain({"a": "\ud800"})

    def test_leaves_floats_to_others(self) -> None:
        assert WITHOUT.write_plain([JsonFloat("1.50")]) == b"[1.5]"
