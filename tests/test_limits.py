"""The limits that the documentation gives as figures are those of the code."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

import pytest

from matrix_membership import out_of_band
from matrix_membership.advice import _servers
from matrix_membership.auth.explaining import _remedies
from matrix_membership.events import format as event_format
from matrix_membership.federation.invites import messages, room_state
from matrix_membership.signing import (
    LONGEST_KEY_VALIDITY_MS,
    MOST_DOCUMENT_SIGNATURES,
    MOST_KEY_CHECKS,
    MOST_NEEDED_KEY_IDS,
    MOST_SIGNATURES,
    SEED_BYTES,
)
from tests.sources import REFERENCE, ROOT

PERFORMANCE: Final = ROOT / "docs" / "explanation" / "performance.md"

# By the beginning of the row in the table of limits.
ROWS: Final = MappingProxyType(
    {
        "bytes of a PDU as it comes": event_format.MAX_DRESSED_PDU_BYTES,
        "signatures of one event": MOST_SIGNATURES,
        "signatures times keys of a third-party invite": MOST_KEY_CHECKS,
        "events that describe a room": room_state.MOST_DESCRIBING,
        "invites in one `OnBindRequest`": messages.MOST_BOUND,
        "servers compared with odd patterns": _servers.MOST_COMPARISONS,
        "levels compared in the search for remedies": _remedies.MOST_LEVELS_COMPARED,
    }
)
SIGNING: Final = (
    ("at most (\\d+) days ahead", LONGEST_KEY_VALIDITY_MS // (24 * 60 * 60 * 1000)),
    ("at most (\\d+) signatures by its own keys", MOST_DOCUMENT_SIGNATURES),
    ("at most (\\d+) signatures count", MOST_SIGNATURES),
    ("at most (\\d+) keys of one server", MOST_NEEDED_KEY_IDS),
    ("signatures times keys are at most (\\d+)", MOST_KEY_CHECKS),
    ("A seed has (\\d+) bytes", SEED_BYTES),
)


@pytest.mark.parametrize(("row", "limit"), ROWS.items(), ids=str)
def test_the_table_of_limits_holds_the_figure(row: str, limit: int) -> None:
    found = re.search(
        rf"^\| {re.escape(row)}[^|]*\| ([\d,]+)", PERFORMANCE.read_text("utf-8"), re.MULTILINE
    )
    assert found
    assert int(found[1].replace(",", "")) == limit


@pytest.mark.parametrize(("sentence", "limit"), SIGNING)
def test_the_page_on_signing_holds_the_figure(sentence: str, limit: int) -> None:
    found = re.search(sentence, (REFERENCE / "signing.md").read_text("utf-8"))
    assert found
    assert int(found[1]) == limit


def test_what_is_held_out_of_band_is_bounded_as_said() -> None:
    text = str(out_of_band.__doc__)
    figures = {int(figure.replace(",", "")) for figure in re.findall(r"\b[\d,]*\d{2}\b", text)}
    assert {out_of_band.MAX_HELD, out_of_band.MAX_REMEMBERED} <= figures
