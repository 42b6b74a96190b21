"""Verdicts are sorted into those that agree, are listed, are withheld, or are of no class; no engine is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.observatory.comparing import Comparison, compare, same
from tests.observatory.engines import Engine, Peer
from tests.observatory.questions import Question, ours

COUNT = 1
"""Each area has a case of each version at least."""


class Answering(Peer):
    """A peer that answers by a function, in this process."""

    def __init__(self, answer: Callable[[Question], dict[str, Any]]) -> None:
        super().__init__(Engine("answering", "", "", "1"))
        self._by = answer

    def ask_many(self, questions: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """Yield the answers in order."""
        return map(self._by, questions)


def compared(answer: Callable[[Question], dict[str, Any]]) -> Comparison:
    """Compare with an engine that answers so."""
    return compare([Answering(answer)], COUNT)


def test_same_verdicts_are_in_no_class() -> None:
    found = compared(lambda asked: {"verdict": ours(asked)})
    assert found.compared["answering"] == found.asked
    assert not any((found.seen, found.unlisted, found.withheld, found.silent))


def test_the_opposite_verdict_is_listed_withheld_or_of_no_class() -> None:
    def opposite(asked: Question) -> dict[str, Any]:
        return {"verdict": not ours(asked)} if asked["area"] == "rules" else {"none": "not asked"}

    found = compared(opposite)
    listed = sum(map(len, found.seen.values()))
    assert listed + len(found.unlisted) + len(found.withheld["answering"]) == found.asked["rules"]
    assert found.unlisted
    assert all(seen.theirs is True for seen in found.withheld["answering"])


def test_a_case_without_a_verdict_is_counted_and_compared_with_nothing() -> None:
    found = compared(lambda _: {"fault": "no answer came"})
    assert len(found.silent["answering"]) == found.asked.total()
    assert not any((found.seen, found.unlisted, found.compared))


def test_the_order_of_places_does_not_count() -> None:
    assert same([["a", ""], ["b", ""]], [["b", ""], ["a", ""]])
    assert not same(1, True)
