"""Write docs/vectors: `make vectors`. The same bytes come out each time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from matrix_membership.canonical_json import thaw
from tests.builders import VERSIONS
from tests.vectors.answers import answers
from tests.vectors.documents import documents
from tests.vectors.handshakes import transcripts
from tests.vectors.key_documents import key_documents
from tests.vectors.refusals import refusals, rooms
from tests.vectors.rules import cases
from tests.vectors.shown import histories, redactions
from tests.vectors.signed import keys
from tests.vectors.told import policies, spaces, summaries, transactions

FOLDER: Final = Path(__file__).parents[2] / "docs" / "vectors"


def _lines(entries: Iterable[Any]) -> str:
    return "".join(
        json.dumps(thaw(entry), ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
        for entry in entries
    )


def files() -> dict[str, str]:
    """The files by name, with what belongs into them."""
    return {
        "keys.json": json.dumps(keys(), indent=2) + "\n",
        "rules.jsonl": _lines(case for version in VERSIONS for case in cases(version)),
        "documents.jsonl": _lines(entry for version in VERSIONS for entry in documents(version)),
        "handshakes.jsonl": _lines(transcripts()),
        "answers.jsonl": _lines(answers()),
        "rooms.jsonl": _lines(rooms()),
        "refusals.jsonl": _lines(refusals()),
        "key_documents.jsonl": _lines(key_documents()),
        "histories.jsonl": _lines(histories()),
        "redactions.jsonl": _lines(redactions()),
        "summaries.jsonl": _lines(summaries()),
        "spaces.jsonl": _lines(spaces()),
        "policies.jsonl": _lines(policies()),
        "transactions.jsonl": _lines(transactions()),
    }


def main() -> None:
    """Write them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
