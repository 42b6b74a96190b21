"""Guided by coverage, atheris looks for input on which an entry raises anything but our errors: `make fuzz`.

The bytes choose an entry, a room version, and the input: as it is, as text, or as the JSON value that it is or that a
few bytes make. A finding is written to a file named crash-…, which `python -m tests.fuzz crash-…` runs again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, Final

import atheris

with atheris.instrument_imports(include=["matrix_membership"]):
    from tests.builders import VERSIONS
    from tests.entries import ENTRIES, WITHIN, total

CALLS: Final = (*ENTRIES.items(), *WITHIN.items())
WORDS: Final = (
    "type", "sender", "state_key", "content", "membership", "join", "invite", "knock", "ban", "leave", "users", "events",
    "m.room.member", "m.room.create", "m.room.power_levels", "@ana:a.example", "$x:a.example", "!r:a.example", "signatures",
    "hashes", "sha256", "third_party_invite", "signed", "mxid", "token", "allow", "room_id", "join_rule", "restricted", "state",
    "auth_chain", "event", "server_name", "verify_keys", "old_verify_keys", "valid_until_ts", "ban", "kick", "50", "+5",
)  # fmt: skip
DEEPEST: Final = 4


def value(data: atheris.FuzzedDataProvider, depth: int = 0) -> Any:
    """A JSON value that the bytes choose."""
    inner = depth + 1
    sizes = range(data.ConsumeIntInRange(0, 5))
    makers: tuple[Callable[[], Any], ...] = (
        lambda: None,
        data.ConsumeBool,
        lambda: data.ConsumeInt(9),
        data.ConsumeFloat,
        lambda: data.ConsumeUnicode(12),
        lambda: WORDS[data.ConsumeIntInRange(0, len(WORDS) - 1)],
        lambda: [value(data, inner) for _ in sizes],
        lambda: {str(value(data, DEEPEST)): value(data, inner) for _ in sizes},
    )
    return makers[data.ConsumeIntInRange(0, 7 if depth < DEEPEST else 5)]()


def given(data: atheris.FuzzedDataProvider) -> Any:
    """What an entry is called with."""
    match data.ConsumeIntInRange(0, 3):
        case 0:
            return data.ConsumeBytes(400)
        case 1:
            return data.ConsumeUnicode(400)
        case 2:
            try:
                return json.loads(data.ConsumeBytes(400))
            except (ValueError, RecursionError):
                return None
    return value(data)


def run(bytes_: bytes) -> None:
    """Call one entry; whatever it raises but one of our errors is a finding."""
    data = atheris.FuzzedDataProvider(bytes_)
    name, entry = CALLS[data.ConsumeIntInRange(0, len(CALLS) - 1)]
    version = VERSIONS[data.ConsumeIntInRange(0, len(VERSIONS) - 1)]
    if total(entry, given(data), version) == "an error without a sentence":
        raise AssertionError(name)


if __name__ == "__main__":
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()
