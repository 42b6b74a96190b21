"""Measure all, and write the table and the picture of docs/explanation/performance.md: `make bench`."""

from __future__ import annotations

import platform
from html import escape
from typing import Final

from tests.bench.figures import CORES, Figure, Sizes, figures
from tests.bench.measure import best
from tests.bench.page import PAGE, shown, write_between

PICTURE: Final = PAGE.with_name("performance.svg")
BEGIN: Final = "<!-- written by make bench -->"
END: Final = "<!-- until here -->"
SIZES: Final = Sizes(
    state=1_000_000, changed=100_000, answer=10_000, large_answer=100_000, pools=10_000
)


def table(measured: list[tuple[Figure, float]]) -> str:
    """The table of the page."""
    lines = [
        f"CPython {platform.python_version()}, {platform.machine()}, {CORES} cores; medians, the best of three.",
        "",
        "| figure | measured | unit | target | met |",
        "|---|---|---|---|---|",
    ]
    for figure, value in measured:
        met = "-" if figure.target is None else "yes" if figure.met(value) else "no"
        unit = figure.unit if figure.unit in ("us", "ms", "KB", "exponent") else f"x {figure.unit}"
        lines.append(
            f"| {figure.name} | {shown(value)} | {unit} | {shown(figure.target)} | {met} |"
        )
    return "\n".join(lines)


def picture(measured: list[tuple[Figure, float]]) -> str:
    """The figures that have a target, as bars: the target is the line at 1."""
    rows = [
        (
            figure.name,
            figure.target / value if figure.more_is_better else max(value, 0) / figure.target,
        )
        for figure, value in measured
        if figure.target is not None
    ]
    height, left, scale = 22, 400, 200
    width = left + 2 * scale + 60
    size = f'width="{width}" height="{height * len(rows) + 30}"'
    font = 'font-family="sans-serif" font-size="12"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>']
    for number, (name, share) in enumerate(rows):
        y = height * number
        colour = "#3a7" if share <= 1 else "#c63"
        parts += [
            f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{left}" y="{y + 3}" width="{min(share, 2) * scale:.0f}" height="16" fill="{colour}"/>',
            f'<text x="{left + min(share, 2) * scale + 4:.0f}" y="{y + 15}">{share:.2f}</text>',
        ]
    bottom = height * len(rows)
    parts += [
        f'<line x1="{left + scale}" x2="{left + scale}" y1="0" y2="{bottom}" stroke="#333"/>',
        f'<text x="{left + scale}" y="{bottom + 16}" text-anchor="middle">target</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Measure and write."""
    measured = []
    for figure in figures(SIZES):
        value = best(figure.measure, most=figure.more_is_better)
        measured.append((figure, value))
        print(f"{figure.name}: {shown(value)} ({figure.unit}), target {shown(figure.target)}")
    write_between(BEGIN, END, table(measured))
    PICTURE.write_text(picture(measured), "utf-8")


if __name__ == "__main__":
    main()
