"""Compare two room versions: their rules, and the verdicts that differ.

For the author of a proposal, who has made a version of their own with `auth.rulebook`, and
wants to show what it changes.
"""

from __future__ import annotations

from matrix_membership.proposals.comparing import Comparison, compare
from matrix_membership.proposals.situations import Situation

__all__ = ["Comparison", "Situation", "compare"]
