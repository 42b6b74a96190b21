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


def main() -> None:
    """Compare, measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--rounds", type=int, default=15, help="turns; of large answers half as many"
    )
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
    checked = list(checks(work, by_synapse, by_us, rounds=rounds))
    rest = list(others(work, by_synapse, by_us, rounds=rounds))
    whole = list(answers(work, by_synapse, by_us, rounds=few))
    forks = list(resolutions(work, by_synapse, by_us, ruma, rounds=few))
    if asked.json:
        measured = [attrs.asdict(found) for found in (*checked, *rest, *whole, *forks)]
        print(json.dumps({"results": results, "measured": measured}))
        return
    how = (
        f"Synapse {version('matrix-synapse')}; CPython {platform.python_version()},"
        f" {platform.machine()}; CPU time, medians of {rounds} turns, of answers and resolved states {few}."
        " A ratio is Synapse's time / this library's."
        + (" States are resolved by ruma-state-res 0.18.0 too." if PROGRAM else "")
    )
    tables = "\n\n".join(
        (
            how,
            table_of_checks(checked),
            table_of_others(rest, whole),
            table_of_resolutions(forks),
        )
    )
    print(tables)
    write_between(BEGIN, END, tables)


if __name__ == "__main__":
    main()
