"""What is left to a check of each case: the rules when nothing is known of the state, and how many when it is.

A rule that is left needlessly costs time and changes no decision, so that only this shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from matrix_membership.auth._program import Program, compile_program
from matrix_membership.auth.rulebook import CREATE, STATE_DEPENDENT
from matrix_membership.membership import JoinRule
from matrix_membership.room_versions import V1, V6, V7, V10, V12

FILE: Final = Path(__file__).parent / "programs.txt"
VERSIONS: Final = (V1, V6, V7, V10, V12)

HEADER: Final = """\
What is left of the rules in each case. Made by `python -m tests.golden`; a test makes it again and compares.

First line of a case: the rules that are left when nothing is known of the state, and the one that decides when none
of them fires. Second line, by the join rule of a federated room: in how many situations of sender and target there is
a list, in how many of them nothing is left to ask, and how many rules are left in all of them together."""


def text() -> str:
    """The whole file."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield HEADER
    for version in VERSIONS:
        program = compile_program(STATE_DEPENDENT, version, create=CREATE)
        yield f"\n{'=' * 30} version {version}\n"
        for case in _cases(program):
            yield f"{case or 'other'}: {_shown(program.in_any_state.find(case))}"
            yield f"    {', '.join(_counted(program, case))}"


def _cases(program: Program) -> list[str]:
    found: Any = program.in_any_state.find  # the bound method of a dict
    return sorted(found.__self__)


def _shown(rows: Any) -> str:
    left, end = rows
    names = [f"{said.number} {_name(applies)}" for applies, said in left]
    return " | ".join((*names, "no end" if end is None else f"else {end.number}"))


def _name(applies: Any) -> str:
    """The name of a condition; of several at once, of all of them."""
    if applies.__closure__ is None:
        return str(applies.__name__)
    return " and ".join(condition.__name__ for condition in applies.__closure__[0].cell_contents)


def _counted(program: Program, case: str) -> Iterator[str]:
    for rule in JoinRule:
        _, find, otherwise = program.in_state[rule]
        lists = [left for left, _ in _flat(find(case, otherwise))]
        yield f"{rule} {len(lists)}/{lists.count(())}/{sum(map(len, lists))}"


def _flat(found: Mapping[Any, Any]) -> Iterator[Any]:
    for rows in found.values():
        if isinstance(rows[0], dict):
            yield from _flat(rows[0])
        else:
            yield rows
