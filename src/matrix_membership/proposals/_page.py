"""The differences between two room versions, as one HTML page.

The page shows the moves of membership that changed, as a picture and a table, then the verdicts, then the two rule lists
beside each other. Each verdict unfolds to the explanations of both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from math import hypot
from types import MappingProxyType
from typing import Final

from matrix_membership import auth
from matrix_membership._html import escape, escaped, head_of, value, visible
from matrix_membership.auth import Explanation
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
from matrix_membership.proposals.changes import Move, RuleChange, VerdictChange
from matrix_membership.room_versions import RoomVersion

_STYLE: Final = """
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid var(--line); }
.rules td { white-space: nowrap; } .rules td:nth-child(3) { white-space: normal; overflow-wrap: anywhere; } a { color: inherit; }
.moves { width: auto; } .moves span { white-space: nowrap; } .moves td { min-width: 4.5rem; } tr.changed td, tr.fired td { background: color-mix(in srgb, var(--line) 35%, transparent); }
details { border: 1px solid var(--line); border-radius: 6px; padding: .4rem .7rem; margin: .6rem 0; } summary { cursor: pointer; }
details td, details li { font-size: .85rem; } details td:nth-child(2), details li { overflow-wrap: anywhere; } details pre { font: .85rem/1.4 ui-monospace, monospace; }
@media (min-width: 62rem) { .beside { display: grid; grid-template-columns: 1fr 1fr; gap: 1.5rem; } }
@media (max-width: 40rem) { th, td { padding: .2rem; font-size: .85rem; } .moves td, .moves th { min-width: 0; padding: .1rem; font-size: .75rem; } }
@media print { details { border: 0; } }
svg { display: block; width: 100%; max-width: 40rem; height: auto; } svg circle { fill: none; stroke: var(--soft); }
svg text { font-size: 19px; fill: var(--text); text-anchor: middle; dominant-baseline: central; } svg path { fill: none; stroke: var(--line); }
svg path.won { stroke: var(--won); stroke-width: 2.5; } svg path.lost { stroke: var(--lost); stroke-width: 2.5; }
svg path.won.lost { stroke-dasharray: 8 5; } svg marker path { fill: context-stroke; stroke: none; }
""".strip()

_HEADINGS: Final = MappingProxyType(
    {
        "added": "new",
        "removed": "gone",
        "reworded": "changed",
        "renumbered": "moved",
    }
)


def page_of(
    before: RoomVersion,
    after: RoomVersion,
    rules: Sequence[RuleChange],
    verdicts: Sequence[VerdictChange],
    moves: AbstractSet[Move],
    compared: int,
) -> str:
    """Write the page.

    Args:
        before: the first version.
        after: the second version.
        rules: the rules that differ.
        verdicts: the verdicts that differ.
        moves: the moves whose verdict differs.
        compared: the number of situations.
    """
    title = f"Room version {escaped(str(before))} compared with {escaped(str(after))}"
    parts = [
        head_of(title, _STYLE),
        f"<main>\n<h1>{title}</h1>",
        f'<p class="soft">{compared} situations were judged by both versions.</p>',
        "<h2>Moves</h2>",
        *_moves(moves),
        "<h2>Verdicts that differ</h2>",
        *(_verdicts(verdicts) if verdicts else ["<p>None.</p>"]),
        "<h2>Rules</h2>",
        *_rules(before, after, rules),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _moves(moves: AbstractSet[Move]) -> Iterator[str]:
    """Yield a table: from each membership (row) to each other one (column)."""
    if not moves:
        yield "<p>No move of membership is judged otherwise.</p>"
        return
    yield "<p>From the membership of a row to that of a column: what the second version allows (+)"
    yield "or rejects (&minus;), where the first does otherwise. In the picture, what is newly allowed"
    yield "is green, what is newly rejected is red, and a line of dashes is both.</p>"
    yield from picture_of(moves)
    yield '<table class="moves">\n<tr><th scope="col">from</th>'
    yield "".join(f'<th scope="col">{name}</th>' for name in MEMBERSHIPS) + "</tr>"
    for name, membership in MEMBERSHIPS.items():
        cells = [
            "<br>".join(sorted(_move(m) for m in moves if (m.before, m.after) == (membership, to)))
            for to in MEMBERSHIPS.values()
        ]
        row = "".join(f"<td>{cell}</td>" for cell in cells)
        yield f'<tr><th scope="row">{name}</th>{row}</tr>'
    yield "</table>"


def _move(move: Move) -> str:
    sign, mark = ("+", "won") if move.allowed else ("&minus;", "lost")
    return f'<span class="{mark}">{sign} {"oneself" if move.by_self else "another"}</span>'


def _verdicts(verdicts: Sequence[VerdictChange]) -> Iterator[str]:
    # Rules of a proposal are written by anybody, and so are the texts in a situation: all of it is
    # escaped.
    for change in verdicts:
        before, after = change.explanations()
        yield f"<details>\n<summary>{_decided(before)}<br>{_decided(after)}"
        yield f' <span class="soft">(situations: {change.count})</span></summary>'
        yield f"<pre>{escape(visible(str(change.situation), keep=_BREAK))}</pre>"
        yield '<div class="beside">'
        for explanation in (before, after):
            yield "".join(["<div>", *_explained(explanation), "</div>"])
        yield "</div>\n</details>"


_BREAK: Final = "\n"


def _explained(explanation: Explanation) -> Iterator[str]:
    """Yield the parts of an explanation that the situation above it does not show."""
    yield f"<h3>Rules tried by {escaped(str(explanation.decision.room_version))}</h3><table>"
    for step in explanation.steps:
        outcome = (step.verdict or "yes") if step.fired else ""
        mark = ' class="fired"' if step.fired and step.verdict else ""
        told = (
            f'{escaped(step.text)}<br><span class="soft">{escaped(step.name or "condition")}</span>'
        )
        yield f"<tr{mark}><td>{escape(step.number)}</td><td>{told}</td><td>{outcome}</td></tr>"
    yield "</table>"
    help_needed = ("What would help", [remedy.sentence for remedy in explanation.remedies])
    for title, lines in (("Facts", [str(fact) for fact in explanation.facts]), help_needed):
        if lines:
            items = "".join(f"<li>{escaped(line)}</li>" for line in lines)
            yield f"<h3>{title}</h3><ul>{items}</ul>"


def _decided(explanation: Explanation) -> str:
    decision = explanation.decision
    mark = "won" if decision.allowed else "lost"
    link = f'<a href="{escape(decision.url)}">{escaped(str(decision.room_version))}</a>'
    # The link in front names the version.
    said = escaped(str(decision)).replace(escaped(f"room version {decision.room_version}"), "")
    return f'{link}: <span class="{mark}">{said.replace(" of :", ":")}</span>'


def _rules(before: RoomVersion, after: RoomVersion, rules: Sequence[RuleChange]) -> Iterator[str]:
    """Yield both lists beside each other, in the order of the second one."""
    changed = {change.name_after: change for change in rules if change.name_after}
    gone = [change for change in rules if not change.name_after]
    old = {rule.name: number for number, rule in auth.rulebook(before)}
    yield '<table class="rules">'
    yield f'<tr><th scope="col">{value(str(before))}</th><th scope="col">{value(str(after))}</th>'
    yield '<th scope="col">rule</th><th scope="col"></th></tr>'
    for number, rule in auth.rulebook(after):
        change = changed.get(rule.name)
        earlier = old.get(rule.name, "") if change is None else change.number_before
        yield _row(earlier, number, f"{rule.name}: {rule.text}", change)
    for change in gone:
        yield _row(change.number_before, "", f"{change.name_before}: {change.text}", change)
    yield "</table>"


def _row(before: str, after: str, told: str, change: RuleChange | None) -> str:
    mark = "" if change is None or change.change == "renumbered" else ' class="changed"'
    kind = "" if change is None else _HEADINGS[change.change]
    cells = (escape(before), escape(after), escaped(told), kind)
    return f"<tr{mark}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


# ------------------------------------------------------------------ the picture

_PLACES: Final = MappingProxyType(
    {INVITE: (320, 40), KNOCK: (110, 140), JOIN: (530, 140), LEAVE: (200, 300), BAN: (440, 300)}
)
_RADIUS: Final = 38
_BEND: Final = 22
"""The bend of a line to its left: there and back are two lines."""

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
