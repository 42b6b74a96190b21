"""Signing and verifying: from an event to an event with evidence.

`verify` returns the event with `signed_by` filled in; it never says no. Whether
the signatures that are there suffice is asked of the result (`required_signers`,
and the authorisation rule on restricted joins). See `Signing events`__ and
`Validating hashes and signatures`__.

__ https://spec.matrix.org/v1.19/server-server-api/#signing-events
__ https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import field
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError
from signedjson.key import decode_signing_key_base64, decode_verify_key_bytes
from signedjson.types import SigningKey

from matrix_membership._attrs import constant, evolve
from matrix_membership._event_facts import NOBODY
from matrix_membership._pdu_text import covered_bytes, document_of
from matrix_membership.canonical_json import JsonValue, encode
from matrix_membership.contents import SignedInvite, unpadded_base64
from matrix_membership.errors import InvalidEvent, InvalidKey
from matrix_membership.events import Event, ReadPdu, Signs
from matrix_membership.hashing import signed_bytes
from matrix_membership.identifiers import ServerName, is_server_name, server_name, server_of
from matrix_membership.membership import INVITE
from matrix_membership.room_versions import RoomVersion

__all__ = [
    "LONGEST_KEY_VALIDITY_MS",
    "KeyRing",
    "PublishedKey",
    "SignatureCheck",
    "Signer",
    "check_signatures",
    "missing_signers",
    "required_signers",
    "sign",
    "sign_json",
    "signed_by_key",
    "usable_signatures",
    "verify",
    "verify_json",
    "verify_read",
    "with_signatures",
]

LONGEST_KEY_VALIDITY_MS: Final = 7 * 24 * 60 * 60 * 1000
"""How far into the future a key is believed to be valid, in milliseconds."""

_ALGORITHM: Final = "ed25519"
_SIGNATURE_BYTES: Final = 64


@constant
class Signer:
    """A server's own signing key.

    Attributes:
        server_name: the server.
        key_id: the ID of the key: `ed25519:` and a version.
    """

    server_name: ServerName
    key_id: str
    _key: SigningKey = field(repr=False)

    @classmethod
    def from_seed(cls, server: str, key_id: str, seed: str) -> Signer:
        """Make a signer from a stored seed.

        Args:
            server: the server's name.
            key_id: `ed25519:` and a version of letters, digits and underscores.
            seed: 32 bytes in base64. The caller draws and stores them.

        Raises:
            InvalidIdentifier: the server's name breaks the grammar.
            InvalidKey: the key ID or the seed does.

        >>> Signer.from_seed("a.example", "ed25519:1", "A" * 43).verify_key
        'O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik'
        """
        algorithm, _, version = str(key_id).partition(":")
        if algorithm != _ALGORITHM or not version.replace("_", "a").isalnum():
            raise InvalidKey("key ID", "ed25519:version", key_id)
        raw = unpadded_base64(seed)
        if raw is None or len(raw) != SEED_BYTES:
            raise InvalidKey("seed", f"{SEED_BYTES} bytes in base64", "something else")
        key = decode_signing_key_base64(algorithm, version, _base64(raw))
        return cls(server_name(server), key_id, key)

    @property
    def verify_key(self) -> str:
        """The public half of the key, in unpadded base64."""
        return _base64(bytes(self._key.verify_key))

    @property
    def key_ring(self) -> KeyRing:
        """A ring that holds this key alone, valid at any time."""
        return KeyRing.of({self.server_name: {self.key_id: self.verify_key}})

    def signature_over(self, message: bytes) -> str:
        """Sign bytes.

        Returns:
            The signature in unpadded base64.
        """
        return _base64(self._key.sign(message).signature)

    def __reduce__(self) -> tuple[object, ...]:
        return (Signer.from_seed, (self.server_name, self.key_id, _base64(bytes(self._key))))


SEED_BYTES: Final = 32


@constant
class PublishedKey:
    """A key that a server published.

    Attributes:
        verify_key: the public key, 32 bytes.
        valid_until_ts: events of later `origin_server_ts` (milliseconds) are not
            verified with it; None when nothing is known of its end.
    """

    verify_key: bytes
    valid_until_ts: int | None = None

    def __attrs_post_init__(self) -> None:
        decode_verify_key_bytes(f"{_ALGORITHM}:1", self.verify_key)  # which looks at its length

    def good_at(self, timestamp: int) -> bool:
        """Whether the key was valid at a time, in milliseconds since 1970."""
        return self.valid_until_ts is None or timestamp <= self.valid_until_ts

    def verifies(self, message: bytes, signature: JsonValue) -> bool:
        """Whether a signature, in base64, is this key's over the message.

        Cost: about 50 us for one that has the right form.
        """
        raw = unpadded_base64(signature)
        if raw is None or len(raw) != _SIGNATURE_BYTES:
            return False
        try:
            crypto_sign_open(raw + message, self.verify_key)
        except BadSignatureError:
            return False
        return True


@constant
class KeyRing:
    """The keys of servers, as far as they are known here.

    Attributes:
        servers: for each server, its keys by key ID.
    """

    servers: Mapping[ServerName, Mapping[str, PublishedKey]]

    @classmethod
    def of(cls, servers: Mapping[str, Mapping[str, str]]) -> KeyRing:
        """A ring of keys that are valid at any time.

        Args:
            servers: for each server, its public keys in base64 by key ID.

        Raises:
            InvalidKey: a key is not 32 bytes in base64.

        >>> ring = KeyRing.of({"a.example": {"ed25519:1": "A" * 43}})
        >>> list(ring.servers)
        ['a.example']
        """
        if not isinstance(servers, Mapping):
            raise InvalidKey("keys", "an object of servers", servers)
        return cls(
            MappingProxyType(
                {ServerName(name): _published(keys, name, None) for name, keys in servers.items()}
            )
        )

    @classmethod
    def from_documents(cls, documents: Iterable[JsonValue], *, at: int) -> KeyRing:
        """Read answers of `GET /_matrix/key/v2/server`__, or the `server_keys` of a notary.

        Args:
            documents: parsed answers, each signed by the server it speaks of.
            at: the time now, in milliseconds since 1970: no key is believed to be
                valid for more than a week from it.

        Raises:
            InvalidKey: a document is not of that form, or is not signed by one of
                the keys that it lists.

        __ https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2server
        """
        ring = cls.of({})
        for document in documents:
            ring = ring.with_keys(_read_document(document, at))
        return ring

    def with_keys(self, other: KeyRing) -> KeyRing:
        """This ring and another one; of keys with one ID the other's counts."""
        servers = dict(self.servers)
        for name, keys in other.servers.items():
            servers[name] = MappingProxyType({**servers.get(name, {}), **keys})
        return evolve(self, servers=MappingProxyType(servers))

    def __contains__(self, server: object) -> bool:
        return server in self.servers

    def key(self, server: str, key_id: str) -> PublishedKey | None:
        """One key; None when it is not known."""
        return self.servers.get(ServerName(server), _NO_KEYS).get(key_id)

    def __reduce__(self) -> tuple[object, ...]:
        return (_ring, ({name: dict(keys) for name, keys in self.servers.items()},))


_NO_KEYS: Final[Mapping[str, PublishedKey]] = MappingProxyType({})


def _ring(servers: Mapping[ServerName, Mapping[str, PublishedKey]]) -> KeyRing:
    return KeyRing(
        MappingProxyType({name: MappingProxyType(dict(keys)) for name, keys in servers.items()})
    )


def _published(
    keys: JsonValue, server: str, valid_until_ts: int | None
) -> Mapping[str, PublishedKey]:
    if not isinstance(keys, Mapping):
        raise InvalidKey(f"keys of {server}", "an object", keys)
    found = {}
    for key_id, text in keys.items():
        if not str(key_id).startswith(f"{_ALGORITHM}:"):
            continue  # an algorithm that is not supported: its signatures are skipped
        raw = unpadded_base64(text)
        if raw is None or len(raw) != SEED_BYTES:
            raise InvalidKey(f"keys of {server}.{key_id}", "32 bytes in base64", text)
        found[key_id] = PublishedKey(raw, valid_until_ts)
    return MappingProxyType(found)


def _read_document(document: JsonValue, at: int) -> KeyRing:
    if not isinstance(document, Mapping):
        raise InvalidKey("key document", "an object", document)
    server, until = document.get("server_name"), document.get("valid_until_ts")
    if not is_server_name(server):
        raise InvalidKey("key document.server_name", "a server name", server)
    if until.__class__ is not int:
        raise InvalidKey("key document.valid_until_ts", "milliseconds", until)
    limit = min(until, at + LONGEST_KEY_VALIDITY_MS)
    fresh = _published(_texts(document.get("verify_keys"), "verify_keys"), server, limit)
    old: dict[str, PublishedKey] = {}
    listed = document.get("old_verify_keys", {})
    if not isinstance(listed, Mapping):
        raise InvalidKey("key document.old_verify_keys", "an object of keys", listed)
    for key_id, entry in listed.items():
        expired = entry.get("expired_ts") if isinstance(entry, Mapping) else None
        if expired.__class__ is not int:
            raise InvalidKey(f"old_verify_keys.{key_id}.expired_ts", "milliseconds", expired)
        old |= _published({key_id: entry.get("key")}, server, expired)
    ring = _ring({server: {**old, **fresh}})
    if not any(verify_json(document, server, key_id, key) for key_id, key in fresh.items()):
        raise InvalidKey("key document.signatures", "a signature by one of its keys", server)
    return ring


def _texts(keys: JsonValue, where: str) -> dict[str, JsonValue]:
    if not isinstance(keys, Mapping) or not all(isinstance(key, Mapping) for key in keys.values()):
        raise InvalidKey(f"key document.{where}", "an object of keys", keys)
    return {key_id: entry.get("key") for key_id, entry in keys.items()}


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
    return event.with_signers(_signers(pdu, covered, event.room_version, keys))


def verify_read(read: ReadPdu, keys: KeyRing) -> Event:
    """Verify a PDU just read, without reading it again; otherwise as `verify`."""
    version = read.event.room_version
    covered = read.covered
    if covered is None:
        covered = covered_bytes(read.document, version, read.form)
    return read.event.with_signers(_signers(read.document, covered, version, keys))


def _signers(
    pdu: Mapping[str, JsonValue], covered: bytes, room_version: RoomVersion, keys: KeyRing
) -> frozenset[ServerName]:
    sent = pdu["origin_server_ts"] if room_version.enforces_key_validity else None
    return frozenset(
        [
            server
            for server, usable in usable_signatures(pdu["signatures"], keys, sent)
            if all(key.verifies(covered, signature) for key, signature in usable)
        ]
    )


def usable_signatures(
    signatures: Mapping[str, JsonValue], keys: KeyRing, sent: int | None
) -> list[tuple[ServerName, list[tuple[PublishedKey, JsonValue]]]]:
    """The signatures that can be checked, by server.

    Args:
        signatures: the `signatures` of an event.
        keys: the keys of servers, as far as they are known.
        sent: when the event was sent, where keys must have been valid then.

    Returns:
        Servers with at least one known and valid key, each with these keys and the
        signatures to check by them.
    """
    found = []
    for name, of_server in signatures.items():
        server: Any = name  # ServerName, a function, takes longer than the look-up
        known = keys.servers.get(server)
        if not known or not isinstance(of_server, Mapping):
            continue
        usable = [
            (known[key_id], signature)
            for key_id, signature in of_server.items()
            if key_id in known and (sent is None or known[key_id].good_at(sent))
        ]
        if usable:
            found.append((server, usable))
    return found


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
    keys: dict[bytes, PublishedKey] = {}
    verdicts = []
    for covered, raw, signature in checks:
        key = keys.get(raw)
        if key is None:
            key = keys[raw] = PublishedKey(raw)
        verdicts.append(key.verifies(covered, signature))
    return verdicts


def required_signers(event: Event) -> frozenset[ServerName]:
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
    return required_signers(event) - event.signed_by


def sign_json(document: Mapping[str, JsonValue], signer: Signs) -> dict[str, JsonValue]:
    """Sign an object that is no event: `Signing JSON`__.

    Args:
        document: any object; `signatures` and `unsigned` are not signed.
        signer: who signs; a `Signer` is one.

    Returns:
        A copy with the signature added.

    Raises:
        InvalidJson: the object holds what canonical JSON cannot.

    >>> signer = Signer.from_seed("domain", "ed25519:1", "A" * 43)
    >>> list(sign_json({"one": 1}, signer)["signatures"])
    ['domain']

    __ https://spec.matrix.org/v1.19/appendices/#signing-json
    """
    signatures = document.get("signatures")
    signatures = dict(signatures) if isinstance(signatures, Mapping) else {}
    own = signatures.get(signer.server_name)
    signatures[signer.server_name] = {
        **(own if isinstance(own, Mapping) else {}),
        signer.key_id: signer.signature_over(_bare(document)),
    }
    return {**document, "signatures": signatures}


def verify_json(
    document: Mapping[str, JsonValue], server: str, key_id: str, key: PublishedKey
) -> bool:
    """Whether an object that is no event is signed by one key of a server.

    Raises:
        InvalidJson: the object holds what canonical JSON cannot.
    """
    signatures = document.get("signatures")
    of_server = signatures.get(server) if isinstance(signatures, Mapping) else None
    signature = of_server.get(key_id) if isinstance(of_server, Mapping) else None
    return signature is not None and key.verifies(_bare(document), signature)


def signed_by_key(document: Mapping[str, JsonValue], keys: Iterable[bytes]) -> bool:
    """Whether any signature of an object is by any of these Ed25519 keys.

    Server names and key IDs are not looked at: so are the signatures of
    third-party invites checked.

    Raises:
        InvalidJson: the object holds what canonical JSON cannot.
    """
    signatures = document.get("signatures")
    found = [
        signature
        for of_server in (signatures.values() if isinstance(signatures, Mapping) else ())
        if isinstance(of_server, Mapping)
        for key_id, signature in of_server.items()
        if key_id.startswith(f"{_ALGORITHM}:")
    ]
    if not found:
        return False
    covered = _bare(document)
    return any(
        PublishedKey(key).verifies(covered, signature) for key in keys for signature in found
    )


def _bare(document: Mapping[str, JsonValue]) -> bytes:
    return encode(
        {key: value for key, value in document.items() if key not in ("signatures", "unsigned")},
        strict=False,
    )


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode().rstrip("=")
