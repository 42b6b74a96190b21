"""Ask all engines that are at hand, compare, and write the page: `make observatory`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from tests.observatory.comparing import Comparison, compare, results
from tests.observatory.engines import ENGINES, Peer, at_hand
from tests.observatory.page import write
from tests.sources import ROOT

PRIVATE: Final = ROOT / "build" / "observatory" / "not-published.jsonl"
FEW: Final = 0.2
"""The share of the verdicts of an engine that may differ in listed classes."""
HOW_TO_REPORT: Final = (
    f"To report one, look into {PRIVATE.relative_to(ROOT)}, and write in private to the address that the"
    " security policy of that project names."
)


def main() -> None:
    """Compare, print, and write where all engines were asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=24_000)
    parser.add_argument("--no-page", action="store_true", help="compare only")
    asked = parser.parse_args()
    engines = at_hand()
    for engine in ENGINES:
        if engine not in engines:
            print(f"left out: {engine.name}, as {engine.variable} names no program")
    with ExitStack() as running:
        peers = [running.enter_context(Peer(engine)) for engine in engines]
        found = compare(peers, asked.cases)
        told = [] if asked.no_page or found.unlisted else [results(found, peers)]
    _say(found)
    if found.unlisted:
        raise SystemExit(
            f"{len(found.unlisted)} verdicts of no class: see {PRIVATE.relative_to(ROOT)}"
        )
    for name, by_area in found.compared.items():
        differing = sum(len(seen) for (_, engine), seen in found.seen.items() if engine == name)
        if differing > FEW * sum(by_area.values()):
            raise SystemExit(f"{name}: too few verdicts are the same to say something")
    for one in told if len(engines) == len(ENGINES) else []:
        write(one)


def _say(found: Comparison) -> None:
    """Print the totals. Cases that are not published go into a file of the build folder."""
    hidden: list[dict[str, Any]] = []
    for name, by_area in found.compared.items():
        differing = sum(len(seen) for (_, engine), seen in found.seen.items() if engine == name)
        withheld, silent = found.withheld[name], found.silent[name]
        print(
            f"{name}: {sum(by_area.values()):,} verdicts, {differing:,} differ in listed classes;"
            f" not published: {len(withheld):,} verdicts, {len(silent):,} cases without one"
        )
        hidden += [{"engine": name, "question": question} for question in silent]
        hidden += _with_verdicts(withheld)
    hidden += _with_verdicts(found.unlisted)
    _write(PRIVATE, hidden)
    if hidden:
        print(HOW_TO_REPORT)
    print(f"{sum(found.asked.values()):,} cases, {len({name for name, _ in found.seen})} classes")


def _with_verdicts(found: Iterable[Any]) -> list[dict[str, Any]]:
    return [
        {"engine": one.engine, "question": one.question, "here": one.ours, "there": one.theirs}
        for one in found
    ]


def _write(file: Path, entries: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries), "utf-8")


if __name__ == "__main__":
    main()
