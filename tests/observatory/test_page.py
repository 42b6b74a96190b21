"""The page is written from the results, and tells verdicts only. No engine is asked."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, Final

import pytest

from tests.observatory.classes import CLASSES, Seen, class_of, is_withheld
from tests.observatory.comparing import same
from tests.observatory.engines import ENGINES
from tests.observatory.page import PAGE, RESULTS, page
from tests.observatory.questions import AREAS, NOT_ASKED, ours, questions

FOUND: Final[dict[str, Any]] = json.loads(RESULTS.read_text("utf-8"))
CASES: Final = [
    pytest.param(name, engine, entry["case"], id=f"{name}-{engine}")
    for name, by_engine in FOUND["classes"].items()
    for engine, entry in by_engine.items()
    if entry is not None and entry["case"]["question"]["area"] != "resolution"
]


class TestPage:
    def test_is_written_from_the_results(self) -> None:
        assert PAGE.read_text("utf-8") == page(FOUND)

    def test_has_all_engines_of_the_versions_that_are_asked(self) -> None:
        assert FOUND["engines"] == {engine.name: engine.version for engine in ENGINES}

    def test_has_cases_that_are_json(self) -> None:
        blocks = re.findall(r"^```json\n(.*?)^```", page(FOUND), re.MULTILINE | re.DOTALL)
        assert len(blocks) == sum(
            entry is not None for found in FOUND["classes"].values() for entry in found.values()
        )
        assert all(json.loads(block)["room_version"] for block in blocks)

    def test_is_of_20_000_cases_or_more(self) -> None:
        assert sum(FOUND["asked"].values()) >= 20_000
        assert FOUND["asked"].keys() == {*AREAS}


class TestCases:
    @pytest.mark.parametrize(("name", "engine", "case"), CASES)
    def test_are_judged_here_as_the_page_says(
        self, name: str, engine: str, case: dict[str, Any]
    ) -> None:
        verdicts = case["verdicts"]
        mine = ours(case["question"])
        assert same(mine, verdicts["here"])
        assert not same(verdicts[engine], mine)
        assert class_of(Seen(case["question"], mine, engine, verdicts[engine])) == name
        others = [Seen(case["question"], mine, one, verdicts[one]) for one in verdicts]
        assert not any(is_withheld(one) for one in others if not same(one.theirs, mine))


class TestClasses:
    def test_have_names_of_their_own(self) -> None:
        assert max(Counter(one.name for one in CLASSES).values()) == 1

    def test_are_on_the_page_only_if_they_are_listed(self) -> None:
        assert FOUND["classes"].keys() <= {one.name for one in CLASSES}

    def test_withhold_an_event_that_only_another_engine_takes(self) -> None:
        case = next(
            asked for asked in questions(1_000) if asked["area"] == "signatures" and not ours(asked)
        )
        assert is_withheld(Seen(case, ours=False, engine="any", theirs=True))
        assert not is_withheld(Seen(case, ours=True, engine="any", theirs=False))


class TestQuestions:
    def test_are_the_same_each_time(self) -> None:
        assert [*questions(100)] == [*questions(100)]

    def test_are_answered_here(self) -> None:
        asked = Counter(one["area"] for one in questions(240) if ours(one) is not NOT_ASKED)
        assert asked.keys() == {*AREAS}

    def test_have_both_verdicts_where_there_are_two(self) -> None:
        areas = ("rules", "auth-events", "format", "content-hash", "signatures")
        found = {area: Counter[bool]() for area in areas}
        for one in questions(600):
            verdict = ours(one)
            if one["area"] in found and verdict is not NOT_ASKED:
                found[one["area"]][verdict] += 1
        assert all(min(by.values()) > 0.1 * by.total() and len(by) == 2 for by in found.values())
