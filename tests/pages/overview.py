"""The page of all public names: one line each, from their docstrings."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from types import MappingProxyType, ModuleType
from typing import Final

from tests.sources import MODULES, PUBLIC, ROOT, full_name, parsed

FILE: Final = ROOT / "docs" / "reference" / "overview.md"
FACES: Final = MappingProxyType({"": "●", "server": "○"})
"""The modules to import from, and the mark of their names."""

HEAD: Final = """\
# All names

<!-- Made by `python -m tests.pages`; a test makes it again and compares. -->

Every public name, in one line. Most programs import from two modules: `matrix_membership`, and for servers
`matrix_membership.server`. Names that one of them exports have a mark: ● for the first, ○ for the second.
"""


def text() -> str:
    """The page."""
    modules = [name for name in PUBLIC if name not in FACES] + ["server"]
    return "\n".join([HEAD, *(line for name in modules for line in _section(name))]).rstrip() + "\n"


def _section(name: str) -> Iterator[str]:
    module = _imported(name)
    names = [each for each in getattr(module, "__all__", ()) if _home(module, each) == name]
    if not names:
        return
    yield f"## `{name}`\n"
    yield f"{_first_line(module.__doc__)}\n"
    for each in sorted(names, key=str.casefold):
        marks = "".join(
            sign for face, sign in FACES.items() if _exports(face, each, getattr(module, each))
        )
        yield f"- `{each}`{marks and f' {marks}'}: {_summary(module, each)}"
    yield ""


def _home(module: ModuleType, name: str) -> str | None:
    """The shortest public module that exports the thing by this name, those to import from last."""
    value = getattr(module, name)
    if inspect.ismodule(value):
        return None
    return min(
        (public for public in PUBLIC if _exports(public, name, value)),
        key=lambda public: (public in FACES, public.count("."), len(public)),
    )


def _exports(public: str, name: str, value: object) -> bool:
    exporting = _imported(public)
    return name in getattr(exporting, "__all__", ()) and getattr(exporting, name) is value


@cache
def _imported(public: str) -> ModuleType:
    return importlib.import_module(full_name(public))


def _summary(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    is_own = inspect.isclass(value) or inspect.isfunction(value)
    return _first_line(value.__doc__ if is_own else _constants()[name])


@cache
def _constants() -> dict[str, str]:
    """The docstrings of constants: the text after each assignment."""
    found = {}
    for name in MODULES:
        for node, after in pairwise(parsed(name).body):
            match node, after:
                case (
                    ast.Assign(targets=[ast.Name(id=target)])
                    | ast.AnnAssign(target=ast.Name(id=target)),
                    ast.Expr(value=ast.Constant(value=str(said))),
                ):
                    found[target] = said
    return found


def _first_line(docstring: str | None) -> str:
    first = " ".join((docstring or "").strip().partition("\n\n")[0].split())
    # A link whose address stands at the end of the docstring.
    return re.sub(r"`([^`]+)`__", r"`\1`", first)
