"""Advice to a client: what a user may do, and what is wrong with a room.

- `may`: ask before sending.
- `lint`: look for settings that do not do what they seem to.
- `powers`: see who can do what, and where each power comes from.
- `what_if`: see what events would do.
- `plans`: make the events of a change that people get wrong.
- `pages`: show these to people.
"""

from __future__ import annotations

# Not the others: they are for people who look at a room, and cost each import of this package time.
from matrix_membership.advice import lint, may

__all__ = ["lint", "may"]
