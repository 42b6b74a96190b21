"""A proposal that ruma implements: an amended table redacts as ruma does."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any, Final

import pytest

from matrix_membership import RoomVersion
from matrix_membership.canonical_json import thaw
from matrix_membership.redaction import redact
from matrix_membership.room_versions import V11, V12
from proposals import msc2870
from tests.observatory.marks import needs_ruma
from tests.observatory.redacted import a_pdu
from tests.observatory.ruma import Ruma

pytestmark = [pytest.mark.observatory, needs_ruma]

CASES: Final = int(os.environ.get("PROPOSAL_CASES", "20000"))


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
