"""What the hashes and signatures of a PDU cover, as bytes; of a usual one from a template.

Usual PDUs have the same keys, and were looked at by the time that these bytes are
needed: writing them in order costs a quarter of what copying, sorting and encoding
does, which is how all other PDUs are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from matrix_membership._usual_pdu import usual_document
from matrix_membership.canonical_json import JsonValue, canonical_text, read, write
from matrix_membership.membership import MEMBERSHIPS
from matrix_membership.redaction import redact, redacted_content, survivors
from matrix_membership.room_versions import RoomVersion

__all__ = [
    "ANY",
    "NOT_IN_CONTENT_HASH",
    "USUAL",
    "WITH_FLOATS",
    "Form",
    "covered_bytes",
    "document_of",
    "hashed_bytes",
]

NOT_IN_CONTENT_HASH: Final = frozenset({"unsigned", "signatures", "hashes"})


class Form(Enum):
    """What is known of the form of a PDU, since it was read.

    - `USUAL`: it is one that `usual_document` takes.
    - `ANY`: it may have any keys, and text of any kind.
    - `WITH_FLOATS`: likewise, and a `JsonFloat` too.
    """

    USUAL = "usual"
    ANY = "any"
    WITH_FLOATS = "with floats"


USUAL: Final = Form.USUAL
ANY: Final = Form.ANY
WITH_FLOATS: Final = Form.WITH_FLOATS


def document_of(pdu: bytes, room_version: RoomVersion) -> tuple[dict[str, JsonValue], Form]:
    """Decode a PDU that was read before."""
    document = usual_document(pdu, room_version)
    if document is not None:
        return document, USUAL
    document, has_float = read(pdu, strict=False)
    return dict(document), WITH_FLOATS if has_float else ANY


def covered_bytes(pdu: Mapping[str, JsonValue], room_version: RoomVersion, form: Form) -> bytes:
    """What signatures and the reference hash cover: `hashing.signed_bytes`, faster.

    Args:
        pdu: a PDU whose format was checked.
        room_version: the version of its room.
        form: what is known of it.
    """
    if form is not USUAL:
        redacted = redact(pdu, room_version)
        del redacted["signatures"]
        return write(redacted, has_float=form is WITH_FLOATS)
    event_type, content, hashes = pdu["type"], pdu["content"], pdu["hashes"]
    kept = None
    if (
        event_type == "m.room.member"
        # What else ever survives of a member event.
        and "join_authorised_via_users_server" not in content
        and "third_party_invite" not in content
    ):
        membership = content.get("membership")
        kept = _ONLY_MEMBERSHIP.get(membership) if membership.__class__ is str else None
    if kept is None:
        kept = canonical_text(redacted_content(event_type, content, survivors(room_version)))
    written = f'{{"sha256":"{hashes["sha256"]}"}}' if len(hashes) == 1 else canonical_text(hashes)
    if "origin" in pdu and "origin" in survivors(room_version).top_level:
        return _from_template(pdu, kept, f'"hashes":{written},"origin":"{pdu["origin"]}",')
    return _from_template(pdu, kept, f'"hashes":{written},')


def hashed_bytes(pdu: Mapping[str, JsonValue], form: Form) -> bytes:
    """What the content hash covers; arguments as for `covered_bytes`."""
    if form is not USUAL:
        hashed = {key: value for key, value in pdu.items() if key not in NOT_IN_CONTENT_HASH}
        return write(hashed, has_float=form is WITH_FLOATS)
    origin = f'"origin":"{pdu["origin"]}",' if "origin" in pdu else ""
    return _from_template(pdu, canonical_text(pdu["content"]), origin)


def _from_template(pdu: Mapping[str, JsonValue], content: str, after_depth: str) -> bytes:
    """A usual PDU: what needs no escapes when it is read needs none when it is written."""
    auth_events, prev_events = pdu["auth_events"], pdu["prev_events"]
    auth = '["' + '","'.join(auth_events) + '"]' if auth_events else "[]"
    prev = '["' + '","'.join(prev_events) + '"]' if prev_events else "[]"
    key = f'"state_key":"{pdu["state_key"]}",' if "state_key" in pdu else ""
    return (
        f'{{"auth_events":{auth},"content":{content},"depth":{pdu["depth"]},{after_depth}'
        f'"origin_server_ts":{pdu["origin_server_ts"]},"prev_events":{prev},'
        f'"room_id":"{pdu["room_id"]}","sender":"{pdu["sender"]}",{key}"type":"{pdu["type"]}"}}'
    ).encode()


_ONLY_MEMBERSHIP: Final = MappingProxyType(
    {membership: canonical_text({"membership": membership}) for membership in MEMBERSHIPS}
)
