"""Plain words: no docstring, comment, page or error sentence holds a phrase that has to be read twice.

The table of phrases only grows.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from typing import Final

from tests.sources import MODULES, ROOT, parsed

BANNED: Final = (
    "is no",
    "are no",
    "what is no",
    "that is none",
    "is none",
    "whoever",
    "of which",
    "vouch",
    "no matter of",
    "need have",
    "likewise",
    "inviter",
)
PHRASE: Final = re.compile(
    # `is None` is Python, and InviteRequest a name; "vouches" and "inviters" are as bad as their stems.
    r"\b(?!is\s+None)(?i:"
    + "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in BANNED)
    + r")(?:(?<=vouch)(?:ers?|e[sd]|ing)?|(?<=inviter)s?|)\b"
)
CODE: Final = re.compile(r"^ *(`{3,}).*?^ *\1`*\s*$|``.*?``|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def texts(module: str) -> Iterator[str]:
    """The string literals of a module, docstrings and error sentences among them, and its comments."""
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
    source = MODULES[module].read_text("utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    # Joined, so that a phrase broken over two lines is found.
    yield "\n".join(token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT)


def banned_in(text: str) -> list[str]:
    """The banned phrases of a text, without its code."""
    return [found.group() for found in PHRASE.finditer(CODE.sub("", text))]


def hits() -> dict[str, int]:
    """How many banned phrases each place holds: a folder of the source or the documentation, or a page beside them."""
    found: Counter[str] = Counter()
    for module in MODULES:
        place = f"src/{module.partition('.')[0] or '__init__'}"
        found[place] += sum(len(banned_in(text)) for text in texts(module))
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        # The changelog tells of names as they were.
        if page.name != "CHANGELOG.md":
            place = page.relative_to(ROOT).parent.as_posix()
            found[page.name if place == "." else place] += len(banned_in(page.read_text("utf-8")))
    return {place: count for place, count in found.items() if count}


def test_plain_words() -> None:
    assert hits() == {}


class TestBannedPhrases:
    """Of this file's own reading."""

    def test_are_found_over_a_line_break_and_in_capitals(self) -> None:
        assert banned_in("What is\nno list. Whoever asks, it is none.") == [
            "What is\nno",
            "Whoever",
            "is none",
        ]

    def test_are_found_with_an_ending(self) -> None:
        assert banned_in("A vouching inviters' server.") == ["vouching", "inviters"]

    def test_are_allowed_in_code_and_inside_words(self) -> None:
        assert banned_in("`x is None`, it is not, this note\n\n```\nis no\n```\n") == []
