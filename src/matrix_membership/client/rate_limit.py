"""Rate limits: a token bucket as a value. Time and rates are arguments.

See `Rate limiting`__.

__ https://spec.matrix.org/v1.19/client-server-api/#rate-limiting
"""

from __future__ import annotations

from matrix_membership._attrs import evolve, frozen
from matrix_membership.federation.messages import MatrixError

__all__ = ["TokenBucket"]

_SECOND = 1000


@frozen
class TokenBucket:
    """How many requests somebody may still make.

    Attributes:
        per_second: how many tokens come in a second; more than 0.
        burst: how many it holds at most; at least 1.
        tokens: how many it held at `at`.
        at: when it was last taken from, in milliseconds since 1970.
    """

    per_second: float
    burst: float
    tokens: float
    at: int

    @classmethod
    def full(cls, *, per_second: float, burst: float, at: int) -> TokenBucket:
        """A full bucket.

        Raises:
            ValueError: a rate or a size that lets nothing through for ever.
        """
        if not (per_second > 0 and burst >= 1):
            raise ValueError("expected a rate above 0 and room for a token")
        return cls(per_second, burst, burst, at)

    def take(self, *, at: int, tokens: float = 1) -> TokenBucket | MatrixError:
        """Take tokens for one request.

        Args:
            at: the time now, in milliseconds since 1970; a clock that went back counts
                as one that stood still.
            tokens: how many the request costs, at most `burst`.

        Returns:
            The bucket after it; or, when there are too few, the error to answer, with
            `retry_after_ms`. The bucket then stays as it is.

        >>> bucket = TokenBucket.full(per_second=0.5, burst=1, at=0).take(at=0)
        >>> refused = bucket.take(at=500)
        >>> refused.extra, refused.headers
        ({'retry_after_ms': 1500}, (('Retry-After', '2'),))
        """
        passed = max(0, at - self.at)
        held = min(self.burst, self.tokens + passed * self.per_second / _SECOND)
        if held >= tokens:
            return evolve(self, tokens=held - tokens, at=max(at, self.at))
        missing = (min(tokens, self.burst) - held) / self.per_second
        wait = max(1, -int(-missing * _SECOND // 1))
        return MatrixError.of("M_LIMIT_EXCEEDED", "too many requests", retry_after_ms=wait)
