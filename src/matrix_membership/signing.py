"""Signing and verifying: from an event to an event with evidence.

`verify` returns the event with `signed_by` filled in; it never says no. Whether
the signatures that are there suffice is asked of the result (`required_signers`,
and the authorisation rule on restricted joins). See `Signing events`__ and
`Validating hashes and signatures`__.

__ https://spec.matrix.org/v1.19/server-server-api/#signing-events
__ https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from matrix_membership._attrs import evolve
from matrix_membership._event_facts import NOBODY, Facts
from matrix_membership._keys import (
    LONGEST_KEY_VALIDITY_MS,
    MOST_DOCUMENT_SIGNATURES,
    SEED_BYTES,
    KeyRing,
    Signer,
    can_help,
)
from matrix_membership._pdu_reading import read_whole
from matrix_membership._pdu_text import covered_bytes, document_of
from matrix_membership._signatures import (
    PublishedKey,
    is_signature,
    sign_json,
    signed_by_key,
    verify_json,
)
from matrix_membership.canonical_json import JsonValue, encode
from matrix_membership.contents import SignedInvite
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, ReadPdu, Signs, with_evidence
from matrix_membership.hashing import signed_bytes
from matrix_membership.identifiers import ServerName, server_of
from matrix_membership.membership import INVITE
from matrix_membership.room_versions import RoomVersion

__all__ = [
    "LONGEST_KEY_VALIDITY_MS",
    "MOST_DOCUMENT_SIGNATURES",
    "SEED_BYTES",
    "KeyRing",
    "PublishedKey",
    "SignatureCheck",
    "Signer",
    "can_help",
    "check_signatures",
    "missing_signers",
    "read_and_verify",
    "required_signers",
    "sign",
    "sign_json",
    "signed_by_key",
    "signers_of",
    "verify",
    "verify_json",
    "verify_read",
    "with_signatures",
]


def sign(event: Event, signer: Signs) -> Event:
    """Add a server's signature to an event. Its ID does not change.

    Args:
        event: the event; whose signatures were verified stays known.
        signer: who signs; a `Signer` is one.

    Raises:
        InvalidEvent: the event came in client format, which is not all of it.
    """
    pdu = event.to_pdu()
    signature = signer.signature_over(signed_bytes(pdu, event.room_version))
    return with_signatures(event, signer.server_name, {signer.key_id: signature})


def with_signatures(event: Event, server: ServerName, added: Mapping[str, JsonValue]) -> Event:
    """The event with good signatures of a server added, by key ID."""
    pdu = event.to_pdu()
    signatures = dict(pdu["signatures"])
    own = signatures.get(server)
    signatures[server] = {**(own if isinstance(own, Mapping) else {}), **added}
    data = encode({**pdu, "signatures": signatures}, strict=False)
    return evolve(event, pdu=data, signed_by=event.signed_by | {server})


def verify(event: Event, keys: KeyRing) -> Event:
    """Find out which servers signed an event.

    A server counts when at least one of its keys is known and every signature by a
    known key of it is good. Keys that are unknown here, or were not valid when the
    event was sent (from version 5 on), are passed over.

    Args:
        event: the event.
        keys: the keys of servers, as far as they are known.

    Returns:
        The event with `signed_by`; whatever was there before is forgotten.

    Raises:
        InvalidEvent: the event came in client format, which is not all of it.
    """
    if not event.pdu:
        raise InvalidEvent("event", "one read from a PDU", repr(event))
    pdu, form = document_of(event.pdu, event.room_version)
    covered = covered_bytes(pdu, event.room_version, form)
    return with_evidence(event, signers_of(pdu, covered, event.room_version, keys))


def verify_read(read: ReadPdu, keys: KeyRing) -> Event:
    """Verify a PDU just read, without reading it again; otherwise as `verify`."""
    signers = signers_of(read.document, read.covered, read.event.room_version, keys)
    return with_evidence(read.event, signers)


def read_and_verify(
    pdu: bytes | str | Mapping[str, JsonValue], room_version: RoomVersion, keys: KeyRing
) -> tuple[Event, Mapping[str, JsonValue], bytes, bool]:
    """Read a PDU and verify it, without an event in between.

    Returns:
        The fields of an `events.ReadPdu`.

    Raises:
        InvalidEvent: as `Event.from_pdu`.
    """
    event: Any
    event, document, covered, matches = read_whole(pdu, room_version, None)
    event.signed_by = signers_of(document, covered, room_version, keys)
    event.__class__ = Event
    return event, document, covered, matches


def signers_of(
    pdu: Mapping[str, JsonValue], covered: bytes, room_version: RoomVersion, keys: KeyRing
) -> frozenset[ServerName]:
    """The servers that signed a PDU, as `verify` says.

    Args:
        pdu: a PDU just read.
        covered: the bytes that its signatures cover.
        room_version: the version of its room.
        keys: the keys of servers, as far as they are known.
    """
    sent = pdu["origin_server_ts"] if room_version.enforces_key_validity else None
    signers = []
    find = keys.servers.get
    for server, of_server in pdu["signatures"].items():
        known = find(server)
        if known is None or not isinstance(of_server, dict):
            continue
        good = False
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
    """Check signatures that were gathered elsewhere.

    A pure function of plain data, made to be mapped over pieces of a big answer by a
    pool of threads or processes.

    Args:
        checks: what to check.

    Returns:
        For each check whether the signature is good.
    """
    listed = list(checks)
    for raw in {raw for _, raw, _ in listed}:
        PublishedKey(raw)  # which refuses what is no key
    return [is_signature(covered, raw, signature) for covered, raw, signature in listed]


def required_signers(event: Facts) -> frozenset[ServerName]:
    """The servers without whose signature an event is to be dropped.

    The sender's server, except for an invite that a third party signed for; in
    versions 1 and 2 also the server that the event ID names. Who vouches for a
    restricted join must sign too, but that is an authorisation rule.
    """
    exempt = event.membership is INVITE and isinstance(event.view, SignedInvite)
    required = NOBODY if exempt else frozenset((event.server,))
    if event.room_version.event_id_in_pdu:
        required |= {server_of(event.event_id)}
    return required


def missing_signers(event: Event) -> frozenset[ServerName]:
    """The required signers of an event that `signed_by` lacks."""
    if event.server in event.signed_by and not event.room_version.event_id_in_pdu:
        return NOBODY
    return required_signers(event) - event.signed_by
