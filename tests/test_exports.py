"""Public names: without an underscore, listed in `__all__`, and on a reference page.

A module without `__all__` exports nothing: other modules of this package read it, users do not.
The order inside `__all__` is ruff's business (RUF022).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from inspect import isfunction
from typing import Final

import pytest

from matrix_membership.room_versions import KNOWN
from tests.sources import PUBLIC, REFERENCE, full_name, parsed, returned

# The bound only goes down. The aim for the whole package is 200.
MOST_NAMES: Final = 262


def lists_its_exports(module: str) -> bool:
    """Tell whether the module assigns `__all__`."""
    assigned = [node for node in parsed(module).body if isinstance(node, ast.Assign)]
    return any(ast.unparse(node).startswith("__all__ = ") for node in assigned)


EXPORTING: Final = tuple(module for module in PUBLIC if lists_its_exports(module))


def reference_page(module: str) -> str:
    """The page of a module: chapters stand on their package's, the package itself on the index."""
    page = REFERENCE / f"{module.partition('.')[0] or 'index'}.md"
    return page.read_text("utf-8") if page.exists() else ""


@pytest.mark.parametrize("module", EXPORTING, ids=full_name)
class TestPublicModule:
    def test_says_what_it_exports(self, module: str) -> None:
        assert import_module(full_name(module)).__all__

    def test_exports_only_what_it_has(self, module: str) -> None:
        imported = import_module(full_name(module))
        assert [name for name in imported.__all__ if not hasattr(imported, name)] == []

    def test_exports_nothing_private(self, module: str) -> None:
        exported = import_module(full_name(module)).__all__
        assert [name for name in exported if name.startswith("_")] == []

    def test_exports_every_name_once(self, module: str) -> None:
        exported = import_module(full_name(module)).__all__
        assert len(exported) == len(set(exported))

    def test_stands_on_a_reference_page(self, module: str) -> None:
        directive = rf"^\.\. automodule:: {re.escape(full_name(module))}$"
        assert re.search(directive, reference_page(module), re.MULTILINE)


@pytest.mark.parametrize(("module", "name"), tuple(returned()))
def test_what_a_page_describes_by_name_is_described(module: str, name: str) -> None:
    assert getattr(import_module(full_name(module)), name).__doc__


def documented() -> Iterator[tuple[str, object]]:
    """Each function and class that a module exports, by its full name."""
    for module in EXPORTING:
        imported = import_module(full_name(module))
        for name in imported.__all__:
            value = getattr(imported, name)
            is_ours = getattr(value, "__module__", "").startswith("matrix_membership")
            if is_ours and (isinstance(value, type) or isfunction(value)):
                yield f"{value.__module__}.{name}", value


DOCUMENTED: Final = dict(documented())


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_a_public_name_says_since_when_it_is_there(name: str) -> None:
    assert ".. versionadded:: " in (DOCUMENTED[name].__doc__ or "")


def test_there_are_few_names_to_learn() -> None:
    modules = [import_module(full_name(module)) for module in PUBLIC]
    names = {name for module in modules for name in getattr(module, "__all__", ())}
    # The room versions are one thing to learn, however many there are.
    versions = {f"V{identifier}" for identifier in KNOWN}
    assert len(names - versions) <= MOST_NAMES
