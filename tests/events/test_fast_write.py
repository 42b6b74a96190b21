"""What hashes and signatures cover: the template writes what copying and sorting does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from matrix_membership import Event
from matrix_membership.events._fast_write import (
    ANY,
    USUAL,
    WITH_FLOATS,
    both_bytes,
    covered_bytes,
    document_of,
    hashed_bytes,
)
from matrix_membership.hashing import content_hash, event_id, signed_bytes
from matrix_membership.room_versions import V1, V5, V8, V9, V10, V11, RoomVersion
from matrix_membership.strategies import events
from tests.builders import BEN, a_room
from tests.events.test_fast_read import PDU


def agrees(pdu: dict[str, Any], version: RoomVersion) -> bool:
    """Tell whether a usual PDU is written from the template as it is without."""
    event = Event.from_pdu(pdu, version)
    document, form = document_of(event.pdu, version)
    return (
        form is USUAL
        and covered_bytes(document, version, USUAL) == signed_bytes(pdu, version)
        and covered_bytes(document, version, ANY) == signed_bytes(pdu, version)
        and hashed_bytes(document, USUAL) == hashed_bytes(document, ANY)
        and both_bytes(document, version, form)
        == (covered_bytes(document, version, form), hashed_bytes(document, form))
        and event.event_id == event_id(pdu, version)
    )


@pytest.mark.parametrize("version", [V5, V8, V9, V10, V11], ids=str)
class TestTemplate:
    @pytest.mark.parametrize(
        "content",
        [
            {},
            {"membership": "join"},
            {"membership": "join", "displayname": "Ben"},
            {"membership": "join", "displayname": "日本", "avatar_url": "mxc://a.example/é"},
            {"membership": "join", "displayname": "Ben", "avatar_url": None},
            {"membership": "join", "displayname": None, "avatar_url": "mxc://a.example/1"},
            {"membership": "join", "displayname": "Ben", "avatar_url": ["x"]},
            {"membership": 5, "displayname": "Ben", "avatar_url": "x"},
            {"membership": "join", "displayname": "Ben", "reason": "x"},
            {"displayname": "Ben", "avatar_url": "x", "reason": "x"},
            {"membership": "join", "displayname": "Ben", "avatar_url": "x", "reason": "x"},
            {"membership": "dance"},
            {"membership": ["join"]},
            {"membership": "join", "join_authorised_via_users_server": BEN},
            {"membership": "invite", "third_party_invite": {"signed": {"a": 1}, "b": 2}},
            {"membership": "invite", "third_party_invite": None},
        ],
    )
    def test_writes_members(self, version: RoomVersion, content: Any) -> None:
        assert agrees(
            {**PDU, "type": "m.room.member", "state_key": BEN, "content": content}, version
        )

    @pytest.mark.parametrize(
        "more",
        [
            {},
            {"auth_events": []},
            {"prev_events": []},
            {"state_key": "x"},
            {"origin": "a.example"},
            {"unsigned": {"age": 1}},
            {"hashes": {"sha256": "x", "md5": "y"}},
            {"type": "m.room.create", "content": {"creator": BEN, "more": [1]}},
        ],
    )
    def test_writes_other_events(self, version: RoomVersion, more: dict[str, Any]) -> None:
        assert agrees({**PDU, **more}, version)


class TestAmendedRedaction:
    @pytest.mark.parametrize("layout", [None, (",", ":")])
    def test_keeps_what_the_version_says(self, layout: Any) -> None:
        kept = {"m.room.member": {"membership", "displayname"}}
        mine = V11.evolve(identifier="org.example.mine", redaction_content=kept)
        content = {"membership": "join", "displayname": "Ben", "avatar_url": None}
        pdu = {**PDU, "type": "m.room.member", "state_key": BEN, "content": content}
        text = json.dumps(pdu, separators=layout, sort_keys=True)
        assert Event.from_pdu(text, mine).event_id == event_id(pdu, mine)
        assert agrees(pdu, mine)


class TestDocument:
    def test_of_an_unusual_pdu_is_read_in_full(self) -> None:
        event = a_room(V1).message(BEN)
        assert document_of(event.pdu, V1) == (event.to_pdu(), ANY)

    def test_may_hold_floats(self) -> None:
        event = Event.from_pdu({**PDU, "content": {"a": 0.5}}, V5)
        document, form = document_of(event.pdu, V5)
        assert form is WITH_FLOATS
        assert covered_bytes(document, V5, form) == signed_bytes(event.document, V5)
        assert b"0.5" in hashed_bytes(document, form)
        covered, hashed = both_bytes(document, V5, form)
        assert (covered, hashed) == (signed_bytes(event.document, V5), hashed_bytes(document, form))


@given(event=events())
def test_a_content_hash_that_matches_is_the_one_computed(event: Event) -> None:
    pdu = event.to_pdu()
    assert event.content_hash_matches == (content_hash(pdu) == pdu["hashes"]["sha256"])
