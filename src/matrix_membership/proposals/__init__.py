"""Compare two room versions, and look for what is wrong with one.

For the author of a proposal, who has made a version of their own with `auth.rulebook`, and
wants to show what it changes.
"""

from __future__ import annotations

from matrix_membership.proposals.comparing import compare
from matrix_membership.proposals.reviewing import Remark as Remark
from matrix_membership.proposals.reviewing import Review as Review
from matrix_membership.proposals.reviewing import review
from matrix_membership.proposals.situations import Situation

__all__ = ["Situation", "compare", "review"]
