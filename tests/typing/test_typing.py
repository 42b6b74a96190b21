"""mypy accepts right uses of the package and refuses wrong ones.

Every other module of this folder is checked in strict mode. A line marked `# error: <code>` must give errors of exactly that code, and
no other line may give any. The whole-tree run of mypy leaves these modules out (`pyproject.toml`).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.sources import ROOT

HERE: Final = Path(__file__).parent
EXAMPLES: Final = tuple(
    path for path in sorted(HERE.glob("*.py")) if path.name not in {"__init__.py", "test_typing.py"}
)
MARK: Final = re.compile(r"# error: (?P<code>[a-z-]+)$")
REPORT: Final = re.compile(
    r"^(?P<file>[^:]+):(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]$", re.MULTILINE
)

Found = frozenset[tuple[str, int, str]]


def marked(path: Path) -> Found:
    """The errors that an example announces: file, line, code."""
    lines = enumerate(path.read_text("utf-8").splitlines(), start=1)
    return frozenset(
        (path.name, number, mark["code"]) for number, line in lines if (mark := MARK.search(line))
    )


@pytest.fixture(scope="module")
def reported() -> Found:
    # One run for all examples: the start of mypy costs more than they do.
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--exclude", "^$", *map(str, EXAMPLES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode in {0, 1}, run.stdout + run.stderr
    return frozenset(
        (Path(found["file"]).name, int(found["line"]), found["code"])
        for found in REPORT.finditer(run.stdout)
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_errors_are_those_marked(example: Path, reported: Found) -> None:
    assert {found for found in reported if found[0] == example.name} == marked(example)


def test_some_errors_are_marked() -> None:
    assert any(marked(example) for example in EXAMPLES)
