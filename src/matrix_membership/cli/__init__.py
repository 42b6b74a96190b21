"""The command line: `python -m matrix_membership COMMAND`.

Each command is a module of this folder. The exit code is 0 for yes, 1 for no or undecided,
2 for unreadable input. Only this part of the package reads files and prints.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Final

from matrix_membership.cli import explain, resets, resolve
from matrix_membership.cli._reading import UNREADABLE
from matrix_membership.errors import MatrixMembershipError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the arguments after the name of the program; None for those of the process.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except (MatrixMembershipError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return UNREADABLE
    return code


COMMANDS: Final = (explain, resolve, resets)
"""The commands: modules with a function `add_to`, which adds the command to the parser."""


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m matrix_membership", description="Room membership in Matrix."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return parser
