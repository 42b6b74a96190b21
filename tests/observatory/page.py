"""The page of the observatory, as it is written from the results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.bench.measure import slope
from tests.observatory.classes import CLASSES, Class
from tests.observatory.questions import AREAS
from tests.sources import ROOT

__all__ = ["PAGE", "RESULTS", "page", "write"]

PAGE: Final = ROOT / "docs" / "explanation" / "observatory.md"
RESULTS: Final = Path(__file__).with_name("results.json")

Results = Mapping[str, Any]

INTRODUCTION: Final = """\
<!-- written by make observatory; tests/observatory/page.py has the words -->

# The observatory

See here where implementations of the room rules give other verdicts, on which case, and what the specification says.

`make observatory` asks every engine the same generated cases, writes this page, and fails on a disagreement of a class
that the page does not have. Each engine runs in a process of its own. The small programs that ask them are in
`tests/observatory`. The cases come from seeds, so that everybody can make them again.

A difference is not a mistake. Some are in the text, which is silent; some are odd values that no client sends. A verdict
that other projects should hear of first is not on this page. [Conformance](conformance.md) says more of what this
library does, and why.
"""

ENGINES: Final = """\
## Engines

| engine | version |
|---|---|
| here | this library |
"""

ASKED: Final = """
## What was asked

How many cases; for each engine, how many of its verdicts were compared. Not every engine answers every question.
"""

QUESTIONS: Final[Mapping[str, str]] = {
    "rules": "Do the authorisation rules that depend on the state allow the event?",
    "auth-events": "Do the rules on the listed auth events allow the event?",
    "selection": "Which events authorise the event?",
    "format": "Is the text a PDU of this room version?",
    "redaction": "What is the redacted form?",
    "content-hash": "Is the content hash that the PDU carries the right one?",
    "event-id": "Which event ID does it have; in versions 1 and 2, which reference hash?",
    "canonical-json": "What is the canonical form of the text, if it has one?",
    "signatures": "Have all servers signed the event that have to?",
    "resolution": "Which state comes of the states?",
}

MATRIX: Final = """
## Where verdicts differ

`as here` means that each compared verdict of the engine in this class is the one of this library. A number tells how
many verdicts differ; it leads to a small case. `-` means: not asked, or not told here. The last column tells what this
library does.
"""

SPEED: Final = """
## Speed

CPU time of one core, medians of {rounds} turns: in each, every engine does the work for some milliseconds. All come to the
same result, which is compared first. Each engine measures itself. Its own events, made of the PDUs beforehand, and JSON
around a case do not count. So the time of a check is that of the function that the engine offers for it: what it parses
there each time is its time, and what it can prepare once does not count. The last column tells who is ahead, and how
many times as long this library takes. `make observatory-speed` measures all again.

Measured on: {machine}. A busy machine slows all, but not all alike.

A receipt is that of an event that follows the newest of its room, so that the state before it is also the current one. It
is read from its text, its content hash and its signature are checked, then the rules on its auth events, then those that
depend on the state: once, as each engine first finds that the state has the listed events, and no others, in the places
that the engine selects. gomatrixserverlib has no rules on the list itself. The events of the room are at hand.

Of an answer to send_join, each event is read, verified and judged by the events that it lists, with the functions that
the engine has for it; this library also audits the whole. gomatrixserverlib checks the content hash whenever it reads an
event from elsewhere.
"""

HUNDREDS: Final = 100
EVEN: Final = 1.05

CASES: Final = """
## Cases

Each with the verdicts of all engines on it; an engine without a verdict to compare has none. Keys and hashes are
throw-away.
"""


def write(new: Results) -> None:
    """Put new results in the place of those that the file has, and write the page."""
    old = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    results = {**old, **new}
    text = json.dumps(results, indent=1, sort_keys=True)
    RESULTS.write_text(f"{text}\n", "utf-8")
    # The page keeps the order of the file.
    PAGE.write_text(page(json.loads(text)), "utf-8")


def page(results: Results) -> str:
    """Return the page."""
    return (
        "\n".join(
            [
                INTRODUCTION,
                ENGINES + _engines(results),
                ASKED,
                *_asked(results),
                MATRIX,
                *_matrix(results),
                *_speed(results),
                CASES,
                *_cases(results),
            ]
        ).rstrip()
        + "\n"
    )


def _engines(results: Results) -> str:
    return "\n".join(f"| {name} | {version} |" for name, version in results["engines"].items())


def _asked(results: Results) -> Iterator[str]:
    engines = list(results["engines"])
    yield f"| | cases | {' | '.join(engines)} |"
    yield "|" + "---|" * (len(engines) + 2)
    rows = [(area, QUESTIONS[area], results["asked"].get(area, 0)) for area in AREAS]
    for area, question, asked in rows:
        cells = [f"{results['compared'][name].get(area, 0):,}" for name in engines]
        yield f"| {question} | {asked:,} | {' | '.join(cells)} |"
    sums = [f"{sum(results['compared'][name].values()):,}" for name in engines]
    yield f"| all | {sum(results['asked'].values()):,} | {' | '.join(sums)} |"


def _found(results: Results) -> Iterator[tuple[Class, Mapping[str, Any]]]:
    for one in CLASSES:
        if one.name in results["classes"]:
            yield one, results["classes"][one.name]


def _matrix(results: Results) -> Iterator[str]:
    engines = list(results["engines"])
    for area in AREAS:
        rows = [(one, found) for one, found in _found(results) if one.area == area]
        if not rows:
            continue
        yield f"\n### {QUESTIONS[area]}\n"
        yield f"| class | specification | {' | '.join(engines)} | here |"
        yield "|" + "---|" * (len(engines) + 3)
        for one, found in rows:
            cells = [_cell(one.name, found, name, results, area) for name in engines]
            yield f"| `{one.name}` | {one.text} | {' | '.join(cells)} | {one.here} |"


def _cell(name: str, found: Any, engine: str, results: Results, area: str) -> str:
    if engine not in found:
        return "as here" if results["compared"][engine].get(area) else "-"
    if found[engine] is None:
        return "-"
    return f"[{found[engine]['count']:,} differ](#{anchor(name, engine)})"


def anchor(name: str, engine: str) -> str:
    """Return the anchor of the heading of a case."""
    return f"{name}-{engine}".lower()


def _speed(results: Results) -> Iterator[str]:
    engines = ["here", *results["engines"]]
    if "speed" not in results:
        return
    yield SPEED.format(rounds=results["rounds"], machine=results["machine"])
    for table in dict.fromkeys(row["table"] for row in results["speed"]):
        yield f"\n### {table}\n"
        yield f"| | {' | '.join(engines)} | ahead |"
        yield "|" + "---|" * (len(engines) + 2)
        for row in results["speed"]:
            if row["table"] == table:
                cells = [_time(row["ns"].get(name)) for name in engines]
                yield f"| {row['name']} | {' | '.join(cells)} | {_ahead(row['ns'])} |"
    yield from _growth(results)


def _growth(results: Results) -> Iterator[str]:
    """With which power of the users in the power levels the time of a check grows."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for row in results["speed"]:
        sized = re.fullmatch(r"(.*), (\d+) users", row["name"])
        if sized:
            for name, ns in row["ns"].items():
                found.setdefault(sized[1], {}).setdefault(name, {})[int(sized[2])] = ns
    engines = ["here", *results["engines"]]
    yield "\n### Growth of checks with the users in the power levels, as exponents\n"
    yield f"| | {' | '.join(engines)} |"
    yield "|" + "---|" * (len(engines) + 1)
    for kind, by_engine in found.items():
        slopes = [by_engine.get(name) for name in engines]
        cells = ["-" if one is None else _exponent(one) for one in slopes]
        yield f"| {kind} | {' | '.join(cells)} |"


def _exponent(times: Mapping[int, float]) -> str:
    # Nearly none has no sign.
    return f"{round(slope([*times], [*times.values()]), 2) + 0.0:.2f}"


def _time(nanoseconds: float | None) -> str:
    if nanoseconds is None:
        return "-"
    us = nanoseconds / 1000
    return f"{us:,.0f} us" if us >= HUNDREDS else f"{us:.3g} us"


def _ahead(times: Mapping[str, float]) -> str:
    others = {name: ns for name, ns in times.items() if name != "here"}
    first = min(others, key=lambda name: others[name])
    ratio = times["here"] / others[first]
    if ratio > EVEN:
        return f"{first}; here {ratio:.2g} times as long"
    return "here" if ratio < 1 / EVEN else f"even with {first}"


def _cases(results: Results) -> Iterator[str]:
    for one, found in _found(results):
        for engine, entry in found.items():
            if entry is None:
                continue
            case = entry["case"]
            yield f"### `{one.name}`, {engine}\n"
            yield "| engine | verdict |"
            yield "|---|---|"
            for name, verdict in case["verdicts"].items():
                yield f"| {name} | {_shown(verdict)} |"
            yield f"\n```json\n{_written(case['question'])}\n```\n"


def _shown(verdict: Any) -> str:
    words = {True: "yes", False: "no"}
    if isinstance(verdict, bool):
        return words[verdict]
    text = verdict if isinstance(verdict, str) else json.dumps(verdict, sort_keys=True)
    return f"`` {text} ``".replace("|", "\\|")


LEFT_OUT: Final = frozenset({"keys", "area", "seed"})


def _written(question: Mapping[str, Any]) -> str:
    """The question, with an event a line."""
    lines = []
    for key, value in question.items():
        if key in LEFT_OUT and question["area"] != "resolution":
            continue
        if key == "state":
            events = ",\n".join(f"    {json.dumps(entry, sort_keys=True)}" for entry in value)
            lines.append(f'  "state": [\n{events}\n  ]')
        else:
            lines.append(f'  "{key}": {json.dumps(value, sort_keys=True)}')
    return "{\n" + ",\n".join(lines) + "\n}"
