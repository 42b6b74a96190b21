"""`compare BEFORE AFTER`: what differs between two room versions."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from pkgutil import resolve_name

from matrix_membership.cli._page import show
from matrix_membership.cli._progress import watched
from matrix_membership.cli._reading import NO, YES, Commands, UnreadableError
from matrix_membership.errors import UnknownRoomVersion
from matrix_membership.proposals import Situation, compare
from matrix_membership.room_versions import RoomVersion, room_version


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compare",
        help="say which rules differ between two room versions, and which verdicts",
        epilog="A version of your own is named by its module and its name there: my_proposal:VERSION. "
        "Exit code: 0 no verdict differs, 1 some do, 2 an unknown version.",
    )
    parser.add_argument("before", metavar="BEFORE", help="a room version: 11")
    parser.add_argument("after", metavar="AFTER", help="another one: 12")
    parser.add_argument("--html", metavar="FILE", help="write a page")
    parser.add_argument("--json", action="store_true", help="print all as JSON")
    parser.add_argument(
        "--cases",
        metavar="N",
        type=int,
        default=0,
        help="judge N drawn cases too; needs Hypothesis",
    )
    parser.add_argument(
        "--seed", metavar="N", type=int, default=0, help="another one draws other cases"
    )
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print the differences, and return the exit code."""
    before, after = _version(options.before), _version(options.after)
    drawn = _drawn(before, after, options.cases, options.seed)
    with watched(drawn, options.cases, "cases judged") as cases:
        comparison = compare(before, after, cases)
    show(options, str(comparison), comparison.to_dict, comparison.to_html)
    # As `diff` does, so that a script can ask whether a proposal changes any verdict.
    return NO if comparison.verdicts else YES


def _version(named: str) -> RoomVersion:
    """Return a room version by its identifier, or by a module and a name in that."""
    if ":" not in named:
        return room_version(named)
    # As `python -m` does, for the module that an author has just written.
    sys.path.insert(0, "")
    try:
        found = resolve_name(named)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnreadableError(named, error) from error
    if found.__class__ is not RoomVersion:
        raise UnknownRoomVersion(named)
    version: RoomVersion = found
    return version


def _drawn(before: RoomVersion, after: RoomVersion, count: int, seed: int) -> Iterator[Situation]:
    """Yield drawn situations, half of them of each version."""
    if count <= 0:
        return
    # By name: an import above would load Hypothesis for every command, and few have it.
    try:
        draw_cases = resolve_name("matrix_membership.strategies:draw_cases")
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        needed = "needs Hypothesis, which comes with matrix-membership[testing]"
        raise UnreadableError("--cases", needed) from error
    for version, part in ((before, count // 2), (after, count - count // 2)):
        for case in draw_cases(version, part, seed=seed):
            yield Situation.of(case.event, case.state.events)
