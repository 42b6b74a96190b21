"""A diagnosis as a page for people: one HTML file without scripts.

It fetches nothing. The story comes first, then facts, rules tried, what would help, the events, and the raw record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from json import dumps
from typing import Final

from matrix_membership._html import escape, escaped, head_of, value, visible
from matrix_membership._picture import MOST, STYLE, picture
from matrix_membership.auth import Explanation
from matrix_membership.events import Event
from matrix_membership.federation.diagnosis._story import Diagnosis, Finding, Step

_STYLE: Final = """
table { border-collapse: collapse; width: 100%; } td:first-child, th:first-child, td:last-child, th:last-child { white-space: nowrap; } th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
a { color: inherit; } bdi, code { overflow-wrap: anywhere; } code { font: .9rem ui-monospace, monospace; }
.says { border-left: 4px solid var(--line); padding: .2rem .7rem; margin: .6rem 0; } .says.lost { border-color: var(--lost); color: var(--text); } .says.won { border-color: var(--won); color: var(--text); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem .8rem; margin: .6rem 0; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
details { border: 1px solid var(--line); border-radius: 6px; padding: .4rem .7rem; margin: .6rem 0; } summary { cursor: pointer; }
a:focus-visible, summary:focus-visible { outline: 2px solid var(--text); outline-offset: 2px; }
details pre { font: .85rem/1.4 ui-monospace, monospace; } ul.checks { list-style: none; padding-left: 0; }
section + section { border-top: 2px solid var(--line); margin-top: 1.6rem; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .4rem; } }
@media print { details { border: 0; } }
""".strip()

_MOST_RAW: Final = 500_000


def page_of(diagnoses: Sequence[Diagnosis]) -> str:
    """Return a page that tells the findings about each move of a record."""
    title = "Diagnosis" if len(diagnoses) != 1 else diagnoses[0].headline
    raw = dumps([diagnosis.to_dict() for diagnosis in diagnoses], indent=2, ensure_ascii=False)
    parts = [
        head_of(escaped(title), f"{_STYLE}\n{STYLE}"),
        f"<main>\n<h1>{value(title)}</h1>",
        *(part for diagnosis in diagnoses for part in _section(diagnosis, len(diagnoses) > 1)),
        _folded("All as JSON", raw),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _section(told: Diagnosis, titled: bool) -> Iterator[str]:  # noqa: FBT001 - one of two forms
    level = "h3" if titled else "h2"
    yield "<section>"
    if titled:
        yield f"<h2>{value(told.headline)}</h2>"
    mark = "won" if told else "lost"
    yield f'<p class="says {mark}">{escaped(told.summary)}</p>'
    yield f"<{level}>What happened</{level}>\n<ol>"
    for step in told.steps:
        yield from _step(step)
    yield "</ol>"
    parts = (
        ("Facts", _facts(told)),
        ("Facts of the room", _room(told.explanation)),
        ("Rules tried", _rules(told.explanation)),
        (
            "What each side can do",
            _list(f"{escape(who)}: {escaped(what)}" for who, what in told.remedies),
        ),
        ("What is missing", _list(map(escaped, told.missing))),
        ("Events, with those that authorise them", _picture(told)),
    )
    for title, part in parts:
        lines = list(part)
        if lines:
            yield f"<{level}>{title}</{level}>"
            yield from lines
    raw = [step.exchange.to_dict() for step in told.steps]
    yield _folded("The requests and answers", dumps(raw, indent=2, ensure_ascii=False))
    yield "</section>"


def _facts(told: Diagnosis) -> Iterator[str]:
    yield "<dl>"
    yield f"<dt>At fault</dt><dd>{value(told.side)}</dd>"
    yield f"<dt>Cause</dt><dd>{value(told.cause or 'none')}</dd>"
    if told.event_id:
        yield f"<dt>Event</dt><dd><code>{value(told.event_id)}</code></dd>"
    if told.decision is not None:
        link = f'<a href="{escape(told.decision.url)}">{escaped(str(told.decision))}</a>'
        yield f"<dt>Rule</dt><dd>{link}</dd>"
    others = ", ".join(map(value, told.servers))
    named = f": {others}" if others else ""
    yield f"<dt>Another server</dt><dd>would help: {told.another_server}{named}</dd>"
    yield "</dl>"


def _step(step: Step) -> Iterator[str]:
    yield f"<li><strong>{value(step.title)}</strong><br><code>{value(step.exchange.line)}</code>"
    yield f"<br>answer: {value(step.reply)}"
    if step.findings:
        yield '<ul class="checks">'
        yield from (f"<li>{_finding(finding)}</li>" for finding in step.shown)
        yield "</ul>"
    yield "</li>"


def _finding(found: Finding) -> str:
    mark, word = {
        True: ("won", "&#10003; ok"),
        False: ("lost", "&#10007; wrong"),
        None: ("soft", "? unchecked"),
    }[found.good]
    event = f" <code>{value(found.event_id)}</code>" if found.event_id else ""
    return f'<span class="{mark}">{word}</span> {escaped(found.sentence)}{event}'


def _room(explanation: Explanation | None) -> Iterator[str]:
    if explanation is not None:
        yield from _list(escaped(str(fact)) for fact in explanation.facts)


def _rules(explanation: Explanation | None) -> Iterator[str]:
    if explanation is None:
        return
    url = escape(explanation.decision.url)
    yield f'<p><a href="{url}">The rules of this room version</a></p>'
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("Rule", "It says", "Outcome"))
    yield f"<table><thead><tr>{heads}</tr></thead><tbody>"
    for step in explanation.steps:
        fired = (step.verdict or "yes") if step.fired else ""
        outcome = "unknown" if step.fired is None else fired
        yield f"<tr><td>{escape(step.number)}</td><td>{escaped(step.text)}</td><td>{outcome}</td></tr>"
    yield "</tbody></table>"


def _list(items: Iterable[str]) -> Iterator[str]:
    listed = [f"<li>{item}</li>" for item in items]
    if listed:
        yield "<ul>"
        yield from listed
        yield "</ul>"


def _folded(title: str, text: str) -> str:
    # The answer to a join can be too large for a browser to show.
    more = len(text) - _MOST_RAW
    cut = f"{text[:_MOST_RAW]}\n... and {more} more characters" if more > 0 else text
    raw = escape(visible(cut, keep="\n"))
    return f"<details>\n<summary>{title}</summary>\n<pre>{raw}</pre>\n</details>"


# ------------------------------------------------------------------ the events


def _picture(told: Diagnosis) -> Iterator[str]:
    """Draw the events that the move depends on, each below those that it cites."""
    drawn = _that_matter(told)
    rows: dict[str, int] = {event.event_id: index for index, event in enumerate(drawn)}
    curves = (
        (rows[event.event_id], rows[cited])
        for event in drawn
        for cited in event.auth_events
        if cited in rows
    )
    title = "The events in order; curves lead to their auth events"
    if drawn:
        marks = {row: "blamed" for event_id, row in rows.items() if event_id == told.event_id}
        yield from picture(title, drawn, curves, marks)


def _that_matter(told: Diagnosis) -> list[Event]:
    """Return the move, the blamed event, and the auth events of both."""
    by_id: dict[str, Event] = {event.event_id: event for event in told.events}
    last = [event.event_id for event in told.events[-1:]]
    wanted = dict.fromkeys([*last, told.event_id])
    for event_id in tuple(wanted):
        if event_id in by_id:
            wanted |= dict.fromkeys(by_id[event_id].auth_events)
    return [event for event in told.events if event.event_id in wanted][-MOST:]
