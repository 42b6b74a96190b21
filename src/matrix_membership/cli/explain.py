"""`explain STATE EVENT`: judge an event, and print the explanation."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import Final

from matrix_membership import auth
from matrix_membership.cli._reading import (
    NO,
    YES,
    Commands,
    entries_of,
    event_of,
    object_of,
    read_document,
    room_version_of,
)
from matrix_membership.errors import InvalidMessage
from matrix_membership.state import RoomState

_UNCHECKED: Final = (
    "Signatures are not checked: each server that a PDU names counts as having signed it, and\n"
    "for an event in client format, which carries none, each server that would have to."
)


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "explain",
        help="say why an event is allowed or rejected, and what would help",
        epilog="exit code: 0 allowed, 1 rejected or undecided, 2 unreadable",
    )
    parser.add_argument(
        "state",
        metavar="STATE",
        help="JSON: a list of state events, as PDUs or as clients get them, or an answer that "
        "holds one under pdus, state or events; - for standard input",
    )
    parser.add_argument("event", metavar="EVENT", help="JSON: the event; - for standard input")
    parser.add_argument("--json", action="store_true", help="print the explanation as JSON")
    parser.add_argument(
        "--room-version",
        metavar="VERSION",
        help="the room's version, when the create event does not say it",
    )
    parser.add_argument(
        "--partial", action="store_true", help="the state leaves members out (stripped state)"
    )
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print the explanation, and return the exit code."""
    explanation = _explain(options)
    if options.json:
        sys.stdout.write(json.dumps(explanation.to_dict(), indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(f"{explanation}\n\n{_UNCHECKED}\n")
    return YES if explanation else NO


def _explain(options: Namespace) -> auth.Explanation:
    if options.state == options.event == "-":
        raise InvalidMessage("STATE and EVENT", "at most one of them on standard input", "-")
    entries = entries_of(read_document(options.state), options.state)
    document = object_of(read_document(options.event), options.event)
    version = room_version_of(options.room_version, [*entries, document])
    state = RoomState.of(
        version, [event_of(entry, version) for entry in entries], partial=options.partial
    )
    return auth.explain(event_of(document, version), state)
