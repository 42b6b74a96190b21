"""The shapes of documents, as the specification's OpenAPI files give them, and a check against them.

A shape is a type, a pattern for text, a list with the shape of its entries, a set of allowed texts, or an
object: keys with their shapes, where a key that ends in `?` may be missing. Other keys may be there. A tuple
of objects stands for all of them together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = [
    "BACKFILL",
    "CLIENT_EVENT",
    "CONTEXT",
    "CREATED_ROOM",
    "ERROR",
    "EVENT_AUTH",
    "HIERARCHY",
    "MEMBERS",
    "MESSAGES",
    "MISSING_EVENTS",
    "POLICY_KEYS",
    "ROOM_SUMMARY",
    "SEND_RESULTS",
    "SPACE",
    "STATE",
    "STATE_EVENTS",
    "STATE_IDS",
    "UPGRADED_ROOM",
    "misfits",
]

ROOM_ID: Final = re.compile("!.+")
EVENT_ID: Final = re.compile(r"\$.+")
USER_ID: Final = re.compile("@.+")
MEMBERSHIP: Final = frozenset({"join", "invite", "knock", "leave", "ban"})

# data/api/client-server/create_room.yaml
CREATED_ROOM: Final[Any] = {"room_id": ROOM_ID}
# data/api/client-server/room_upgrades.yaml
UPGRADED_ROOM: Final[Any] = {"replacement_room": str}

# data/api/client-server/definitions/client_event.yaml
CLIENT_EVENT: Final[Any] = {
    "event_id": EVENT_ID,
    "type": str,
    "state_key?": str,
    "sender": USER_ID,
    "origin_server_ts": int,
    "content": {},
    "room_id": ROOM_ID,
    "unsigned?": {
        "age?": int,
        "redacted_because?": {},
        "transaction_id?": str,
        "prev_content?": {},
        "replaces_state?": EVENT_ID,
        "membership?": MEMBERSHIP,
    },
}
# data/api/client-server/message_pagination.yaml
MESSAGES: Final[Any] = {
    "start": str,
    "end?": str,
    "chunk": [CLIENT_EVENT],
    "state?": [CLIENT_EVENT],
}
# data/api/client-server/event_context.yaml
CONTEXT: Final[Any] = {
    "start?": str,
    "end?": str,
    "events_before?": [CLIENT_EVENT],
    "event?": CLIENT_EVENT,
    "events_after?": [CLIENT_EVENT],
    "state?": [CLIENT_EVENT],
}
# data/api/client-server/rooms.yaml
STATE_EVENTS: Final[Any] = [({"state_key": str}, CLIENT_EVENT)]
MEMBERS: Final[Any] = {
    "chunk?": [
        (
            CLIENT_EVENT,
            {
                "type": frozenset({"m.room.member"}),
                "state_key": str,
                "content": {"membership": MEMBERSHIP},
            },
        )
    ]
}

# data/api/client-server/definitions/room_summary.yaml and public_rooms_chunk.yaml
_SUMMARY: Final[Any] = {
    "room_id": ROOM_ID,
    "num_joined_members": int,
    "world_readable": bool,
    "guest_can_join": bool,
    "canonical_alias?": re.compile("#.+"),
    "name?": str,
    "topic?": str,
    "avatar_url?": re.compile(r"mxc:\/\/.*"),
    "join_rule?": str,
    "room_type?": str,
    "allowed_room_ids?": [ROOM_ID],
    "encryption?": str,
    "room_version?": str,
}
# data/api/client-server/room_summary.yaml
ROOM_SUMMARY: Final[Any] = (_SUMMARY, {"membership?": MEMBERSHIP})

_CHILD: Final[Any] = {
    "type": frozenset({"m.space.child"}),
    "state_key": str,
    "sender": USER_ID,
    "content": {},
    "origin_server_ts": int,
}
_WITH_CHILDREN: Final[Any] = (_SUMMARY, {"children_state": [_CHILD]})
# data/api/client-server/space_hierarchy.yaml
HIERARCHY: Final[Any] = {"rooms": [_WITH_CHILDREN], "next_batch?": str}
# data/api/server-server/space_hierarchy.yaml
SPACE: Final[Any] = {
    "room": _WITH_CHILDREN,
    "children": [_SUMMARY],
    "inaccessible_children": [str],
}

_PDU: Final[Any] = {}
# data/api/server-server/definitions/unlimited_pdu_transaction.yaml
BACKFILL: Final[Any] = {"origin": str, "origin_server_ts": int, "pdus": [_PDU]}
# data/api/server-server/backfill.yaml
MISSING_EVENTS: Final[Any] = {"events": [_PDU]}
# data/api/server-server/events.yaml and event_auth.yaml
STATE: Final[Any] = {"auth_chain": [_PDU], "pdus": [_PDU]}
STATE_IDS: Final[Any] = {"auth_chain_ids": [str], "pdu_ids": [str]}
EVENT_AUTH: Final[Any] = {"auth_chain": [_PDU]}
# data/api/server-server/transactions.yaml
SEND_RESULTS: Final[Any] = {"pdus": {"*": {"error?": str}}}
# data/api/client-server/policy_server.yaml
POLICY_KEYS: Final[Any] = {"public_keys": {"ed25519": str}}
# data/api/client-server/definitions/errors/error.yaml
ERROR: Final[Any] = {"errcode": str, "error?": str}


def misfits(value: Any, shape: Any, where: str = "document") -> list[str]:
    """Return the place where a value has another shape; empty if it fits."""
    if isinstance(shape, tuple):
        return [found for part in shape for found in misfits(value, part, where)]
    kind = shape if isinstance(shape, type) else type(shape)
    if not _FITS[kind](value, shape):
        return [f"{where}: {value!r} is not {shape!r}"]
    return [
        found
        for name, entry, part in _parts(value, shape)
        for found in misfits(entry, part, f"{where}.{name}")
    ]


_FITS: Final[Mapping[Any, Any]] = {
    # By class: a truth value is not a number in JSON.
    **{kind: lambda value, shape: value.__class__ is shape for kind in (str, int, bool)},
    list: lambda value, _: isinstance(value, (list, tuple)),
    dict: lambda value, shape: isinstance(value, Mapping) and _needed(shape) <= set(value),
    frozenset: lambda value, shape: isinstance(value, str) and value in shape,
    re.Pattern: lambda value, shape: isinstance(value, str) and shape.fullmatch(value) is not None,
}


def _needed(shape: Mapping[str, Any]) -> set[str]:
    return {key for key in shape if not key.endswith("?") and key != "*"}


def _parts(value: Any, shape: Any) -> list[tuple[str, Any, Any]]:
    """The parts of a value: name, value, shape."""
    if isinstance(shape, list):
        return [(str(index), entry, shape[0]) for index, entry in enumerate(value)]
    if not isinstance(shape, dict):
        return []
    if "*" in shape:
        return [(name, entry, shape["*"]) for name, entry in value.items()]
    named = [(key.removesuffix("?"), part) for key, part in shape.items()]
    return [(name, value[name], part) for name, part in named if name in value]
