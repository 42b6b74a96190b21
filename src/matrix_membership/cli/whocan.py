"""`whocan STATE`: say who can do what in a room."""

from __future__ import annotations

from argparse import Namespace

from matrix_membership.advice.pages import page_of
from matrix_membership.advice.powers import who_can
from matrix_membership.cli._page import show
from matrix_membership.cli._reading import NO, YES, Commands, located
from matrix_membership.cli._state_file import add_state, add_state_options, state_of


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "whocan",
        help="say who can do what in a room, and where each power comes from",
        epilog="exit code: 0 somebody can give power, 1 nobody can or it is unknown, 2 unreadable",
    )
    add_state(parser)
    add_state_options(parser, "all")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print who can do what, and return the exit code."""
    state = state_of(options).state
    with located(options.state):
        powers = who_can(state)
    show(options, str(powers), powers.to_dict, lambda: page_of(powers))
    return YES if powers.in_charge else NO
