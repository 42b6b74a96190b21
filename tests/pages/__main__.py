"""Write the rendered pages anew: `python -m tests.pages`, then look at the difference."""

from __future__ import annotations

from tests.pages import differences, overview, pictures, reviews, rules

rules.FILE.write_text(rules.text(), "utf-8")
differences.FILE.write_text(differences.text(), "utf-8")
overview.FILE.write_text(overview.text(), "utf-8")
reviews.FILE.write_text(reviews.text(), "utf-8")
for file, draw in pictures.FILES.items():
    file.write_text(draw(), "utf-8")
