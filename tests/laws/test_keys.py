"""Laws of key rings: in which order and how often keys come does not matter."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from matrix_membership.identifiers import ServerName
from matrix_membership.signing import KeyRing, PublishedKey, Signer, sign_json

NOW = 10**12
SIGNERS = [Signer.from_seed("a.example", f"ed25519:{n}", f"{n}" + "A" * 42) for n in (1, 2)]
TIMES = st.integers(NOW - 10, NOW + 10)
KEYS = st.builds(
    PublishedKey,
    st.sampled_from([bytes(32), b"1" * 32]),
    st.none() | TIMES,
    is_expired=st.booleans(),
)
RINGS = st.builds(
    KeyRing,
    st.dictionaries(
        st.sampled_from([ServerName("a.example"), ServerName("b.example")]),
        st.dictionaries(st.sampled_from(["ed25519:1", "ed25519:2"]), KEYS),
    ),
)


@st.composite
def documents(draw: st.DrawFn) -> object:
    """An honest document: each key is in use, or retired; one that is in use signs."""
    listed = {
        signer.key_id: (signer, draw(st.booleans()), draw(TIMES))
        for signer in draw(st.lists(st.sampled_from(SIGNERS), min_size=1, unique=True))
    }
    first, *others = listed.values()
    in_use = [first[0], *(signer for signer, retired, _ in others if not retired)]
    document = {
        "server_name": "a.example",
        "valid_until_ts": draw(TIMES),
        "verify_keys": {signer.key_id: {"key": signer.verify_key} for signer in in_use},
        "old_verify_keys": {
            signer.key_id: {"key": signer.verify_key, "expired_ts": expired}
            for signer, _, expired in listed.values()
            if signer not in in_use
        },
    }
    return sign_json(document, first[0])


def said(ring: KeyRing) -> object:
    """All that a ring says: its keys are compared by identity."""
    return {
        server: {key_id: key.rank() for key_id, key in keys.items()}
        for server, keys in ring.servers.items()
    }


@given(RINGS, RINGS)
def test_merging_is_commutative(one: KeyRing, other: KeyRing) -> None:
    assert said(one.with_keys(other)) == said(other.with_keys(one))


@given(RINGS, RINGS, RINGS)
def test_merging_is_associative(one: KeyRing, two: KeyRing, three: KeyRing) -> None:
    right = one.with_keys(two.with_keys(three))
    assert said(one.with_keys(two).with_keys(three)) == said(right)


@given(RINGS, RINGS)
def test_merging_is_idempotent(one: KeyRing, other: KeyRing) -> None:
    merged = one.with_keys(other)
    assert said(merged.with_keys(other)) == said(merged.with_keys(merged)) == said(merged)


@settings(max_examples=50)
@given(st.lists(documents(), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_documents_does_not_matter(read: list[object], random: object) -> None:
    shuffled = list(read)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a Random

    def ring(documents: list[object]) -> KeyRing:
        return KeyRing.from_documents(documents, expected="a.example", at=NOW)

    alone = [ring([document]) for document in read]
    merged = alone[0]
    for other in alone[1:]:
        merged = merged.with_keys(other)
    assert said(ring(read)) == said(ring(shuffled)) == said(merged)


@settings(max_examples=50)
@given(st.lists(documents(), min_size=1, max_size=4))
def test_what_a_document_calls_expired_stays_expired(read: list[object]) -> None:
    ring = KeyRing.from_documents(read, expected="a.example", at=NOW)
    for document in read:
        for key_id, entry in document["old_verify_keys"].items():  # type: ignore[index]  # an object
            key = ring.key("a.example", key_id)
            assert key is not None
            assert key.is_expired
            assert not key.good_at(entry["expired_ts"] + 1)
