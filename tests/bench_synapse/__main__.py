"""Do the work both ways, compare what came of it, and measure: `make bench-synapse`.

Run by Synapse's interpreter: `python -m tests.bench_synapse FILE`, where FILE is what `tests.bench_synapse.rooms` wrote.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

import attrs

from tests.bench.page import write_between
from tests.bench_synapse import ours, theirs
from tests.bench_synapse.comparison import (
    answers,
    checks,
    others,
    resolutions,
    table_of_checks,
    table_of_others,
)
from tests.bench_synapse.work import Work

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

    work = Work.from_json(asked.file.read_text("utf-8"))
    by_synapse, by_us = dict(theirs.tasks(work)), dict(ours.tasks(work))
    results = {name: [by_synapse[name].result(), by_us[name].result()] for name in by_us}
    different = [name for name, (one, other) in results.items() if one != other]
    if different and not asked.json:
        raise SystemExit(f"Not the same came of {', '.join(different)}")

    # As Synapse does when it starts: what is there to stay is not looked through again and again.
    gc.collect()
    gc.freeze()
    rounds, few = asked.rounds, max(1, asked.rounds // 2)
    checked = list(checks(work, by_synapse, by_us, rounds=rounds))
    rest = list(others(work, by_synapse, by_us, rounds=rounds))
    whole = list(answers(work, by_synapse, by_us, rounds=few))
    whole += resolutions(work, by_synapse, by_us, rounds=few)
    if asked.json:
        measured = [attrs.asdict(found) for found in (*checked, *rest, *whole)]
        print(json.dumps({"results": results, "measured": measured}))
        return
    how = (
        f"Synapse {version('matrix-synapse')}; CPython {platform.python_version()},"
        f" {platform.machine()}; CPU time, medians of {rounds} turns, of answers and resolved states {few}."
        " A ratio is Synapse's time / this library's."
    )
    tables = f"{how}\n\n{table_of_checks(checked)}\n\n{table_of_others(rest, whole)}"
    print(tables)
    write_between(BEGIN, END, tables)


if __name__ == "__main__":
    main()
