"""What is printed: on terminals, in pipes, and where letters are missing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from matrix_membership.cli import main
from matrix_membership.cli._page import print_json, print_page, print_text

ODD = "\x1b[2J\x9b☃é"


class Output(io.TextIOWrapper):
    """Standard output with an encoding, perhaps of a terminal."""

    def __init__(self, encoding: str, *, terminal: bool) -> None:
        self.written = io.BytesIO()
        super().__init__(self.written, encoding=encoding, newline="\n")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def text(self) -> str:
        self.flush()
        return self.written.getvalue().decode(self.encoding)


def output(monkeypatch: pytest.MonkeyPatch, encoding: str, *, terminal: bool) -> Output:
    made = Output(encoding, terminal=terminal)
    monkeypatch.setattr("sys.stdout", made)
    monkeypatch.setenv("NO_COLOR", "1")
    return made


@pytest.mark.parametrize("printing", [print_page, print_text])
class TestText:
    @pytest.mark.parametrize(
        ("encoding", "terminal", "told"),
        [
            ("utf-8", True, "\\x1b[2J\\x9b☃é"),
            ("ascii", True, "\\x1b[2J\\x9b\\u2603\\xe9"),
            ("utf-8", False, ODD),
            ("latin-1", False, "\x1b[2J\x9b\\u2603é"),
        ],
    )
    def test_is_printed_everywhere(
        self,
        printing: object,
        encoding: str,
        terminal: bool,
        told: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        made = output(monkeypatch, encoding, terminal=terminal)
        assert callable(printing)
        printing(ODD)
        assert made.text() == f"{told}\n"


@pytest.mark.parametrize("terminal", [True, False])
class TestJson:
    @pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
    def test_is_json_everywhere(
        self, encoding: str, *, terminal: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = output(monkeypatch, encoding, terminal=terminal)
        print_json({ODD: [ODD]})
        assert json.loads(made.text()) == {ODD: [ODD]}
        assert not {"\x1b", "\x9b"} & set(made.text())

    def test_keeps_letters_that_can_be_printed(
        self, *, terminal: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = output(monkeypatch, "utf-8", terminal=terminal)
        print_json(["☃"])
        assert "☃" in made.text()


class TestErrors:
    def test_steer_no_terminal(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: True)
        synced = tmp_path / "sync.json"
        synced.write_text(json.dumps({"rooms": {"join": {"!\x1b[2J": {}, "!b:b": {}}}}), "utf-8")
        assert main(["explain", str(synced), "--join", "@ben:b.example"]) == 2
        assert "!\\x1b[2J" in capsys.readouterr().err


class TestProcess:
    @pytest.mark.parametrize("options", [[], ["--json"]])
    def test_prints_where_letters_are_missing(self, options: list[str], tmp_path: Path) -> None:
        rows = tmp_path / "rows"
        rows.write_text('[1, "m.☃", "", "$a", null]\n[2, "m.☃", "", null, "$a"]', "utf-8")
        arguments = [sys.executable, "-m", "matrix_membership", "resets", str(rows), *options]
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        done = subprocess.run(arguments, capture_output=True, env=environment, check=False)
        assert (done.returncode, done.stderr) == (1, b"")
        assert b"m.\\u2603" in done.stdout
