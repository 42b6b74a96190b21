"""Audit an answer as far as keys are at hand.

`Examination.audit` drops each event whose signature it cannot verify, as a joining server has to.
This audit is for a record of a join that others made. There a key that is not at hand proves
nothing against the server that answered: such a signature counts as good, and its key is named.
"""

from __future__ import annotations

from collections.abc import Mapping

from matrix_membership._attrs import frozen
from matrix_membership.federation.audit._judge import Examination, Judgement
from matrix_membership.federation.audit._report import Audit, Entry
from matrix_membership.federation.audit._signers import Signers, found_signers, usable
from matrix_membership.identifiers import ServerName
from matrix_membership.signing import (
    KeyRing,
    KeysToFetch,
    check_signatures,
    concerned_servers,
    told_apart,
)

_MOST_SERVERS = 200


@frozen
class TrustingAudit:
    """An audit in which signatures by unknown keys count as good.

    Attributes:
        audit: the audit. Never take its state for one that was verified.
        unchecked: the keys that were not at hand, as key IDs by server.
    """

    audit: Audit
    unchecked: Mapping[ServerName, frozenset[str]]


def trusting_audit(read: Examination, keys: KeyRing) -> TrustingAudit:
    """Audit an answer with the keys at hand.

    A signature that a known key does not verify is bad, and an event without a signature is
    unsigned, as in `Examination.audit`. Cost: that of `Examination.audit`.
    """
    entries = [*read.entries.values(), *read.copies]
    if read.returned is not None:
        entries.append(read.returned)
    checks = [
        (entry.covered, key, signature)
        for entry in entries
        for _, _, key, signature in usable(entry, keys)
    ]
    found = found_signers(entries, keys, check_signatures(checks))
    unchecked = KeysToFetch(_MOST_SERVERS)
    supposed = [
        signers | _trusted(entry, signers, keys, unchecked)
        for entry, signers in zip(entries, found, strict=True)
    ]
    return TrustingAudit(Judgement(read, supposed, keys).audit(), unchecked.given())


def _trusted(entry: Entry, signers: Signers, keys: KeyRing, unchecked: KeysToFetch) -> Signers:
    """Return the servers that signed an event by keys that are not at hand."""
    concerned = concerned_servers(entry) - signers
    # The returned join is asked for one signature that no other event needs.
    counting: dict[ServerName, list[str]] = {}
    for server, key_id, _ in entry.signed:
        counting.setdefault(server, []).append(key_id)
    unknown = told_apart(counting, concerned, keys, entry.sent).unknown_keys
    for server, key_id in sorted(unknown):
        unchecked.add(server, key_id)
    return frozenset(server for server, _ in unknown)
