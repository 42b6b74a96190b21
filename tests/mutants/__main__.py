"""Make the mutants, run the tests on each, and compare with those that are explained."""

from __future__ import annotations

import argparse
import os
import sys
import time
from fnmatch import fnmatchcase

from tests.mutants import survivors
from tests.mutants.making import Mutant, mutants_of
from tests.mutants.running import outcomes, passes, prepare, stages_of
from tests.sources import MODULES

WHAT = ("auth", "auth.*", "events.contents", "state", "state._members", "state._storage")
AT_LEAST = 0.95


def main() -> int:
    """Run, print, and say whether all is well."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", default=WHAT, help="patterns, such as auth.*")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    modules = [name for name in MODULES if any(fnmatchcase(name, p) for p in options.modules)]
    explained = {
        name: reason
        for name, reason in survivors.read(survivors.FILE.read_text("utf-8")).items()
        if name.partition(":")[0] in modules
    }
    started = time.monotonic()
    prepare()
    stages = stages_of(modules)
    for tests in dict.fromkeys(tests for three in stages.values() for tests in three):
        if passes([tests]) is None:
            print("These fail without any mutant:", *tests)
            return 1
    made = [mutant for name in modules for mutant in mutants_of(name, MODULES[name])]
    print(f"\n{len(made)} mutants of {len(modules)} modules", flush=True)
    # What is explained is tried on the quick tests alone: it was tried on all when it was explained.
    work = [
        (mutant, stages[mutant.module][: 2 if mutant.name in explained else 3]) for mutant in made
    ]
    survived: list[Mutant] = []
    late = 0
    for done, (mutant, outcome) in enumerate(outcomes(work, jobs=options.jobs), 1):
        if done % 100 == 0:
            print(f"{done} done, {time.monotonic() - started:.0f} s", flush=True)
        late += outcome == "timeout"
        if outcome == "survived":
            survived.append(mutant)
            if mutant.name not in explained:
                print(f"survived: {mutant.name}", flush=True)
    for name in modules:
        of_module = sum(mutant.module == name for mutant in made)
        alive = sum(mutant.module == name for mutant in survived)
        print(f"{name:<24} {of_module:>5} mutants {alive:>4} survived")
    rate = 1 - len(survived) / max(1, len(made))
    seconds = time.monotonic() - started
    print(f"{rate:.1%} killed, {late} of them as too slow, in {seconds:.0f} s")
    wrong = survivors.compare(
        [mutant.name for mutant in survived], explained, [mutant.name for mutant in made]
    )
    print(*wrong, sep="\n")
    return int(bool(wrong) or rate < AT_LEAST)


sys.exit(main())
