"""Reading what resolution needs of an event, from its bytes where that is safe."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership import Event, RoomVersion
from matrix_membership.resolution._links import links_of
from matrix_membership.room_versions import V1, V5, V11
from tests.builders import ANA, event_id, since

LISTED = [event_id(1, V11), event_id(2, V11)]


def fields(**more: Any) -> dict[str, Any]:
    return {
        "type": "m.room.topic",
        "sender": ANA,
        "state_key": "",
        "content": {},
        "room_id": "!r:a.example",
        "depth": 7,
        "origin_server_ts": 42,
        "prev_events": [],
        "auth_events": LISTED,
        "hashes": {"sha256": "x"},
        "signatures": {},
        **more,
    }


def read(pdu: dict[str, Any], version: RoomVersion = V11, **how: Any) -> Event:
    text = json.dumps(pdu, **{"sort_keys": True, **how})
    return Event.from_pdu(text, version, event_id=event_id(0, version))


def compact(pdu: dict[str, Any]) -> Event:
    return read(pdu, separators=(",", ":"))


def expected(event: Event) -> tuple[str, ...]:
    return event.auth_events


class TestLinksOf:
    @since("3")
    def test_reads_canonical_pdus(self, version: RoomVersion) -> None:
        event = read(fields(), version, separators=(",", ":"))
        assert links_of(event) == tuple(LISTED)

    def test_reads_an_empty_list(self) -> None:
        assert links_of(compact(fields(auth_events=[]))) == ()

    def test_reads_pairs(self) -> None:
        pdu = fields(auth_events=[["$1:a.example", {}]], event_id="$0:a.example")
        event = Event.from_pdu(json.dumps(pdu, separators=(",", ":")), V1)
        assert links_of(event) == ("$1:a.example",)

    def test_reads_numbers_at_the_end(self) -> None:
        for name in ("depth", "origin_server_ts"):
            pdu = fields()
            last = pdu.pop(name)
            event = read({**pdu, name: last}, separators=(",", ":"), sort_keys=False)
            assert links_of(event) == expected(event)
            ordered = {"auth_events": pdu["auth_events"], **pdu, name: last}
            event = read(ordered, separators=(",", ":"), sort_keys=False)
            assert links_of(event) == expected(event)

    @pytest.mark.parametrize("separators", [(", ", ": "), (",", ": "), (", ", ":")])
    def test_reads_white_space(self, separators: tuple[str, str]) -> None:
        event = read(fields(), separators=separators)
        assert links_of(event) == tuple(LISTED)

    @pytest.mark.parametrize("content", [{}, {"origin_server_ts": 1}])
    def test_reads_white_space_before_a_colon(self, content: dict[str, Any]) -> None:
        text = json.dumps(fields(content=content), separators=(",", ":"), sort_keys=True)
        before, colon, after = text.rpartition('server_ts":')
        event = Event.from_pdu(f'{before}server_ts" :{after}', V5, event_id=event_id(0, V5))
        assert colon
        assert links_of(event) == tuple(LISTED)

    @pytest.mark.parametrize("name", ["auth_events", "depth", "origin_server_ts"])
    def test_is_not_deceived_by_the_content(self, name: str) -> None:
        for value in (["$x"], 1, name):
            event = compact(fields(content={name: value, "text": f'\\",{name}":1,'}))
            assert links_of(event) == tuple(LISTED)
            event = compact(fields(content={"a": {name: value}}))
            assert links_of(event) == tuple(LISTED)

    def test_of_an_event_in_client_format_there_are_none(self) -> None:
        event = Event.from_client_event({"type": "m.x", "sender": ANA, "content": {}}, V11)
        assert links_of(event) == ()

    @given(
        st.dictionaries(
            st.sampled_from(["auth_events", "depth", "origin_server_ts", '"depth"', "x"]),
            st.sampled_from([1, "depth", '"depth":3', ["$y"], "\\", {"depth": 2}]),
        ),
        st.sampled_from([(",", ":"), (", ", ":"), (",", ": ")]),
        st.booleans(),
    )
    def test_reads_what_the_json_says(
        self, content: dict[str, Any], separators: tuple[str, str], sort: bool
    ) -> None:
        event = read(fields(content=content), separators=separators, sort_keys=sort)
        assert links_of(event) == expected(event)
