"""
The checks on receipt of a PDU, once more, as plain code.

Written from the `checks performed on receipt
<https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu>`_
and from the pages of the room versions, for the PDUs of `docs/vectors/refusals.jsonl`. It
shares no code with the package: JSON is read by the standard library, made canonical by
canonicaljson, and signatures are checked by PyNaCl.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from canonicaljson import encode_canonical_json
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from tests import oracle

__all__ = ["become", "known_keys"]

Pdu = dict[str, Any]
Keys = Mapping[str, Mapping[str, str]]

LARGEST: Final = 65_536
DEEPEST: Final = 100
WEEK: Final = 7 * 24 * 60 * 60 * 1000
TEXTS: Final = ("type", "sender", "state_key")
OBJECTS: Final = ("content", "hashes", "signatures")
KEPT: Final = frozenset(
    {
        "auth_events", "content", "depth", "event_id", "hashes", "membership", "origin", "origin_server_ts",
        "prev_events", "prev_state", "room_id", "sender", "signatures", "state_key", "type",
    }
)  # fmt: skip # a table, read by rows
GONE_IN_11: Final = frozenset({"membership", "origin", "prev_state"})


class MalformedError(ValueError):
    """The first check fails."""


def become(version: str, text: str, state: Sequence[Pdu], keys: Keys) -> tuple[str, int | None]:
    """
    Say what becomes of a PDU.

    Args:
        version: The room version, "1" to "12".
        text: The PDU as it came.
        state: The room's state, which is current and the one before the event.
        keys: The public keys of servers, by server and key ID.

    Returns:
        The disposition, and the check that an event fails that is dropped or redacted.
    """
    number = int(version)
    try:
        pdu = read(text, number)
    except (ValueError, RecursionError):
        return "dropped", 1
    spoiled = hash_of(pdu) != pdu["hashes"]["sha256"]
    kept = redacted(pdu, number) if spoiled else pdu
    if any(not signed(pdu, server, number, keys) for server in owed(kept, number)):
        return "dropped", 2
    if not allowed(version, kept, state):
        return "rejected", None
    return ("redacted", 3) if spoiled else ("accepted", None)


def read(text: str, number: int) -> Pdu:
    """Read a PDU, and check its format."""
    depth = deepest = 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        deepest = max(deepest, depth)
    pdu: Any = None
    if deepest <= DEEPEST:
        pdu = json.loads(
            text, object_pairs_hook=without_doubles if number >= 6 else dict, parse_constant=refuse
        )
    if not isinstance(pdu, dict) or len(encode_canonical_json(pdu)) > LARGEST:
        raise MalformedError
    if number >= 6:
        check_numbers(pdu)
    if not all(fields_are_right(pdu, number)):
        raise MalformedError
    return pdu


def fields_are_right(pdu: Pdu, number: int) -> Iterator[bool]:
    """Check one thing after the other."""
    for field in TEXTS:
        value = pdu.get(field, "" if field == "state_key" else None)
        yield isinstance(value, str) and len(value.encode()) <= 255
    yield from (isinstance(pdu.get(field), dict) for field in OBJECTS)
    yield isinstance(pdu["hashes"].get("sha256"), str)
    yield oracle.is_user_id(pdu["sender"])
    yield isinstance(pdu.get("room_id", "!" if number >= 12 else None), str)
    for field, least in (("depth", 0), ("origin_server_ts", -(2**53) + 1)):
        yield type(pdu.get(field)) is int and least <= pdu[field] < 2**63
    for field, most in (("auth_events", 10), ("prev_events", 20)):
        yield isinstance(pdu.get(field), list) and len(pdu[field]) <= most


def without_doubles(pairs: list[tuple[str, Any]]) -> Pdu:
    """Make an object, unless a key comes twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise MalformedError
    return found


def refuse(_: str) -> None:
    """Take no number that JSON does not have."""
    raise MalformedError


def check_numbers(value: Any) -> None:
    """Check that canonical JSON holds every number."""
    if isinstance(value, float) or (type(value) is int and abs(value) >= 2**53):
        raise MalformedError
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            check_numbers(item)


def without(pdu: Pdu, *fields: str) -> Pdu:
    """Leave fields out."""
    return {key: value for key, value in pdu.items() if key not in fields}


def hash_of(pdu: Pdu) -> str:
    """Make the content hash."""
    left = without(pdu, "hashes", "signatures", "unsigned")
    return (
        base64.b64encode(hashlib.sha256(encode_canonical_json(left)).digest()).decode().rstrip("=")
    )


def redacted(pdu: Pdu, number: int) -> Pdu:
    """Redact a member event, a message, or any event whose content goes altogether."""
    fields = KEPT - GONE_IN_11 if number >= 11 else KEPT
    left = {key: value for key, value in pdu.items() if key in fields}
    content = pdu["content"]
    names = {"m.room.member": {"membership"}}.get(pdu["type"], set())
    if names and number >= 9:
        names.add("join_authorised_via_users_server")
    left["content"] = {key: value for key, value in content.items() if key in names}
    if pdu["type"] == "m.room.create":
        left["content"] = content if number >= 11 else creator_alone(content)
    if names and number >= 11 and isinstance(content.get("third_party_invite"), dict):
        word = content["third_party_invite"]
        left["content"]["third_party_invite"] = {k: v for k, v in word.items() if k == "signed"}
    if pdu["type"] == "m.room.join_rules":
        left["content"] = {k: v for k, v in content.items() if k in {"join_rule", "allow"}}
    return left


def creator_alone(content: Pdu) -> Pdu:
    """Keep what a create event kept before version 11."""
    return {key: value for key, value in content.items() if key == "creator"}


def owed(kept: Pdu, number: int) -> set[str]:
    """Name the servers that have to sign."""
    content = kept["content"]
    word = content.get("third_party_invite")
    by_third_party = (
        kept["type"] == "m.room.member"
        and content.get("membership") == "invite"
        and isinstance(word, dict)
        and isinstance(word.get("signed"), dict)
    )
    servers = set() if by_third_party else {kept["sender"].partition(":")[2]}
    if number <= 2:
        servers.add(kept["event_id"].partition(":")[2])
    return servers


def signed(pdu: Pdu, server: str, number: int, keys: Keys) -> bool:
    """Check the signatures of one server: one by a known key at least, and all of those good."""
    covered = encode_canonical_json(without(redacted(pdu, number), "signatures", "unsigned"))
    known = keys.get(server, {})
    found = pdu["signatures"].get(server, {})
    checked = [key_id for key_id in found if key_id in known]
    for key_id in checked:
        try:
            VerifyKey(_bytes(known[key_id])).verify(covered, _bytes(found[key_id]))
        except (BadSignatureError, ValueError, binascii.Error):
            return False
    return bool(checked)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


def known_keys(
    documents: Sequence[Pdu], asked: str, *, at: int, sent: int, number: int
) -> dict[str, dict[str, str]]:
    """
    Find the keys of a server that are good for an event.

    Args:
        documents: Key documents, in any order.
        asked: The server that was asked for them.
        at: The time now, in milliseconds.
        sent: The time of the event.
        number: The room version.
    """
    found: dict[str, str] = {}
    until: dict[str, int] = {}
    expired: dict[str, int] = {}
    for document in documents:
        if document["server_name"] != asked or not signed_by_itself(document):
            continue
        for key_id, key in document["verify_keys"].items():
            found[key_id] = key["key"]
            limit = min(document["valid_until_ts"], at + WEEK)
            until[key_id] = max(until.get(key_id, limit), limit)
        for key_id, key in document.get("old_verify_keys", {}).items():
            found[key_id] = key["key"]
            expired[key_id] = min(expired.get(key_id, key["expired_ts"]), key["expired_ts"])
    ends = {**until, **expired}
    return {asked: {name: key for name, key in found.items() if number < 5 or sent <= ends[name]}}


def signed_by_itself(document: Pdu) -> bool:
    """Check a key document by the keys that it lists."""
    covered = encode_canonical_json(without(document, "signatures", "unsigned"))
    signatures = document["signatures"].get(document["server_name"], {})
    for key_id, key in document["verify_keys"].items():
        try:
            VerifyKey(_bytes(key["key"])).verify(covered, _bytes(signatures.get(key_id, "")))
        except (BadSignatureError, ValueError, binascii.Error):
            continue
        return True
    return False


def id_of(pdu: Pdu, number: int) -> str:
    """Find the event ID."""
    if number <= 2:
        return str(pdu["event_id"])
    covered = encode_canonical_json(without(redacted(pdu, number), "signatures", "unsigned"))
    digest = hashlib.sha256(covered).digest()
    encode = base64.b64encode if number == 3 else base64.urlsafe_b64encode
    return "$" + encode(digest).decode().rstrip("=")


def allowed(version: str, pdu: Pdu, state: Sequence[Pdu]) -> bool:
    """Judge an event by its auth events, and by the state; a second create event falls."""
    number = int(version)
    if pdu["type"] == "m.room.create":
        return False
    ids = {id_of(event, number): event for event in state}
    listed = [entry[0] if number <= 2 else entry for entry in pdu["auth_events"]]
    (create,) = [(name, event) for name, event in ids.items() if event["type"] == "m.room.create"]
    by_list = oracle.judge_auth_events(
        version,
        pdu,
        [(name, ids[name]) for name in listed if name in ids],
        create=create if number >= 12 else None,
    )
    if by_list is not None and not by_list.allowed:
        return False
    by_place = {(event["type"], event["state_key"]): event for event in state}
    signers = frozenset(pdu["signatures"])
    return oracle.judge(
        version, pdu, by_place, create_id=create[0], signed_by=signers, event_id=id_of(pdu, number)
    ).allowed
