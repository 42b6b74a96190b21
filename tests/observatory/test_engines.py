"""A peer answers in order, also after a restart. No engine is asked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.observatory.engines import WINDOW, Engine, Peer

ANSWERS = """\
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked == "end":
        os._exit(1)
    print(json.dumps({"verdict": asked}), flush=True)
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A program that answers each question with itself, and ends at one of them."""
    (tmp_path / "answering.py").write_text(ANSWERS)
    starter = tmp_path / "start"
    starter.write_text(f"#!/bin/sh\nexec {sys.executable} {tmp_path / 'answering.py'}\n")
    starter.chmod(0o755)
    monkeypatch.setenv("ANSWERING", str(starter))
    return Engine("answering", "ANSWERING", "", "1")


def test_answers_come_in_order_and_go_on_after_an_end(engine: Engine) -> None:
    asked = [*range(2 * WINDOW), "end", *range(WINDOW), "end", "end", 7]
    with Peer(engine) as peer:
        found = [*peer.ask_many(asked)]
    expected = [{"fault": "no answer came"} if one == "end" else {"verdict": one} for one in asked]
    assert found == expected


def test_a_program_that_never_answers_does_not_run(engine: Engine) -> None:
    with Peer(engine) as peer, pytest.raises(RuntimeError):
        peer.ask("end")  # type: ignore[arg-type]  # any JSON will do here


def test_a_program_that_nobody_named_is_left_out() -> None:
    assert Engine("absent", "NO_SUCH_VARIABLE", "", "1").command == []
