"""A proposal that ruma implements: an amended table redacts as ruma does."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any, Final

import pytest

from matrix_membership import RoomVersion
from matrix_membership.canonical_json import thaw
from matrix_membership.redaction import redact, survivors
from matrix_membership.room_versions import V11, V12
from proposals import msc2870
from tests.generated_cases import JUNK
from tests.observatory.marks import needs_ruma
from tests.observatory.ruma import Ruma

pytestmark = [pytest.mark.observatory, needs_ruma]

CASES: Final = int(os.environ.get("PROPOSAL_CASES", "20000"))

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


def keeps_an_odd_invite(redacted: dict[str, Any], pdu: dict[str, Any]) -> bool:
    """Tell whether ruma kept an invite that is not an object, which the text leaves open."""
    invite = pdu["content"].get("third_party_invite", {})
    kept = redacted["content"].get("third_party_invite", {})
    return pdu["type"] == "m.room.member" and not isinstance(kept, dict) and kept == invite


@pytest.mark.parametrize(
    ("version", "base"), [(msc2870.ON_V11, V11), (msc2870.ON_V12, V12)], ids=str
)
def test_access_lists_survive_alike(version: RoomVersion, base: RoomVersion) -> None:
    different = []
    found: Counter[str] = Counter()
    with Ruma() as ruma:
        for seed in range(CASES // 4):
            pdu = a_pdu(seed)
            for ours, flag in ((version, True), (base, False)):
                answer = ruma.ask("redact", room_version=str(base), pdu=pdu, msc2870=flag)
                if keeps_an_odd_invite(answer["redacted"], pdu):
                    found["third_party_invite that is not an object"] += 1
                    del answer["redacted"]["content"]["third_party_invite"]
                if answer != {"redacted": thaw(redact(pdu, ours))}:
                    different.append((seed, str(ours), pdu, answer))
            kept = redact(pdu, version)["content"]
            found["kept by the proposal alone"] += kept != redact(pdu, base)["content"]
    print(f"\n{version}: {CASES // 4} PDUs, each with and without; {dict(found)}")
    assert different == []
    # The flag must matter often enough to say something about it.
    assert found["kept by the proposal alone"] > 0.1 * (CASES // 4)
