"""`resets CHANGES [EVENTS]`: find what was reset in rows of state changes."""

from __future__ import annotations

from argparse import Namespace

from matrix_membership.cli._page import print_json, print_text
from matrix_membership.cli._reading import (
    NO,
    YES,
    Commands,
    add_common_options,
    place_of,
    read_bytes,
)
from matrix_membership.cli._room_files import read_room
from matrix_membership.errors import InvalidMessage
from matrix_membership.resolution import resets_in


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "resets",
        help="find state resets in the rows of a room's state changes",
        epilog="exit code: 0 nothing was reset, 1 something was, 2 unreadable",
    )
    parser.add_argument(
        "changes",
        metavar="CHANGES",
        help="JSON, a row a line: stream_id, type, state_key, event_id, prev_event_id, as a list or "
        "with these names; - for standard input",
    )
    parser.add_argument(
        "events",
        metavar="EVENTS",
        nargs="?",
        help="JSON: the PDUs that are at hand, as for resolve; with them causes and repairs are told",
    )
    add_common_options(parser, "the resets", "the create event does not say it")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print the resets, and return the exit code."""
    if options.changes == options.events == "-":
        raise InvalidMessage("CHANGES and EVENTS", "at most one of them on standard input", "-")
    rows = read_bytes(options.changes)
    named = options.room_version
    events = {} if options.events is None else read_room(options.events, None, named=named).events
    try:
        found = resets_in(rows, events)
    except InvalidMessage as error:
        # `resets_in` knows the row, and only this function the file.
        where = f"{place_of(options.changes)}, {error.where}"
        raise InvalidMessage(where, error.expected, error.got) from error
    if options.json:
        document = [reset.to_dict() for reset in found]
        print_json(document)
    else:
        print_text("\n".join(map(str, found)) or "nothing was reset")
    return NO if found else YES
