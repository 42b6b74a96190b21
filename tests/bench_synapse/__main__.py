"""Do the work both ways, compare what came of it, and measure: `make bench-synapse`.

Run by Synapse's interpreter: `python -m tests.bench_synapse FILE`, where FILE is what `tests.bench_synapse.rooms` wrote.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Final

import attrs

from tests.bench.page import write_between
from tests.bench_synapse import by_ruma, inside, ours, theirs
from tests.bench_synapse.comparison import (
    answers,
    checks,
    others,
    resolutions,
    table_of_checks,
    table_of_others,
    table_of_resolutions,
)
from tests.bench_synapse.work import Work
from tests.observatory.ruma import PROGRAM, Ruma

BEGIN: Final = "<!-- written by make bench-synapse -->"
END: Final = "<!-- until here, beside Synapse -->"
BEGIN_STATES: Final = "<!-- written by make bench-synapse: states -->"
END_STATES: Final = "<!-- until here, states -->"


def main() -> None:
    """Compare, measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--rounds", type=int, default=15, help="turns; of large answers half as many"
    )
    parser.add_argument("--states", action="store_true", help="only resolve states")
    parser.add_argument("--json", action="store_true", help="print all as JSON, and write no page")
    asked = parser.parse_args()
    with ExitStack() as running:
        _measure(asked, running)


def _measure(asked: argparse.Namespace, running: ExitStack) -> None:
    work = Work.from_json(asked.file.read_text("utf-8"))
    by_synapse = dict(theirs.tasks(work))
    by_us = dict(ours.tasks(work)) | dict(inside.tasks(work))
    results = {name: [by_synapse[name].result(), by_us[name].result()] for name in by_us}
    different = [name for name, (one, other) in results.items() if one != other]
    ruma = dict(by_ruma.tasks(work, running.enter_context(Ruma()))) if PROGRAM else None
    different += [name for name, task in (ruma or {}).items() if task.result() != results[name][1]]
    if different and not asked.json:
        raise SystemExit(f"Not the same came of {', '.join(different)}")

    # As Synapse does when it starts: what is there to stay is not looked through again and again.
    gc.collect()
    gc.freeze()
    rounds, few = asked.rounds, max(1, asked.rounds // 2)
    how = (
        f"Synapse {version('matrix-synapse')}{', ruma-state-res 0.18.0' * bool(PROGRAM)};"
        f" CPython {platform.python_version()}, {platform.machine()}; CPU time, medians of {{}} turns."
    )
    forks = list(resolutions(work, by_synapse, by_us, ruma, rounds=few))
    if not asked.json:
        _show(BEGIN_STATES, END_STATES, how.format(few), table_of_resolutions(forks))
    if asked.states:
        return
    checked = list(checks(work, by_synapse, by_us, rounds=rounds))
    rest = list(others(work, by_synapse, by_us, rounds=rounds))
    whole = list(answers(work, by_synapse, by_us, rounds=few))
    if asked.json:
        measured = [attrs.asdict(found) for found in (*checked, *rest, *whole, *forks)]
        print(json.dumps({"results": results, "measured": measured}))
        return
    how = f"{how.format(f'{rounds}, of answers {few}')} A ratio is Synapse's time / this library's."
    _show(BEGIN, END, how, table_of_checks(checked), table_of_others(rest, whole))


def _show(begin: str, end: str, *parts: str) -> None:
    """Print, and write into the page."""
    text = "\n\n".join(parts)
    print(text)
    write_between(begin, end, text)


if __name__ == "__main__":
    main()
