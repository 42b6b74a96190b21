"""PDUs to redact, by a seed."""

from __future__ import annotations

import random
from typing import Any, Final

from matrix_membership.redaction import survivors
from matrix_membership.room_versions import V11
from tests.generated_cases import JUNK

__all__ = ["a_pdu"]

ACL: Final = "m.room.server_acl"
SURVIVORS: Final = survivors(V11)
TYPES: Final = (*SURVIVORS.content, "m.room.message", "m.room.name", "m.room.redaction")
CONTENT_KEYS: Final = sorted(
    {"allow", "deny", "allow_ip_literals", "allow_more", "third_party_invite", "more"}
    | frozenset[str]().union(*SURVIVORS.content.values()) - {"*"}
)
TOP_LEVEL_KEYS: Final = sorted(
    SURVIVORS.top_level - {"type", "sender", "content", "state_key"}
    | {"prev_state", "origin", "membership", "unsigned", "redacts", "more"}
)
"""Keys that survive in some version, and others."""


def a_pdu(seed: int) -> dict[str, Any]:
    """The PDU of a seed; every third one is an access list."""
    rng = random.Random(f"redacted {seed}")
    kind = ACL if rng.random() < 1 / 3 else rng.choice(TYPES)
    keys = rng.sample(CONTENT_KEYS, rng.randint(0, 6))
    if kind == ACL:
        keys += rng.sample(("allow", "deny", "allow_ip_literals"), rng.randint(0, 3))
    pdu = {key: rng.choice(JUNK) for key in rng.sample(TOP_LEVEL_KEYS, rng.randint(0, 6))}
    pdu |= {"type": kind, "sender": "@ana:a.example"}
    pdu["content"] = {key: rng.choice(JUNK) for key in keys}
    if rng.random() < 0.8:
        pdu["state_key"] = rng.choice(("", "@ben:b.example"))
    return pdu
