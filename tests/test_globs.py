"""Patterns with stars and question marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership._globs import Globs


def letter_by_letter(pattern: str, text: str) -> bool:
    """Tell whether a glob matches, by trying everything."""
    if not pattern:
        return not text
    rest = pattern[1:]
    if pattern[0] == "*":
        return any(letter_by_letter(rest, text[start:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and letter_by_letter(rest, text[1:])


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("ana", "ana", True),
        ("ana", "ben", False),
        ("*na", "ana", True),
        ("*nb", "ana", False),
        ("a?a", "ana", True),
        ("a?a", "anna", False),
        ("a?b", "ana", False),
        ("a*b*c", "a-b-c", True),
        ("a*d*c", "a-b-c", False),
        ("a*a", "a", False),
        ("a?", "a\u00e4", True),  # one character of two bytes
        ("a?", "a\U0001f600", True),
        ("\u212aA*", "\u212aa", True),
        ("\u212a*", "k", False),  # the Kelvin sign
        ("\u00c4*", "\u00e4", False),
        ("[a]?", "ab", False),
    ],
)
def test_a_pattern_matches_the_whole_text(pattern: str, text: str, *, matches: bool) -> None:
    assert Globs((pattern,)).match(text) is matches


@given(st.lists(st.text("ab\u00e4*?", max_size=6), max_size=3), st.text("ab\u00e4", max_size=8))
def test_a_list_matches_as_any_of_its_patterns(patterns: list[str], text: str) -> None:
    expected = any(letter_by_letter(pattern, text) for pattern in patterns)
    assert Globs(patterns).match(text) is expected
