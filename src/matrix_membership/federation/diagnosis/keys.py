"""Read the keys of servers from a file or a record: key documents, or plain keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidMessage
from matrix_membership.signing import KeyRing

NO_KEYS: Final = KeyRing.of({})


def merged(keys: KeyRing, others: Iterable[KeyRing]) -> KeyRing:
    """Merge a ring with many others, most of them empty."""
    # Each merge copies the ring.
    for other in others:
        if other.servers:
            keys = keys.with_keys(other)
    return keys


def read_keys(value: JsonValue, place: str) -> KeyRing:
    """Read keys.

    Args:
        value: a key document as `GET /_matrix/key/v2/server` gives it, a list of them, the
            answer of a notary, or keys in base64: by server, by key ID.
        place: where the value stands, for errors.

    Raises:
        InvalidMessage: the value has another form.
        InvalidKey: a document or key is not good.
    """
    documents = list(_documents(value))
    if not documents:
        if not isinstance(value, Mapping):
            raise InvalidMessage(place, "key documents, or keys by server and ID", value)
        return KeyRing.of(value)
    ring = NO_KEYS
    for document in documents:
        # A record is looked at later than it was made, so a key counts for as long as its document
        # says, whenever that was.
        until = document.get("valid_until_ts")
        at = until if until.__class__ is int else 0
        read = KeyRing.from_documents([document], expected=str(document.get("server_name")), at=at)
        ring = ring.with_keys(read)
    return ring


def _documents(value: JsonValue) -> Iterator[Mapping[str, JsonValue]]:
    if isinstance(value, Mapping) and isinstance(value.get("server_keys"), (list, tuple)):
        value = value["server_keys"]
    for entry in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(entry, Mapping) and "verify_keys" in entry:
            yield entry
