"""Keys: a server's own key, and the keys that other servers published.

See `Retrieving server keys`__.

__ https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys
"""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final

from attrs import field
from signedjson.key import decode_signing_key_base64
from signedjson.types import SigningKey

from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidJson, InvalidKey
from matrix_membership.events.contents import unpadded_base64
from matrix_membership.identifiers import ServerName, is_server_name, read_server_name, several
from matrix_membership.signing._ed25519 import ALGORITHM, PublishedKey, bare_bytes, signatures_by

LONGEST_KEY_VALIDITY_MS: Final = 7 * 24 * 60 * 60 * 1000
"""The longest validity that a key can have from now on, in milliseconds."""

MOST_DOCUMENT_SIGNATURES: Final = 16
"""The largest number of signatures by its own keys in a key document; one with more is refused."""

_is_version: Final = re.compile(r"[A-Za-z0-9_]+").fullmatch

SEED_BYTES: Final = 32
"""The length of a seed, and of a public key."""


@frozen
class Signer:
    """A server's own signing key.

    Attributes:
        server_name: the server.
        key_id: the ID of the key: `ed25519:` and a version.

    .. versionadded:: 0.1.0
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
        if algorithm != ALGORITHM or not _is_version(version):
            raise InvalidKey("key ID", "ed25519:version", key_id)
        raw = unpadded_base64(seed)
        if raw is None or len(raw) != SEED_BYTES:
            # The error shows nothing of the seed: errors are logged, and a seed is secret.
            raise InvalidKey("seed", f"{SEED_BYTES} bytes in base64", "something else")
        # signedjson reads both alphabets. From Python 3.15 on, its way of reading warns of `+` and `/`,
        # and a later Python drops them.
        text = urlsafe_b64encode(raw).decode("ascii").rstrip("=")
        key = decode_signing_key_base64(algorithm, version, text)
        return cls(read_server_name(server), key_id, key)

    @property
    def verify_key(self) -> str:
        """The public half of the key, in unpadded base64."""
        return _base64(bytes(self._key.verify_key))

    @property
    def key_ring(self) -> KeyRing:
        """The ring of this key alone, valid at any time."""
        return KeyRing.of({self.server_name: {self.key_id: self.verify_key}})

    def signature_over(self, message: bytes) -> str:
        """Return the signature over bytes, in unpadded base64."""
        return _base64(self._key.sign(message).signature)

    def __reduce__(self) -> tuple[object, ...]:
        return (Signer.from_seed, (self.server_name, self.key_id, _base64(bytes(self._key))))


@frozen
class KeyRing:
    """The keys of servers, as far as they are known here.

    Attributes:
        servers: for each server, its keys by key ID.

    .. versionadded:: 0.1.0
    """

    servers: Mapping[ServerName, Mapping[str, PublishedKey]]

    @classmethod
    def of(cls, servers: Mapping[str, Mapping[str, str]]) -> KeyRing:
        """Make a ring of keys in base64 that are valid at any time, by server and ID.

        Raises:
            InvalidKey: a key is not 32 bytes in base64.

        >>> ring = KeyRing.of({"a.example": {"ed25519:1": "A" * 43}})
        >>> list(ring.servers)
        ['a.example']
        """
        if not isinstance(servers, Mapping):
            raise InvalidKey("keys", "an object of servers", servers)
        return _ring({ServerName(name): _published(servers[name], name, None) for name in servers})

    @classmethod
    def from_documents(
        cls, documents: Iterable[JsonValue], *, expected: str | Iterable[str], at: int
    ) -> KeyRing:
        """Read key documents: `GET /_matrix/key/v2/server`__, or those of a notary.

        A document is signed by its own server only, so it proves nothing about others: it
        is good for a server that was asked for. The order of the documents does not matter,
        see `with_keys`. One bad document spoils the call. Read those of a notary one by
        one, so that a server with a bad document does not hide the keys of others.

        Args:
            documents: parsed answers, each signed by the server it speaks of.
            expected: the server that was asked, or the servers about which a notary was.
            at: the time now, in milliseconds since 1970: no key is believed to be
                valid for more than a week from it.

        Returns:
            A ring of their keys. Cost: linear in the documents, and for each of them at
            most 16 Ed25519 verifications of 50 us.

        Raises:
            InvalidKey: a document is not of that form, is of a server that was not
                expected, is not signed by one of the keys that it lists, has a bad
                signature by one, or has more than 16 by them.

        __ https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2server
        """
        names = frozenset((expected,) if isinstance(expected, str) else expected)
        found: dict[ServerName, dict[str, PublishedKey]] = {}
        for document in documents:
            server, keys = _read_document(document, names, at)
            _add(found.setdefault(server, {}), keys)
        return _ring(found)

    def with_keys(self, other: KeyRing) -> KeyRing:
        """Merge two rings; the order does not matter.

        Of the keys with one ID, one counts. If its server called one expired, the earliest
        end that it named counts; otherwise the longest validity. So a stale document takes
        nothing back that a newer one said, whichever comes first. Cost: linear in `other` and
        in the number of servers here.
        """
        servers = dict(self.servers)
        for name, keys in other.servers.items():
            merged = dict(servers.get(name, _NO_KEYS))
            _add(merged, keys)
            servers[name] = MappingProxyType(merged)
        return evolve(self, servers=MappingProxyType(servers))

    def missing(
        self, needs: Mapping[ServerName, Iterable[str]], *, at: int
    ) -> dict[ServerName, frozenset[str]]:
        """Return the keys that a fetch could still bring.

        A key that is at hand is not fetched again because a signature by it is bad: so a
        forged signature does not cause a request.

        Args:
            needs: for each server, key IDs.
            at: when the keys must be valid, in milliseconds since 1970: now, or the
                `origin_server_ts` of an event.

        Returns:
            The part of `needs` that is unknown here, or that ran out before then. A
            key that its server called expired is left out: no newer document changes that.

        >>> KeyRing.of({"a.example": {"ed25519:1": "A" * 43}}).missing(
        ...     {"a.example": ["ed25519:1", "ed25519:2"]}, at=0
        ... )
        {'a.example': frozenset({'ed25519:2'})}
        """
        missing = {}
        for server, key_ids in needs.items():
            known = self.servers.get(server, _NO_KEYS)
            wanted = several(key_ids, f"needs[{server!r}]")
            absent = frozenset(key_id for key_id in wanted if can_help(known.get(key_id), at))
            if absent:
                missing[server] = absent
        return missing

    def __contains__(self, server: object) -> bool:
        return server in self.servers

    def __hash__(self) -> int:
        # By the servers: the maps of their keys have no hash.
        return hash(frozenset(self.servers))

    def key(self, server: str, key_id: str) -> PublishedKey | None:
        """Return one key, or None when it is not known."""
        return self.servers.get(ServerName(server), _NO_KEYS).get(key_id)

    def __reduce__(self) -> tuple[object, ...]:
        return (_ring, ({name: dict(keys) for name, keys in self.servers.items()},))


_NO_KEYS: Final[Mapping[str, PublishedKey]] = MappingProxyType({})


def _ring(servers: Mapping[ServerName, Mapping[str, PublishedKey]]) -> KeyRing:
    return KeyRing(
        MappingProxyType({name: MappingProxyType(dict(keys)) for name, keys in servers.items()})
    )


def can_help(key: PublishedKey | None, at: int | None) -> bool:
    """Tell whether a newer document could make a key usable at a time; None is any."""
    return key is None or not (at is None or key.is_expired or key.good_at(at))


def _add(found: dict[str, PublishedKey], keys: Mapping[str, PublishedKey]) -> None:
    """Add keys; of those with one ID, the one of the highest rank stays."""
    for key_id, key in keys.items():
        held = found.get(key_id)
        if held is None or held.rank() < key.rank():
            found[key_id] = key


def _published(keys: JsonValue, server: str, valid_until_ts: int | None) -> dict[str, PublishedKey]:
    if not isinstance(keys, Mapping):
        raise InvalidKey(f"keys of {server}", "an object", keys)
    return {
        key_id: PublishedKey(_raw_key(text, server, key_id), valid_until_ts)
        for key_id, text in keys.items()
        if _is_supported(key_id)
    }


def _is_supported(key_id: object) -> bool:
    # Other keys are not an error: a server may publish some of algorithms to come beside today's.
    return str(key_id).startswith(f"{ALGORITHM}:")


def _raw_key(text: JsonValue, server: str, key_id: str) -> bytes:
    raw = unpadded_base64(text)
    if raw is None or len(raw) != SEED_BYTES:
        raise InvalidKey(f"keys of {server}.{key_id}", "32 bytes in base64", text)
    return raw


def _read_document(
    document: JsonValue, expected: AbstractSet[str], at: int
) -> tuple[ServerName, Mapping[str, PublishedKey]]:
    """Check a document, and return its server and keys."""
    if not isinstance(document, Mapping):
        raise InvalidKey("key document", "an object", document)
    server, until = document.get("server_name"), document.get("valid_until_ts")
    if not is_server_name(server):
        raise InvalidKey("key document.server_name", "a server name", server)
    # Before any signature is checked. Everybody can sign a document about any server with a key of
    # their own, so only the server that was asked counts.
    if server not in expected:
        raise InvalidKey("key document.server_name", "a server that was asked for", server)
    if until.__class__ is not int:
        raise InvalidKey("key document.valid_until_ts", "milliseconds", until)
    # The specification's limit: an attacker who publishes a key for years would leave its server no
    # way to revoke it. Synapse sets none.
    latest = at + LONGEST_KEY_VALIDITY_MS
    texts = _texts(document.get("verify_keys"), "verify_keys")
    fresh = _published(texts, server, min(until, latest))
    old = _old_keys(document.get("old_verify_keys", {}), server, latest)
    # A server that lists a key in both has called it expired, which counts for more.
    _check_signatures(document, server, {key: fresh[key] for key in fresh if key not in old})
    _add(fresh, old)
    return server, fresh


def _old_keys(listed: JsonValue, server: str, latest: int) -> dict[str, PublishedKey]:
    if not isinstance(listed, Mapping):
        raise InvalidKey("key document.old_verify_keys", "an object of keys", listed)
    old = {}
    for key_id, entry in listed.items():
        expired = entry.get("expired_ts") if isinstance(entry, Mapping) else None
        if expired.__class__ is not int:
            raise InvalidKey(f"old_verify_keys.{key_id}.expired_ts", "milliseconds", expired)
        if _is_supported(key_id):
            raw = _raw_key(entry.get("key"), server, key_id)
            # The text does not say what an end in the future means. Synapse takes it; here it is
            # bounded as the other keys are.
            old[key_id] = PublishedKey(raw, min(expired, latest), is_expired=True)
    return old


def _check_signatures(
    document: Mapping[str, JsonValue], server: ServerName, keys: Mapping[str, PublishedKey]
) -> None:
    """Raise unless a key of the document signed it and no signature by one is bad."""
    where = "key document.signatures"
    listed = signatures_by(document, server).items()
    # The text asks for a signature by the listed keys. Synapse wants the first of them good,
    # gomatrixserverlib one by every key; here one is needed, and none may be bad.
    by_keys = [(keys[key_id], signature) for key_id, signature in listed if key_id in keys]
    if len(by_keys) > MOST_DOCUMENT_SIGNATURES:
        # Each costs 50 us, and a document can hold a thousand in 200 KB.
        raise InvalidKey(where, f"at most {MOST_DOCUMENT_SIGNATURES} by its keys", len(by_keys))
    try:
        covered = bare_bytes(document) if by_keys else b""
    except InvalidJson as error:
        raise InvalidKey("key document", "canonical JSON", str(error)) from error
    if not by_keys or not all(key.verifies(covered, signature) for key, signature in by_keys):
        raise InvalidKey(where, "good signatures by its keys", server)


def _texts(keys: JsonValue, where: str) -> dict[str, JsonValue]:
    if not isinstance(keys, Mapping) or not all(isinstance(key, Mapping) for key in keys.values()):
        raise InvalidKey(f"key document.{where}", "an object of keys", keys)
    return {key_id: entry.get("key") for key_id, entry in keys.items()}


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode().rstrip("=")
