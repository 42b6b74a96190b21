"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# A deadline measures how busy the machine is. A failure prints what replays it.
settings.register_profile("here", settings.default, deadline=None, print_blob=True)
settings.load_profile("here")
