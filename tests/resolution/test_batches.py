"""Mappings that grow as values."""

from __future__ import annotations

from matrix_membership.resolution._batches import Batches, found_in, with_batch


class TestBatches:
    def test_newer_entries_count_before_older_ones(self) -> None:
        batches: Batches[str, int] = with_batch(({"a": 1, "b": 2, "c": 3, "d": 4},), {"a": 7})
        assert len(batches) == 2
        assert (found_in(batches, "a"), found_in(batches, "b"), found_in(batches, "x")) == (
            7,
            2,
            None,
        )

    def test_there_are_few_batches_however_small_they_were(self) -> None:
        batches: Batches[int, int] = ()
        for number in range(1_000):
            batches = with_batch(batches, {number: number})
        assert len(batches) < 12
        assert sum(map(len, batches)) == 1_000
        assert found_in(batches, 17) == 17
