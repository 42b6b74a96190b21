"""The modules of the package as files, read without importing them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

PACKAGE: Final = "matrix_membership"
ROOT: Final = Path(__file__).parents[1]
SOURCE: Final = ROOT / "src" / PACKAGE


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


MODULES: Final[Mapping[str, Path]] = MappingProxyType(dict(_modules()))
"""Every module that there is, by its name inside the package; the package itself is ""."""

PUBLIC: Final = tuple(name for name in MODULES if not name.rpartition(".")[2].startswith("_"))


REFERENCE: Final = ROOT / "docs" / "reference"


def returned() -> Iterator[tuple[str, str]]:
    """Each class or function that a reference page describes by name, with its module.

    Users receive such values, so they are described, and held to the same laws as what is exported.
    """
    directive = rf"^\.\. auto(?:class|function):: {PACKAGE}\.([\w.]+)\.(\w+)$"
    for page in sorted(REFERENCE.glob("*.md")):
        yield from re.findall(directive, page.read_text("utf-8"), re.MULTILINE)


def full_name(module: str) -> str:
    """The name that Python imports it by."""
    return f"{PACKAGE}.{module}" if module else PACKAGE


@cache
def parsed(module: str) -> ast.Module:
    """Its syntax tree, which a dozen tests ask for; nobody changes it."""
    return ast.parse(MODULES[module].read_text("utf-8"), str(MODULES[module]))


def imports_of(tree: ast.Module) -> Iterator[str]:
    """What a module imports, by full names; a name from a package as `package.name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (node.module or "")
            yield from (f"{package}.{alias.name}" for alias in node.names)
