"""Signing and verifying."""

from __future__ import annotations

import json
import pickle
from functools import reduce
from typing import Any

import pytest

from matrix_membership import Event, signing
from matrix_membership.canonical_json import encode
from matrix_membership.errors import InvalidEvent, InvalidIdentifier, InvalidKey
from matrix_membership.events import EventTemplate, read_pdu
from matrix_membership.hashing import signed_bytes
from matrix_membership.identifiers import ServerName
from matrix_membership.membership import INVITE
from matrix_membership.room_versions import V1, V4, V5, V6, V10, V11, V12, RoomVersion
from matrix_membership.signing import (
    ALL_VERIFIED,
    LONGEST_KEY_VALIDITY_MS,
    MOST_DOCUMENT_SIGNATURES,
    MOST_KEY_CHECKS,
    MOST_NEEDED_KEY_IDS,
    MOST_SIGNATURES,
    KeyRing,
    PublishedKey,
    Signer,
    Unverified,
    missing_signers,
    needed_keys,
    required_signers,
    sign,
    sign_json,
    signatures_that_count,
    signed_by_key,
    unverified,
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
from tests.events.test_events import pdu
from tests.sources import ROOT

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

    def test_counts_who_has_to_sign_first_where_there_is_junk(self) -> None:
        content = {"membership": "join", "join_authorised_via_users_server": "@cay:c.example"}
        event = signed(V11, type="m.room.member", state_key=BEN, content=content)
        own = event.to_pdu()["signatures"]
        junk = {f"{number}.z.example": {"ed25519:1": "A" * 86} for number in range(40)}
        rest = {"c.example": {"ed25519:1": "x"}, "b.example": {"ed25519:1": "x"}}
        spoilt = with_signatures(event, {**junk, **rest, **own})
        assert verify(spoilt, KEYS).signed_by == {"a.example"}
        counted = list(signatures_that_count(spoilt.to_pdu()))
        assert counted[:3] == ["a.example", "c.example", "b.example"]
        assert counted[3:] == sorted(junk)[: MOST_SIGNATURES - 3]

    def test_counts_no_server_with_too_many_signatures(self) -> None:
        event = signed(V11)
        own = event.to_pdu()["signatures"]["a.example"]
        junk = {f"ed25519:{number}": "A" * 86 for number in range(MOST_SIGNATURES)}
        others = {"b.example": {"ed25519:1": "x"}}
        spoilt = with_signatures(event, {"a.example": {**own, **junk}, **others})
        assert verify(spoilt, KEYS).signed_by == frozenset()
        assert signatures_that_count(spoilt.to_pdu()) == others
        assert unverified(spoilt, KEYS).unsigned == {"a.example"}

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
        ring = from_document(document(valid_until_ts=99))
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

    @pytest.mark.parametrize("version", [V1, V6, V10, V11, V12], ids=str)
    @pytest.mark.parametrize(
        "third", [0, None, True, "signed", [], ["signed"], {}, {"signed": 0}, {"signed": None}]
    )
    def test_of_an_invite_without_a_signed_object_are_the_senders(
        self, version: RoomVersion, third: Any
    ) -> None:
        invite = a_room(version).invite(ANA, BEN, third_party_invite=third)
        assert required_signers(invite) == {"a.example"}

    @pytest.mark.parametrize("version", [V11, V12], ids=str)
    def test_of_a_redacted_third_party_invite_lack_the_senders(self, version: RoomVersion) -> None:
        invite = a_room(version).invite(ANA, BEN, third_party_invite=signed_invite())
        assert required_signers(invite.redacted()) == frozenset()

    @pytest.mark.parametrize("version", [V1, V6, V10], ids=str)
    def test_are_the_senders_where_redaction_takes_the_exemption(
        self, version: RoomVersion
    ) -> None:
        invite = a_room(version).invite(ANA, BEN, third_party_invite=signed_invite())
        assert required_signers(invite.redacted()) == {"a.example"}


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


def from_document(read: Any, *, at: int = 0) -> KeyRing:
    return KeyRing.from_documents([read], expected="a.example", at=at)


def good_until(timestamp: int, read: dict[str, Any], ring: KeyRing | None = None) -> bool:
    """Tell whether the key of a document is good until then, and no longer."""
    key = (ring or from_document(read)).key("a.example", "ed25519:a")
    assert key is not None
    return key.good_at(timestamp) and not key.good_at(timestamp + 1)


STALE = ROOT / "tests/data/reports/03-stale-key-document-after-a-fresh-one.json"

EXPIRED = {"ed25519:a": {"key": SIGNER_A.verify_key, "expired_ts": 50}}
"""That Ana's server has retired its key."""


class TestKeyDocuments:
    """`Retrieving server keys`: what a document says of the keys of its server."""

    @pytest.mark.parametrize("in_order", [True, False])
    def test_take_back_nothing_when_they_are_stale(self, in_order: bool) -> None:
        report = json.loads(STALE.read_text())
        day = LONGEST_KEY_VALIDITY_MS // 7
        now = 100 * day
        days = [int(text.split()[-2]) for text in report["input"]["documents"]]
        assert days == [6, -30]
        documents = [document(valid_until_ts=now + count * day) for count in days]
        documents = documents if in_order else documents[::-1]
        ring = KeyRing.from_documents(documents, expected="a.example", at=now)
        assert good_until(now + 6 * day, {}, ring)
        event = signed(V11, origin_server_ts=now)
        assert len(verify(event, ring).signed_by) == len(report["expected"]["signed_by"])

    def test_extend_the_validity_by_a_week_at_most(self) -> None:
        rings = [from_document(document(), at=at) for at in (100, 200)]
        for one, other in (rings, rings[::-1]):
            assert good_until(200 + LONGEST_KEY_VALIDITY_MS, {}, one.with_keys(other))

    def test_keep_expired_what_one_of_them_called_expired(self) -> None:
        retired = sign_json(document(old_verify_keys=EXPIRED, verify_keys={}), OTHER)
        retired = sign_json(
            {**retired, "verify_keys": {OTHER.key_id: {"key": OTHER.verify_key}}}, OTHER
        )
        for documents in ([document(), retired], [retired, document()]):
            ring = KeyRing.from_documents(documents, expected="a.example", at=100)
            assert good_until(50, {}, ring)
            assert ring.key("a.example", OTHER.key_id) is not None

    def test_keep_the_earliest_end_of_an_expired_key(self) -> None:
        both = {"ed25519:a": PublishedKey(bytes(32), 50, is_expired=True)}
        later = {"ed25519:a": PublishedKey(bytes(32), 60, is_expired=True)}
        one, other = (KeyRing({SIGNER_A.server_name: keys}) for keys in (both, later))
        assert good_until(50, {}, one.with_keys(other))
        assert good_until(50, {}, other.with_keys(one))

    def test_bound_what_they_call_expired_by_a_week_too(self) -> None:
        old = {"ed25519:old": {"key": SIGNER_B.verify_key, "expired_ts": 10**15}}
        key = from_document(document(old_verify_keys=old)).key("a.example", "ed25519:old")
        assert key is not None
        assert key.valid_until_ts == LONGEST_KEY_VALIDITY_MS

    def test_are_not_signed_by_a_key_that_they_call_expired(self) -> None:
        with pytest.raises(InvalidKey):
            from_document(document(old_verify_keys=EXPIRED))

    @pytest.mark.parametrize("expected", ["b.example", [], ["b.example"], "a.example.org"])
    def test_are_good_for_the_expected_server_only(self, expected: Any) -> None:
        with pytest.raises(InvalidKey) as raised:
            KeyRing.from_documents([document()], expected=expected, at=0)
        where = "key document.server_name"
        assert raised.value == InvalidKey(where, "a server that was asked for", "a.example")

    def test_of_a_notary_are_of_several_servers(self) -> None:
        other = sign_json(
            {
                "server_name": "b.example",
                "valid_until_ts": 5,
                "verify_keys": {SIGNER_B.key_id: {"key": SIGNER_B.verify_key}},
            },
            SIGNER_B,
        )
        needs = {"a.example": frozenset({"ed25519:a"}), "b.example": frozenset()}
        ring = KeyRing.from_documents([document(), other], expected=needs, at=0)
        assert set(ring.servers) == {"a.example", "b.example"}

    @pytest.mark.parametrize("spoilt", ["ed25519:a", "ed25519:other"])
    def test_need_good_signatures_by_all_keys_that_signed(self, spoilt: str) -> None:
        keys = {signer.key_id: {"key": signer.verify_key} for signer in (SIGNER_A, OTHER)}
        good = sign_json(document(verify_keys=keys), OTHER)
        assert from_document(good).key("a.example", "ed25519:other") is not None
        good["signatures"]["a.example"][spoilt] = "A" * 86
        with pytest.raises(InvalidKey):
            from_document(good)

    def test_pass_over_old_keys_of_other_algorithms(self) -> None:
        old = {"rsa:1": {"key": "x", "expired_ts": 1}}
        assert list(from_document(document(old_verify_keys=old)).servers["a.example"]) == [  # type: ignore[index]  # its name
            "ed25519:a"
        ]

    def test_need_canonical_json(self) -> None:
        with pytest.raises(InvalidKey) as raised:
            from_document({**document(), "x": float("nan")})
        assert raised.value.where == "key document"

    @pytest.mark.parametrize("count", [MOST_DOCUMENT_SIGNATURES, MOST_DOCUMENT_SIGNATURES + 1])
    def test_cost_a_bounded_number_of_verifications(
        self, count: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        signers = [Signer.from_seed("a.example", f"ed25519:{n}", "E" * 43) for n in range(count)]
        keys = {signer.key_id: {"key": signer.verify_key} for signer in signers}
        read = reduce(sign_json, signers, document(verify_keys=keys))
        asked = []

        def counted(*_: object) -> bool:
            asked.append(1)
            return True

        monkeypatch.setattr("matrix_membership.signing._ed25519.is_signature", counted)
        if count > MOST_DOCUMENT_SIGNATURES:
            with pytest.raises(InvalidKey):
                from_document(read)
        else:
            from_document(read)
        assert len(asked) == count % (MOST_DOCUMENT_SIGNATURES + 1)

    @pytest.mark.parametrize("count", [50, 800])
    def test_are_encoded_once_whatever_they_list(
        self, count: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys = {f"ed25519:{n}": {"key": SIGNER_B.verify_key} for n in range(count)}
        keys[SIGNER_A.key_id] = {"key": SIGNER_A.verify_key}
        read = document(verify_keys=keys)
        encoded = []

        def counted(*arguments: Any, **options: Any) -> bytes:
            encoded.append(1)
            return encode(*arguments, **options)

        monkeypatch.setattr("matrix_membership.signing._ed25519.encode", counted)
        from_document(read)
        assert len(encoded) == 1


class TestMissing:
    def test_is_what_is_unknown_or_has_run_out(self) -> None:
        ring = from_document(document(valid_until_ts=99))
        needs = {
            SIGNER_A.server_name: ["ed25519:a", "ed25519:old", "ed25519:new"],
            SIGNER_B.server_name: ["ed25519:b"],
        }
        assert ring.missing(needs, at=99) == {
            "a.example": {"ed25519:new"},
            "b.example": {"ed25519:b"},
        }
        assert ring.missing(needs, at=100)[SIGNER_A.server_name] == {"ed25519:a", "ed25519:new"}

    def test_is_nothing_when_all_is_known(self) -> None:
        assert KEYS.missing({SIGNER_A.server_name: ["ed25519:a"]}, at=10**15) == {}


def junk(count: int) -> dict[str, Any]:
    """Signatures of servers that nobody asked to sign."""
    return {f"s{n}.example": {"ed25519:1": "A" * 86} for n in range(count)}


def lacking(event: Event, keys: KeyRing) -> Unverified:
    return unverified(verify(event, keys), keys)


class TestUnverified:
    def test_tells_a_missing_key_from_a_bad_signature(self) -> None:
        event, key = signed(V11), ("a.example", "ed25519:a")
        missing = lacking(event, KeyRing.of({}))
        assert missing == Unverified(unknown_keys=frozenset({key}))  # type: ignore[arg-type]  # a name
        assert missing.needs == {"a.example": {"ed25519:a"}}
        spoilt = with_signatures(event, {"a.example": {"ed25519:a": "A" * 86}})
        forged = lacking(spoilt, KEYS)
        assert forged == Unverified(forged=frozenset({SIGNER_A.server_name}))
        assert (bool(forged), forged.needs) == (True, {})

    def test_is_false_when_nothing_lacks(self) -> None:
        verified = lacking(signed(V11), KEYS)
        assert (verified, bool(verified)) == (ALL_VERIFIED, False)
        assert str(verified) == "all signatures are verified"

    def test_finds_a_forgery_beside_an_unknown_key(self) -> None:
        spoilt = {"a.example": {"ed25519:new": "A" * 86, "ed25519:a": "A" * 86}}
        assert lacking(with_signatures(signed(V11), spoilt), KEYS).needs == {}

    @pytest.mark.parametrize("of_server", [{}, 5, {"rsa:1": "x"}])
    def test_names_who_did_not_sign(self, of_server: Any) -> None:
        event = with_signatures(signed(V11), {"a.example": of_server, **junk(3)})
        assert lacking(event, KEYS) == Unverified(unsigned=frozenset({SIGNER_A.server_name}))

    def test_asks_again_for_a_key_that_ran_out(self) -> None:
        event = signed(V11, origin_server_ts=100)
        ring = from_document(document(valid_until_ts=99))
        assert lacking(event, ring).needs == {"a.example": {"ed25519:a"}}
        old = with_signatures(
            signed(V4, origin_server_ts=100), {"a.example": {"ed25519:a": "A" * 86}}
        )
        assert lacking(old, ring).forged == {"a.example"}

    def test_asks_no_more_for_a_key_that_its_server_retired(self) -> None:
        key = PublishedKey(bytes(32), 99, is_expired=True)
        ring = KeyRing({SIGNER_A.server_name: {"ed25519:a": key}})
        assert lacking(signed(V11, origin_server_ts=100), ring).unsigned == {"a.example"}

    def test_names_the_authorising_server(self) -> None:
        content = {"membership": "join", "join_authorised_via_users_server": "@x:c.example"}
        event = signed(V11, type="m.room.member", state_key=ANA, content=content)
        found = lacking(event, KEYS)
        assert str(found) == "c.example did not sign"

    def test_is_a_sentence(self) -> None:
        names = [ServerName(f"{name}.example") for name in "abc"]
        found = Unverified(
            frozenset({(names[0], "ed25519:1"), (names[0], "ed25519:2")}),
            frozenset({names[1]}),
            frozenset({names[2]}),
        )
        assert str(found) == (
            "no key is known for the signature of a.example, by ed25519:1, ed25519:2; "
            "the signature of b.example is bad; c.example did not sign"
        )


class TestNeededKeys:
    def test_are_of_required_signers_only(self) -> None:
        event = with_signatures(signed(V11), {**signed(V11).to_pdu()["signatures"], **junk(99)})
        assert needed_keys(read_pdu(event.pdu, V11)) == {"a.example": {"ed25519:a"}}

    def test_are_of_the_server_of_the_id_in_version_1(self) -> None:
        both = {"a.example": {"ed25519:1": "x"}, "z.example": {"ed25519:2": "y"}}
        read = read_pdu({**pdu(V1, event_id="$e:z.example"), "signatures": both}, V1)
        assert set(needed_keys(read)) == {"a.example", "z.example"}

    def test_are_a_few_of_each_server(self) -> None:
        many = {"a.example": {f"ed25519:{n}": "x" for n in range(MOST_SIGNATURES)}}
        read = read_pdu({**pdu(V11), "signatures": many}, V11)
        assert len(needed_keys(read)[SIGNER_A.server_name]) == MOST_NEEDED_KEY_IDS


class TestKeyRing:
    def test_is_read_from_a_key_document(self) -> None:
        ring = from_document(document(), at=1_000)
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
            {"server_name": "b.example"},
        ],
        ids=str,
    )
    def test_is_read_from_nothing_else(self, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidKey):
            from_document(document(**changes))

    @pytest.mark.parametrize("other", [None, [], 5])
    def test_needs_objects(self, other: Any) -> None:
        with pytest.raises(InvalidKey):
            from_document(other)
        with pytest.raises(InvalidKey):
            KeyRing.of(other)
        with pytest.raises(InvalidKey):
            KeyRing.of({"a.example": other})

    def test_needs_no_old_keys(self) -> None:
        assert "a.example" in from_document(document(old_verify_keys=...))

    def test_passes_over_other_algorithms(self) -> None:
        ring = KeyRing.of({"a.example": {"rsa:1": "x", "ed25519:1": "A" * 43}})
        assert list(ring.servers["a.example"]) == ["ed25519:1"]  # type: ignore[index]  # its name

    def test_takes_over_the_keys_of_another(self) -> None:
        ring = KEYS.with_keys(OTHER.key_ring)
        assert ring.key("a.example", "ed25519:a") is not None
        assert ring.key("a.example", "ed25519:other") is not None

    def test_can_be_pickled(self) -> None:
        again = pickle.loads(pickle.dumps(KEYS))
        assert verify(signed(V11), again).signed_by == {"a.example"}
        signer = pickle.loads(pickle.dumps(SIGNER_A))
        assert signer.verify_key == SIGNER_A.verify_key
        assert "_key" not in repr(signer)


class TestPublishedKey:
    @pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), "A" * 43, "A" * 32, None])
    def test_has_32_bytes(self, key: Any) -> None:
        with pytest.raises(InvalidKey) as raised:
            PublishedKey(key)
        assert raised.value == InvalidKey("verify_key", "32 bytes", key)


class TestSigner:
    @pytest.mark.parametrize(
        ("key_id", "seed"),
        [
            ("ed25519", "A" * 43),
            ("ed25519:", "A" * 43),
            ("ed25519:a b", "A" * 43),
            ("ed25519:é", "A" * 43),
            ("ed25519:²", "A" * 43),
            ("ed25519:1\n", "A" * 43),
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
        assert verify_json(good, "a.example", "ed25519:a", key, at=0)
        for odd in ({}, {"signatures": {"a.example": 5}}, {**good, "a": 2}):
            assert not verify_json(odd, "a.example", "ed25519:a", key, at=0)

    @pytest.mark.parametrize(
        ("at", "expired", "good"), [(99, False, True), (100, False, False), (99, True, False)]
    )
    def test_needs_a_key_that_is_valid_at_the_time(
        self, at: int, expired: bool, good: bool
    ) -> None:
        raw = KEYS.servers[SIGNER_A.server_name]["ed25519:a"].verify_key
        key = PublishedKey(raw, 99, is_expired=expired)
        read = sign_json({}, SIGNER_A)
        assert verify_json(read, "a.example", "ed25519:a", key, at=at) is good

    def test_is_verified_by_any_of_some_keys(self) -> None:
        key = IDENTITY.key_ring.servers[IDENTITY.server_name]["ed25519:0"].verify_key
        good = sign_json({"mxid": BEN}, IDENTITY)
        assert signed_by_key(good, [bytes(32), key])
        assert not signed_by_key({**good, "mxid": ANA}, [key])
        for signatures in (5, {"x": 5}, {"x": {"rsa:1": "x"}}, {"x": {"ed25519:1": None}}):
            assert not signed_by_key({"mxid": BEN, "signatures": signatures}, [key])

    def test_is_by_no_key_where_there_are_too_many(self) -> None:
        key = IDENTITY.key_ring.servers[IDENTITY.server_name]["ed25519:0"].verify_key
        good = sign_json({"mxid": BEN}, IDENTITY)
        others = [bytes([number]) * 32 for number in range(MOST_KEY_CHECKS - 1)]
        assert signed_by_key(good, [*others, key])
        assert not signed_by_key(good, [key, *others, bytes(32)])
        assert not signed_by_key(good, [])


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
