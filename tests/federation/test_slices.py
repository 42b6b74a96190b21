"""An answer split into slices is the answer read whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership.canonical_json import Budget, encode
from matrix_membership.errors import InvalidMessage
from matrix_membership.federation import SendJoinResponse
from matrix_membership.federation._slices import sliced

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
EVENTS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=4)
BODIES = st.fixed_dictionaries(
    {"state": EVENTS, "auth_chain": EVENTS},
    optional={
        "event": st.none() | st.dictionaries(st.text(max_size=4), VALUES, max_size=4),
        "members_omitted": st.booleans(),
        "servers_in_room": st.lists(st.sampled_from(["a.example", "b.example:8448"])),
        "origin": VALUES,
        "more": VALUES,
    },
)


@given(body=BODIES)
def test_slices_of_a_canonical_answer_are_what_is_read_whole(body: Any) -> None:
    assert SendJoinResponse.from_bytes(encode(body)) == SendJoinResponse.from_json(body)


@given(body=BODIES, indent=st.sampled_from([None, 0, 3, "\t", "\r\n "]), ascii_only=st.booleans())
def test_slices_of_any_answer_hold_the_same_events(
    body: Any, indent: Any, ascii_only: bool
) -> None:
    data = json.dumps(body, indent=indent, ensure_ascii=ascii_only).encode()
    found, whole = SendJoinResponse.from_bytes(data), SendJoinResponse.from_json(body)
    for ours, theirs in ((found.state, whole.state), (found.auth_chain, whole.auth_chain)):
        assert list(map(json.loads, ours)) == list(map(json.loads, theirs))
    assert (found.event is None) is (whole.event is None)
    assert found.event is None or json.loads(found.event) == body["event"]
    assert (found.members_omitted, found.servers_in_room) == (
        whole.members_omitted,
        whole.servers_in_room,
    )


class TestRefused:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"{",
            b'{"state"',
            b'{"state":',
            b'{"state":[',
            b'{"state":[{}',
            b'{"state":[{},',
            b'{"state":[{}]',
            b'{"state":[{}],',
            b'{"state":[{}],}',
            b'{"state":[{} {}],"auth_chain":[]}',
            b'{"state" [],"auth_chain":[]}',
            b'{"state":[],"auth_chain":[]} x',
            b'{"state":[],"auth_chain":[],"state":[]}',
            b'{"state":[],"auth_chain":[],"a":1,"a":1}',
            b'{"state":[],"auth_chain":[],"a":NaN}',
            b'{"state":[],"auth_chain":[],7:1}',
            b'{"state":[{"a":Infinity}],"auth_chain":[]}',
            b'{"state":[],"auth_chain":[],"a":"\xff"}',
            b'{"state":[' + b"[" * 200_000 + b'],"auth_chain":[]}',
            b'{"state":[],"auth_chain":[],"a":' + b"9" * 10_000 + b"}",
            b"[200, {}",
            b"7",
        ],
    )
    def test_is_what_is_no_json_object(self, data: bytes) -> None:
        with pytest.raises(InvalidMessage):
            SendJoinResponse.from_bytes(data)

    @pytest.mark.parametrize(
        ("body", "where"),
        [
            ({"state": []}, "auth_chain"),
            ({"auth_chain": [], "state": {}}, "state"),
            ({"auth_chain": [], "state": [{}, 7]}, "state[1]"),
            ({"auth_chain": [], "state": [], "event": 7}, "event"),
            ({"auth_chain": [], "state": [], "members_omitted": 7}, "members_omitted"),
            ({"auth_chain": [], "state": [], "servers_in_room": [7]}, "servers_in_room"),
        ],
    )
    def test_is_what_is_not_of_its_form(self, body: Any, where: str) -> None:
        with pytest.raises(InvalidMessage) as raised:
            SendJoinResponse.from_bytes(json.dumps(body).encode())
        with pytest.raises(InvalidMessage) as whole:
            SendJoinResponse.from_json(body)
        assert raised.value == whole.value
        assert raised.value.where == f"send_join answer.{where}"

    def test_is_what_is_too_long(self) -> None:
        with pytest.raises(InvalidMessage):
            sliced(b"{}" + b" " * 10, max_bytes=10)
        assert sliced(b"{}" + b" " * 8, max_bytes=10) == ({}, {})
        assert Budget().max_bytes > 10


class TestPair:
    def test_of_the_endpoint_of_old_is_read_whole(self) -> None:
        assert sliced(b' [200, {"state": [], "auth_chain": []}]', max_bytes=99) is None
        found = SendJoinResponse.from_bytes(b'[200, {"state": [], "auth_chain": [{"a": 1}]}]')
        assert found.auth_chain == (b'{"a":1}',)
