"""Key documents, good, stale, expired and forged, with a PDU that they have to verify, or must not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from matrix_membership.signing import Signer, sign_json
from tests.builders import VERSIONS
from tests.federation.signed_rooms import AT, B
from tests.vectors.refusals import ACCEPTED, SIGNATURES, Expected, Maker, room_of
from tests.vectors.signed import signer_of

Document = dict[str, Any]

SENT: Final = AT + 1
"""When the PDU was sent, by its own word."""
WEEK: Final = 7 * 24 * 60 * 60 * 1000
EVIL: Final = signer_of("evil.example")
NEW: Final = signer_of("b.example")
"""A second key of the server, with which it signs when it has given up the first."""
NOW: Final = SENT + 1


def _document(until: int, *, signer: Signer = B, server: str = "b.example") -> Document:
    keys = {signer.key_id: {"key": signer.verify_key}}
    return _signed({"server_name": server, "valid_until_ts": until, "verify_keys": keys}, signer)


def _given_up(expired: int) -> Document:
    """The server has another key now, and says since when the first one is no longer used."""
    return _signed(
        {
            "server_name": "b.example",
            "valid_until_ts": NOW + WEEK,
            "verify_keys": {NEW.key_id: {"key": NEW.verify_key}},
            "old_verify_keys": {B.key_id: {"key": B.verify_key, "expired_ts": expired}},
        },
        NEW,
    )


def _signed(document: Document, signer: Signer) -> Document:
    return dict(sign_json(document, signer))


FRESH: Final = _document(SENT)
STALE: Final = _document(SENT - 1)
EXPIRED: Final = _given_up(SENT - 1)
OF_EVIL: Final = _document(NOW + WEEK, signer=EVIL, server="evil.example")
ALTERED: Final = {**STALE, "valid_until_ts": NOW + WEEK}
CLAIMED: Final = _signed(
    {**{key: value for key, value in FRESH.items() if key != "signatures"}}, EVIL
)
"""A document about another server, signed by a key that it does not list."""
FAR: Final = _document(SENT + 52 * WEEK)

CASES: Final[tuple[tuple[str, list[Document], int, Expected, Expected], ...]] = (
    # name, documents in any order, the time now; what becomes of it before version 5, and from it on
    ("valid-until-the-event", [FRESH], NOW, ACCEPTED, ACCEPTED),
    ("valid-until-before-the-event", [STALE], NOW, ACCEPTED, SIGNATURES),
    ("stale-beside-fresh", [STALE, FRESH], NOW, ACCEPTED, ACCEPTED),
    ("expired-before-the-event", [EXPIRED], NOW, ACCEPTED, SIGNATURES),
    ("expired-after-the-event", [_given_up(SENT + 1)], NOW, ACCEPTED, ACCEPTED),
    ("expired-beside-fresh", [EXPIRED, FRESH], NOW, ACCEPTED, SIGNATURES),
    ("valid-too-far-ahead", [FAR], SENT - WEEK - 1, ACCEPTED, SIGNATURES),
    ("of-another-server", [OF_EVIL], NOW, SIGNATURES, SIGNATURES),
    ("altered", [ALTERED], NOW, SIGNATURES, SIGNATURES),
    ("signed-by-another-server", [CLAIMED], NOW, SIGNATURES, SIGNATURES),
    ("none", [], NOW, SIGNATURES, SIGNATURES),
)


def key_documents() -> Iterator[dict[str, Any]]:
    """The cases, in every version."""
    for version in VERSIONS:
        pdu = Maker(room_of(version)).message()
        for name, documents, at, before, since in CASES:
            disposition, check = since if version.enforces_key_validity else before
            yield {
                "id": f"v{version}/{name}",
                "room_version": version.identifier,
                "pdu": pdu,
                "asked": "b.example",
                "at": at,
                "key_documents": documents,
                "disposition": disposition,
                "check": check,
            }
