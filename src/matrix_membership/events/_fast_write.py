"""Write the bytes that the hashes and signatures of a PDU cover.

Usual PDUs have the same keys, and were checked when they were read. They are put together from
parts, in order, at a quarter of the cost of copying, sorting and encoding. The parts are
those that a PDU in canonical form was cut into, or are written from a template. All other
PDUs are written that longer way.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from matrix_membership.canonical_json import JsonValue, read, write, write_plain
from matrix_membership.events._cut import Parts
from matrix_membership.events._fast_read import usual_document
from matrix_membership.hashing import NOT_IN_CONTENT_HASH, is_hash_of
from matrix_membership.membership import MEMBERSHIPS
from matrix_membership.redaction import redact, redacted_content, survivors
from matrix_membership.room_versions import RoomVersion

__all__ = [
    "ANY",
    "USUAL",
    "WITH_FLOATS",
    "Form",
    "both_bytes",
    "content_hash_matches",
    "covered_bytes",
    "document_of",
    "hashed_bytes",
    "parts_written",
]


Written = tuple[str, str, object, str, str | None, object, str, str, str, str, str, str]
"""The values of a PDU, for the template: auth events, content, `hashes`, `origin` and previous
events as JSON text, the content empty if it has to be written anew; the state key with its name and
a comma; the others plain."""


class Form(Enum):
    """The form of a PDU, as found when it was read.

    - `USUAL`: it is one that `usual_document` takes.
    - `ANY`: it may have any keys, and text of any kind.
    - `WITH_FLOATS`: as `ANY`, and it may hold a `JsonFloat` too.
    """

    USUAL = "usual"
    ANY = "any"
    WITH_FLOATS = "with floats"


USUAL: Final = Form.USUAL
ANY: Final = Form.ANY
WITH_FLOATS: Final = Form.WITH_FLOATS


# The form is found again, not kept with the event: a homeserver holds millions of events, and few
# are written again.
def document_of(pdu: bytes, room_version: RoomVersion) -> tuple[dict[str, JsonValue], Form]:
    """Decode a PDU that was read before."""
    document = usual_document(pdu, room_version)
    if document is not None:
        return document, USUAL
    # Not strict, whatever the version: the PDU was checked when it came, and strict reading takes
    # longer.
    document, has_float = read(pdu, strict=False)
    return dict(document), WITH_FLOATS if has_float else ANY


def covered_bytes(
    pdu: Mapping[str, JsonValue], room_version: RoomVersion, form: Form | Parts
) -> bytes:
    """Write what signatures and the reference hash cover, faster.

    The result is that of `hashing.signed_bytes`.

    Args:
        pdu: a PDU whose format was checked, or its fields from `cut`.
        room_version: the version of its room.
        form: what is known of it, or the parts from `cut`.
    """
    if form is USUAL:
        form = _parts_of(pdu)
    if isinstance(form, tuple):
        start, _, depth, hashes, origin, end, _ = form
        kept = _kept_content(pdu, room_version, None)
        if origin:
            origin = _kept_origin(origin, room_version)
        rest = f"{depth}{hashes}{origin}{end}"
        return b"".join((start.encode(), kept, rest.encode()))
    redacted = redact(pdu, room_version)
    # Signatures survive redaction, but cannot cover themselves.
    del redacted["signatures"]
    return write(redacted, has_float=form is WITH_FLOATS)


def hashed_bytes(pdu: Mapping[str, JsonValue], form: Form) -> bytes:
    """Write what the content hash covers; arguments as for `covered_bytes`."""
    if form is USUAL:
        start, _, depth, _, origin, end, _ = _parts_of(pdu)
        rest = f"{depth}{origin}{end}"
        return b"".join((start.encode(), _content_bytes(pdu["content"]), rest.encode()))
    hashed = {key: value for key, value in pdu.items() if key not in NOT_IN_CONTENT_HASH}
    return write(hashed, has_float=form is WITH_FLOATS)


def both_bytes(
    pdu: Mapping[str, JsonValue], room_version: RoomVersion, form: Form | Parts
) -> tuple[bytes, bytes]:
    """Write both; for a usual PDU they share most of their bytes."""
    if form is USUAL:
        form = _parts_of(pdu)
    if not isinstance(form, tuple):
        return covered_bytes(pdu, room_version, form), hashed_bytes(pdu, form)
    start, written, depth, hashes, origin, end, _ = form
    if written:  # of a member with at most a profile: redaction leaves its membership
        membership = pdu["content"]["membership"]
        whole = written.encode()
        kept = _ONLY_MEMBERSHIP.get(membership) or write_plain({"membership": membership})
    else:
        whole = _content_bytes(pdu["content"])
        kept = _kept_content(pdu, room_version, whole)
    # The content hash covers `origin` in every version, also where redaction no longer keeps it.
    kept_origin = _kept_origin(origin, room_version) if origin else ""
    before = start.encode()
    # The contents are encoded apart from the rest, since a non-ASCII name in one would slow down
    # the encoding of the whole text.
    covered = f"{depth}{hashes}{kept_origin}{end}"
    hashed = f"{depth}{origin}{end}"
    return b"".join((before, kept, covered.encode())), b"".join((before, whole, hashed.encode()))


def _parts_of(pdu: Mapping[str, JsonValue]) -> Parts:
    """Write the parts of a usual PDU, without its content.

    Text that was read without escapes is written without.
    """
    auth_events, prev_events, hashes = pdu["auth_events"], pdu["prev_events"], pdu["hashes"]
    sha256 = hashes["sha256"]
    return parts_written((
        '["' + '","'.join(auth_events) + '"]' if auth_events else "[]",
        "",
        pdu["depth"],
        f'{{"sha256":"{sha256}"}}' if len(hashes) == 1 else write_plain(hashes).decode(),
        f'"{pdu["origin"]}"' if "origin" in pdu else None,
        pdu["origin_server_ts"],
        '["' + '","'.join(prev_events) + '"]' if prev_events else "[]",
        pdu["room_id"],
        pdu["sender"],
        f'"state_key":"{pdu["state_key"]}",' if "state_key" in pdu else "",
        pdu["type"],
        sha256,
    ))  # fmt: skip # one to a line


def parts_written(values: Written) -> Parts:
    """Put the parts of a PDU together from its values."""
    (
        auth, content, depth, hashes, origin, sent, prev, room_id, sender, key, event_type, sha256,
    ) = values  # fmt: skip # in the order of the template
    return (
        f'{{"auth_events":{auth},"content":',
        content,
        f',"depth":{depth},',
        f'"hashes":{hashes},',
        f'"origin":{origin},' if origin else "",
        (
            f'"origin_server_ts":{sent},"prev_events":{prev},'
            f'"room_id":"{room_id}","sender":"{sender}",{key}"type":"{event_type}"}}'
        ),
        sha256,
    )


def _kept_origin(origin: str, room_version: RoomVersion) -> str:
    # Of the keys that a usual PDU may have, `origin` alone depends on the version: version 11
    # dropped it from what redaction keeps.
    return origin if "origin" in survivors(room_version).top_level else ""


def _kept_content(
    pdu: Mapping[str, JsonValue], room_version: RoomVersion, whole: bytes | None
) -> bytes:
    """Write the content that survives redaction.

    `whole` is all of the content as written, if that is at hand.
    """
    event_type, content = pdu["type"], pdu["content"]
    if (
        event_type == "m.room.member"
        # Nothing else of a member's content survives in any room version of the specification.
        and "join_authorised_via_users_server" not in content
        and "third_party_invite" not in content
        and not room_version.redaction_content
    ):
        membership = content.get("membership")
        kept = _ONLY_MEMBERSHIP.get(membership) if membership.__class__ is str else None
        # Only the five known memberships have their bytes made beforehand.
        if kept is not None:
            return kept
    left = redacted_content(event_type, content, survivors(room_version))
    # All of most power levels survives: writing those of 500 users again takes 100 us.
    return whole if whole and left == content else write_plain(left)


def _content_bytes(content: Mapping[str, JsonValue]) -> bytes:
    """Write the content of a usual PDU.

    Most are members, and most of these have a profile.
    """
    get = content.get
    membership = get("membership")
    if membership.__class__ is str:
        if len(content) == 1:
            return f'{{"membership":"{membership}"}}'.encode()
        name = get("displayname")
        if len(content) == _PROFILE and name.__class__ is str and "avatar_url" in content:
            avatar = content["avatar_url"]
            rest = f'"displayname":"{name}","membership":"{membership}"}}'
            if avatar.__class__ is str:
                return f'{{"avatar_url":"{avatar}",{rest}'.encode()
            # Synapse writes null for a profile without a picture.
            if avatar is None:
                return f'{{"avatar_url":null,{rest}'.encode()
    return write_plain(content)


_PROFILE: Final = 3
"""The number of keys in the content of such a member."""

_ONLY_MEMBERSHIP: Final = MappingProxyType(
    {membership: write_plain({"membership": membership}) for membership in MEMBERSHIPS}
)


def content_hash_matches(pdu: Mapping[str, JsonValue], form: Form) -> bool:
    """Tell whether a PDU of good format carries the hash of its own content."""
    return is_hash_of(hashed_bytes(pdu, form), pdu["hashes"]["sha256"])
