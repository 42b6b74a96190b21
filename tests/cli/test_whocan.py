"""The command `whocan`: who can do what in a room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from matrix_membership import read_state
from matrix_membership.advice.pages import page_of
from matrix_membership.advice.powers import who_can
from matrix_membership.cli import main
from matrix_membership.membership import LEAVE
from matrix_membership.room_versions import V11
from tests.builders import ANA, a_levelled_room
from tests.sources import ROOT

STATE = str(ROOT / "docs/examples/refused-join/state.json")


def written(folder: Path, value: Any, name: str = "state.json") -> str:
    """The name of a file that holds JSON."""
    file = folder / name
    file.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return str(file)


class TestWhocan:
    def test_prints_the_ranks_and_the_matrix(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["whocan", STATE]) == 0
        powers = who_can(read_state(json.loads(Path(STATE).read_text("utf-8"))))
        assert capsys.readouterr().out == f"{powers}\n"

    def test_prints_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["whocan", STATE, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert [rank["members"] for rank in told["ranks"]] == [[ANA], []]

    def test_writes_a_page(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "page.html"
        assert main(["whocan", STATE, "--html", str(file)]) == 0
        powers = who_can(read_state(json.loads(Path(STATE).read_text("utf-8"))))
        assert file.read_text("utf-8") == page_of(powers)
        assert capsys.readouterr().err == ""

    def test_answers_no_where_nobody_can_give_power(self, tmp_path: Path) -> None:
        room = a_levelled_room(V11).with_member(ANA, LEAVE)
        events = [event.to_pdu() for event in room.events]
        assert main(["whocan", written(tmp_path, events)]) == 1

    def test_names_the_file_that_lacks_the_levels(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        room = a_levelled_room(V11)
        stripped = [
            event.to_stripped() for event in room.events if event.type != "m.room.power_levels"
        ]
        file = written(tmp_path, stripped)
        assert main(["whocan", file]) == 2
        assert capsys.readouterr().err.startswith(f"{file}: ")
