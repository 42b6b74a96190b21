"""Plain words: no docstring, comment, page or error sentence holds a phrase that has to be read twice.

The table of phrases only grows.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from typing import Final

import pytest

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
    "of whom",
    "whomever",
    "whatsoever",
    "thereof",
    "that which",
    "what is not",
    "what does not",
    "what has no",
    "what stands",
    "not without",
    "nobody but",
    "none but",
)
PHRASE: Final = re.compile(
    # `is None` is Python, and InviteRequest a name; "vouches" and "inviters" are as bad as their stems.
    r"\b(?!is\s+None)(?i:"
    + "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in BANNED)
    + r")(?:(?<=vouch)(?:ers?|e[sd]|ing)?|(?<=inviter)s?|)\b"
)
# A docstring starts with a verb or a noun, not with the clause that an absent verb would govern.
CLAUSE: Final = re.compile(r"(How|That|What|When|Where|Whether|Which|Who|Whom|Whose|Why)\b")
NOUN: Final = re.compile(r"(All|Each|Every|No|The)\b")
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


def openings(tree: ast.Module) -> list[str]:
    """The docstrings that open with a clause, and those of plain functions that open with a noun.

    A property is named by its noun, and a rule by the fact that holds when it fires.
    """
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found += [str(node.value.value)] if CLAUSE.match(str(node.value.value).strip()) else []
        if isinstance(node, ast.FunctionDef) and not is_named_by_a_noun(node):
            prose = ast.get_docstring(node) or ""
            found += [prose] if NOUN.match(prose) else []
    return found


def is_named_by_a_noun(function: ast.FunctionDef) -> bool:
    """Tell whether the function is a property or a rule."""
    decorators = map(ast.unparse, function.decorator_list)
    return any(re.search(r"property$|^(allows|rejects)\b", name) for name in decorators)


def test_plain_words() -> None:
    assert hits() == {}


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_open_plainly(module: str) -> None:
    assert openings(parsed(module)) == []


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


class TestOpenings:
    """Of docstrings."""

    def test_of_a_clause_are_found_in_functions_classes_and_values(self) -> None:
        source = """
            def first(): 'Whether it is.'
            class Second: "What it is."
            THIRD = 3
            "How many there are."
        """
        found = openings(ast.parse(inspect.cleandoc(source)))
        assert found == ["How many there are.", "Whether it is.", "What it is."]

    def test_with_a_noun_are_found_in_plain_functions(self) -> None:
        source = """
            def first(): 'The events.'
            @property
            def second(): 'The events.'
            @rejects(v1='1.1')
            def third(): 'The sender is banned.'
        """
        assert openings(ast.parse(inspect.cleandoc(source))) == ["The events."]
