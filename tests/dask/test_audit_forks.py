"""A thousand generated rooms, audited by a Dask cluster of two worker processes: `make dask`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

from audit_forks import BATCH, audit, audit_batch, audit_on, batches
from tests.resolution.planted import History, a_clean_history, a_planted_history
from tests.sources import ROOT

ROOMS: Final = 1000
EXAMPLE: Final = ROOT / "docs" / "examples" / "audit_forks.py"


def line_of(seed: int) -> str:
    """A room: every fourth one has a planted reset."""
    history: History = a_clean_history(seed) if seed % 4 else a_planted_history(seed)
    events = history.room.events
    room = {
        "name": seed,
        "room_version": history.room.version.identifier,
        "events": {name: event.to_pdu() for name, event in events.items()},
        "states": [list(state.values()) for state in history.state_sets],
    }
    return json.dumps(room)


class TestAudit:
    def test_finds_what_was_reset(self) -> None:
        seed = 4
        history = a_planted_history(seed)
        found = audit(line_of(seed))
        assert [reset["cause"] for reset in found["resets"]] == [history.cause]
        assert found["name"] == seed
        assert found["disputed"] > 0

    def test_names_a_room_that_cannot_be_read(self) -> None:
        unreadable: dict[str, dict[str, object]] = {"11": {"$x": {}}, "odd": {}}
        for version, events in unreadable.items():
            room = {"name": 7, "room_version": version, "events": events, "states": []}
            assert set(audit(json.dumps(room))) == {"name", "error"}

    def test_names_a_room_that_lacks_an_event_of_a_state(self) -> None:
        room = {**json.loads(line_of(1)), "events": {}}
        assert set(audit(json.dumps(room))) == {"name", "error"}

    def test_is_mapped_in_batches_and_in_order(self) -> None:
        class Done:
            def __init__(self, value: Any) -> None:
                self.value = value

            def result(self) -> Any:
                return self.value

        class Client:
            def map(self, function: Any, values: list[Any], *, pure: bool) -> list[Done]:
                assert not pure
                return [Done(function(value)) for value in values]

        lines = [line_of(seed) for seed in range(3)]
        assert list(audit_on(Client(), lines)) == audit_batch(lines)

    def test_batches_hold_all_rooms(self) -> None:
        assert [len(batch) for batch in batches(["x"] * (2 * BATCH + 1))] == [BATCH, BATCH, 1]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("distributed") is None, reason="Dask is not there: run `make dask`")
def test_two_workers_find_what_one_process_finds(tmp_path: Path) -> None:
    lines = [line_of(seed) for seed in range(ROOMS)]
    file = tmp_path / "rooms.jsonl"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    begin = time.perf_counter()
    expected = [found for found in audit_batch(lines) if found["resets"]]
    alone = time.perf_counter() - begin
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(file), "--workers", "2"],
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'docs' / 'examples'}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    together = time.perf_counter() - begin
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == expected
    assert [found["name"] for found in expected] == list(range(0, ROOMS, 4))
    assert re.search(
        rf"rooms: {ROOMS}, with resets or errors: {len(expected)}, workers: 2", done.stderr
    )
    print(
        f"\n{ROOMS} rooms: {alone:.1f} s in one process, {together:.1f} s with two workers, their start included"
    )
