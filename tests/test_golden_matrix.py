"""Every membership move in every situation is judged as tests/golden/membership_matrix.txt says."""

from __future__ import annotations

from matrix_membership.auth import rules_of
from tests.builders import VERSIONS
from tests.golden import matrix


def test_the_matrix_is_as_written() -> None:
    """When it should differ: `python -m tests.golden`, and review the difference."""
    assert matrix.text().splitlines() == matrix.FILE.read_text("utf-8").splitlines()


def test_the_versions_shown_have_all_rule_lists() -> None:
    shown = [rules_of(version).numbered for version in matrix.VERSIONS]
    assert len({str(numbered) for numbered in shown}) == len(shown)
    assert all(rules_of(version).numbered in shown for version in VERSIONS)
