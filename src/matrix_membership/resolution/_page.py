"""The picture of a resolution: one HTML page, with the graph as SVG.

Each event that matters is a row, in the order in which events were considered. Curves at the left
lead from an event to those of its auth events that were considered before it. A winner is a full
disc with a tick, a loser a ring with a cross, so that the colours may be missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from types import MappingProxyType
from typing import Final, NamedTuple

from matrix_membership._html import escape, escaped, head_of, value, visible
from matrix_membership.identifiers import EventID
from matrix_membership.resolution._records import Outcome
from matrix_membership.resolution._state_sets import StateSet
from matrix_membership.resolution._story import Considered, Dispute, Story

__all__ = ["page_of"]

AuthEvents = Callable[[EventID], Sequence[EventID]]

_MOST: Final = 200
"""The largest number of events drawn, and of places listed: a page has to be read."""

# The picture is as wide as a small phone shows it: it is enlarged elsewhere, never shrunk.
_WIDTH: Final = 366
_GUTTER: Final = 74
_LINE: Final = 15
_LETTERS: Final = 43
"""The number of letters of the picture's font that fit beside the gutter."""

_STYLE: Final = """
svg { display: block; width: 100%; max-width: 34rem; height: auto; }
svg text { font: 11px ui-monospace, monospace; fill: var(--text); unicode-bidi: isolate; direction: ltr; }
svg .name { font-weight: 700; } svg .stage { font: 700 13px system-ui, sans-serif; paint-order: stroke; stroke: var(--back); stroke-width: 5; } svg text.soft { fill: var(--soft); } svg text.won { fill: var(--won); } svg text.lost { fill: var(--lost); }
svg .edge { fill: none; stroke: var(--line); stroke-width: 1.2; } svg .edge.lost { stroke-dasharray: 3 3; }
svg circle { stroke-width: 2; fill: var(--back); stroke: var(--soft); } svg circle.lost { stroke: var(--lost); }
svg circle.won { stroke: var(--won); fill: var(--won); } svg .mark { fill: none; stroke-width: 1.8; stroke: var(--soft); }
svg .mark.won { stroke: var(--back); } svg .mark.lost { stroke: var(--lost); }
@media (min-width: 62rem) { .beside { display: grid; grid-template-columns: 34rem 1fr; gap: 2.5rem; align-items: start; } }
""".strip()

_MARKS: Final = MappingProxyType(
    {"won": "M-3.5 .3 L-1 3 L4 -3", "lost": "M-3 -3 L3 3 M3 -3 L-3 3", "soft": ""}
)


class _Row(NamedTuple):
    entry: Considered
    top: int
    heading: str
    lines: tuple[tuple[str, str], ...]

    @property
    def centre(self) -> int:
        return self.first_line - 4

    @property
    def first_line(self) -> int:
        """The baseline of the first line."""
        return self.top + _LINE + (2 * _LINE if self.heading else 0)


def page_of(
    story: Story,
    auth_events: AuthEvents,
    state_sets: Sequence[StateSet],
    notes: Iterable[str] = (),
) -> str:
    """Write the page.

    Args:
        story: the story of the resolution.
        auth_events: gives the auth events of an event.
        state_sets: the states that were resolved.
        notes: texts to list below the account.

    Returns:
        The HTML. Cost: linear in the story; at most 200 events and places are shown.
    """
    title = f"State resolution {escape(story.algorithm)}, room version "
    title += escaped(str(story.room_version))  # a version of one's own can have any name
    drawn = _that_matter(story, auth_events)
    figures = f"States: {len(state_sets)}. Places in dispute: {len(story.disputes)}. "
    figures += f"Events considered: {len(story.considered)}. Curves lead to auth events."
    parts = [
        head_of(title, _STYLE),
        f"<h1>{title}</h1>",
        _soft(figures),
        '<div class="beside">\n<section>\n<h2>What was considered, in order</h2>',
        _picture(drawn, auth_events, state_sets),
        _more("Events not drawn", len(story.considered) - len(drawn)),
        "</section>\n<section>\n<h2>Who won each place</h2>",
        *(_dispute(dispute) for dispute in story.disputes[:_MOST]),
        _more("Places not listed", len(story.disputes) - _MOST),
        _notes(list(notes)),
        "</section>\n</div>\n</body>\n</html>\n",
    ]
    return "\n".join(filter(None, parts))


def _soft(text: str) -> str:
    return f'<p class="soft">{text}</p>'


def _more(what: str, count: int) -> str:
    return _soft(f"{what}: {count}.") if count > 0 else ""


def _that_matter(story: Story, auth_events: AuthEvents) -> list[Considered]:
    """Return the losers, their rivals, and the auth events of these, in their order."""
    lost = [entry for entry in story.considered if not entry.wins]
    contested = {entry.place for entry in lost}
    rivals = [entry for entry in story.considered if entry.place in contested]
    listed = {name for entry in rivals for name in auth_events(entry.event_id)}
    behind = [entry for entry in story.considered if entry.event_id in listed]
    # Losers first: if a page has room for 200 events only, it shows those that somebody asks about.
    chosen: dict[EventID, None] = {}
    for entry in (*lost, *rivals, *behind, *story.considered):
        if len(chosen) == _MOST:
            break
        chosen[entry.event_id] = None
    return [entry for entry in story.considered if entry.event_id in chosen]


def _picture(
    drawn: Iterable[Considered], auth_events: AuthEvents, state_sets: Sequence[StateSet]
) -> str:
    rows = list(_rows(drawn, state_sets))
    if not rows:
        return _soft("Nothing was in dispute.")
    places = {row.entry.event_id: row for row in rows}
    height = rows[-1].first_line + _LINE * len(rows[-1].lines)
    parts = [
        # Without a width of its own the picture fills its column.
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        "<title>The events in order, each with the events that authorise it</title>",
        *(edge for row in rows for edge in _edges(row, places, auth_events)),
        *(line for row in rows for line in _drawn(row)),
        "</svg>",
    ]
    return "\n".join(parts)


def _rows(drawn: Iterable[Considered], state_sets: Sequence[StateSet]) -> Iterator[_Row]:
    states: dict[EventID, list[int]] = {}
    for number, state_set in enumerate(state_sets):
        for event_id in state_set.values():
            states.setdefault(event_id, []).append(number)
    top: int = 0
    stage: object = ""
    for entry in drawn:
        heading = "" if entry.stage is stage else str(entry.stage or "not considered")
        stage = entry.stage
        row = _Row(entry, top, heading, tuple(_lines(entry, states.get(entry.event_id, ()))))
        yield row
        top = row.first_line + _LINE * len(row.lines)


def _lines(entry: Considered, states: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Yield the lines of a row, each with its class."""
    number = f"{entry.number}. " if entry.number else ""
    kind, key = entry.place or (entry.event_id, "")
    # Types and state keys are chosen by strangers: `visible` spells out marks of direction, with
    # which a name could pretend to be another one.
    yield "name", _cut(f"{number}{visible(kind)} {entry.membership or ''}".rstrip())
    if key:
        yield "", _cut(visible(key))
    if entry.sender:
        yield "soft", _cut(f"by {visible(entry.sender)}")
    numbers = ", ".join(map(str, states))
    where = f"state {numbers}" if states else "in no state, in an auth chain"
    for line in wrap(f"{where}; {entry.why}" if entry.why else where, _LETTERS):
        yield "soft", line
    mark = _class_of(entry)
    for line in wrap(_end_of(entry), _LETTERS):
        yield mark, line


def _class_of(entry: Considered) -> str:
    if entry.wins:
        return "won"
    return "soft" if entry.outcome is Outcome.TAKEN else "lost"


def _end_of(entry: Considered) -> str:
    """Say whether an event wins, is replaced or loses, with the rule for a loser."""
    if entry.wins:
        return "wins"
    if entry.outcome is Outcome.TAKEN:
        return "replaced by a later event"
    # A decision counts as false where the rules refuse an event.
    return f"loses: {entry.outcome if entry.decision is None else entry.decision}"


def _edges(row: _Row, places: Mapping[EventID, _Row], auth_events: AuthEvents) -> Iterator[str]:
    for name in dict.fromkeys(auth_events(row.entry.event_id)):
        other = places.get(name)
        if other is not None and other is not row:
            # The further away, the wider the curve, so that curves can be told apart.
            out = _GUTTER - 14 - min(60, 14 + abs(row.centre - other.centre) // 9)
            mark = _class_of(row.entry)
            start, end = f"{_GUTTER - 14} {row.centre}", f"{_GUTTER - 14} {other.centre}"
            yield f'<path class="edge {mark}" d="M{start} C{out} {row.centre} {out} {other.centre} {end}"/>'


def _drawn(row: _Row) -> Iterator[str]:
    mark = _class_of(row.entry)
    if row.heading:
        yield f'<text class="stage" x="0" y="{row.top + _LINE}">{escape(row.heading)}</text>'
    yield f'<g transform="translate({_GUTTER - 14} {row.centre})"><title>{escaped(row.entry.event_id)}</title>'
    yield f'<circle class="{mark}" r="7"/><path class="mark {mark}" d="{_MARKS[mark]}"/></g>'
    for index, (name, line) in enumerate(row.lines):
        y = row.first_line + _LINE * index
        yield f'<text class="{name}" x="{_GUTTER}" y="{y}">{escape(line)}</text>'


def _dispute(dispute: Dispute) -> str:
    kind, key = dispute.place
    winner = value(dispute.winner) if dispute.winner else "nothing stands here"
    lines = [f"<h3>{value(kind)} {value(key) if key else ''}</h3>", f"<p>{winner}</p>", "<ul>"]
    for entry in dispute.candidates:
        number = f"{entry.number}. " if entry.number else ""
        sender = f" by {value(entry.sender)}" if entry.sender else ""
        end = f'<span class="{_class_of(entry)}">{escape(_end_of(entry))}</span>'
        lines.append(f"<li>{number}{value(entry.event_id)}{sender}: {end}</li>")
    return "\n".join([*lines, "</ul>"])


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    lines = (f"<pre>{escape(visible(note, keep=chr(10)))}</pre>" for note in notes)
    return "\n".join(["<h2>Resets</h2>", *lines])


def _cut(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
