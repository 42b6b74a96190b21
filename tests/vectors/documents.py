"""Hashes, IDs and redactions: one event of each type that redaction treats in its own way, in every version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from matrix_membership import RoomVersion
from matrix_membership.hashing import content_hash, reference_hash
from matrix_membership.redaction import redact
from tests.builders import ANA, BEN, IDENTITY, a_room, signed_invite
from tests.vectors.signed import really_signed

CONTENTS: Final[tuple[tuple[str, str | None, dict[str, Any]], ...]] = (
    ("m.room.create", "", {"creator": ANA, "m.federate": True, "predecessor": {"room_id": "!o:a"}}),
    (
        "m.room.member",
        BEN,
        {
            "membership": "invite",
            "displayname": "Ben \u2603",
            "join_authorised_via_users_server": ANA,
            "third_party_invite": signed_invite(),
        },
    ),
    (
        "m.room.power_levels",
        "",
        {
            "ban": 1,
            "events": {"x": 2},
            "events_default": 3,
            "invite": 4,
            "kick": 5,
            "notifications": {"room": 6},
            "redact": 7,
            "state_default": 8,
            "users": {BEN: 9},
            "users_default": 10,
        },
    ),
    ("m.room.join_rules", "", {"join_rule": "restricted", "allow": [], "more": True}),
    ("m.room.history_visibility", "", {"history_visibility": "shared", "more": None}),
    ("m.room.aliases", "a.example", {"aliases": ["#r:a.example"], "more": []}),
    ("m.room.redaction", None, {"redacts": "$x:a.example", "reason": "spam"}),
    ("m.room.third_party_invite", "tok", {"public_key": IDENTITY.verify_key}),
    ("m.room.message", None, {"body": 'caf\u00e9 \U0001f600 " \\ \n', "n": -(2**53) + 1}),
)


def documents(version: RoomVersion) -> Iterator[dict[str, Any]]:
    """The documents of a version."""
    room = a_room(version)
    for kind, state_key, content in CONTENTS:
        more: dict[str, Any] = {
            "unsigned": {"age": 5},
            "origin": "a.example",
            "org.example.more": 1,
        }
        if kind == "m.room.redaction":
            more["redacts"] = "$x:a.example"
        event = room.event(kind, ANA, content, state_key, **more)
        _, made = really_signed(room.events, event, version)
        pdu = made.to_pdu()
        yield {
            "id": f"v{version}/{kind}",
            "room_version": version.identifier,
            "pdu": pdu,
            "content_hash": content_hash(pdu),
            "reference_hash": reference_hash(pdu, version),
            "event_id": made.event_id,
            "redacted": redact(pdu, version),
        }
