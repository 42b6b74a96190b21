"""What a real Synapse sent is read, hashed and verified."""

from __future__ import annotations

import json

import pytest

from matrix_membership import Event
from matrix_membership.room_versions import KNOWN
from matrix_membership.signing import KeyRing, required_signers, verify
from tests.captures import captures, pdus


@pytest.mark.parametrize("version", ["1", "3", "6", "8", "10", "11", "12"])
class TestCapturedPdus:
    def test_are_whole_and_signed(self, version: str) -> None:
        known = KNOWN[version]
        seen = 0
        for capture in captures(version):
            ring = KeyRing.of(capture.keys)
            for place, pdu in pdus(capture):
                if "error" in capture.name and place.startswith("request"):
                    continue  # damaged on purpose
                event = Event.from_pdu(json.dumps(pdu), known)
                seen += 1
                if capture.name == "send_join_error_bad_hash" and place == "response.event":
                    assert not event.content_hash_matches
                    continue
                assert event.content_hash_matches, (capture.name, place)
                known_here = {server for server in required_signers(event) if server in ring}
                assert known_here <= verify(event, ring).signed_by, (capture.name, place)
                assert Event.from_pdu(event.pdu, known) == event
        assert seen > 100
