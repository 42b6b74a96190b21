"""Signatures of a key over bytes, and of servers over JSON beside events.

See `Signing JSON`__.

__ https://spec.matrix.org/v1.19/appendices/#signing-json
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterable, Mapping
from itertools import islice
from math import inf
from typing import Final

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue, encode
from matrix_membership.errors import InvalidKey
from matrix_membership.events import Signs
from matrix_membership.events.contents import unpadded_base64

ALGORITHM: Final = "ed25519"
"""The only algorithm of keys and signatures."""

MOST_KEY_CHECKS: Final = 32
"""The largest number of pairs of a signature and a key that are tried for a third-party invite.

Identity servers sign once, and publish two or three keys.
"""

KEY_BYTES: Final = 32
"""The length of a public key."""

_SIGNATURE_BYTES: Final = 64


@frozen
class PublishedKey:
    """A key that a server published.

    Attributes:
        verify_key: the public key, 32 bytes.
        valid_until_ts: events of later `origin_server_ts` (milliseconds) are not
            verified with it; None when nothing is known of its end.
        is_expired: whether its server listed it under `old_verify_keys`: then it
            verifies events up to `valid_until_ts`, and nothing else.

    Raises:
        InvalidKey: the key does not have 32 bytes.

    .. versionadded:: 0.1.0
    """

    verify_key: bytes
    valid_until_ts: int | None = None
    is_expired: bool = False

    def __attrs_post_init__(self) -> None:
        key: object = self.verify_key
        if not isinstance(key, bytes) or len(key) != KEY_BYTES:
            raise InvalidKey("verify_key", f"{KEY_BYTES} bytes", key)

    def good_at(self, timestamp: int) -> bool:
        """Tell whether the key was valid at a time, in milliseconds since 1970."""
        return self.valid_until_ts is None or timestamp <= self.valid_until_ts

    def rank(self) -> tuple[bool, float, bytes]:
        """Return the key's rank among those published under its ID; highest wins.

        A key that its server called expired outranks the others, the earliest end first;
        then the longest validity counts; between equals, the bytes decide. The order is
        total, so that documents give the same ring in whichever order they come.
        """
        end = inf if self.valid_until_ts is None else self.valid_until_ts
        return self.is_expired, -end if self.is_expired else end, self.verify_key

    def verifies(self, message: bytes, signature: JsonValue) -> bool:
        """Tell whether a signature, in base64, is this key's over the message.

        Cost: about 50 us for one that has the right form.
        """
        return is_signature(message, self.verify_key, signature)


def is_signature(message: bytes, verify_key: bytes, signature: JsonValue) -> bool:
    """Do what `PublishedKey.verifies` does, for a key of 32 bytes."""
    # Nearly every signature comes without padding, so two characters are added without a look. The
    # slower reading takes padded and URL-safe ones.
    try:  # as the specification writes it: unpadded
        raw = a2b_base64(signature + "==", strict_mode=True)
    except (TypeError, ValueError):
        raw = unpadded_base64(signature) or b""
    # libsodium takes signature and message as one text: a short signature would borrow its last
    # bytes from the message behind it.
    if len(raw) != _SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(raw + message, verify_key)
    except BadSignatureError:
        return False
    return True


def sign_json(document: Mapping[str, JsonValue], signer: Signs) -> dict[str, JsonValue]:
    """Sign a JSON object other than an event: `Signing JSON`__.

    The result is a copy with the signature added, which does not cover `signatures` and
    `unsigned`.

    Raises:
        InvalidJson: canonical JSON cannot write a value of the object.

    >>> from matrix_membership.signing import Signer
    >>> signer = Signer.from_seed("domain", "ed25519:1", "A" * 43)
    >>> list(sign_json({"one": 1}, signer)["signatures"])
    ['domain']

    __ https://spec.matrix.org/v1.19/appendices/#signing-json

    .. versionadded:: 0.1.0
    """
    signature = signer.signature_over(bare_bytes(document))
    return with_added(document, signer.server_name, {signer.key_id: signature})


def with_added(
    document: Mapping[str, JsonValue], server: str, added: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """Return a copy of an object with signatures of a server added."""
    signatures = document.get("signatures")
    # A server may sign with several keys, and several servers may sign one object: nothing that was
    # there goes.
    others = signatures if isinstance(signatures, Mapping) else {}
    own = {**signatures_by(document, server), **added}
    return {**document, "signatures": {**others, server: own}}


def signatures_by(document: Mapping[str, JsonValue], server: str) -> Mapping[str, JsonValue]:
    """Return the signatures of a server on an object, by key ID."""
    signatures = document.get("signatures")
    found = signatures.get(server) if isinstance(signatures, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def verify_json(
    document: Mapping[str, JsonValue], server: str, key_id: str, key: PublishedKey, *, at: int
) -> bool:
    """Check the signature by one key of a server over an object, such as a request.

    An object has no time of its own, as an event has, so it needs a key that is valid
    now: an expired key verifies events only (`Publishing keys`__).

    `at` is the time now, in milliseconds since 1970. Cost: one encoding of the object and one
    Ed25519 verification.

    Raises:
        InvalidJson: canonical JSON cannot write a value of the object.

    __ https://spec.matrix.org/v1.19/server-server-api/#publishing-keys

    .. versionadded:: 0.1.0
    """
    # Before the object is encoded, which costs its size. A stolen old key must not sign requests.
    if key.is_expired or not key.good_at(at):
        return False
    signature = signatures_by(document, server).get(key_id)
    return signature is not None and key.verifies(bare_bytes(document), signature)


def signed_by_key(document: Mapping[str, JsonValue], keys: Iterable[bytes]) -> bool:
    """Tell whether any signature of an object is by any of these Ed25519 keys.

    Server names and key IDs are ignored, as the rules on third-party invites ask.

    It is false, without a look at any signature, where signatures times keys are more than
    `MOST_KEY_CHECKS`. Signatures are tried in the order of the object, each with the keys, of 32
    bytes, in their order. Cost: one encoding of the object, and at most `MOST_KEY_CHECKS`
    verifications of Ed25519, 50 us each.

    Raises:
        InvalidJson: canonical JSON cannot write a value of the object.
    """
    signatures = document.get("signatures")
    found = [
        signature
        for of_server in (signatures.values() if isinstance(signatures, Mapping) else ())
        if isinstance(of_server, Mapping)
        for key_id, signature in of_server.items()
        if key_id.startswith(f"{ALGORITHM}:")
    ]
    # One more than can be tried shows that there are too many, however long the list is.
    tried = [PublishedKey(key) for key in islice(keys, MOST_KEY_CHECKS + 1)]
    # One good signature is enough. 700 signatures by 700 keys took 36 s.
    if not 0 < len(found) * len(tried) <= MOST_KEY_CHECKS:
        return False
    covered = bare_bytes(document)
    return any(key.verifies(covered, signature) for signature in found for key in tried)


# Not strict: what another server signed is compared as it was sent, floats included.
def bare_bytes(document: Mapping[str, JsonValue]) -> bytes:
    """Return the bytes that the signatures of an object cover."""
    return encode(
        {key: value for key, value in document.items() if key not in ("signatures", "unsigned")},
        strict=False,
    )
