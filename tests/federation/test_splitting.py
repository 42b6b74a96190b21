"""An answer split into slices is the answer read whole."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership.canonical_json import encode
from matrix_membership.errors import InvalidMessage, LocalProtocolError
from matrix_membership.federation import AnswerBudget, SendJoinResponse
from matrix_membership.federation._splitting import Splitter

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
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
            b'{"state":[{"a":[}],"auth_chain":[]}',
            b'{"state":[{"a":1},],"auth_chain":[]}',
            b'{"state":[{"a":1.5}}],"auth_chain":[]}',
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


def splitter(into: list[Any] | None = None, **budget: Any) -> Splitter:
    """One that keeps the key and text of each event in a list."""
    kept: list[Any] = [] if into is None else into
    return Splitter(lambda key, text, _: kept.append((key, text)), AnswerBudget(**budget))


def feed_all(kept: Splitter, pieces: list[bytes]) -> None:
    for data in pieces:
        kept.feed(data)


class TestCut:
    @given(body=BODIES, indent=st.sampled_from([None, 3]), data=st.data())
    def test_anywhere_makes_no_difference(self, body: Any, indent: Any, data: Any) -> None:
        text = json.dumps(body, indent=indent, ensure_ascii=False).encode()
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=9)))
        whole: list[Any] = []
        pieces: list[Any] = []
        one, many = splitter(whole), splitter(pieces)
        one.feed(text)
        for start, end in itertools.pairwise([0, *cuts, len(text)]):
            many.feed(text[start:end])
        assert (many.finish(), pieces) == (one.finish(), whole)

    @given(body=BODIES)
    def test_after_every_byte_makes_no_difference(self, body: Any) -> None:
        text = encode([200, body])
        pieces: list[Any] = []
        many = splitter(pieces)
        for byte in text:
            many.feed(bytes([byte]))
        many.finish()
        assert [text for key, text in pieces if key == "state"] == [
            encode(event).decode() for event in body["state"]
        ]

    def test_leaves_no_more_behind_than_one_event(self) -> None:
        many = splitter()
        many.feed(b'{"state":[')
        for number in range(1_000):
            many.feed(encode({"number": number, "more": "x" * 500}) + b",")
            assert len(many.text) - many.place + len(many.came) < 1_200

    def test_leaves_nothing_behind_that_nobody_asks_for(self) -> None:
        many = splitter()
        many.feed(b'{"state":[],"auth_chain":[],"members_omitted":true')
        for number in range(90):
            many.feed(encode({str(number): ["x" * 1_000]}).replace(b"{", b",")[:-1])
        many.feed(b"}")
        assert many.finish() == {"members_omitted": True}

    def test_makes_reading_no_dearer_than_twice_the_text(self) -> None:
        looked_at = 0
        many = splitter()

        decode = many.decode

        def counted(data: Any, final: Any) -> str:
            nonlocal looked_at
            looked_at += len(many.text) - many.place + len(data)
            return decode(data, final)

        many.decode = counted  # type: ignore[assignment]  # its parameters have no such names
        text = b'{"state":[{"a":"' + b"x" * 20_000
        for byte in text:
            many.feed(bytes([byte]))
        assert looked_at < 4 * len(text)


class TestBudget:
    BODY = b'{"state":[{"a":1},{"b":2}],"auth_chain":[{"c":3}]}'

    def test_is_enough_when_it_is_just_met(self) -> None:
        kept = splitter(max_bytes=len(self.BODY), max_events=3, max_value_bytes=12)
        kept.feed(self.BODY)
        assert kept.finish() == {}

    @pytest.mark.parametrize(
        ("budget", "expected", "got"),
        [
            ({"max_bytes": 49}, "at most 49 bytes", 50),
            ({"max_events": 2}, "at most 2 events", 3),
            ({"max_value_bytes": 6}, "values of at most 6 bytes", 7),
        ],
    )
    def test_is_kept(self, budget: Any, expected: str, got: int) -> None:
        kept = splitter(**budget)
        with pytest.raises(InvalidMessage) as raised:
            kept.feed(self.BODY)
        assert raised.value == InvalidMessage("send_join answer", expected, got)
        for again in (lambda: kept.feed(b" "), kept.finish):
            with pytest.raises(InvalidMessage) as repeated:
                again()
            assert repeated.value == raised.value

    @pytest.mark.parametrize(
        "keys", [[str(number) for number in range(101)], ["x" * 256]], ids=["many", "long"]
    )
    def test_is_kept_of_keys(self, keys: list[str]) -> None:
        kept = splitter()
        with pytest.raises(InvalidMessage):
            kept.feed(encode(dict.fromkeys(keys)))

    @pytest.mark.parametrize("text", [b'{"state":[{"a":"', b'{"more":"', b'{"more":[', b'{"'])
    def test_ends_what_does_not_end(self, text: bytes) -> None:
        kept = splitter(max_value_bytes=1_000)
        with pytest.raises(InvalidMessage) as raised:
            feed_all(kept, [text, *itertools.repeat(b"x" * 100, 99)])
        assert raised.value.expected == "values of at most 1000 bytes"

    @pytest.mark.parametrize("ended", [b'{"more":["xxxxxxxx"],', b'{"state":[{"x":"xx"}],'])
    def test_counts_what_came_in_one_piece(self, ended: bytes) -> None:
        with pytest.raises(InvalidMessage):
            splitter(max_value_bytes=9).feed(ended)


class TestDeepEvent:
    DEEP = b'{"a":' * 50_000 + b"1" + b"}" * 50_000

    def test_does_not_take_the_answer_with_it(self) -> None:
        kept: list[Any] = []
        one = splitter(kept)
        one.feed(b'{"state":[' + self.DEEP + b',{"b":1}],"auth_chain":[]}')
        one.finish()
        assert kept == [("state", self.DEEP.decode()), ("state", '{"b":1}')]

    def test_is_waited_for(self) -> None:
        kept: list[Any] = []
        one = splitter(kept)
        for data in (
            b'{"state":[',
            self.DEEP[:300_007],
            self.DEEP[300_007:],
            b'],"auth_chain":[]}',
        ):
            one.feed(data)
        one.finish()
        assert len(kept) == 1


class TestPair:
    def test_of_the_endpoint_of_old_is_read_too(self) -> None:
        found = SendJoinResponse.from_bytes(b' [200, {"state": [], "auth_chain": [{"a": 1}]} ] ')
        assert found.auth_chain == (b'{"a": 1}',)

    @pytest.mark.parametrize(
        "data",
        [
            b"[]",
            b"[200]",
            b"[403,{}]",
            b'[200,{"state":[],"auth_chain":[]},1]',
            b"[200,7]",
            b"7",
            b'"state"',
        ],
    )
    def test_is_nothing_else(self, data: bytes) -> None:
        with pytest.raises(InvalidMessage):
            SendJoinResponse.from_bytes(data)


class TestEnded:
    def test_answer_takes_nothing_more(self) -> None:
        kept = splitter()
        kept.feed(b'{"state":[],"auth_chain":[]}')
        kept.feed(b" \n")
        kept.finish()
        for again in (lambda: kept.feed(b" "), kept.finish):
            with pytest.raises(LocalProtocolError):
                again()

    def test_answer_ends_with_its_object(self) -> None:
        kept = splitter()
        kept.feed(b'{"state":[],"auth_chain":[]}')
        with pytest.raises(InvalidMessage):
            kept.feed(b",")
