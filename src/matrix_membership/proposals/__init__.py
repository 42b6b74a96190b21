"""Compare two room versions, and look for what is wrong with one.

For the author of a proposal, who has made a version of their own with `auth.rulebook`, and
wants to show what it changes.
"""

from __future__ import annotations

from matrix_membership.proposals.comparing import Comparison, compare
from matrix_membership.proposals.reviewing import Remark, Review, review
from matrix_membership.proposals.situations import Situation

__all__ = ["Comparison", "Remark", "Review", "Situation", "compare", "review"]
