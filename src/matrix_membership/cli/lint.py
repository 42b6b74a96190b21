"""`lint STATE`: find settings of a room that hurt its members."""

from __future__ import annotations

from argparse import Namespace

from matrix_membership.advice.lint import lint
from matrix_membership.advice.pages import page_of_findings
from matrix_membership.cli._page import show
from matrix_membership.cli._reading import NO, YES, Commands, located
from matrix_membership.cli._state_file import add_state, add_state_options, state_of


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "lint",
        help="find settings of a room that hurt its members, and say how to mend them",
        epilog="exit code: 0 nothing hurts now, 1 something does, 2 unreadable",
    )
    add_state(parser)
    add_state_options(parser, "the findings")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print the findings, and return the exit code."""
    state = state_of(options).state
    with located(options.state):
        findings = lint(state)
    text = "\n".join(map(str, findings)) or "nothing hurts"
    show(
        options,
        text,
        lambda: [finding.to_dict() for finding in findings],
        lambda: page_of_findings(findings),
    )
    return NO if any(str(finding.weight) == "hurts" for finding in findings) else YES
