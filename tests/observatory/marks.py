"""The mark of tests that ask ruma; apart, since `make bench-synapse` runs where pytest is not installed."""

from __future__ import annotations

from typing import Final

import pytest

from tests.observatory.ruma import PROGRAM

needs_ruma: Final = pytest.mark.skipif(not PROGRAM, reason="RUMA does not name the program")
