"""The page that tries Synapse's rules by `assert_agrees` does what it says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from matrix_membership.room_versions import KNOWN
from tests.interop.synapse import synapse_python
from tests.sources import ROOT

pytestmark = pytest.mark.oracle

PAGE = ROOT / "docs" / "howto" / "test-synapse.md"


def test_the_page_finds_the_smallest_disagreements(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYNAPSE_PYTHON", synapse_python())
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {}
    try:
        for block in blocks:
            exec(compile(block, str(PAGE), "exec"), namespace)
    finally:
        namespace["synapse"].kill()
        namespace["synapse"].communicate()
    found = namespace["found"]
    # In every version a few of those that conformance.md lists come up; which ones, chance decides.
    assert len(found) > len(KNOWN) / 2
    printed = capsys.readouterr().out
    assert all(str(disagreement) in printed for disagreement in found.values())
