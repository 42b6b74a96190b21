"""The loader of captures, and what their README says of them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256

import attrs
import pytest
from canonicaljson import encode_canonical_json

from tests.captures import (
    VERSIONS,
    Capture,
    JsonObject,
    captures,
    client_invite,
    key_documents,
    pdus,
)


def content_hash(pdu: JsonObject) -> str:
    hashed = {k: v for k, v in pdu.items() if k not in {"hashes", "signatures", "unsigned"}}
    digest = sha256(encode_canonical_json(hashed)).digest()
    return b64encode(digest).decode().rstrip("=")


def only(version: str, name: str) -> Capture:
    (capture,) = captures(version, name)
    return capture


class TestCaptures:
    def test_are_read_for_every_version(self) -> None:
        assert {capture.version for capture in captures()} == set(VERSIONS)

    def test_are_ordered_by_version_and_name(self) -> None:
        order = [(VERSIONS.index(c.version), c.name) for c in captures()]
        assert order == sorted(order)

    def test_of_a_name_are_one_in_each_version(self) -> None:
        assert [c.version for c in captures(name="send_join_full")] == list(VERSIONS)

    def test_of_a_pattern_are_all_that_match(self) -> None:
        names = {c.name for c in captures("12", "make_knock*")}
        assert names == {"make_knock", "make_knock_error"}

    def test_of_an_unknown_name_are_none(self) -> None:
        assert captures("12", "nonesuch") == []

    def test_are_read_anew_by_every_call(self) -> None:
        only("12", "make_join").response.clear()
        assert only("12", "make_join").response


class TestCapture:
    def test_refuses_to_change(self) -> None:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            only("12", "make_join").status = 0  # type: ignore[misc]  # that is the test

    def test_has_a_decoded_path(self) -> None:
        path = only("1", "make_join_error_unknown_room").path
        expected = ("!nonesuch:localhost:18448", "@carol:localhost:18449")
        assert path == ("_matrix", "federation", "v1", "make_join", *expected)

    def test_has_a_decoded_query(self) -> None:
        query = only("12", "synapse_query_directory").query
        assert query == (("room_alias", "#al12:localhost:18449"),)

    def test_is_called_by_version_and_name(self) -> None:
        assert str(only("12", "make_join")) == "v12-make_join"


class TestPdus:
    @pytest.mark.parametrize(
        ("name", "places"),
        [
            ("make_join", set()),  # a template is no PDU
            ("send_leave", {"request"}),
            ("send_join_partial", {"request", "response.event", "response.state[0]"}),
            ("send_join_v1_endpoint", {"response[1].state[0]", "response[1].auth_chain[0]"}),
            ("send_knock", {"request", "response.knock_room_state[0]"}),
            ("send_txn_ban", {"request.pdus[0]"}),
            ("synapse_invite", {"request.event", "request.invite_room_state[0]"}),
            ("invite_v1_endpoint", {"request", "request.unsigned.invite_room_state[0]"}),
            ("state_after_partial", {"response.pdus[0]", "response.auth_chain[0]"}),
        ],
    )
    def test_are_found_where_they_sit(self, name: str, places: set[str]) -> None:
        found = {place for place, _ in pdus(only("12", name))}
        assert found >= places
        assert bool(found) == bool(places)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_have_good_hashes_unless_damaged_on_purpose(self, version: str) -> None:
        bad = [
            (capture.name, place)
            for capture in captures(version)
            for place, pdu in pdus(capture)
            if content_hash(pdu) != pdu["hashes"]["sha256"]
        ]
        damaged = "send_join_error_bad_hash"
        assert bad == [(damaged, "request"), (damaged, "response.event")]

    @pytest.mark.parametrize("version", VERSIONS)
    def test_are_signed_by_servers_whose_keys_are_given(self, version: str) -> None:
        for capture in captures(version):
            for _, pdu in pdus(capture):
                assert pdu.get("signatures", {}).keys() <= capture.keys.keys()


class TestClientInvite:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_is_stripped_state(self, version: str) -> None:
        stripped = {"content", "sender", "state_key", "type"}
        assert all(event.keys() == stripped for event in client_invite(version))


class TestKeyDocuments:
    def test_hold_the_keys_of_every_capture(self) -> None:
        documents = key_documents()
        (capture,) = captures("12", "make_join")
        for server, keys in capture.keys.items():
            verify_keys = documents[server]["verify_keys"]
            assert {key_id: verify_keys[key_id]["key"] for key_id in keys} == keys

    def test_hold_keys_of_32_bytes(self) -> None:
        for document in key_documents().values():
            for key in document["verify_keys"].values():
                assert len(b64decode(key["key"] + "=")) == 32
