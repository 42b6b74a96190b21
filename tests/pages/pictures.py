"""The pictures of the pages, as SVG: boxes, and arrows between them."""

from __future__ import annotations

from html import escape
from math import hypot
from types import MappingProxyType
from typing import Final

import attrs

from matrix_membership.membership import LEAVE, TRANSITIONS, Transition
from tests.sources import ROOT

DOCS: Final = ROOT / "docs"

STYLE: Final = (
    "text{font:14px system-ui,sans-serif;text-anchor:middle;dominant-baseline:central;fill:#1b1f24}"
    ".label{font-size:12px;fill:#444c56;paint-order:stroke;stroke:#fff;stroke-width:5px}"
    "rect{fill:#fff}.box{fill:#eef4fb;stroke:#4a6f96}path{fill:none;stroke:#6b7682;stroke-width:1.3}"
    "marker path{fill:#6b7682;stroke:none}"
)
TIP: Final = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" '
    'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
)


@attrs.frozen
class Box:
    """A box around a text."""

    text: str
    x: int
    y: int

    @property
    def half(self) -> tuple[float, float]:
        """Half of its width and of its height."""
        return 14 + len(self.text) * 3.9, 18

    def edge_towards(self, x: float, y: float) -> tuple[float, float]:
        """Return the point at which a line from the middle to (x, y) leaves the box."""
        width, height = self.half
        across, down = x - self.x, y - self.y
        share = min(
            width / abs(across) if across else 1e9,
            height / abs(down) if down else 1e9,
        )
        return self.x + across * share, self.y + down * share


@attrs.frozen
class Arrow:
    """An arrow from one box to another, bent to its left by as many units."""

    start: str
    end: str
    label: str = ""
    bend: int = 0


def picture(title: str, boxes: tuple[Box, ...], arrows: tuple[Arrow, ...]) -> str:
    """Return a picture as wide and high as its boxes need."""
    width = max(box.x + box.half[0] for box in boxes) + 40
    height = max(box.y + box.half[1] for box in boxes) + 20
    at = {box.text: box for box in boxes}
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>{TIP}",
        '<rect width="100%" height="100%" rx="6"/>',
    ]
    lines = [_arrow(at[arrow.start], at[arrow.end], arrow) for arrow in arrows]
    parts += [line for line, _ in lines]
    parts += [label for _, labels in lines for label in labels]
    for box in boxes:
        half_width, half_height = box.half
        parts.append(
            f'<rect class="box" x="{box.x - half_width:.0f}" y="{box.y - half_height:.0f}" '
            f'width="{half_width * 2:.0f}" height="{half_height * 2:.0f}" rx="6"/>'
            f'<text x="{box.x}" y="{box.y}">{escape(box.text)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _arrow(start: Box, end: Box, arrow: Arrow) -> tuple[str, list[str]]:
    """Return the line of an arrow, and its label."""
    length = hypot(end.x - start.x, end.y - start.y)
    across, down = (end.y - start.y) / length, (start.x - end.x) / length
    x = (start.x + end.x) / 2 + across * arrow.bend
    y = (start.y + end.y) / 2 + down * arrow.bend
    x1, y1 = start.edge_towards(x, y)
    x2, y2 = end.edge_towards(x, y)
    line = (
        f'<path d="M{x1:.0f} {y1:.0f}Q{x:.0f} {y:.0f} {x2:.0f} {y2:.0f}" marker-end="url(#tip)"/>'
    )
    # The middle of the curve lies half-way between its chord and the point that bends it.
    x, y = (x1 + 2 * x + x2) / 4, (y1 + 2 * y + y2) / 4
    words = arrow.label.split(" or ") if arrow.label else []
    words = [*(f"{word} or" for word in words[:-1]), *words[-1:]]
    return line, [
        f'<text class="label" x="{x:.0f}" y="{y + 14 * (row - (len(words) - 1) / 2):.0f}">{word}</text>'
        for row, word in enumerate(words)
    ]


PLACES: Final = (
    Box("invite", 400, 50),
    Box("knock", 90, 230),
    Box("leave", 400, 230),
    Box("join", 800, 230),
    Box("ban", 400, 410),
    Box("never seen", 220, 305),
)
AT: Final = MappingProxyType({box.text: box for box in PLACES})
BENDS: Final = MappingProxyType({("invite", "ban"): 260, ("knock", "ban"): -100})
UPRIGHT: Final = 110
"""The bend of a move that is drawn from top to bottom, or back: two labels have to fit."""


def memberships() -> str:
    """Draw the table of moves between memberships."""
    arrows = [Arrow("never seen", LEAVE.value)]
    for before, row in TRANSITIONS.items():
        for after, (by_self, by_other) in row.items():
            names = dict.fromkeys((by_self, by_other))
            if before is not after and not {Transition.UNEXPECTED, Transition.UNCHANGED} & {*names}:
                back = TRANSITIONS[after][before] != (Transition.UNEXPECTED, Transition.UNEXPECTED)
                upright = AT[before.value].x == AT[after.value].x
                usual = (UPRIGHT if upright else 40) if back else 0
                bend = BENDS.get((before.value, after.value), usual)
                label = " or ".join(map(str, names))
                arrows.append(Arrow(before.value, after.value, label, bend))
    return picture("The moves between memberships", PLACES, tuple(arrows))


def fork() -> str:
    """Draw a history that forks and meets again."""
    boxes = (
        Box("power levels: Ana 100, Ben 50", 270, 180),
        Box("Ana bans Ben", 120, 110),
        Box("Ben sets the topic", 420, 110),
        Box("an event with both parents", 270, 40),
    )
    start, ban, topic, merge = (box.text for box in boxes)
    pairs = ((ban, start), (topic, start), (merge, ban), (merge, topic))
    return picture("A history that forks", boxes, tuple(Arrow(*pair) for pair in pairs))


def chains() -> str:
    """Draw two chains of events, and what one owes to the other."""
    boxes = (
        *(Box(f"levels {i}", 480 - 180 * (3 - i), 40) for i in (1, 2, 3)),
        *(Box(f"Ben {i}", 480 - 180 * (2 - i), 130) for i in (1, 2)),
    )
    pairs = (
        ("levels 3", "levels 2"),
        ("levels 2", "levels 1"),
        ("Ben 2", "Ben 1"),
        ("Ben 1", "levels 1"),
        ("Ben 2", "levels 3"),
    )
    return picture("Two chains of auth events", boxes, tuple(Arrow(*pair) for pair in pairs))


FILES: Final = MappingProxyType(
    {
        DOCS / "reference" / "membership.svg": memberships,
        DOCS / "explanation" / "fork.svg": fork,
        DOCS / "explanation" / "chains.svg": chains,
    }
)
"""The files, each with the function that draws it."""
