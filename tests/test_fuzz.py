"""What the fuzzer found, or could have, is held within its bounds; so is the fuzzer's own reading of bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import work
from tests.fuzz.recipes import CALLS, KEPT, LARGEST, Chooser, Recipe, chosen, kept
from tests.fuzz.work import Finding, hold

RECIPES = kept()


@pytest.mark.parametrize("name", RECIPES)
class TestKept:
    def test_is_held_within_bounds(self, name: str) -> None:
        hold(RECIPES[name])

    def test_is_written_as_a_finding_would_be(self, name: str) -> None:
        assert (KEPT / f"{name}.json").read_text("utf-8") == RECIPES[name].to_json()


class TestRecipe:
    def test_counts_in_its_pieces(self) -> None:
        recipe = Recipe("receipt.receive", "11", "text", (("[", 1), ("%d,", 3), ("0]", 1)))
        assert recipe.text == "[0,1,2,0]"

    @pytest.mark.parametrize(("kind", "value"), [("text", "[1]"), ("bytes", b"[1]"), ("json", [1])])
    def test_gives_the_kind_of_value_that_it_says(self, kind: Any, value: Any) -> None:
        assert Recipe("receipt.receive", "11", kind, (("[1]", 1),)).value == value

    def test_gives_a_string_where_it_is_not_json(self) -> None:
        assert Recipe("receipt.receive", "11", "json", (("[", 200_000),)).value == "[" * LARGEST

    def test_halves_what_there_is_most_of(self) -> None:
        recipe = Recipe("receipt.receive", "11", "text", (("[", 10), ("a", 99)))
        assert recipe.halved.pieces == (("[", 10), ("a", 50))

    def test_keeps_bytes_that_are_not_text(self) -> None:
        recipe = Recipe("receipt.receive", "11", "bytes", (("\udcff", 1),))
        assert Recipe.from_json(recipe.to_json()).value == b"\xff"


class TestChosen:
    @settings(max_examples=300)
    @given(data=st.binary(max_size=60))
    def test_is_a_recipe_that_can_be_kept(self, data: bytes) -> None:
        recipe = chosen(data, tuple(RECIPES.values()))
        assert recipe.entry in CALLS
        assert len(recipe.text) <= LARGEST
        assert Recipe.from_json(recipe.to_json()) == recipe

    def test_of_no_bytes_is_the_first_of_everything(self) -> None:
        assert chosen(b"", ()) == Recipe(next(iter(CALLS)), "1", "bytes", (("", 1),))

    def test_takes_numbers_as_large_as_asked_for(self) -> None:
        choose = Chooser(b"\xff" * 6)
        assert [choose.number(below) for below in (256, 65_536, 1 << 18)] == [255, 65_535, 262_143]


class TestHold:
    """Of the bounds themselves: each is crossed once."""

    def held(self, monkeypatch: pytest.MonkeyPatch, call: Any, times: int = 1) -> work.Work:
        monkeypatch.setitem(CALLS, "it", lambda value, version: call(value))
        return hold(Recipe("it", "11", "text", (("a", times),)))

    def test_gives_what_a_call_took(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = self.held(monkeypatch, len, 1_000)
        assert (found.size, found.is_long, found.is_large) == (1_000, False, False)

    def test_finds_what_is_raised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(Finding, match="it: ValueError"):
            self.held(monkeypatch, int)

    def test_finds_what_allocates_much(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(Finding, match="bytes at one time, for 1 characters"):
            self.held(monkeypatch, lambda value: bytes(8 * 1024 * 1024))

    def test_finds_what_grows_with_the_square(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(Finding, match="s for 4000 characters"):
            self.held(monkeypatch, lambda value: sum(1 for _ in value for _ in value), 4_000)

    def test_lets_pass_what_is_slow_and_linear(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(work, "BASE_SECONDS", 0.001)
        monkeypatch.setattr(work, "SECONDS_PER_BYTE", 0)
        found = self.held(
            monkeypatch, lambda value: sum(1 for _ in value for _ in range(1_000)), 4_000
        )
        assert found.is_long
