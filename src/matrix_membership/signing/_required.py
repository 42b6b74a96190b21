"""The signatures that an event requires or lacks, and keys that could help.

See `Validating hashes and signatures`__.

__ https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events
"""

# How it works: one list of servers, those whose signature somebody asks for, answers all questions
# here. The keys at hand sort the servers that `signed_by` lacks. A signature that a usable key does
# not verify is a forgery, a key that a fetch could bring is a need, and anything else is as good as
# unsigned. No signature is verified a second time for that.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, ReadPdu
from matrix_membership.events.contents import SignedInvite
from matrix_membership.events.facts import NOBODY, Facts
from matrix_membership.identifiers import ServerName, is_server_name, server_of
from matrix_membership.membership import INVITE
from matrix_membership.signing._ed25519 import ALGORITHM
from matrix_membership.signing._keys import KeyRing, can_help

MOST_NEEDED_KEY_IDS: Final = 8
"""The largest number of keys of one server to fetch: an event can name any number of them."""

MOST_SIGNATURES: Final = 32
"""The largest number of signatures of one event that count, see `signatures_that_count`.

An event requires three at most. 32 verifications of Ed25519 take 2 ms.
"""


def required_signers(event: Facts) -> frozenset[ServerName]:
    """Return the servers that must sign an event; without them it is dropped.

    The sender's server must sign, except for an invite with a `third_party_invite` that
    holds a `signed` object: there the rules ask for the third party's signature
    instead. In versions 1 and 2 the server that the event ID names must sign too. The
    authorising server of a restricted join is a matter of the rules.

    Args:
        event: an event in the form in which it is to be kept, as `verify` and
            `Event.redacted` give it. Redaction may remove what exempts an event.
    """
    view = event.view
    # Somebody who alters an invite could claim this exemption by adding the property. The content
    # hash does not match then, and up to version 10 redaction takes the property away again.
    exempt = (
        event.membership is INVITE and isinstance(view, SignedInvite) and view.signed is not None
    )
    required = NOBODY if exempt else frozenset((event.server,))
    # In these versions the sender chooses the ID. Without the second signature one server could use
    # up IDs in the name of another.
    if event.room_version.event_id_in_pdu:
        required |= {server_of(event.event_id)}
    return required


def missing_signers(event: Event) -> frozenset[ServerName]:
    """Return the required signers of an event that `signed_by` lacks.

    .. versionadded:: 0.1.0
    """
    # Nearly every event ends here, without a set being made.
    if event.server in event.signed_by and not event.room_version.event_id_in_pdu:
        return NOBODY
    return required_signers(event) - event.signed_by


def signature_error(event: Event) -> InvalidEvent | None:
    """Return the error of an event that lacks a required signature, or None."""
    missing = missing_signers(event)
    if not missing:
        return None
    expected = f"good signatures of {', '.join(sorted(missing))}"
    return InvalidEvent("signatures", expected, sorted(event.signed_by))


@frozen
class Unverified:
    """The servers whose signatures an event lacks, by the remedy.

    It is true when a signature is missing.

    Attributes:
        unknown_keys: server and key ID of each signature that a fetched key could verify;
            at most `MOST_NEEDED_KEY_IDS` of one server.
        forged: servers with a bad signature by a key that is known. No fetch helps.
        unsigned: servers that did not sign, or signed only with keys that they had called
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
"""The value for an event that has all its signatures."""

_NO_KEYS: Final = KeyRing.of({})


def unverified(event: Event, keys: KeyRing) -> Unverified:
    """Tell a missing key from a bad signature, for each that an event lacks.

    The servers are those of `required_signers`, and the authorising server of a
    restricted join, which the authorisation rules ask for.

    The event's `signed_by` was found with these keys (`verify`). Cost: the event is read once
    more; nothing is verified again.

    Raises:
        InvalidEvent: the event came in client format, which is not all of it.
    """
    lacking = concerned_servers(event) - event.signed_by
    return _told_apart(event, event.to_pdu(), lacking, keys) if lacking else ALL_VERIFIED


def needed_keys(read: ReadPdu) -> dict[ServerName, frozenset[str]]:
    """Return the keys to fetch before an event is verified: for each server, key IDs.

    Only servers whose signature is asked for are named: at most three, whatever else the
    event has under `signatures`, with `MOST_NEEDED_KEY_IDS` keys each.
    `KeyRing.missing` says which of them are not at hand. A PDU with a wrong content hash counts
    as it will be kept.

    .. versionadded:: 0.1.0
    """
    # The altered form may name other servers, whose keys would be fetched for nothing.
    event = read.event if read.content_hash_matches else read.event.redacted()
    return _told_apart(event, read.document, concerned_servers(event), _NO_KEYS).needs


def concerned_servers(event: Facts) -> frozenset[ServerName]:
    """Return the servers whose signature is asked for, by the checks or by the rules."""
    server = event.authorising_server
    return required_signers(event) | {server} if server else required_signers(event)


def _told_apart(
    event: Event, pdu: Mapping[str, JsonValue], servers: Iterable[ServerName], keys: KeyRing
) -> Unverified:
    sent = event.origin_server_ts if event.room_version.enforces_key_validity else None
    return told_apart(signatures_that_count(pdu), servers, keys, sent)


def told_apart(
    counting: Mapping[ServerName, Iterable[str]],
    servers: Iterable[ServerName],
    keys: KeyRing,
    sent: int | None,
) -> Unverified:
    """Return why servers are not among the signers, by their key IDs that count.

    `sent` is when the keys had to be valid; None is any time.
    """
    unknown: set[tuple[ServerName, str]] = set()
    forged, unsigned = set(), set()
    for server in servers:
        used = [
            (key_id, keys.key(server, key_id))
            for key_id in counting.get(server, ())
            if key_id.startswith(f"{ALGORITHM}:")
        ]
        # `verify` used these keys, and one bad signature decides: no other key can help.
        if any(key is not None and (sent is None or key.good_at(sent)) for _, key in used):
            forged.add(server)
            continue
        absent = [key_id for key_id, key in used if can_help(key, sent)]
        # A name that breaks the grammar has no host to ask.
        if absent and is_server_name(server):
            unknown |= {(server, key_id) for key_id in absent[:MOST_NEEDED_KEY_IDS]}
        else:
            unsigned.add(server)
    return Unverified(frozenset(unknown), frozenset(forged), frozenset(unsigned))


def signatures_that_count(pdu: Mapping[str, JsonValue]) -> dict[ServerName, dict[str, JsonValue]]:
    """Choose the signatures of a PDU that are worth a verification.

    Up to `MOST_SIGNATURES`, all of them. If there are more, servers count in this order
    while all of their signatures fit: the sender's, the one that the event ID names, the
    authorising user's, the target user's, then the others by name. So the cost of a check
    is bounded, and all servers choose the same signatures, whichever keys they know. Cost:
    linear in the signatures.
    """
    signatures = pdu["signatures"]
    # Nearly every event has one signature, and nothing is to be chosen.
    if len(signatures) == 1:
        (only,) = signatures.values()
        if isinstance(only, dict) and len(only) <= MOST_SIGNATURES:
            return signatures  # type: ignore[no-any-return]  # a dict of that kind, as just seen
    found = {
        server: of_server
        for server, of_server in signatures.items()
        # The format does not look inside `signatures`, so a server's entry can be of any type.
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
    # Those that have to sign come first, or a flood of other signatures would push theirs out.
    first = [server_of(name) for name in owing if isinstance(name, str)]
    chosen: dict[ServerName, dict[str, JsonValue]] = {}
    left = MOST_SIGNATURES
    for server in dict.fromkeys((*first, *sorted(found))):
        of_server = found.get(server, {})
        if 0 < len(of_server) <= left:
            chosen[server] = of_server
            left -= len(of_server)
    return chosen


class KeysToFetch:
    """Collects servers and key IDs, up to a bound.

    Each server in it costs a request. Without the bound, one message full of invented senders
    would make its receiver send requests to any number of servers.
    """

    __slots__ = ("found", "most")

    found: dict[ServerName, set[str]]
    most: int

    def __init__(self, most: int) -> None:
        self.most = most
        self.found = {}

    def add(self, server: ServerName, key_id: str) -> None:
        """Add a key, unless the bound on servers, or on keys of this server, is reached."""
        if not key_id.startswith(f"{ALGORITHM}:"):
            return  # a signature of another algorithm is skipped
        asked = self.found.get(server)
        if asked is None:
            # A name outside the grammar leads to no server. Counted, it would take the place of one
            # that can answer.
            if len(self.found) >= self.most or not is_server_name(server):
                return
            asked = self.found[server] = set()
        # Anybody can sign with thousands of invented key IDs in the name of a server.
        if len(asked) < MOST_NEEDED_KEY_IDS:
            asked.add(key_id)

    def given(self) -> dict[ServerName, frozenset[str]]:
        """Return the key IDs of each server."""
        return {server: frozenset(key_ids) for server, key_ids in self.found.items()}
