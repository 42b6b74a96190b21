"""Signing and verifying."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from matrix_membership import Event, signing
from matrix_membership.errors import InvalidEvent, InvalidIdentifier, InvalidKey
from matrix_membership.events import EventTemplate
from matrix_membership.hashing import signed_bytes
from matrix_membership.membership import INVITE
from matrix_membership.room_versions import V1, V4, V5, V11, V12, RoomVersion
from matrix_membership.signing import (
    LONGEST_KEY_VALIDITY_MS,
    KeyRing,
    PublishedKey,
    Signer,
    missing_signers,
    required_signers,
    sign,
    sign_json,
    signed_by_key,
    verify,
    verify_json,
)
from tests.builders import (
    ANA,
    BEN,
    IDENTITY,
    KEYS,
    SIGNER_A,
    SIGNER_B,
    VERSIONS,
    a_room,
    signed_invite,
)
from tests.test_events import pdu

OTHER = Signer.from_seed("a.example", "ed25519:other", "D" * 42 + "A")


class Vault:
    """Signs where its key is kept, which it never shows."""

    server_name = SIGNER_A.server_name
    key_id = SIGNER_A.key_id

    def signature_over(self, message: bytes) -> str:
        return SIGNER_A.signature_over(message)


def signed(version: RoomVersion, **changes: Any) -> Event:
    return EventTemplate.of(pdu(version, **changes), version).complete(SIGNER_A)


def with_signatures(event: Event, signatures: Any) -> Event:
    return Event.from_pdu(
        {**event.to_pdu(), "signatures": signatures}, event.room_version, event_id=event.event_id
    )


class TestVerify:
    def test_needs_a_pdu(self) -> None:
        event = Event.from_client_event({"type": "x", "sender": ANA, "content": {}}, V11)
        with pytest.raises(InvalidEvent):
            verify(event, KEYS)

    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_finds_who_signed(self, version: RoomVersion) -> None:
        event = sign(Event.from_pdu(signed(version).pdu, version), SIGNER_B)
        assert verify(event, KEYS).signed_by == {"a.example", "b.example"}
        assert event == signed(version)

    def test_needs_all_known_keys_of_a_server(self) -> None:
        event = sign(signed(V11), OTHER)
        both = KEYS.with_keys(OTHER.key_ring)
        assert verify(event, both).signed_by == {"a.example"}
        spoilt = event.to_pdu()["signatures"]
        spoilt["a.example"]["ed25519:other"] = "A" * 86
        assert verify(with_signatures(event, spoilt), both).signed_by == frozenset()

    def test_passes_over_unknown_keys(self) -> None:
        spoilt = signed(V11).to_pdu()["signatures"]
        spoilt["a.example"]["ed25519:unknown"] = "x"
        spoilt["z.example"] = {"ed25519:1": "x"}
        assert verify(with_signatures(signed(V11), spoilt), KEYS).signed_by == {"a.example"}

    @pytest.mark.parametrize(
        "signature", [None, 5, "", "x", "é", "A" * 85, "A" * 88, {}, [], "A" * 86, "_" * 86]
    )
    def test_takes_a_malformed_signature_for_none(self, signature: Any) -> None:
        event = with_signatures(signed(V11), {"a.example": {"ed25519:a": signature}})
        assert verify(event, KEYS).signed_by == frozenset()

    @pytest.mark.parametrize("of_server", [None, [], "x", {}])
    def test_takes_malformed_signatures_for_none(self, of_server: Any) -> None:
        event = with_signatures(signed(V11), {"a.example": of_server})
        assert verify(event, KEYS).signed_by == frozenset()

    def test_forgets_what_was_known_before(self) -> None:
        event = signed(V11).with_signers(["z.example"])
        assert verify(event, KEYS).signed_by == {"a.example"}

    @pytest.mark.parametrize(("version", "good"), [(V4, True), (V5, False), (V11, False)])
    def test_asks_for_a_valid_key_from_version_5_on(self, version: RoomVersion, good: bool) -> None:
        ring = KeyRing.from_documents([document(valid_until_ts=99)], at=0)
        early, late = signed(version, origin_server_ts=99), signed(version, origin_server_ts=100)
        assert verify(early, ring).signed_by == {"a.example"}
        assert bool(verify(late, ring).signed_by) is good


class TestSign:
    def test_replaces_malformed_signatures_of_its_own(self) -> None:
        event = with_signatures(signed(V11), {"a.example": 5, "x": 6})
        again = sign(event, SIGNER_A)
        assert verify(again, KEYS).signed_by == {"a.example"}
        assert again.to_pdu()["signatures"]["x"] == 6

    def test_keeps_other_signatures_of_its_server(self) -> None:
        event = sign(signed(V11), OTHER)
        assert set(event.to_pdu()["signatures"]["a.example"]) == {"ed25519:a", "ed25519:other"}
        assert sign_json(sign_json({}, OTHER), SIGNER_A)["signatures"]["a.example"].keys() == {
            "ed25519:a",
            "ed25519:other",
        }

    def test_takes_whoever_signs(self) -> None:
        event = EventTemplate.of(pdu(V11), V11).complete(SIGNER_B)
        assert verify(sign(event, Vault()), KEYS).signed_by == {"a.example", "b.example"}
        assert sign_json({}, Vault()) == sign_json({}, SIGNER_A)


class TestRequiredSigners:
    def test_are_the_senders_and_in_old_versions_the_ids_servers(self) -> None:
        assert required_signers(signed(V11)) == {"a.example"}
        event = Event.from_pdu(pdu(V1, event_id="$e:z.example"), V1)
        assert required_signers(event) == {"a.example", "z.example"}
        assert missing_signers(event.with_signers(["z.example"])) == {"a.example"}

    def test_of_a_third_party_invite_lack_the_senders(self) -> None:
        invite = a_room(V12).invite(ANA, BEN, third_party_invite=signed_invite())
        assert invite.membership is INVITE
        assert required_signers(invite) == frozenset()


def document(**changes: Any) -> dict[str, Any]:
    """What Ana's server answers to a question for its keys."""
    fields = {
        "server_name": "a.example",
        "valid_until_ts": 10**15,
        "verify_keys": {SIGNER_A.key_id: {"key": SIGNER_A.verify_key}},
        "old_verify_keys": {"ed25519:old": {"key": SIGNER_B.verify_key, "expired_ts": 50}},
        **changes,
    }
    return sign_json({key: value for key, value in fields.items() if value is not ...}, SIGNER_A)


class TestKeyRing:
    def test_is_read_from_a_key_document(self) -> None:
        ring = KeyRing.from_documents([document()], at=1_000)
        fresh, old = ring.key("a.example", "ed25519:a"), ring.key("a.example", "ed25519:old")
        assert fresh is not None
        assert old is not None
        assert fresh.valid_until_ts == 1_000 + LONGEST_KEY_VALIDITY_MS
        assert (old.good_at(50), old.good_at(51)) == (True, False)
        assert "a.example" in ring
        assert ring.key("z.example", "ed25519:a") is None

    @pytest.mark.parametrize(
        "changes",
        [
            {"server_name": "a_b"},
            {"valid_until_ts": "x"},
            {"valid_until_ts": True},
            {"verify_keys": []},
            {"verify_keys": {"ed25519:a": "x"}},
            {"verify_keys": {"ed25519:a": {"key": "x"}}},
            {"verify_keys": {"ed25519:z": {"key": SIGNER_A.verify_key}}},
            {"verify_keys": {}},
            {"old_verify_keys": {"ed25519:o": {"key": SIGNER_A.verify_key}}},
            {"old_verify_keys": {"ed25519:o": 5}},
            {"old_verify_keys": 5},
        ],
        ids=str,
    )
    def test_is_read_from_nothing_else(self, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidKey):
            KeyRing.from_documents([document(**changes)], at=0)

    @pytest.mark.parametrize("other", [None, [], 5])
    def test_needs_objects(self, other: Any) -> None:
        with pytest.raises(InvalidKey):
            KeyRing.from_documents([other], at=0)
        with pytest.raises(InvalidKey):
            KeyRing.of(other)
        with pytest.raises(InvalidKey):
            KeyRing.of({"a.example": other})

    def test_needs_no_old_keys(self) -> None:
        assert "a.example" in KeyRing.from_documents([document(old_verify_keys=...)], at=0)

    def test_passes_over_other_algorithms(self) -> None:
        ring = KeyRing.of({"a.example": {"rsa:1": "x", "ed25519:1": "A" * 43}})
        assert list(ring.servers["a.example"]) == ["ed25519:1"]  # type: ignore[index]  # its name

    def test_takes_over_the_keys_of_another(self) -> None:
        ring = KEYS.with_keys(OTHER.key_ring)
        assert ring.key("a.example", "ed25519:a") is not None
        assert ring.key("a.example", "ed25519:other") is not None

    def test_can_be_pickled(self) -> None:
        again = pickle.loads(pickle.dumps(KEYS))  # noqa: S301 - our own
        assert verify(signed(V11), again).signed_by == {"a.example"}
        signer = pickle.loads(pickle.dumps(SIGNER_A))  # noqa: S301 - our own
        assert signer.verify_key == SIGNER_A.verify_key
        assert "_key" not in repr(signer)


class TestSigner:
    @pytest.mark.parametrize(
        ("key_id", "seed"),
        [
            ("ed25519", "A" * 43),
            ("ed25519:", "A" * 43),
            ("ed25519:a b", "A" * 43),
            ("rsa:1", "A" * 43),
            (5, "A" * 43),
            ("ed25519:1", "A" * 42),
            ("ed25519:1", "é"),
            ("ed25519:1", None),
        ],
    )
    def test_needs_a_key(self, key_id: Any, seed: Any) -> None:
        with pytest.raises(InvalidKey):
            Signer.from_seed("a.example", key_id, seed)

    def test_needs_a_server(self) -> None:
        with pytest.raises(InvalidIdentifier):
            Signer.from_seed("a_b", "ed25519:1", "A" * 43)


class TestSignedJson:
    def test_is_verified_by_one_key(self) -> None:
        key = PublishedKey(KEYS.servers[SIGNER_A.server_name]["ed25519:a"].verify_key)
        good = sign_json({"a": 1, "signatures": 5, "unsigned": 2}, SIGNER_A)
        assert verify_json(good, "a.example", "ed25519:a", key)
        for odd in ({}, {"signatures": {"a.example": 5}}, {**good, "a": 2}):
            assert not verify_json(odd, "a.example", "ed25519:a", key)

    def test_is_verified_by_any_of_some_keys(self) -> None:
        key = IDENTITY.key_ring.servers[IDENTITY.server_name]["ed25519:0"].verify_key
        good = sign_json({"mxid": BEN}, IDENTITY)
        assert signed_by_key(good, [bytes(32), key])
        assert not signed_by_key({**good, "mxid": ANA}, [key])
        for signatures in (5, {"x": 5}, {"x": {"rsa:1": "x"}}, {"x": {"ed25519:1": None}}):
            assert not signed_by_key({"mxid": BEN, "signatures": signatures}, [key])


class TestGatheredChecks:
    def test_are_plain_data(self) -> None:
        event = signed(V11)
        ((key_id, signature),) = event.document["signatures"]["a.example"].items()
        found = KEYS.key("a.example", key_id)
        assert found is not None
        key = found.verify_key
        checks = [(b"x", key, signature), (signed_bytes(event.document, V11), key, signature)]
        assert signing.check_signatures(checks) == [False, True]

    def test_are_by_keys(self) -> None:
        with pytest.raises(ValueError, match="32 bytes"):
            signing.check_signatures([(b"x", bytes(31), "A" * 86)])
