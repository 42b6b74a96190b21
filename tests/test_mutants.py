"""The mutants that may live: each has a reason, and none else passes."""

from __future__ import annotations

import pytest

from tests.mutants import survivors
from tests.sources import MODULES

EXPLAINED = "auth.ban: a  ->  b"
OTHER = "auth.ban: a  ->  c"


class TestRead:
    def test_gives_the_reasons_by_name(self) -> None:
        assert survivors.read(f"# why\n\n{EXPLAINED}  # equal\n") == {EXPLAINED: "equal"}

    @pytest.mark.parametrize("text", [EXPLAINED, f"{EXPLAINED}  # ", f"{EXPLAINED}  # x\n" * 2])
    def test_refuses_what_has_no_reason_or_two(self, text: str) -> None:
        with pytest.raises(ValueError):
            survivors.read(text)


class TestCompare:
    @pytest.mark.parametrize(
        ("survived", "made", "wrong"),
        [
            ([EXPLAINED], [EXPLAINED, OTHER], []),
            ([EXPLAINED, OTHER], [EXPLAINED, OTHER], [f"survived, unexplained: {OTHER}"]),
            ([], [EXPLAINED], [f"explained, but killed: {EXPLAINED}"]),
            ([], [OTHER], [f"explained, but there is none: {EXPLAINED}"]),
        ],
    )
    def test_says_what_is_wrong(
        self, survived: list[str], made: list[str], wrong: list[str]
    ) -> None:
        assert survivors.compare(survived, {EXPLAINED: "equal"}, made) == wrong


def test_every_survivor_is_of_a_module_that_there_is() -> None:
    explained = survivors.read(survivors.FILE.read_text("utf-8"))
    assert {name.partition(":")[0] for name in explained} <= set(MODULES)
    assert len(explained) > 10
