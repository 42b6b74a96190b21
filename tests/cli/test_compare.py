"""The command `compare`: what differs between two room versions."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from matrix_membership.cli import main
from matrix_membership.proposals import compare
from matrix_membership.room_versions import V9, V10, V11, V12


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

    def test_judges_drawn_cases_too(self, capsys: pytest.CaptureFixture[str]) -> None:
        told = []
        for seed in ("1", "1", "2"):
            assert main(["compare", "11", "12", "--json", "--cases", "41", "--seed", seed]) == 1
            told.append(json.loads(capsys.readouterr().out))
        assert told[0] == told[1] != told[2]
        assert {each["compared"] for each in told} == {compare(V11, V12).compared + 41}

    def test_says_what_drawn_cases_need(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loaded = [name for name in sys.modules if name.startswith("matrix_membership.strategies")]
        for name in loaded:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "hypothesis", None)
        assert main(["compare", "9", "10", "--cases", "5"]) == 2
        expected = "--cases: needs Hypothesis, which comes with matrix-membership[testing]\n"
        assert capsys.readouterr().err == expected

    def test_tells_another_missing_module_as_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "matrix_membership.strategies", None)
        with pytest.raises(ModuleNotFoundError):
            main(["compare", "9", "10", "--cases", "5"])

    def test_finds_a_version_of_ones_own(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = (
            "from matrix_membership import V11\nMINE = V11.evolve(identifier='org.example.mine')\n"
        )
        (tmp_path / "a_proposal_of_mine.py").write_text(module, "utf-8")
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.chdir(tmp_path)
        assert main(["compare", "11", "a_proposal_of_mine:MINE"]) == 0
        assert "11 compared with org.example.mine" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("named", "told"),
        [
            ("json:nothing", "json:nothing: module 'json' has no attribute 'nothing'"),
            ("json:loads", "room version: expected one that is known here, got 'json:loads'"),
            ("no module: x", "no module: x: invalid format: 'no module: x'"),
            ("not_there:x", "not_there:x: No module named 'not_there'"),
        ],
    )
    def test_says_where_there_is_no_version(
        self,
        named: str,
        told: str,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(sys, "path", list(sys.path))
        assert main(["compare", "11", named]) == 2
        assert capsys.readouterr().err == f"{told}\n"

    def test_names_an_unknown_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", "9", "99"]) == 2
        expected = "room version: expected one that is known here, got '99'\n"
        assert capsys.readouterr().err == expected
