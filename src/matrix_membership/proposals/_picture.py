"""The moves between memberships as a picture: the changed ones are coloured."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from math import hypot
from types import MappingProxyType
from typing import Final

from matrix_membership.membership import (
    BAN,
    INVITE,
    JOIN,
    KNOCK,
    LEAVE,
    MEMBERSHIPS,
    TRANSITIONS,
    Membership,
    Transition,
)
from matrix_membership.proposals.changes import Move

_PLACES: Final = MappingProxyType(
    {INVITE: (320, 40), KNOCK: (110, 140), JOIN: (530, 140), LEAVE: (200, 300), BAN: (440, 300)}
)
_RADIUS: Final = 38
_BEND: Final = 22
"""The bend of a line to its left: there and back are two lines."""

STYLE: Final = """
svg { display: block; width: 100%; max-width: 40rem; height: auto; } svg circle { fill: none; stroke: var(--soft); }
svg text { font-size: 19px; fill: var(--text); text-anchor: middle; dominant-baseline: central; } svg path { fill: none; stroke: var(--line); }
svg path.won { stroke: var(--won); stroke-width: 2.5; } svg path.lost { stroke: var(--lost); stroke-width: 2.5; }
svg path.won.lost { stroke-dasharray: 8 5; } svg marker path { fill: context-stroke; stroke: none; }
""".strip()

_TIP: Final = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
    'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
)


def picture_of(moves: AbstractSet[Move]) -> Iterator[str]:
    """Yield the picture of all moves, as SVG."""
    yield '<svg viewBox="0 0 640 350" role="img" aria-label="moves between memberships">'
    yield _TIP
    for before in MEMBERSHIPS.values():
        for after in MEMBERSHIPS.values():
            allowed = {
                move.allowed for move in moves if (move.before, move.after) == (before, after)
            }
            # A move that nobody makes is drawn only where a version brings or takes it.
            if before is not after and (allowed or _happens(before, after)):
                marks = " ".join({True: "won", False: "lost"}[each] for each in sorted(allowed))
                yield f'<path class="{marks}" d="{_line(before, after)}" marker-end="url(#tip)"/>'
    for membership, (x, y) in _PLACES.items():
        yield f'<circle cx="{x}" cy="{y}" r="{_RADIUS}"/><text x="{x}" y="{y}">{membership}</text>'
    yield "</svg>"


def _happens(before: Membership, after: Membership) -> bool:
    return TRANSITIONS[before][after] != (Transition.UNEXPECTED, Transition.UNEXPECTED)


def _line(before: Membership, after: Membership) -> str:
    """Return a bent line between two circles."""
    (x1, y1), (x2, y2) = _PLACES[before], _PLACES[after]
    length = hypot(x2 - x1, y2 - y1)
    along, across = (x2 - x1) / length, (y2 - y1) / length
    middle_x, middle_y = (x1 + x2) / 2 + across * _BEND, (y1 + y2) / 2 - along * _BEND
    start = f"{x1 + along * _RADIUS + across * 6:.0f} {y1 + across * _RADIUS - along * 6:.0f}"
    end = f"{x2 - along * _RADIUS + across * 6:.0f} {y2 - across * _RADIUS - along * 6:.0f}"
    return f"M{start}Q{middle_x:.0f} {middle_y:.0f} {end}"
