"""Running tests on mutants: a process for each, forked from one that has loaded pytest."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Final, Literal

# All that the tests load besides the package itself, so that no mutant pays for it.
import canonicaljson  # noqa: F401 - imported for all that are forked
import hypothesis
import hypothesis.strategies
import nacl.signing  # noqa: F401 - the same
import pytest
import signedjson.sign  # noqa: F401 - the same

from tests.mutants.making import Mutant
from tests.sources import MODULES, PACKAGE, ROOT, full_name

Outcome = Literal["killed", "timeout", "survived"]

MEMORY: Final = 4 * 2**30
SECONDS: Final = 120
"""A mutant that takes longer runs in circles."""

OPTIONS: Final = (
    "-qx",
    "-p",
    "no:cacheprovider",
    "-p",
    "_hypothesis_pytestplugin",
    "--hypothesis-seed=0",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",  # of what is loaded already
    f"--rootdir={ROOT}",
)


class _Replaced(MetaPathFinder, InspectLoader):
    """Gives a module other source than its file holds."""

    def __init__(self, name: str, source: str, path: str, *, is_package: bool) -> None:
        self.name, self.source, self.path, self.package = name, source, path, is_package

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        spec = spec_from_loader(fullname, self, origin=self.path, is_package=self.package)
        if spec is not None and self.package:
            spec.submodule_search_locations = [os.path.dirname(self.path)]  # noqa: PTH120 - a text is asked for
        return spec

    def get_source(self, fullname: str) -> str:
        return self.source

    def is_package(self, fullname: str) -> bool:
        return self.package

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, self.path, "exec"), module.__dict__)


def prepare() -> None:
    """Get ready to fork."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.dont_write_bytecode = False  # pytest keeps what it has read of the tests
    os.chdir(ROOT)
    # A profile that tests/conftest.py starts from: what one mutant fails on is not kept for the others.
    hypothesis.settings.register_profile("mutants", database=None)
    hypothesis.settings.load_profile("mutants")
    loaded = [name for name in sys.modules if name.partition(".")[0] == PACKAGE]
    assert not loaded, loaded
    gc.freeze()


def _test(stages: Sequence[Sequence[str]], mutant: Mutant | None) -> int:
    if mutant is not None:
        path = MODULES[mutant.module]
        finder = _Replaced(
            full_name(mutant.module), mutant.source, str(path), is_package=path.stem == "__init__"
        )
        sys.meta_path.insert(0, finder)
    return next((status for stage in stages if (status := pytest.main([*OPTIONS, *stage]))), 0)


def _fork(work: Callable[[], int], *, quiet: bool) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.alarm(SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        if quiet:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(nowhere, stream)
        status = work()
    finally:
        os._exit(min(status, 100))


def passes(stages: Sequence[Sequence[str]]) -> float | None:
    """How long the tests take when nothing is wrong; None when they fail."""
    started = time.monotonic()
    _, status = os.waitpid(_fork(partial(_test, stages, None), quiet=False), 0)
    return None if status else time.monotonic() - started


def outcomes(
    work: Sequence[tuple[Mutant, Sequence[Sequence[str]]]], *, jobs: int
) -> Iterator[tuple[Mutant, Outcome]]:
    """Run the tests on each mutant, a few at a time; results come as they come."""
    waiting = list(reversed(work))
    running: dict[int, Mutant] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant, stages = waiting.pop()
            pid = _fork(partial(_test, stages, mutant), quiet=True)
            running[pid] = mutant
        pid, status = os.waitpid(-1, 0)
        if pid in running:
            yield running.pop(pid), _outcome(status)


def _outcome(status: int) -> Outcome:
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        return "timeout"
    return "survived" if status == 0 else "killed"


def stages_of(modules: Sequence[str]) -> Mapping[str, Sequence[Sequence[str]]]:
    """For each module its own tests, and after them all that are quick."""
    return {module: (_own(module), QUICK, ALL) for module in modules}


_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    "auth": (
        "auth/explaining/test_explaining.py",
        "auth/test_program.py",
        "auth/test_auth_events.py",
        "auth/test_auth.py",
    ),
    "auth.explaining._changes": (
        "auth/explaining/test_remedies.py",
        "auth/explaining/test_explaining.py",
    ),
    "auth._program": (
        "auth/test_probe.py",
        "auth/test_program.py",
        "auth/test_rule.py",
        "auth/test_auth.py",
    ),
    "auth.explaining": ("auth/explaining/test_explaining.py",),
    "auth._rule": ("auth/test_rule.py", "auth/test_auth.py"),
    "auth._suppositions": ("auth/test_auth.py",),
    "auth.explaining._facts": (
        "auth/explaining/test_explaining.py",
        "auth/explaining/test_remedies.py",
    ),
    "state": ("state/test_state.py", "state/test_storage.py", "auth/test_program.py"),
    "state._members": ("state/test_state.py",),
    "state._storage": ("state/test_storage.py",),
    "auth.explaining._remedies": (
        "auth/explaining/test_remedies.py",
        "auth/explaining/test_explaining.py",
    ),
}
"""Where a module is tested that has no test file of its name, or one that says little."""


QUICK: Final = ("tests/test_rule_numbers.py", "tests/test_every_rule_fires.py")
ALL: Final = (
    "tests/test_every_rule_matters.py",
    "tests/auth",
    "tests/events/test_contents.py",
    "tests/state/test_state.py",
)


def _own(module: str) -> tuple[str, ...]:
    *packages, name = module.split(".")
    files = _OWN.get(module, ("/".join((*packages, f"test_{name}.py")),))
    return tuple(path for file in files if (ROOT / (path := f"tests/{file}")).exists()) or ALL
