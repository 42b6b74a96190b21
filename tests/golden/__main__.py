"""Write the golden files anew: `python -m tests.golden`, then look at the difference."""

from __future__ import annotations

from tests.golden import explanations, matrix

matrix.FILE.write_text(matrix.text(), "utf-8")
explanations.FILE.write_text(explanations.text(), "utf-8")
