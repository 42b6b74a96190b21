"""No I/O, clock, chance or threads in our own sources, and nothing in them that changes.

`sys.modules` alone cannot show it: the dependencies themselves load socket, time and logging.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from enum import Enum
from importlib import import_module
from types import MappingProxyType
from typing import Final

import pytest

from tests.sources import MODULES, PUBLIC, ROOT, full_name, imports_of, parsed, returned

BANNED: Final = frozenset(
    tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"][
        "flake8-tidy-imports"
    ]["banned-api"]
)
"""One table for ruff, which knows where an exception is due, and for this file, which knows of none."""

READS_AND_WRITES: Final = ("cli", "__main__")
"""The command line, which nothing else imports: the only modules that read files and print."""

OF_THE_COMMAND_LINE: Final[Mapping[str, str]] = MappingProxyType(
    {"cli._page": "os", "cli._progress": "time", "__main__": "os"}
)
"""The modules that ask for `NO_COLOR`, show a bar after a second, and close a pipe that nobody reads."""

ONLY_THERE: Final = frozenset({"argparse", "io", "pathlib", "sys"})

BUILTINS: Final = frozenset({"__import__", "breakpoint", "input", "open", "print"})

MUTATORS: Final = (
    (dict, dict.__setitem__),
    (list, list.append),
    (set, set.add),
    (bytearray, bytearray.append),
)

LOADED: Final = """
import attrs, canonicaljson, hashlib, json, signedjson.key, signedjson.sign, sys
before = set(sys.modules)
import matrix_membership
print(*sorted(set(sys.modules) - before))
"""


def exported_classes() -> Iterator[type]:
    """Every class that a public module exports, or that users receive, once."""
    found: dict[type, None] = {}
    names = [
        (module, name)
        for module in PUBLIC
        for name in getattr(import_module(full_name(module)), "__all__", ())
    ]
    for module, name in (*names, *returned()):
        # tests/test_exports.py names what is absent
        value = getattr(import_module(full_name(module)), name, None)
        if isinstance(value, type) and value.__module__.startswith("matrix_membership"):
            found[value] = None
    yield from found


VALUES: Final = tuple(
    cls
    for cls in exported_classes()
    if not issubclass(cls, BaseException | Enum) and not getattr(cls, "_is_protocol", False)
)


def mutable(value: object) -> bool:
    """Tell whether a value, or what an immutable container of it holds, can change."""
    if isinstance(value, MappingProxyType):
        return any(mutable(item) for item in value.values())
    if isinstance(value, tuple | frozenset):
        return any(mutable(item) for item in value)
    # A dict that refuses to change, as JsonObject does, has replaced the mutator.
    return any(
        isinstance(value, base) and getattr(type(value), mutator.__name__) is mutator
        for base, mutator in MUTATORS
    )


@pytest.mark.parametrize("module", MODULES)
class TestModule:
    def test_imports_nothing_that_acts_on_the_world(self, module: str) -> None:
        banned = BANNED - {OF_THE_COMMAND_LINE.get(module)}
        assert {name.partition(".")[0] for name in imports_of(parsed(module))} & banned == set()

    def test_reads_and_writes_nothing_unless_it_is_the_command_line(self, module: str) -> None:
        if module.partition(".")[0] not in READS_AND_WRITES:
            used = set(imports_of(parsed(module)))
            assert {name.partition(".")[0] for name in used} & ONLY_THERE == set()
            called = {full_name(name) for name in READS_AND_WRITES}
            assert {".".join(name.split(".")[:2]) for name in used} & called == set()

    def test_calls_no_builtin_that_acts_on_the_world(self, module: str) -> None:
        names = {node.id for node in ast.walk(parsed(module)) if isinstance(node, ast.Name)}
        assert names & BUILTINS == set()

    def test_holds_no_mutable_global(self, module: str) -> None:
        # A look-up that must be as fast as a dict's is the bound method of one: `_found = {...}.get`.
        held = vars(import_module(full_name(module))).items()
        assert [name for name, value in held if not name.startswith("__") and mutable(value)] == []


@pytest.mark.parametrize("cls", VALUES, ids=lambda cls: f"{cls.__module__}.{cls.__qualname__}")
class TestExportedClass:
    def test_refuses_to_change(self, cls: type) -> None:
        builtin = next(base for base in cls.__mro__ if base.__module__ == "builtins")
        value = builtin.__new__(cls)  # type: ignore[call-overload]  # no arguments: nothing reads it
        slots = [slot for base in cls.__mro__ for slot in getattr(base, "__slots__", ())]
        for name in [*slots, "an_attribute_of_nobody"]:
            with pytest.raises((AttributeError, TypeError)):
                setattr(value, name, None)

    def test_refuses_to_be_extended(self, cls: type) -> None:
        with pytest.raises(TypeError):
            type("Extended", (cls,), {})


@pytest.fixture(scope="module")
def loaded() -> frozenset[str]:
    """What importing the package loads, beyond what its dependencies load anyway."""
    command = [sys.executable, "-W", "error", "-c", LOADED]
    answer = subprocess.run(command, capture_output=True, check=True, text=True)
    return frozenset(answer.stdout.split())


class TestImportingThePackage:
    def test_loads_nothing_that_acts_on_the_world(self, loaded: frozenset[str]) -> None:
        assert {name.partition(".")[0] for name in loaded} & BANNED == set()

    def test_needs_no_hypothesis(self, loaded: frozenset[str]) -> None:
        assert {name.partition(".")[0] for name in loaded} & {"hypothesis"} == set()

    def test_loads_no_strategies(self, loaded: frozenset[str]) -> None:
        assert "matrix_membership.strategies" not in loaded
