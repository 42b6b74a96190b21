"""What holds for every test."""

from __future__ import annotations

import os

from hypothesis import settings

# A deadline measures how busy the machine is. A failure prints what replays it.
settings.register_profile("here", settings.default, deadline=None, print_blob=True)
# For one more interpreter: what differs there does not hide in rare cases.
settings.register_profile("few", settings.get_profile("here"), max_examples=10)
settings.load_profile(os.environ.get("EXAMPLES", "here"))
