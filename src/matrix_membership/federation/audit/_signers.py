"""Find the signers of an answer's events, before and after checking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from matrix_membership.federation.audit._report import Entry
from matrix_membership.identifiers import ServerName
from matrix_membership.signing import KeyRing, PublishedKey, SignatureCheck

Signers = frozenset[ServerName]
NOBODY: Final[Signers] = frozenset()
Usable = tuple[ServerName, str, bytes, Any]


def usable(entry: Entry, keys: KeyRing) -> Sequence[Usable]:
    """Return server, key ID, key and signature of each one that can be checked."""
    return _usable(entry, keys.servers.get)


def _usable(
    entry: Entry, find: Callable[[ServerName], Mapping[str, PublishedKey] | None]
) -> Sequence[Usable]:
    signatures, sent = entry.signatures, entry.sent
    # Nearly every entry has one signature. Taken apart in a loop it costs twice as many instructions.
    if len(signatures) == _ONE:
        server, key_id, signature = signatures
        known = find(server)
        key = None if known is None else known.get(key_id)
        if key is None or not (sent is None or key.good_at(sent)):
            return ()
        return ((server, key_id, key.verify_key, signature),)
    found: list[Usable] = []
    flat = iter(signatures)
    for server, key_id, signature in zip(flat, flat, flat, strict=True):
        known = find(server)
        key = None if known is None else known.get(key_id)
        if key is not None and (sent is None or key.good_at(sent)):
            found.append((server, key_id, key.verify_key, signature))
    return found


_ONE: Final = 3
"""The length of `Entry.signatures` for one signature."""


def supposed_signers(
    entries: Sequence[Entry], keys: KeyRing, piece: int
) -> tuple[list[Signers], list[list[SignatureCheck]]]:
    """Return the likely signers of each entry, and the signatures to check.

    The signers are right if all signatures are good.

    The signatures come in lists of at most `piece`, for a pool. The sets of one signer are
    shared: most entries have just one.
    """
    alone: dict[ServerName, Signers] = {}
    supposed: list[Signers] = []
    checks: list[SignatureCheck] = []
    pieces = [checks]
    find = keys.servers.get
    for entry in entries:
        signers = NOBODY
        for server, _, key, signature in _usable(entry, find):
            if len(checks) >= piece:
                checks = []
                pieces.append(checks)
            checks.append((entry.covered, key, signature))
            # One set for each server: nearly every entry has one signer, and an answer may have
            # 100,000 of them.
            one = alone.get(server)
            if one is None:
                one = alone[server] = frozenset((server,))
            signers = signers | one if signers else one
        supposed.append(signers)
    return supposed, pieces


def found_signers(
    entries: Iterable[Entry], keys: KeyRing, verdicts: Iterable[bool]
) -> list[Signers]:
    """Return the signers of each entry: the servers that made only good signatures."""
    found: list[Signers] = []
    coming = iter(verdicts)
    for entry in entries:
        signed = [(server, next(coming)) for server, *_ in usable(entry, keys)]
        # All signatures of a server by known keys have to be good. gomatrixserverlib stops at the
        # first good one.
        wrong = {server for server, good in signed if not good}
        found.append(frozenset(server for server, _ in signed if server not in wrong))
    return found
