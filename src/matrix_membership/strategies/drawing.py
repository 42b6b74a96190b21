"""Draw cases outside of a test, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from matrix_membership.room_versions import RoomVersion
from matrix_membership.strategies.cases import AuthCase, auth_cases

__all__ = ["draw_cases"]


def draw_cases(room_version: RoomVersion, count: int, *, seed: int = 0) -> Iterator[AuthCase]:
    """Draw cases for the auth rules, with sound auth events.

    Args:
        room_version: the version of the rooms.
        count: how many.
        seed: another one gives other cases. Another release of Hypothesis may do so too.

    Yields:
        The cases. Cost: about 2 ms for each.

    >>> from matrix_membership.room_versions import V11
    >>> len(list(draw_cases(V11, 5)))
    5

    .. versionadded:: 0.1.0
    """
    # Hypothesis calls a test, and gives nothing back before its end. So the cases are drawn in
    # parts: a hundred thousand at once would take half a gigabyte.
    for start in range(0, count, _AT_ONCE):
        yield from _drawn(room_version, min(_AT_ONCE, count - start), f"{seed} {start}")


_AT_ONCE: Final = 1000


def _drawn(room_version: RoomVersion, count: int, named: str) -> list[AuthCase]:
    found: list[AuthCase] = []

    # Nothing fails here, so there is nothing to shrink or to keep.
    @seeded(named)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(auth_cases(room_version=room_version, unsound_auth_events=False))
    def keep(case: AuthCase) -> None:
        found.append(case)

    keep()
    return found
