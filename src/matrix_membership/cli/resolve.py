"""`resolve STATES EVENTS`: resolve states of a room, and find what was reset."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from matrix_membership.canonical_json import JsonValue
from matrix_membership.cli._page import print_json, print_text
from matrix_membership.cli._reading import NO, YES, Commands, add_common_options
from matrix_membership.cli._room_files import read_room
from matrix_membership.errors import InvalidMessage
from matrix_membership.resolution import Reset, Resolution, resets, resolve


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "resolve",
        help="resolve the states of a room that forked, and say who won, why, and what was lost",
        epilog="exit code: 0 nothing was reset, 1 something was, 2 unreadable",
    )
    parser.add_argument(
        "states",
        metavar="STATES",
        help="JSON: a list of states, or one a line. A state is a list of PDUs or of event IDs, or an "
        "answer of a server that holds one under pdus, state, events or pdu_ids; - for standard input",
    )
    parser.add_argument(
        "events",
        metavar="EVENTS",
        help="JSON: the PDUs of the auth chains, in a list, one a line, or under pdus, state, events "
        "or auth_chain; - for standard input",
    )
    parser.add_argument("--html", metavar="FILE", help="write a page with a picture")
    parser.add_argument(
        "--algorithm", choices=("1", "2", "2.1"), help="by default that of the room version"
    )
    parser.add_argument(
        "--rejected",
        metavar="ID",
        action="append",
        default=[],
        help="the ID of an event that was rejected; may be given again",
    )
    add_common_options(parser, "all", "the create event does not say it")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print the story and the resets, and return the exit code."""
    # Standard input can be read once.
    if options.states == options.events == "-":
        raise InvalidMessage("STATES and EVENTS", "at most one of them on standard input", "-")
    asked = read_room(options.events, options.states, named=options.room_version)
    resolution = resolve(
        asked.version,
        asked.states,
        asked.events,
        rejected=frozenset(options.rejected),
        algorithm=options.algorithm,
    )
    # Each state is taken for the newest once: files do not say on which branch their reader was.
    lost = [resets(state, resolution) for state in asked.states]
    if options.html:
        notes = (note for number, found in enumerate(lost) for note in _notes(number, found))
        Path(options.html).write_text(resolution.to_html(notes=notes), "utf-8")
    if options.json:
        document = _document(resolution, lost)
        print_json(document)
    else:
        notes = (note for number, found in enumerate(lost) for note in _notes(number, found))
        print_text("\n".join([str(resolution.story), *notes]))
    return NO if any(lost) else YES


def _notes(number: int, found: Sequence[Reset]) -> Iterator[str]:
    for reset in found:
        yield f"reset, as state {number} had it: {reset}"


def _document(resolution: Resolution, lost: Sequence[Sequence[Reset]]) -> JsonValue:
    return {
        "state": [[*place, event_id] for place, event_id in sorted(resolution.state.items())],
        "missing": sorted(resolution.missing),
        "story": resolution.story.to_dict(),
        "resets": [[reset.to_dict() for reset in found] for found in lost],
    }
