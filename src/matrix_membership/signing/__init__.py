"""Signing and verifying: from an event to an event with evidence.

`verify` returns the event as it is to be kept, with `signed_by` filled in; it never
says no. Signatures do not cover what redaction removes, only the content hash does. So
an event whose content hash is wrong is redacted first, and all that is asked
of it afterwards is asked of what is left: which signatures it owes
(`required_signers`), and what the rules say. See `Signing events`__ and `Validating
hashes and signatures`__.

__ https://spec.matrix.org/v1.19/server-server-api/#signing-events
__ https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonValue, encode
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, ReadPdu, Signs, document_as_read, with_evidence
from matrix_membership.events.contents import SignedInvite
from matrix_membership.events.reading import NOBODY, Facts, both_bytes, document_of, read_whole
from matrix_membership.hashing import is_hash_of, signed_bytes
from matrix_membership.identifiers import ServerName, is_server_name, server_of
from matrix_membership.membership import INVITE
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing._ed25519 import (
    ALGORITHM,
    MOST_KEY_CHECKS,
    PublishedKey,
    is_signature,
    sign_json,
    signed_by_key,
    verify_json,
)
from matrix_membership.signing._keys import (
    LONGEST_KEY_VALIDITY_MS,
    MOST_DOCUMENT_SIGNATURES,
    SEED_BYTES,
    KeyRing,
    Signer,
    can_help,
)

__all__ = [
    "ALGORITHM",
    "ALL_VERIFIED",
    "LONGEST_KEY_VALIDITY_MS",
    "MOST_DOCUMENT_SIGNATURES",
    "MOST_KEY_CHECKS",
    "MOST_NEEDED_KEY_IDS",
    "MOST_SIGNATURES",
    "SEED_BYTES",
    "KeyRing",
    "PublishedKey",
    "SignatureCheck",
    "Signer",
    "Unverified",
    "can_help",
    "check_signatures",
    "missing_signers",
    "needed_keys",
    "read_and_verify",
    "required_signers",
    "sign",
    "sign_json",
    "signature_error",
    "signatures_that_count",
    "signed_by_key",
    "signers_of",
    "unverified",
    "verify",
    "verify_json",
    "verify_read",
    "with_signatures",
]

MOST_NEEDED_KEY_IDS: Final = 8
"""How many keys of one server are asked for: an event can name any number of them."""

MOST_SIGNATURES: Final = 32
"""How many signatures of one event count, see `signatures_that_count`.

An event owes three at most. 32 verifications of Ed25519 take 2 ms.
"""


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
    event was sent (from version 5 on), are passed over, and so are signatures beyond
    `MOST_SIGNATURES`.

    Args:
        event: the event.
        keys: the keys of servers, as far as they are known.

    Returns:
        The event with `signed_by`, in the form in which it is to be kept: redacted if its
        content hash is wrong. The `signed_by` that it had is replaced. Cost: linear in the
        event, and at most `MOST_SIGNATURES` verifications of Ed25519, 50 us each.

    Raises:
        InvalidEvent: the event came in client format, which is not all of it.
    """
    if not event.pdu:
        raise InvalidEvent("event", "one read from a PDU", repr(event))
    version = event.room_version
    pdu, form = document_of(event.pdu, version)
    covered, hashed = both_bytes(pdu, version, form)
    kept = event if is_hash_of(hashed, pdu["hashes"]["sha256"]) else event.redacted()
    return with_evidence(kept, signers_of(pdu, covered, version, keys))


def verify_read(read: ReadPdu, keys: KeyRing) -> Event:
    """Verify a PDU just read, without reading it again; otherwise as `verify`."""
    signers = signers_of(document_as_read(read), read.covered, read.event.room_version, keys)
    kept = read.event if read.content_hash_matches else read.event.redacted()
    return with_evidence(kept, signers)


def read_and_verify(
    pdu: bytes | str | Mapping[str, JsonValue], room_version: RoomVersion, keys: KeyRing
) -> tuple[Event, Mapping[str, JsonValue], bytes, bool]:
    """Read a PDU and verify it, without an event in between.

    Returns:
        The event as `verify` gives it, and the other fields of an `events.ReadPdu`.

    Raises:
        InvalidEvent: as `Event.from_pdu`.
    """
    event: Any
    event, document, covered, matches = read_whole(pdu, room_version, None)
    event.signed_by = signers_of(document, covered, room_version, keys)
    event.__class__ = Event
    return event if matches else event.redacted(), document, covered, matches


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
    for server, of_server in signatures_that_count(pdu).items():
        known = find(server)
        if known is None:
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


def signatures_that_count(pdu: Mapping[str, JsonValue]) -> dict[ServerName, dict[str, JsonValue]]:
    """Choose the signatures of a PDU that are worth a verification.

    All of them, as long as they are not more than `MOST_SIGNATURES`. Of more, servers
    count in this order while all of their signatures fit: the sender's, the one that the
    event ID names, the authorising user's, the target user's, then the others by
    name. So nobody can make an event too dear to check, and what counts depends on the
    event alone, never on the keys that a server happens to know.

    Args:
        pdu: a PDU whose format was checked.

    Returns:
        Signatures by server and key ID. Cost: linear in the signatures.
    """
    found = {
        server: of_server
        for server, of_server in pdu["signatures"].items()
        if isinstance(of_server, dict)
    }
    if sum(map(len, found.values())) <= MOST_SIGNATURES:
        return found
    owing = (
        pdu["sender"],
        pdu.get("event_id"),
        pdu["content"].get("join_authorised_via_users_server"),
        pdu.get("state_key"),
    )
    first = [server_of(name) for name in owing if isinstance(name, str)]
    chosen: dict[ServerName, dict[str, JsonValue]] = {}
    left = MOST_SIGNATURES
    for server in dict.fromkeys((*first, *sorted(found))):
        of_server = found.get(server, {})
        if 0 < len(of_server) <= left:
            chosen[server] = of_server
            left -= len(of_server)
    return chosen


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
    """Return the servers without whose signature an event is to be dropped.

    The sender's server must sign, except for an invite with a `third_party_invite` that
    holds a `signed` object: there the rules ask for the third party's signature
    instead. In versions 1 and 2 the server that the event ID names must sign too. The
    signature that a restricted join owes is a matter of the rules.

    Args:
        event: an event in the form in which it is to be kept, as `verify` and
            `Event.redacted` give it. Redaction may remove what exempts an event.
    """
    view = event.view
    exempt = (
        event.membership is INVITE and isinstance(view, SignedInvite) and view.signed is not None
    )
    required = NOBODY if exempt else frozenset((event.server,))
    if event.room_version.event_id_in_pdu:
        required |= {server_of(event.event_id)}
    return required


def missing_signers(event: Event) -> frozenset[ServerName]:
    """Return the required signers of an event that `signed_by` lacks.

    Args:
        event: an event in the form in which it is to be kept: see `required_signers`.
    """
    if event.server in event.signed_by and not event.room_version.event_id_in_pdu:
        return NOBODY
    return required_signers(event) - event.signed_by


def signature_error(event: Event) -> InvalidEvent | None:
    """Return what speaks against an event that lacks a required signature.

    Args:
        event: an event in the form in which it is to be kept: see `required_signers`.

    Returns:
        An error that names the missing signers and those found; None when none is missing.
    """
    missing = missing_signers(event)
    if not missing:
        return None
    expected = f"good signatures of {', '.join(sorted(missing))}"
    return InvalidEvent("signatures", expected, sorted(event.signed_by))


@frozen
class Unverified:
    """Why an event lacks signatures: the servers, by what can be done about it.

    It is true when a signature is lacking.

    Attributes:
        unknown_keys: server and key ID of each signature that a fetched key could verify;
            of one server no more than `MOST_NEEDED_KEY_IDS`.
        forged: servers of which a key is known and a signature is bad. No fetch helps.
        unsigned: servers that did not sign, or with keys only that they had called
            expired before the event was sent. No fetch helps.
    """

    unknown_keys: frozenset[tuple[ServerName, str]] = frozenset()
    forged: frozenset[ServerName] = frozenset()
    unsigned: frozenset[ServerName] = frozenset()

    @property
    def needs(self) -> dict[ServerName, frozenset[str]]:
        """The keys to fetch: for each server, key IDs."""
        servers = sorted({server for server, _ in self.unknown_keys})
        return {
            server: frozenset(key_id for name, key_id in self.unknown_keys if name == server)
            for server in servers
        }

    def __bool__(self) -> bool:
        return bool(self.unknown_keys or self.forged or self.unsigned)

    def __str__(self) -> str:
        said = [
            f"no key is known for the signature of {server}, by {', '.join(sorted(key_ids))}"
            for server, key_ids in self.needs.items()
        ]
        said += [f"the signature of {server} is bad" for server in sorted(self.forged)]
        said += [f"{server} did not sign" for server in sorted(self.unsigned)]
        return "; ".join(said) or "all signatures are verified"


ALL_VERIFIED: Final = Unverified()
"""Of an event that lacks no signature."""

_NO_KEYS: Final = KeyRing.of({})


def unverified(event: Event, keys: KeyRing) -> Unverified:
    """Tell a missing key from a bad signature, for each signature that an event lacks.

    The servers are those of `required_signers`, and the authorising server of a
    restricted join, which the authorisation rules ask for.

    Args:
        event: an event whose `signed_by` was found with these keys (`verify`).
        keys: the same keys.

    Returns:
        The lacking signatures by what can be done about them. Cost: the event is read
        once more; nothing is verified again.

    Raises:
        InvalidEvent: the event came in client format, which is not all of it.
    """
    lacking = _concerned(event) - event.signed_by
    return _told_apart(event, event.to_pdu(), lacking, keys) if lacking else ALL_VERIFIED


def needed_keys(read: ReadPdu) -> dict[ServerName, frozenset[str]]:
    """Return the keys to fetch before an event is verified: for each server, key IDs.

    Only servers are named whose signature counts for something: at most three, whatever
    else the event has under `signatures`, with `MOST_NEEDED_KEY_IDS` keys each.
    `KeyRing.missing` says which of them are not at hand.

    Args:
        read: a PDU just read. One with a wrong content hash counts as it will be kept.

    Returns:
        The key IDs by server.
    """
    event = read.event if read.content_hash_matches else read.event.redacted()
    return _told_apart(event, read.document, _concerned(event), _NO_KEYS).needs


def _concerned(event: Facts) -> frozenset[ServerName]:
    """The servers whose signature counts for something."""
    server = event.authorising_server
    return required_signers(event) | {server} if server else required_signers(event)


def _told_apart(
    event: Event, pdu: Mapping[str, JsonValue], servers: Iterable[ServerName], keys: KeyRing
) -> Unverified:
    """Tell apart why these servers are not among those that signed."""
    sent = event.origin_server_ts if event.room_version.enforces_key_validity else None
    unknown: set[tuple[ServerName, str]] = set()
    forged, unsigned = set(), set()
    counting = signatures_that_count(pdu)
    for server in servers:
        used = [
            (key_id, keys.key(server, key_id))
            for key_id in counting.get(server, ())
            if key_id.startswith(f"{ALGORITHM}:")
        ]
        # `verify` used these, and all of them must be good: one that is bad decides.
        if any(key is not None and (sent is None or key.good_at(sent)) for _, key in used):
            forged.add(server)
            continue
        absent = [key_id for key_id, key in used if can_help(key, sent)]
        if absent and is_server_name(server):
            unknown |= {(server, key_id) for key_id in absent[:MOST_NEEDED_KEY_IDS]}
        else:
            unsigned.add(server)
    return Unverified(frozenset(unknown), frozenset(forged), frozenset(unsigned))
