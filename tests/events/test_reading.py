"""A PDU just read: what it tells beside its event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from matrix_membership import Event
from matrix_membership.canonical_json import freeze
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import read_pdu
from matrix_membership.events.reading import document_as_read, read_again
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, a_room
from tests.events.test_fast_read import PDU


class TestReadPdu:
    def test_tells_its_keys(self) -> None:
        read = read_pdu(PDU, V11)
        assert document_as_read(read) == PDU
        assert read.document == freeze(PDU)

    def test_tells_the_events_that_it_refers_to(self) -> None:
        read = read_pdu(PDU, V11)
        assert list(read.auth_events) == PDU["auth_events"]
        assert list(read.prev_events) == PDU["prev_events"]

    @pytest.mark.parametrize("pdu", [PDU, json.dumps(PDU)])
    def test_is_compared_by_its_pdu(self, pdu: Any) -> None:
        read, again = read_pdu(pdu, V11), read_pdu(pdu, V11)
        assert read.document == freeze(PDU)
        assert read == again
        assert read != read_pdu(PDU | {"unsigned": {}}, V11)
        assert document_as_read(read) is document_as_read(read)

    def test_does_not_change(self) -> None:
        read = read_pdu(PDU, V11)
        with pytest.raises(AttributeError):
            setattr(read, "covered", b"")  # noqa: B010 - checkers forbid the plain form


class TestReadAgain:
    def test_reads_what_was_read(self) -> None:
        event = a_room(V11).message(BEN)
        again = read_again(event)
        assert again.event is event
        assert again.covered == read_pdu(event.pdu, V11).covered

    def test_refuses_an_event_in_client_format(self) -> None:
        event = Event.from_client_event({"type": "t", "sender": ANA, "content": {}}, V11)
        with pytest.raises(InvalidEvent, match="one read from a PDU"):
            read_again(event)
