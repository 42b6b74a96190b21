"""The page of a comparison: what it marks, and that a browser shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import escape
from pathlib import Path
from typing import Final

import pytest

from matrix_membership import Event, RoomState, auth
from matrix_membership.auth import rejects
from matrix_membership.proposals import compare
from matrix_membership.room_versions import V8, V9, V10, V11, V12

CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@rejects()
def hostile(event: Event, _: RoomState) -> bool:
    """<script>document.title='in'</script> \u202e evil."""
    return True


class TestPage:
    def test_marks_the_rules_that_differ(self) -> None:
        page = compare(V11, V12).to_html()
        changed = re.findall(r'<tr class="changed"><td>(.*?)</td><td>(.*?)</td>', page)
        assert changed == [("1.2", "1.2"), ("", "1.4"), ("", "2"), ("", "10.4"), ("2.4", "")]
        assert page.count("<td>moved</td>") > 40

    def test_marks_the_moves_that_differ(self) -> None:
        page = compare(V9, V10).to_html()
        rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', page)
        assert [name for name, _ in rows] == ["invite", "join", "leave", "ban", "knock"]
        assert rows[2][1].endswith('<span class="won">+ oneself</span></td>')  # leave to knock

    def test_colours_the_moves_that_differ(self) -> None:
        lines = {}
        for versions in ((V9, V10), (V11, V12)):
            page = compare(*versions).to_html()
            marks = re.findall(r'<path class="(.*?)"', page)
            lines[versions] = {mark: marks.count(mark) for mark in marks}
        # Of the moves between different memberships: knock to join comes with version 10, and
        # creators rise above everybody with version 12.
        assert lines[V9, V10] == {"won": 4, "": 10}
        assert lines[V11, V12] == {"won": 2, "lost won": 8, "": 3}

    def test_folds_both_explanations_open(self) -> None:
        comparison = compare(V9, V10)
        page = comparison.to_html()
        assert page.count("<details>") == len(comparison.verdicts)
        assert page.count("Rules tried by") == 2 * len(comparison.verdicts)
        # Of each side the last rule decided.
        decided = re.findall(
            r'class="fired"><td>([0-9.]+)</td>.*?<td>(allow|reject)</td></tr></table>', page
        )
        expected = [
            each.number for pair in comparison.verdicts for each in (pair.before, pair.after)
        ]
        assert [number for number, _ in decided] == expected
        assert {verdict for _, verdict in decided} == {"allow", "reject"}
        assert "<h3>What would help</h3>" in page

    def test_says_that_nothing_differs(self) -> None:
        page = compare(V8, V9).to_html()
        assert "No move of membership is judged otherwise." in page
        assert "<p>None.</p>" in page

    def test_takes_no_markup_from_rules(self) -> None:
        book = auth.rulebook(V11).replace("knock.otherwise", hostile)
        mine = V11.evolve(identifier="<b>org.example</b>", rules=book)
        page = compare(V11, mine).to_html()
        assert "<script" not in page
        assert "<b>" not in page
        assert "\u202e" not in page


# The page forbids scripts, so the one that measures it stands in a frame around it.
MEASURE: Final = """<!DOCTYPE html><iframe id="page" style="width: {width}px; border: 0" srcdoc="{page}"></iframe>
<script>onload = () => {{ const root = document.getElementById("page").contentDocument.documentElement;
document.body.textContent = `${{root.scrollWidth}} of ${{root.clientWidth}}`; }}</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium to show the page")
@pytest.mark.parametrize("width", [1280, 390])
def test_fits_the_window(tmp_path: Path, width: int) -> None:
    assert CHROMIUM is not None
    page = compare(V11, V12).to_html().replace("<details>", "<details open>")
    file = tmp_path / "page.html"
    file.write_text(MEASURE.format(width=width, page=escape(page)), "utf-8")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    shown = subprocess.run(
        [CHROMIUM, *arguments, file.as_uri()], check=True, capture_output=True, timeout=120
    )
    found = re.search(rb"(\d+) of (\d+)</body>", shown.stdout)
    assert found is not None
    assert int(found[1]) <= int(found[2]) <= width
