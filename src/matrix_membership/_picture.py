"""Draw events below each other, as SVG, with curves to those that they depend on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from matrix_membership._html import escape, visible
from matrix_membership.events import Event

STYLE: Final = """
svg { display: block; width: 100%; max-width: 34rem; height: auto; }
svg text { font: 11px ui-monospace, monospace; fill: var(--text); unicode-bidi: isolate; direction: ltr; } svg text.soft { fill: var(--soft); } svg text.lost { fill: var(--lost); }
svg path { fill: none; stroke: var(--line); stroke-width: 1.2; } svg circle { fill: var(--back); stroke: var(--soft); stroke-width: 2; } svg circle.lost { stroke: var(--lost); fill: var(--lost); }
""".strip()
"""The style of a picture, for the head of its page."""

MOST: Final = 40
"""The most events that a picture has."""

# As wide as a small phone shows it.
_WIDTH: Final = 366
_GUTTER: Final = 74
_ROW: Final = 46
_LETTERS: Final = 43


def picture(
    title: str,
    events: Sequence[Event],
    curves: Iterable[tuple[int, int]],
    marks: Mapping[int, str],
) -> Iterator[str]:
    """Yield the lines of a picture.

    Args:
        title: says what is drawn, to those who do not see it.
        events: the events from above to below, at most `MOST`.
        curves: pairs of indices: from the event that depends to the one on which it does, where
            the curve has its tip.
        marks: the word beside each event that stands out, by its index.
    """
    height = _ROW * len(events)
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">'
    yield f"<title>{escape(title)}</title>"
    for start, end in curves:
        yield _curve(start, end)
    for row, event in enumerate(events):
        yield from _row(event, row, marks.get(row, ""))
    yield "</svg>"


def _curve(start: int, end: int) -> str:
    x, top, bottom = _GUTTER - 14, start * _ROW + 12, end * _ROW + 12
    # The further away, the wider the curve, so that curves can be told apart.
    out = x - min(56, 14 + abs(top - bottom) // 9)
    # Drawn, not a marker: a page of several pictures would define its name more than once.
    tip = f"M{x - 12} {bottom - 4} L{x - 7} {bottom} L{x - 12} {bottom + 4}"
    return f'<path d="M{x} {top} C{out} {top} {out} {bottom} {x - 7} {bottom} {tip}"/>'


def _row(event: Event, row: int, mark: str) -> Iterator[str]:
    top = row * _ROW + 12
    kind = ' class="lost"' if mark else ""
    yield f'<circle cx="{_GUTTER - 14}" cy="{top}" r="5"{kind}/>'
    name = f"{event.type} {event.membership or ''}".rstrip() + (f" ({mark})" if mark else "")
    shown = filter(None, (name, event.state_key, f"by {event.sender}"))
    for index, line in enumerate(shown):
        text = visible(line)
        cut = text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "\u2026"
        of = kind if index == 0 else ' class="soft"'
        yield f'<text x="{_GUTTER}" y="{top + 4 + 13 * index}"{of}>{escape(cut)}</text>'
