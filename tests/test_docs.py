"""Code in the documentation runs, and its links lead somewhere.

`>>>` blocks are run by pytest itself (`--doctest-glob=*.md`). Other Python blocks of a page are run here, in order and in
one namespace. One that cannot run stands directly after a comment that says why:

    <!-- not run: needs a server -->
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from doctest import DocTestParser
from pathlib import Path
from textwrap import dedent
from typing import Final
from urllib.parse import unquote

import attrs
import pytest

from tests.sources import ROOT

DOCS: Final = ROOT / "docs"
PAGES: Final = (
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.rglob("*.md")),
)
EXAMPLES: Final = tuple(sorted((DOCS / "examples").rglob("*.py")))

FENCE: Final = re.compile(
    r"(?:^<!-- (?P<why>not run: [^\n]*?) -->\n+)?"
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[^\n`]*)\n(?P<code>.*?)^(?P=indent)(?P=fence)`*\s*$",
    re.MULTILINE | re.DOTALL,
)
# The words by which a page says how to get a module that its code imports. Plain `pip install .` brings the package alone.
GET_IT: Final = {
    "hypothesis": "pip install '.[testing]'",
    "matrix_membership.strategies": "pip install '.[testing]'",
    "mautrix": "pip install '.[examples]'",
    "nio": "pip install '.[examples]'",
    "bot_adapters": "cp docs/examples/bot_adapters.py .",
    "sqlite_server": "cp -r docs/examples/sqlite_server .",
}
OURS: Final = "matrix_membership"
LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\(<?(?P<target>[^)\s>]+)>?[^)]*\)")
HEADING: Final = re.compile(r"^#{1,6} +(?P<text>.*?) *#*$", re.MULTILINE)


@attrs.frozen
class Block:
    """A fenced block of Python, where it stands, and why it is not run if it is not."""

    page: Path
    line: int
    code: str
    why: str | None

    @property
    def is_session(self) -> bool:
        return re.search(r"^>>> ", self.code, re.MULTILINE) is not None


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def python_blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        if found["language"].strip().lower().startswith("py"):
            line = text.count("\n", 0, found.start("code"))
            yield Block(page, line, dedent(found["code"]), found["why"])


def imported_by(code: str) -> Iterator[str]:
    """Yield the modules that a block imports, `matrix_membership.strategies` among them."""
    if re.search(r"^>>> ", code, re.MULTILINE):
        code = "".join(example.source for example in DocTestParser().get_examples(code))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def strangers(page: Path) -> Iterator[str]:
    """Yield the imported modules that neither Python nor the bare package has, by the name in `GET_IT`."""
    for block in python_blocks(page):
        for module in () if block.why else imported_by(block.code):
            top = module.partition(".")[0]
            if f"{module}.".startswith(f"{OURS}.strategies."):
                yield f"{OURS}.strategies"
            elif top != OURS and top not in sys.stdlib_module_names:
                yield top


def prose(page: Path) -> str:
    """A page without its code, in which brackets mean something else."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text("utf-8")))


def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as both Sphinx and code forges make them."""
    headings = (found["text"] for found in HEADING.finditer(FENCE.sub("", page.read_text("utf-8"))))
    return frozenset(
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
    )


def broken_links(page: Path) -> Iterator[str]:
    for found in LINK.finditer(prose(page)):
        file, _, anchor = found["target"].partition("#")
        if re.match(r"[a-z]+:", file):
            continue
        target = page.parent / unquote(file) if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield found["target"]


# Its code looks for planted mistakes in thousands of cases, which takes as long as all other pages.
LONG_PAGE: Final = DOCS / "howto" / "test-your-server.md"


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.long if page == LONG_PAGE else ()) for page in PAGES],
    ids=name_of,
)
class TestPage:
    def test_has_code_that_runs(self, page: Path) -> None:
        namespace: dict[str, object] = {"__name__": "__page__"}
        for block in python_blocks(page):
            if not block.is_session and block.why is None:
                # Empty lines before it, so that a traceback names the line of the page.
                source = "\n" * block.line + block.code
                exec(compile(source, str(page), "exec"), namespace)

    def test_ends_sessions_with_an_empty_line(self, page: Path) -> None:
        # Otherwise doctest takes the closing fence for expected output.
        sessions = [block for block in python_blocks(page) if block.is_session]
        assert [b.line for b in sessions if b.why is None and not b.code.endswith("\n\n")] == []

    def test_says_how_to_get_what_it_imports(self, page: Path) -> None:
        text = page.read_text("utf-8")
        assert [name for name in strangers(page) if GET_IT[name] not in text] == []

    def test_links_to_what_exists(self, page: Path) -> None:
        assert list(broken_links(page)) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_example_compiles(example: Path) -> None:
    compile(example.read_text("utf-8"), str(example), "exec")


class TestBlocks:
    """Of this file's own reading of Markdown."""

    def test_are_found_with_their_reason_not_to_run(self, tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text("# A\n\n<!-- not run: why -->\n```python\nx\n```\n\n```text\ny\n```\n")
        assert list(python_blocks(page)) == [Block(page, 4, "x\n", "not run: why")]

    def test_in_lists_lose_their_indent(self, tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text("- a\n\n  ```pycon\n  >>> 1\n  1\n\n  ```\n")
        assert list(python_blocks(page)) == [Block(page, 3, ">>> 1\n1\n\n", None)]

    def test_name_what_a_bare_installation_lacks(self, tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text(
            "```python\nimport json, nio.api\nfrom matrix_membership import V1\n```\n"
            "```pycon\n>>> from matrix_membership.strategies import rooms\n\n```\n"
            "<!-- not run: why -->\n```python\nimport mautrix\n```\n"
        )
        assert list(strangers(page)) == ["nio", "matrix_membership.strategies"]


class TestLinks:
    """Of this file's own reading of Markdown."""

    @pytest.mark.parametrize(
        ("text", "broken"),
        [
            ("[a](page.md#a-heading--of-b)", []),
            ("[a](#a-heading--of-b) [a](https://example.org/x)", []),
            ("[a](#another)", ["#another"]),
            ("[a](absent.md)", ["absent.md"]),
            ("`[a](absent.md)`", []),
        ],
    )
    def test_are_followed(self, tmp_path: Path, text: str, broken: list[str]) -> None:
        page = tmp_path / "page.md"
        page.write_text(f"# A heading, & of `B`\n\n{text}\n")
        assert list(broken_links(page)) == broken
