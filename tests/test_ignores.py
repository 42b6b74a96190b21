"""Every ignored check says why: in source, tests and examples, and in `pyproject.toml`."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from tests.sources import ROOT

FILES: Final = sorted(
    path for part in ("src", "tests", "docs") for path in (ROOT / part).rglob("*.py")
)
IGNORE: Final = re.compile(
    r"#\s*(type: ?ignore|noqa|pragma: ?no|pyright: ?ignore|fmt: ?(?:skip|off))"
)
WITH_REASON: Final = re.compile(
    r"#\s*(?:(?:type|pyright): ignore\[[\w, -]+\](?:  # noqa: [A-Z]+\d+)?|noqa: [A-Z]+\d+(?:, [A-Z]+\d+)*|pragma: no \w+|fmt: skip)"
    r"(?: -|  ?#) \S"
)
CODE: Final = re.compile(r'^\s+"(?:[A-Z]+[0-9]*|ignore:.*)",?$')


def without_reason(source: str) -> Iterator[str]:
    """Yield the lines that ignore a check, or cast, without a reason beside them or above."""
    lines = source.splitlines()
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for at, token in enumerate(tokens):
        row = token.start[0]
        if token.type == tokenize.COMMENT and IGNORE.match(token.string):
            if not WITH_REASON.match(token.string):
                yield lines[row - 1].strip()
        elif token.string == "cast" and tokens[at + 1].string == "(":
            beside = any(
                other.type == tokenize.COMMENT for other in tokens if other.start[0] == row
            )
            if not beside and not lines[row - 2].lstrip().startswith("#"):
                yield lines[row - 1].strip()


def test_each_in_a_module_says_why() -> None:
    found = {str(path): list(without_reason(path.read_text("utf-8"))) for path in FILES}
    assert {path: lines for path, lines in found.items() if lines} == {}


def bare_codes(configuration: str) -> list[str]:
    """The codes and filters, one a line, that have no comment beside them or above."""
    return [
        line.strip()
        for before, line in pairwise(configuration.splitlines())
        if CODE.match(line) and not before.lstrip().startswith("#")
    ]


def test_each_in_the_configuration_says_why() -> None:
    assert bare_codes((ROOT / "pyproject.toml").read_text("utf-8")) == []


class TestReasons:
    """Of this file's own reading."""

    def test_are_missed(self) -> None:
        source = (
            "a = f()  # type: ignore[misc]\nb = 2  # noqa: S101\nc = cast(int, b)\nd = 1  # noqa\n"
        )
        assert len(list(without_reason(source))) == 4

    def test_are_found(self) -> None:
        source = (
            "a = f()  # type: ignore[misc]  # it raises\nb = 2  # noqa: S101, B018 - a law\n"
            "# An int, since f says so.\nc = cast(int, b)\nd = cast(int, b)  # it is one\n"
            "e = g.h  # type: ignore[attr-defined]  # noqa: B018 - it raises\n"
        )
        assert list(without_reason(source)) == []

    def test_are_missed_in_a_configuration(self) -> None:
        text = """ignore = [\n    "S101",\n    "S102", # scripts of tests\n    # Cold.\n    "ignore:x:Warning",\n]"""
        assert bare_codes(text) == ['"S101",']
