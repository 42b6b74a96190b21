"""Advice to a client: what a user may do, and what is wrong with a room.

- `may`: ask before sending.
- `lint`: look for settings that do not do what they seem to.
"""

from __future__ import annotations

from matrix_membership.advice import lint, may

__all__ = ["lint", "may"]
