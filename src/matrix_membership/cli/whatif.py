"""`whatif STATE EVENT...`: say what events would do to a room."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from matrix_membership.advice.pages import page_of
from matrix_membership.advice.what_if import what_if
from matrix_membership.cli._page import show
from matrix_membership.cli._reading import (
    NO,
    UNCHECKED,
    YES,
    Commands,
    located,
    object_of,
    read_documents,
)
from matrix_membership.cli._state_file import (
    StateFile,
    add_state,
    add_state_options,
    event_in,
    state_of,
)
from matrix_membership.errors import InvalidMessage
from matrix_membership.events import Event


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "whatif",
        help="say what events would do to a room: the verdicts, and who can do more or less",
        epilog="exit code: 0 all events take effect, 1 some do not, 2 unreadable",
    )
    add_state(parser)
    parser.add_argument(
        "events",
        metavar="EVENT",
        nargs="+",
        help="JSON: an event, a list of events, or one a line; - for standard input",
    )
    add_state_options(parser, "all")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print the effects of the events, and return the exit code."""
    if [options.state, *options.events].count("-") > 1:
        raise InvalidMessage("STATE and EVENT", "at most one of them on standard input", "-")
    told = state_of(options)
    events = [event for name in options.events for event in _events(name, told)]
    with located(options.state):
        found = what_if(told.state, events)
    show(options, f"{found}\n\n{UNCHECKED}", found.to_dict, lambda: page_of(found))
    return YES if found else NO


def _events(name: str, told: StateFile) -> Iterator[Event]:
    for where, document in read_documents(name):
        yield event_in(object_of(document, where), where, told)
