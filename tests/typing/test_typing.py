"""Type checkers accept right uses of the package and refuse wrong ones.

Every other module of this folder is checked in strict mode, by mypy and by pyright. A line marked `# error: <codes>` must give errors
of exactly these codes of mypy, and at least one of pyright, whose names for them differ. No other line may give any. The whole-tree run
of mypy leaves these modules out (`pyproject.toml`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.sources import ROOT

HERE: Final = Path(__file__).parent
EXAMPLES: Final = tuple(
    path for path in sorted(HERE.glob("*.py")) if path.name not in {"__init__.py", "test_typing.py"}
)
MARK: Final = re.compile(r"# error: (?P<codes>[a-z, -]+)$")
REPORT: Final = re.compile(
    r"^(?P<file>[^:]+):(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]$", re.MULTILINE
)

Found = frozenset[tuple[str, int, str]]


def marked(path: Path) -> Found:
    """The errors that an example announces: file, line, code."""
    lines = enumerate(path.read_text("utf-8").splitlines(), start=1)
    return frozenset(
        (path.name, number, code)
        for number, line in lines
        if (mark := MARK.search(line))
        for code in mark["codes"].split(", ")
    )


def run(*command: str) -> str:
    """What a type checker prints; it ends with 1 when it found errors."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        # Pyright does not follow the file by which an editable installation points at src.
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def reported() -> Found:
    # One run for all examples: the start of mypy costs more than they do.
    printed = run("mypy", "--strict", "--exclude", "^$", *map(str, EXAMPLES))
    return frozenset(
        (Path(found["file"]).name, int(found["line"]), found["code"])
        for found in REPORT.finditer(printed)
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_errors_are_those_marked(example: Path, reported: Found) -> None:
    assert {found for found in reported if found[0] == example.name} == marked(example)


def test_some_errors_are_marked() -> None:
    assert any(marked(example) for example in EXAMPLES)


@pytest.mark.types
class TestPyright:
    def test_finds_errors_where_they_are_marked(self) -> None:
        found = {
            (Path(error["file"]).name, error["range"]["start"]["line"] + 1)
            for error in _pyright("--project", "pyproject.toml")["generalDiagnostics"]
        }
        assert found == {place[:2] for example in EXAMPLES for place in marked(example)}

    def test_knows_the_type_of_every_public_name(self) -> None:
        report = _pyright("--verifytypes", "matrix_membership", "--ignoreexternal")
        unknown = [
            (symbol["name"], symbol["diagnostics"])
            for symbol in report["typeCompleteness"]["symbols"]
            if symbol["isExported"] and not symbol["isTypeKnown"]
        ]
        assert unknown == []
        assert report["typeCompleteness"]["completenessScore"] == 1


def _pyright(*options: str) -> Any:
    return json.loads(run("basedpyright", "--outputjson", *options))
