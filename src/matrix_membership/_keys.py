"""Keys: a server's own, and those that others published.

See `Retrieving server keys`__.

__ https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from attrs import field
from signedjson.key import decode_signing_key_base64
from signedjson.types import SigningKey

from matrix_membership._attrs import constant, evolve
from matrix_membership._signatures import ALGORITHM, PublishedKey, verify_json
from matrix_membership.canonical_json import JsonValue
from matrix_membership.contents import unpadded_base64
from matrix_membership.errors import InvalidKey
from matrix_membership.identifiers import ServerName, is_server_name, server_name

__all__ = ["LONGEST_KEY_VALIDITY_MS", "SEED_BYTES", "KeyRing", "Signer"]

LONGEST_KEY_VALIDITY_MS: Final = 7 * 24 * 60 * 60 * 1000
"""How far into the future a key is believed to be valid, in milliseconds."""

SEED_BYTES: Final = 32
"""How long a seed is, and a public key."""


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
        if algorithm != ALGORITHM or not version.replace("_", "a").isalnum():
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
        if not str(key_id).startswith(f"{ALGORITHM}:"):
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


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode().rstrip("=")
