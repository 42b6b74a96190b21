"""Signing and verifying: from an event to an event with evidence.

`verify` returns the event as it is to be kept, with `signed_by` filled in. It does not
reject: `missing_signers` says what is missing. Signatures do not cover what redaction
removes, only the content hash does. So an event with a wrong content hash is redacted
first. Its required signatures and the rules then read the redacted form. See `Signing events`__ and `Validating hashes and signatures`__.

__ https://spec.matrix.org/v1.19/server-server-api/#signing-events
__ https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import JsonValue, encode
from matrix_membership.events import Event, ReadPdu, Signs
from matrix_membership.events.event import add_evidence, with_evidence
from matrix_membership.events.reading import read_again, signed_as_read
from matrix_membership.hashing import signed_bytes
from matrix_membership.identifiers import ServerName
from matrix_membership.signing._ed25519 import MOST_KEY_CHECKS as MOST_KEY_CHECKS
from matrix_membership.signing._ed25519 import (
    PublishedKey,
    is_signature,
    sign_json,
    verify_json,
    with_added,
)
from matrix_membership.signing._ed25519 import signatures_by as signatures_by
from matrix_membership.signing._ed25519 import signed_by_key as signed_by_key
from matrix_membership.signing._keys import LONGEST_KEY_VALIDITY_MS as LONGEST_KEY_VALIDITY_MS
from matrix_membership.signing._keys import MOST_DOCUMENT_SIGNATURES as MOST_DOCUMENT_SIGNATURES
from matrix_membership.signing._keys import SEED_BYTES as SEED_BYTES
from matrix_membership.signing._keys import KeyRing, Signer
from matrix_membership.signing._required import ALL_VERIFIED as ALL_VERIFIED
from matrix_membership.signing._required import MOST_NEEDED_KEY_IDS as MOST_NEEDED_KEY_IDS
from matrix_membership.signing._required import MOST_SIGNATURES as MOST_SIGNATURES
from matrix_membership.signing._required import KeysToFetch as KeysToFetch
from matrix_membership.signing._required import Unverified as Unverified
from matrix_membership.signing._required import concerned_servers as concerned_servers
from matrix_membership.signing._required import missing_signers, needed_keys
from matrix_membership.signing._required import required_signers as required_signers
from matrix_membership.signing._required import signature_error as signature_error
from matrix_membership.signing._required import signatures_that_count as signatures_that_count
from matrix_membership.signing._required import told_apart as told_apart
from matrix_membership.signing._required import unverified as unverified

__all__ = [
    "KeyRing",
    "PublishedKey",
    "Signer",
    "missing_signers",
    "needed_keys",
    "sign",
    "sign_json",
    "verify",
    "verify_json",
]


def sign(event: Event, signer: Signs) -> Event:
    """Add a server's signature to an event. Its ID does not change.

    Its `signed_by` grows by the signer's server. Cost: two encodings of the event and one
    Ed25519 signature.

    Raises:
        InvalidEvent: the event came in client format, which is not all of it.

    .. versionadded:: 0.1.0
    """
    pdu = event.to_pdu()
    signature = signer.signature_over(signed_bytes(pdu, event.room_version))
    return with_signatures(event, signer.server_name, {signer.key_id: signature})


def with_signatures(event: Event, server: ServerName, added: Mapping[str, JsonValue]) -> Event:
    """Return the event with good signatures of a server added, by key ID."""
    data = encode(with_added(event.to_pdu(), server, added), strict=False)
    # The ID stays: hashes cover no signatures, and in versions 1 and 2 it stands in the PDU.
    return evolve(event, pdu=data, signed_by=event.signed_by | {server})


def verify(event: Event | ReadPdu, keys: KeyRing) -> Event:
    """Find out which servers signed an event.

    A server counts when at least one of its keys is known and every signature by a
    known key of it is good. Keys that are unknown here, or were not valid when the
    event was sent (from version 5 on), are ignored, and so are signatures beyond 32.

    Args:
        event: the event, or a PDU just read (`read_pdu`), which takes less time.
        keys: the keys of servers, as far as they are known.

    Returns:
        The event with `signed_by`, in the form in which it is to be kept: redacted if its
        content hash is wrong. The `signed_by` that it had is replaced. Cost: linear in the
        event, and at most 32 verifications of Ed25519, 50 us each.

    Raises:
        InvalidEvent: the event came in client format, which is not all of it.

    .. versionadded:: 0.1.0
    """
    # A PDU just read keeps what verifying needs; an event alone is read a second time.
    read = event if isinstance(event, ReadPdu) else read_again(event)
    kept = read.event if read.content_hash_matches else read.event.redacted()
    return with_evidence(kept, signers_of(read, keys))


def verify_unseen(read: ReadPdu, keys: KeyRing) -> Event:
    """Verify a PDU that nobody else holds, and write the signers into its event."""
    kept = read.event if read.content_hash_matches else read.event.redacted()
    add_evidence(kept, signers_of(read, keys))
    return kept


def signers_of(read: ReadPdu, keys: KeyRing) -> frozenset[ServerName]:
    """Return the servers that signed a PDU just read, as `verify` says."""
    pdu, covered = signed_as_read(read), read.covered
    # Before version 5 the specification wants the end of a key's validity ignored.
    sent = pdu["origin_server_ts"] if read.event.room_version.enforces_key_validity else None
    signers = []
    find = keys.servers.get
    for server, of_server in signatures_that_count(pdu).items():
        known = find(server)
        # An event may carry signatures of servers that nobody asked for. They cost no verification
        # and no request for keys.
        if known is None:
            continue
        good = False
        # One bad signature by a known key spoils the server's good ones: the text wants all of them
        # good. gomatrixserverlib stops at the first good one.
        for key_id, signature in of_server.items():
            key = known.get(key_id)
            if key is not None and (sent is None or key.good_at(sent)):
                good = is_signature(covered, key.verify_key, signature)
                if not good:
                    break
        if good:
            signers.append(server)
    return frozenset(signers)


SignatureCheck = tuple[bytes, bytes, JsonValue]
"""Bytes, a public key, a signature: plain data, to be sent anywhere."""


def check_signatures(checks: Iterable[SignatureCheck]) -> list[bool]:
    """Tell for each of some signatures whether it is good.

    A pure function of plain data, made to be mapped over pieces of a big answer by a
    pool of threads or processes.
    """
    listed = list(checks)
    # libsodium reads 32 bytes of whatever it gets as a key. So the length is checked, once for each
    # key.
    for raw in {raw for _, raw, _ in listed}:
        PublishedKey(raw)  # it checks the length of the key
    return [is_signature(covered, raw, signature) for covered, raw, signature in listed]
