"""The page of a comparison: its marks."""

from __future__ import annotations

import re

from matrix_membership import Event, RoomState, auth
from matrix_membership.auth import rejects
from matrix_membership.proposals import compare
from matrix_membership.room_versions import V8, V9, V10, V11, V12


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
