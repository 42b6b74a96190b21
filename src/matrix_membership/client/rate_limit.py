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
    """The requests that a user may still make.

    Attributes:
        per_second: how many tokens are added each second; more than 0.
        burst: the most tokens that the bucket holds; at least 1.
        tokens: how many tokens it held at the time `at`.
        at: the time of the last request, in milliseconds since 1970.

    .. versionadded:: 0.1.0
    """

    per_second: float
    burst: float
    tokens: float
    at: int

    @classmethod
    def full(cls, *, per_second: float, burst: float, at: int) -> TokenBucket:
        """Return a full bucket.

        Raises:
            ValueError: the rate is not above 0, or the bucket cannot hold one token.
        """
        if not (per_second > 0 and burst >= 1):
            raise ValueError("expected a rate above 0 and room for a token")
        return cls(per_second, burst, burst, at)

    def take(self, *, at: int, tokens: float = 1) -> TokenBucket | MatrixError:
        """Take the tokens that one request costs, at most `burst`.

        A time before the last request counts as the time of that request.

        Returns:
            The bucket afterwards; or, when it holds too few tokens, the error to
            answer, with `retry_after_ms`. Keep the old bucket then.

        >>> bucket = TokenBucket.full(per_second=0.5, burst=1, at=0).take(at=0)
        >>> refused = bucket.take(at=500)
        >>> refused.extra, refused.headers
        ({'retry_after_ms': 1500}, (('Retry-After', '2'),))
        """
        # A clock that was set back must not take tokens away.
        passed = max(0, at - self.at)
        held = min(self.burst, self.tokens + passed * self.per_second / _SECOND)
        if held >= tokens:
            return evolve(self, tokens=held - tokens, at=max(at, self.at))
        missing = (min(tokens, self.burst) - held) / self.per_second
        # Rounded up: a client that waits exactly this long must not be refused again.
        wait = max(1, -int(-missing * _SECOND // 1))
        return MatrixError.of("M_LIMIT_EXCEEDED", "too many requests", retry_after_ms=wait)
