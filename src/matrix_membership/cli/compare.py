"""`compare BEFORE AFTER`: what differs between two room versions."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from matrix_membership.cli._page import print_json, print_page
from matrix_membership.cli._reading import NO, YES, Commands
from matrix_membership.proposals import compare
from matrix_membership.room_versions import room_version


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compare",
        help="say which rules differ between two room versions, and which verdicts",
        epilog="exit code: 0 no verdict differs, 1 some do, 2 an unknown version",
    )
    parser.add_argument("before", metavar="BEFORE", help="a room version: 11")
    parser.add_argument("after", metavar="AFTER", help="another one: 12")
    parser.add_argument("--html", metavar="FILE", help="write a page")
    parser.add_argument("--json", action="store_true", help="print all as JSON")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print the differences, and return the exit code."""
    comparison = compare(room_version(options.before), room_version(options.after))
    if options.html:
        Path(options.html).write_text(comparison.to_html(), "utf-8")
    if options.json:
        document = comparison.to_dict()
        print_json(document)
    else:
        print_page(str(comparison))
    # As `diff` does, so that a script can ask whether a proposal changes any verdict.
    return NO if comparison.verdicts else YES
