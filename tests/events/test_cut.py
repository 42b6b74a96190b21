"""The way of PDUs in canonical form: it takes nothing that the long way refuses or reads otherwise."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership import Event, RoomVersion
from matrix_membership.canonical_json import encode, read
from matrix_membership.errors import InvalidEvent, InvalidJson
from matrix_membership.events._cut import VALUES, cut
from matrix_membership.events._fast_write import ANY, both_bytes, covered_bytes
from matrix_membership.events.facts import Facts, facts_of
from matrix_membership.events.format import FIELDS, check_format, references
from matrix_membership.events.reading import document_as_read, read_pdu, signed_as_read
from matrix_membership.hashing import signed_bytes
from matrix_membership.identifiers import EventID
from matrix_membership.room_versions import V1, V3, V8, V11
from matrix_membership.signing import MOST_SIGNATURES, signatures_that_count
from matrix_membership.strategies import events
from tests.builders import BEN, VERSIONS
from tests.events.test_fast_read import HASH, ODD, PDU

MEMBER = PDU | {"type": "m.room.member", "state_key": BEN, "content": {"membership": "join"}}


def agrees(data: bytes, version: RoomVersion) -> bool:
    """Tell whether a PDU is cut; if it is, it has to be what the long way makes of it."""
    found = cut(data, version)
    if found is None:
        return False
    fields, parts = found
    document, _ = read(data, strict=True)
    check_format(document, version)
    both = both_bytes(document, version, ANY)
    assert both_bytes(fields, version, parts) == both
    assert covered_bytes(fields, version, parts) == both[0] == signed_bytes(document, version)
    assert parts[-1] == document["hashes"]["sha256"]
    assert facts(fields, version) == facts(document, version)
    of_receipt = read_pdu(data, version)
    assert of_receipt.auth_events == references(document, "auth_events", version)
    counting = signatures_that_count(document)
    assert signatures_that_count(signed_as_read(of_receipt)) == counting
    assert signatures_that_count(signed_as_read(of_receipt)) == counting  # asked again
    assert document_as_read(of_receipt) == document
    assert of_receipt.auth_events == references(document, "auth_events", version)
    return True


def facts(document: Any, version: RoomVersion) -> list[object]:
    made = facts_of(document, version, EventID("$x"))
    made.pdu = b""
    fields: Any = Facts
    return [repr(getattr(made, field.name)) for field in attrs.fields(fields)]


class TestCut:
    @pytest.mark.parametrize("version", [V3, V8, V11], ids=str)
    @pytest.mark.parametrize(
        "more",
        [
            {},
            {"content": {"membership": "dance"}},
            {"content": {"membership": "dance", "displayname": "Ben"}},
            {"content": {"membership": "leave", "displayname": "日本", "avatar_url": None}},
            {"content": {"membership": "ban", "reason": "x {}", "a": {"b": {"c": [0, -1]}}}},
            {"content": {"membership": "join", "join_authorised_via_users_server": BEN}},
            {"content": {"membership": "invite", "third_party_invite": {"signed": {"a": 1}}}},
            {"content": {"membership": ["join"]}},
            {"content": {}},
            {"type": "m.room.message"},
            {"type": "", "state_key": "", "content": {"membership": "join", "displayname": "a"}},
            {"origin": "a.example"},
            {"auth_events": [], "prev_events": [HASH] * 14},
            {"auth_events": [HASH] * 10, "room_id": "!" + "r" * 43},
            {"signatures": {}},
            {"signatures": {"a.example": {"a": "x", "b": 5}, "b.example": []}},
            {"signatures": {"": {"": ""}}},
            {"signatures": {f"s{number}": {"k": ""} for number in range(MOST_SIGNATURES + 1)}},
            {"unsigned": {}},
            {"unsigned": {"age": 5}},
            {"unsigned": {"age": 5, "prev_content": {"membership": "invite"}}},
            {"sender": "@:[::1]:8448", "state_key": "@:[::1]:8448"},
            {"sender": "@/{}=:a.example"},
        ],
    )
    def test_takes_usual_pdus_in_canonical_form(
        self, version: RoomVersion, more: dict[str, Any]
    ) -> None:
        assert agrees(encode(MEMBER | more), version)

    @pytest.mark.parametrize(
        "more",
        [
            {"event_id": "$e:a.example"},
            {"prev_state": []},
            {"auth_events": [HASH] * 11},
            {"auth_events": ["$e:a.example"]},
            {"auth_events": ["x"]},
            {"content": []},
            {"content": {"a": {"b": {"c": {}}}}},
            {"content": {"a": 10**15}},
            {"content": {"body": '"'}},
            {"content": {"body": "x {"}},
            {"content": {"body": '},"depth":5,{'}},
            {"depth": 0},
            {"depth": -1},
            {"origin_server_ts": 0},
            {"origin_server_ts": 10**15},
            {"hashes": {"md5": "x"}},
            {"hashes": {"md5": "x", "sha256": "x"}},
            {"origin": 5},
            {"room_id": "!r"},
            {"room_id": f"!{'r' * 60}:a.example"},
            {"sender": "ben"},
            {"sender": "@日本:a.example"},
            {"sender": f"@{'b' * 60}:a.example"},
            {"state_key": None},
            {"state_key": "x" * 64},
            {"state_key": "\x01"},
            {"type": "x" * 64},
            {"signatures": []},
            {"signatures": {"a.example": {"a": 10**15}, "b.example": {}}},
            {"unsigned": {"age": 10**15}},
            {"unsigned": {"x": "y" * 1_024}},
        ],
    )
    def test_leaves_others_to_the_other_ways(self, more: dict[str, Any]) -> None:
        assert cut(encode(MEMBER | more), V11) is None

    @pytest.mark.parametrize(
        ("written", "instead"),
        [
            ('{"auth', '{ "auth'),
            ('"depth":5', '"depth": 5'),
            ('"depth":5', '"depth":05'),
            ('"depth":5', '"depth":5.0'),
            ('"depth":5', '"depth":5,"depth":5'),
            ('"membership":"join"', '"membership":"join","membership":"join"'),
            ('"membership":"join"', '"membership":"join",'),
            ('"membership":"join"', '"a":-0'),
            ('"membership":"join"', '"a":{"b":1,"b":1}'),
            ('"membership":"join"', '"a":"\\ud800"'),
            ('"membership":"join"', '"a":"\\u0061"'),
            ('"membership":"join"', '"a":"\\"","a":"'),
            ('"membership":"join"', '"a":1.5'),
            ('"membership":"join"', '"a":NaN'),
            ('"membership":"join"', '"a":"\t"'),
            ('"membership":"join"', '"a":' + "[" * 130 + "]" * 130),
            ('"ed25519:1":"x"', '"a":"x","a":"x"'),
            ('"sha256":"x"', '"sha256":"\t"'),
            ('member"}', 'member"} '),
            ('member"}', 'member","unsigned":{"a":1,"a":1}}'),
        ],
    )
    def test_leaves_other_texts_to_the_other_ways(self, written: str, instead: str) -> None:
        text = encode(MEMBER).decode()
        assert written in text
        assert cut(text.replace(written, instead).encode(), V11) is None

    def test_leaves_what_is_no_utf_8_to_the_other_ways(self) -> None:
        assert cut(encode(MEMBER).replace(b'"x"', b'"\xff"'), V11) is None

    def test_takes_no_pdu_with_an_event_id(self) -> None:
        assert cut(encode(MEMBER), V1) is None

    def test_keeps_to_the_depth_of_the_version(self) -> None:
        assert cut(encode(MEMBER), V11.evolve(identifier="x", max_depth=4)) is None

    def test_leaves_amended_redaction_to_the_other_ways(self) -> None:
        kept = {"m.room.member": {"membership", "displayname"}}
        assert cut(encode(MEMBER), V11.evolve(identifier="x", redaction_content=kept)) is None


class TestPattern:
    def test_has_the_fields_of_the_format_in_canonical_order(self) -> None:
        names = FIELDS.keys() - {"event_id"} | {"origin"}
        assert list(VALUES) == sorted(names)

    @pytest.mark.parametrize("name", sorted(FIELDS.keys() & VALUES.keys()))
    def test_takes_no_value_of_another_kind(self, name: str) -> None:
        # The condition on the third group has a meaning in the whole pattern only.
        takes = re.compile(VALUES[name].replace(r"(?(3)m\.room\.member|", "(?:")).fullmatch
        kind = FIELDS[name].kind
        for text in ("null", "true", "5", "1.5", '"@a:b"', "[5]", '["x"]', "{}", '{"a":[]}'):
            assert takes(text) is None or json.loads(text).__class__ is kind


@given(event=events(), version=st.sampled_from(VERSIONS), data=st.data())
def test_what_is_cut_is_what_the_long_way_reads(
    event: Event, version: RoomVersion, data: st.DataObject
) -> None:
    text = encode(event.to_pdu(), strict=False).decode()
    for _ in range(data.draw(st.integers(0, 2))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 9)))
        inserted = data.draw(ODD | st.just(text[start:end] * 2))
        text = text[:start] + inserted + text[end:]
    try:
        agrees(text.encode(), version)
    except (InvalidJson, InvalidEvent) as error:
        pytest.fail(str(error))
