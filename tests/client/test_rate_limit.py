"""The token bucket: a value, to which time and rates are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership.client.rate_limit import TokenBucket
from matrix_membership.federation import MatrixError
from tests.client.rooms import refusal

FULL = TokenBucket.full(per_second=0.5, burst=2, at=1_000)


def taken(bucket: TokenBucket, at: int, tokens: float = 1) -> TokenBucket:
    """The bucket after a request that was let through."""
    after = bucket.take(at=at, tokens=tokens)
    assert isinstance(after, TokenBucket), after
    return after


class TestTokenBucket:
    def test_lets_a_burst_through(self) -> None:
        assert taken(taken(FULL, 1_000), 1_000) == TokenBucket(0.5, 2, 0, 1_000)

    def test_refuses_what_comes_too_soon(self) -> None:
        empty = taken(FULL, 1_000, 2)
        error = empty.take(at=1_400)
        assert refusal(error)[:2] == (429, "M_LIMIT_EXCEEDED")
        assert isinstance(error, MatrixError)
        assert error.to_json()["retry_after_ms"] == 1_600
        assert error.headers == (("Retry-After", "2"),)

    def test_lets_it_through_when_it_is_time(self) -> None:
        assert taken(taken(FULL, 1_000, 2), 3_000) == TokenBucket(0.5, 2, 0, 3_000)

    def test_fills_up_to_its_size(self) -> None:
        assert taken(FULL, 10**9) == TokenBucket(0.5, 2, 1, 10**9)

    def test_takes_a_clock_that_went_back_for_one_that_stood(self) -> None:
        assert taken(taken(FULL, 2_000), 500) == TokenBucket(0.5, 2, 0, 2_000)

    def test_asks_to_wait_for_a_millisecond_at_least(self) -> None:
        nearly = TokenBucket(1_000_000, 1, 0.9999999, 0)
        error = nearly.take(at=0)
        assert isinstance(error, MatrixError)
        assert error.extra["retry_after_ms"] == 1

    def test_asks_for_what_costs_too_much_to_wait_until_it_is_full(self) -> None:
        error = FULL.take(at=1_000, tokens=3)
        assert isinstance(error, MatrixError)
        assert error.extra["retry_after_ms"] == 1

    @pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0.5)])
    def test_lets_something_through(self, rate: float, burst: float) -> None:
        with pytest.raises(ValueError, match="expected"):
            TokenBucket.full(per_second=rate, burst=burst, at=0)

    @given(
        rate=st.floats(0.01, 100),
        burst=st.floats(1, 50),
        waits=st.lists(st.integers(0, 5_000), max_size=30),
    )
    def test_lets_a_client_through_that_waits_as_told(
        self, rate: float, burst: float, waits: list[int]
    ) -> None:
        bucket, now = TokenBucket.full(per_second=rate, burst=burst, at=0), 0
        for wait in waits:
            now += wait
            after = bucket.take(at=now)
            if isinstance(after, MatrixError):
                now += after.extra["retry_after_ms"] + 1  # what binary fractions lose
                after = bucket.take(at=now)
            assert isinstance(after, TokenBucket)
            bucket = after


class TestHeaders:
    def test_are_none_for_other_errors(self) -> None:
        assert MatrixError.of("M_FORBIDDEN", "no", retry_after_ms=5).headers == ()

    def test_are_none_where_no_time_is_told(self) -> None:
        assert MatrixError.of("M_LIMIT_EXCEEDED", "no").headers == ()
        assert MatrixError.of("M_LIMIT_EXCEEDED", "no", retry_after_ms=True).headers == ()
