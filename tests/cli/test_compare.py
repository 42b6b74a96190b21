"""The command `compare`: what differs between two room versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from matrix_membership.cli import main
from matrix_membership.proposals import compare
from matrix_membership.room_versions import V9, V10


class TestCompare:
    def test_prints_the_differences(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", "9", "10"]) == 1
        assert capsys.readouterr().out == f"{compare(V9, V10)}\n"

    def test_answers_yes_where_no_verdict_differs(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", "8", "9"]) == 0
        assert "no verdict differs" in capsys.readouterr().out

    def test_prints_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", "9", "10", "--json"]) == 1
        assert json.loads(capsys.readouterr().out) == json.loads(
            json.dumps(compare(V9, V10).to_dict())
        )

    def test_writes_a_page(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "page.html"
        assert main(["compare", "9", "10", "--html", str(file)]) == 1
        assert file.read_text("utf-8") == compare(V9, V10).to_html()
        assert capsys.readouterr().err == ""

    def test_names_an_unknown_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", "9", "13"]) == 2
        expected = "room version: expected one that is known here, got '13'\n"
        assert capsys.readouterr().err == expected
