"""Write the golden file anew: `python -m tests.golden`, then look at the difference."""

from __future__ import annotations

from tests.golden.matrix import FILE, text

FILE.write_text(text(), "utf-8")
