"""mypy accepts the code of the pages: what a reader pastes has types that fit.

Each page becomes a module in which every line keeps its number, so an error names the line of the page. Strict mode, with two exceptions.
Functions of a page need no annotations, which would hide what it shows, but what they do is checked. And a page may use a name again
for another thing, as a story does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.sources import ROOT
from tests.test_docs import PAGES, Block, name_of, python_blocks

pytestmark = pytest.mark.long

OPTIONS: Final = (
    "--strict",
    "--allow-untyped-defs",
    "--allow-untyped-calls",
    "--allow-redefinition",
)
STRICT: Final = ("docs/howto/try-servers-in-turn.md",)
"""Pages whose functions all have annotations: their readers copy a loop and its types."""

REPORT: Final = re.compile(r"^(?P<file>[^:\n]+):(?P<line>\d+): error: (?P<what>.*)$", re.MULTILINE)


def module_of(blocks: Iterable[Block]) -> str:
    """One module of blocks of one page, each line of it where the page has it."""
    lines: list[str] = []
    for block in blocks:
        lines += [""] * (block.line - len(lines))
        lines += _statements(block) if block.is_session else block.code.splitlines()
    return "\n".join(lines) + "\n"


def _statements(session: Block) -> Iterator[str]:
    """The input of an interactive session; its output becomes empty lines."""
    for line in session.code.splitlines():
        yield line[4:] if line.startswith((">>> ", "... ")) else ""


def modules(pages: Iterable[Path]) -> Iterator[tuple[str, str, str]]:
    """Page, module name and text. Sessions and other blocks run apart, so they are apart here too."""
    for page in pages:
        blocks = list(python_blocks(page))
        for is_session in (False, True):
            chosen = [block for block in blocks if block.is_session is is_session]
            if chosen:
                name = re.sub(r"\W", "_", name_of(page)) + ("_session" if is_session else "")
                # Line 1 is the heading of the page.
                option = "# mypy: disallow-untyped-defs" if name_of(page) in STRICT else ""
                yield name_of(page), name, option + module_of(chosen)


def errors(found: Iterable[tuple[str, str, str]], folder: Path) -> list[str]:
    """What mypy says about modules, at the lines of their pages."""
    pages: dict[str, str] = {}
    for page, name, text in found:
        path = folder / f"{name}.py"
        path.write_text(text, "utf-8")
        pages[path.name] = page
    run = subprocess.run(
        [sys.executable, "-m", "mypy", *OPTIONS, *(str(folder / name) for name in pages)],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode in {0, 1}, run.stdout + run.stderr
    return [
        f"{pages.get(Path(error['file']).name, error['file'])}:{error['line']}: {error['what']}"
        for error in REPORT.finditer(run.stdout)
    ]


def test_pages_have_types_that_fit(tmp_path: Path) -> None:
    # One run for all pages: the start of mypy costs more than they do.
    assert errors(modules(PAGES), tmp_path) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# A page\n\n```python\nx: int = 1\nx.real.y\n```\n", 5),
        ("# A page\n\n```pycon\n>>> 1\n1\n>>> (1).y\n\n```\n", 6),
    ],
)
def test_errors_name_the_line_of_the_page(tmp_path: Path, text: str, line: int) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, "utf-8")
    blocks = list(python_blocks(page))
    assert [
        error.startswith(f"page.md:{line}: ")
        for error in errors([("page.md", "page", module_of(blocks))], tmp_path)
    ] == [True]
