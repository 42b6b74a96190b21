"""The command line: `matrix-membership COMMAND`.

Each command is a module of this folder. `python -m matrix_membership` does the same. The exit
code is 0 for yes, 1 for no or undecided, 2 for unreadable input, 141 if nobody reads on. Only
this part of the package reads files and prints.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Final

from matrix_membership import __version__
from matrix_membership.cli import (
    compare,
    doctor,
    explain,
    lint,
    plan,
    resets,
    resolve,
    whatif,
    whocan,
)
from matrix_membership.cli._page import harmless
from matrix_membership.cli._reading import UNREADABLE as UNREADABLE
from matrix_membership.errors import MatrixMembershipError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the arguments after the name of the program; None for those of the process.

    Returns:
        The exit code.

    Raises:
        BrokenPipeError: nobody reads standard output to its end, as with `| head`.
    """
    options = _parsed(arguments)
    try:
        code: int = options.run(options)
    except BrokenPipeError:
        raise  # nobody reads on: not an error to tell
    except (MatrixMembershipError, OSError) as error:
        sys.stderr.write(harmless(str(error), sys.stderr) + "\n")
        return UNREADABLE
    return code


COMMANDS: Final = (explain, doctor, lint, whocan, whatif, plan, resolve, resets, compare)
"""The commands: modules with a function `add_to`, which adds the command to the parser."""


def _parsed(arguments: Sequence[str] | None) -> Namespace:
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    # argparse takes no optional argument that comes after options: `explain STATE --json EVENT`.
    if len(rest) == 1 and not rest[0].startswith("-") and getattr(options, "event", "") is None:
        options.event = rest.pop()
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="matrix-membership", description="Room membership in Matrix.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return parser
