"""Pages for people: one HTML file each, without scripts.

The text of strangers is escaped, and each piece of it isolated. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from json import dumps
from types import MappingProxyType
from typing import Final

from matrix_membership._html import escape, escaped, head_of, value, visible
from matrix_membership._picture import MOST, STYLE, picture
from matrix_membership.advice._finding import Finding, Weight
from matrix_membership.advice._powers import (
    CELLS,
    TITLES,
    Answer,
    Need,
    Powers,
    Rank,
    level_text,
    people,
)
from matrix_membership.advice.plans import Plan
from matrix_membership.advice.what_if import Difference, Step, WhatIf
from matrix_membership.auth.explaining import Explanation, TriedRule
from matrix_membership.canonical_json import JsonValue, thaw
from matrix_membership.events import Event

__all__ = ["page_of"]

_STYLE: Final = """
table { border-collapse: collapse; } caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
h1, h2, summary { overflow-wrap: anywhere; } tbody th { font-weight: normal; } a { color: inherit; } bdi { overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: .6rem 0; } .wide:focus-visible, summary:focus-visible, a:focus-visible { outline: 2px solid var(--text); outline-offset: 2px; }
.yes { color: var(--won); } .no { color: var(--lost); }
.says { border-left: 4px solid var(--line); padding: .2rem .7rem; margin: .6rem 0; } .says.no { border-color: var(--lost); color: var(--text); }
details { border: 1px solid var(--line); border-radius: 6px; padding: .4rem .7rem; margin: .6rem 0; } summary { cursor: pointer; }
pre { font: .85rem/1.4 ui-monospace, monospace; }
td .soft { overflow-wrap: anywhere; }
@media (max-width: 40rem) { th, td { padding: .2rem .35rem; font-size: .9rem; } }
@media print { details { border: 0; } .wide { overflow: visible; } }
""".strip()


def page_of(told: Powers | WhatIf | Plan) -> str:
    """Return a page that shows a finding.

    Args:
        told: the value from `powers.who_can`, `what_if.what_if` or a function of `plans`.

    Returns:
        An HTML document that asks the network for nothing.

    >>> from matrix_membership.advice.powers import who_can
    >>> from matrix_membership import V11, RoomState
    >>> "<h1>Who can do what</h1>" in page_of(who_can(RoomState.of(V11, [])))
    True

    .. versionadded:: 0.1.0
    """
    if isinstance(told, Plan):
        return _page(told.title, _planned(told), told.to_dict())
    if isinstance(told, WhatIf):
        return _page("What would be", _would_be(told), told.to_dict())
    return _page("Who can do what", _whole(told), told.to_dict())


def page_of_findings(findings: Sequence[Finding]) -> str:
    """Return a page that shows the findings of `lint`."""
    document: list[JsonValue] = [finding.to_dict() for finding in findings]
    return _page("What hurts in the room", _findings(findings), document)


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        yield '<p class="says">Nothing hurts.</p>'
    for weight in Weight:
        found = [finding for finding in findings if finding.weight is weight]
        if found:
            yield f"<h2>{_WEIGHTS[weight]}</h2>"
            yield from _list(map(_found, found))


_WEIGHTS: Final = MappingProxyType(
    {Weight.HURTS: "It hurts", Weight.MAY_HURT: "It may hurt", Weight.NOTE: "Good to know"}
)


def _found(finding: Finding) -> str:
    about = ", ".join(map(value, finding.concerns))
    concerns = f" [{about}]" if about else ""
    remedy = f'<br><span class="soft">{escaped(finding.remedy)}</span>'
    return f"{escaped(finding.sentence)}{concerns}{remedy}"


def page_of_explanation(answer: str, explanation: Explanation) -> str:
    """Return a page that shows why an event is allowed or rejected."""
    document: JsonValue = {"answer": answer, **explanation.to_dict()}
    return _page("Why", _why(answer, explanation), document)


def _why(answer: str, explanation: Explanation) -> Iterator[str]:
    event, decision = explanation.event, explanation.decision
    yield f"<p>{_name(event)} by {value(event.sender)}</p>"
    link = f'<a href="{escape(decision.url)}">the rules of version {escaped(str(decision.room_version))}</a>'
    mark = "says" if explanation else "says no"
    yield f'<p class="{mark}">{escaped(answer)} ({link})</p>'
    for title, rows in (
        ("Levels that fell short", explanation.shortfalls),
        ("What would help", [remedy.sentence for remedy in explanation.remedies]),
        ("Facts", explanation.facts),
        ("Rooms whose members may join", explanation.rooms),
        ("Servers that can authorise the join", explanation.servers),
        ("Malformed events that were passed over", explanation.passed_over),
    ):
        if rows:
            yield f"<h2>{title}</h2>"
            yield from _list(escaped(str(row)) for row in rows)
    yield "<h2>Rules tried</h2>"
    heads = ["number", "rule", "outcome"]
    yield from _table("Rules tried", heads, map(_tried, explanation.steps))
    yield "<h2>The event, below those that it was judged by</h2>"
    drawn = [*explanation.evidence[: MOST - 1], event]
    last = len(drawn) - 1
    curves = ((last, row) for row in range(last))
    title = "The event; curves lead to the state events that the rules read"
    yield from picture(title, drawn, curves, {} if explanation else {last: "not allowed"})


def _tried(rule: TriedRule) -> list[str]:
    outcome = {None: "unknown", True: rule.verdict or "yes", False: ""}[rule.fired]
    mark = {"allow": "yes", "reject": "no"}.get(outcome, "soft")
    name = f'<br><span class="soft">{escaped(rule.name)}</span>' if rule.name else ""
    told = f'<span class="{mark}">{outcome}</span>'
    return [escape(rule.number), escaped(rule.text) + name, told]


def _page(title: str, parts: Iterable[str], document: JsonValue) -> str:
    raw = escape(visible(dumps(document, indent=2, ensure_ascii=False), keep="\n"))
    return "\n".join(
        [
            head_of(escaped(title), f"{_STYLE}\n{STYLE}"),
            f"<main>\n<h1>{escaped(title)}</h1>",
            *parts,
            f"<details>\n<summary>All as JSON</summary>\n<pre>{raw}</pre>\n</details>",
            "</main>\n</body>\n</html>\n",
        ]
    )


def _planned(plan: Plan) -> Iterator[str]:
    for reason in (plan.objection, plan.danger):
        if reason:
            yield f'<p class="says no"><strong class="no">No</strong>: {escaped(reason)}.</p>'
    if plan:
        yield '<p class="says">The rules allow it, and somebody stays in charge.</p>'
    yield from _to_send(plan)
    for title, findings in (("It would hurt", plan.added), ("It would mend", plan.removed)):
        if findings:
            yield f"<h2>{title}</h2>"
            yield from _list(escaped(str(finding)) for finding in findings)
    if plan.notes:
        yield "<h2>Notes</h2>"
        yield from _list(map(escaped, plan.notes))
    if plan.events:
        yield from _would_be(plan.found)


def _to_send(plan: Plan) -> Iterator[str]:
    yield f"<h2>Send, as {value(plan.sender)}</h2>"
    if plan.request:
        yield f"<pre>{escaped(plan.request)}</pre>\n<h2>The server would send</h2>"
    elif not plan.events:
        yield "<p>Nothing.</p>"
    for event in plan.events:
        content = visible(dumps(thaw(event.content), indent=2, ensure_ascii=False), keep="\n")
        yield f"<p>{_name(event)}</p>\n<pre>{escape(content)}</pre>"


def _name(event: Event) -> str:
    """Return the type of an event, and its state key if it has one."""
    place = f" {value(event.state_key)}" if event.state_key else ""
    return value(event.type) + place


def _would_be(found: WhatIf) -> Iterator[str]:
    effective = sum(map(bool, found.steps))
    mark = "says" if found else "says no"
    yield f'<p class="{mark}">{effective} of {len(found.steps)} events would take effect, in a room of'
    yield f" version {value(str(found.state.room_version))}.</p>"
    yield from _effects(found)
    for title, powers in (("Before", found.before), ("After", found.after)):
        yield f"<details>\n<summary>{title}: who can do what</summary>"
        yield from _ranks(powers.ranks)
        yield from _matrix(powers)
        yield "</details>"


def _effects(found: WhatIf) -> Iterator[str]:
    yield "<h2>Events</h2>"
    yield from _table("Events", ["event", "sender", "verdict"], map(_judged, found.steps))
    if found.steps:
        yield "<h2>The events in order, below the state that they were judged by</h2>"
        yield from _drawn(found.steps)
    yield "<h2>Who can do more or less</h2>"
    if found.differences:
        heads = ["who", "level", "may now", "may no longer"]
        yield from _table("Differences", heads, map(_differs, found.differences))
    else:
        yield "<p>Nobody who is in the room.</p>"
    if found.entry:
        yield "<h2>A user from outside</h2>"
        heads = ["", "before", "after"]
        yield from _table("From outside", heads, (_entered(*pair) for pair in found.entry))


def _drawn(steps: Sequence[Step]) -> Iterator[str]:
    """Draw events, each with curves to the state events that the rules read for it."""
    shown = steps[: MOST // 2]
    own = [step.event for step in shown]
    # By identity: events in client format may lack an ID, and an event can be tried twice.
    read = {id(event): event for step in shown for event in step.evidence}
    above = [event for event in read.values() if not any(event is each for each in own)]
    drawn = [*above[: MOST - len(own)], *own]
    first = len(drawn) - len(own)
    rows = {id(event): row for row, event in enumerate(drawn)}
    curves = [
        (row, rows[id(event)])
        for row, step in enumerate(shown, first)
        for event in step.evidence
        if id(event) in rows
    ]
    marks = {row: "no effect" for row, step in enumerate(shown, first) if not step}
    title = "The events in order; curves lead to the events that the rules read for them"
    yield from picture(title, drawn, curves, marks)
    if len(steps) > len(shown):
        yield f'<p class="soft">Events not drawn: {len(steps) - len(shown)}.</p>'


def _judged(step: Step) -> list[str]:
    mark = "yes" if step else "no"
    link = f'<a href="{escape(step.decision.url)}">{escaped(step.verdict)}</a>'
    return [_name(step.event), value(step.event.sender), f'<span class="{mark}">{link}</span>']


def _differs(difference: Difference) -> list[str]:
    return [
        people(difference.members, difference.count, value, escape(difference.who)),
        escaped(difference.moved),
        escape(", ".join(TITLES[action] for action in difference.gained)),
        escape(", ".join(TITLES[action] for action in difference.lost)),
    ]


def _entered(before: Answer, after: Answer) -> list[str]:
    told = (f"{_cell(answer.allowed)}: {escaped(answer.why)}" for answer in (before, after))
    return [escape(TITLES[before.action]), *told]


def _whole(powers: Powers) -> Iterator[str]:
    yield f"<p>Room version {value(str(powers.room_version))}. {_charge(powers)}</p>"
    yield "<h2>Members by level</h2>"
    yield from _ranks(powers.ranks)
    yield "<h2>What they may do</h2>"
    yield from _matrix(powers)
    yield "<h2>A user from outside</h2>"
    yield from _list(_answered(answer) for answer in powers.entry)
    if powers.away:
        yield "<h2>Power of users who are not joined</h2>"
        yield from _list(
            f"{value(away.user)} ({away.membership}): {escaped(str(away.standing))}"
            for away in powers.away
        )
    if not powers.whole:
        yield '<p class="says">There may be more: the state leaves members out.</p>'
    yield from _reasons(powers.ranks)


def _charge(powers: Powers) -> str:
    if not powers.in_charge:
        return '<strong class="no">Nobody can be seen who may change the power levels.</strong>'
    members = [people(rank.members, rank.count, value) for rank in powers.in_charge]
    return f"The power levels may be changed by {', '.join(members)}."


def _ranks(ranks: Sequence[Rank]) -> Iterator[str]:
    rows = (
        [
            level_text(rank.standing.level),
            _source(rank),
            str(rank.count),
            people(rank.members, rank.count, value),
        ]
        for rank in ranks
    )
    yield from _table("Members", ["level", "by", "members", "names"], rows)


def _source(rank: Rank) -> str:
    barred = rank.standing.barred
    note = f' <strong class="no">but {escaped(barred)}</strong>' if barred else ""
    return escaped(rank.standing.source) + note


def _matrix(powers: Powers) -> Iterator[str]:
    heads = [level_text(rank.standing.level) for rank in powers.ranks]
    rows = (
        [
            escape(TITLES[powers.ranks[0].answers[index].action]),
            *(_cell(rank.answers[index].allowed) for rank in powers.ranks),
            ", ".join(dict.fromkeys(map(_need, needs))),
        ]
        for index, needs in enumerate(powers.needs)
    )
    yield from _table("Actions", ["", *heads, "needs"], rows)


def _need(need: Need) -> str:
    return f"{value(need.name)} {need.level} by {value(need.source or 'default')}"


def _cell(allowed: bool | None) -> str:  # noqa: FBT001 - the one thing that it shows
    mark = {True: "yes", False: "no", None: "soft"}[allowed]
    return f'<span class="{mark}">{CELLS[allowed]}</span>'


def _answered(answer: Answer) -> str:
    link = f' (<a href="{escape(answer.url)}">the rules</a>)' if answer.url else ""
    return f"{escape(TITLES[answer.action])}: {_cell(answer.allowed)}, {escaped(answer.why)}{link}"


def _reasons(ranks: Sequence[Rank]) -> Iterator[str]:
    yield "<h2>Why</h2>"
    for rank in ranks:
        title = f"{level_text(rank.standing.level)} by {_source(rank)}"
        yield f"<details>\n<summary>{title}</summary>"
        yield from _list(map(_answered, rank.answers))
        yield "</details>"


def _list(items: Iterable[str]) -> Iterator[str]:
    yield "<ul>"
    yield from (f"<li>{item}</li>" for item in items)
    yield "</ul>"


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table that scrolls by itself where it is wider than the screen."""
    # The caption is for those who hear the page: a heading stands above each table.
    yield f'<div class="wide" role="region" aria-label="{escape(caption)}" tabindex="0">'
    yield f"<table>\n<caption>{escape(caption)}</caption>\n<thead><tr>"
    yield "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    yield "</tr></thead>\n<tbody>"
    for first, *others in rows:
        cells = "".join(f"<td>{cell}</td>" for cell in others)
        yield f'<tr><th scope="row">{first}</th>{cells}</tr>'
    yield "</tbody>\n</table>\n</div>"
