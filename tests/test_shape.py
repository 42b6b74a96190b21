"""The shape of the source: short functions, short modules, summaries of one line, and comments that say why.

What breaks a law today stands in a table with its size: it may shrink, never grow, and leaves the table once it is small enough.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tests.sources import MODULES, parsed

MOST_LINES_OF_A_FUNCTION: Final = 40
MOST_LINES_OF_A_MODULE: Final = 500

LONG_FUNCTIONS: Final = MappingProxyType(
    {
        "events._fast_read:is_usual": 56,  # runs for each PDU: a split adds calls to the hot path
    }
)
LONG_MODULES: Final[Mapping[str, int]] = MappingProxyType({})

# Full comment lines in 100 lines of code. The bound only goes up. The aim is 5.
FEWEST_COMMENTS: Final = 5


def long_functions() -> dict[str, int]:
    """The lines of every function that is too long, without its docstrings, by module and name."""
    found: dict[str, int] = {}
    for module in MODULES:
        tree = parsed(module)
        prose = docstring_lines(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                whole = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                lines = len(whole) - len(prose.intersection(whole))
                name = f"{module}:{node.name}"
                if lines > MOST_LINES_OF_A_FUNCTION:
                    found[name] = max(lines, found.get(name, 0))
    return found


def long_modules() -> dict[str, int]:
    """The lines of every module that is too long."""
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in MODULES.items()}
    return {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_MODULE}


def docstring_lines(tree: ast.Module) -> set[int]:
    """The lines of a module that its docstrings take up."""
    statements = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
    return {
        line
        for node in statements
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def comments_in_100_lines() -> float:
    """Full comment lines in 100 lines of code, over the whole package; docstrings count as neither."""
    comments = code = 0
    for module, path in MODULES.items():
        prose = docstring_lines(parsed(module))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if line.strip() and number not in prose:
                is_comment = line.lstrip().startswith("#")
                comments += is_comment
                code += not is_comment
    return 100 * comments / code


def faulty_summaries() -> list[str]:
    """Where the first line of a docstring is longer than 79 characters or ends without a full stop."""
    found = []
    for module in MODULES:
        for node in ast.walk(parsed(module)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                summary = "." if text is None else text.partition("\n")[0]
                if len(summary) > 79 or not re.search(r"\.$", summary):
                    found.append(f"{module}: {summary}")
    return found


def test_no_function_is_too_long_but_those_listed() -> None:
    assert long_functions().keys() <= LONG_FUNCTIONS.keys()


def test_no_long_function_grows() -> None:
    found = long_functions()
    assert {name for name, most in LONG_FUNCTIONS.items() if found.get(name, 0) > most} == set()


def test_no_entry_for_functions_is_stale() -> None:
    assert LONG_FUNCTIONS.keys() - long_functions().keys() == set()


def test_no_module_is_too_long_but_those_listed() -> None:
    assert long_modules().keys() <= LONG_MODULES.keys()


def test_no_long_module_grows() -> None:
    found = long_modules()
    assert {name for name, most in LONG_MODULES.items() if found.get(name, 0) > most} == set()


def test_no_entry_for_modules_is_stale() -> None:
    assert LONG_MODULES.keys() - long_modules().keys() == set()


def test_comments_are_not_scarcer() -> None:
    assert comments_in_100_lines() >= FEWEST_COMMENTS


def test_summaries_are_one_short_sentence() -> None:
    assert faulty_summaries() == []
