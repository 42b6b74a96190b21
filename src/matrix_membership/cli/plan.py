"""`plan KIND STATE`: plan a change of a room, and show its effects."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from matrix_membership.advice import plans
from matrix_membership.advice.pages import page_of
from matrix_membership.advice.plans import Plan
from matrix_membership.cli._page import show
from matrix_membership.cli._reading import NO, YES, Commands, UnreadableError, place_of
from matrix_membership.cli._state_file import (
    StateFile,
    add_state,
    add_state_options,
    state_of,
)
from matrix_membership.client.planning import plan_upgrade
from matrix_membership.errors import IncompleteState

Planning = Callable[[StateFile, Namespace], Plan]


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "plan",
        help="plan a change that people get wrong: the events to send, and what they would do",
    )
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    for name, (told, add, planning) in _KINDS.items():
        kind = kinds.add_parser(
            name,
            help=told,
            epilog="exit code: 0 it can be carried out, 1 it cannot or leaves nobody in charge, "
            "2 unreadable",
        )
        add_state(kind)
        add(kind)
        kind.add_argument(
            "--by", metavar="USER", help="who does it; by default the member with most power"
        )
        kind.add_argument(
            "--anyway", action="store_true", help="also if it leaves nobody in charge"
        )
        add_state_options(kind, "all")
        kind.set_defaults(run=run, planning=planning)


def run(options: Namespace) -> int:
    """Print the plan, and return the exit code."""
    told = state_of(options)
    try:
        plan: Plan = options.planning(told, options)
    except IncompleteState as error:
        # Only this one is about the file. The others quote the option that they are about.
        raise UnreadableError(place_of(options.state), error) from error
    show(options, str(plan), plan.to_dict, lambda: page_of(plan))
    return YES if plan or (options.anyway and not plan.objection) else NO


def _add_upgrade(parser: ArgumentParser) -> None:
    parser.add_argument("--to", metavar="VERSION", required=True, help="the new room version")
    parser.add_argument(
        "--creator",
        metavar="USER",
        action="append",
        default=[],
        help="a creator besides, from version 12 on; may be given again",
    )
    parser.add_argument(
        "--lacking",
        metavar="SERVER",
        action="append",
        default=[],
        help="a server that does not speak the new version; may be given again",
    )


def _upgrade(told: StateFile, options: Namespace) -> Plan:
    return plan_upgrade(
        told.state,
        options.to,
        by=options.by,
        additional_creators=options.creator,
        lacking=options.lacking,
        room_id=told.room_id,
    )


def _add_hand_over(parser: ArgumentParser) -> None:
    parser.add_argument("--to", metavar="USER", required=True, help="the new owner")
    parser.add_argument("--keep", metavar="LEVEL", type=int, help="the level that the owner keeps")


def _add_close(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--withdraw", action="store_true", help="withdraw open invites, and deny knocks"
    )


def _add_open(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--to",
        metavar="ROOM_ID",
        required=True,
        action="append",
        help="a space, or another room, whose members may join; may be given again",
    )


def _add_lock_out(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--server",
        metavar="NAME",
        required=True,
        action="append",
        help="a server, with * and ? as wildcards; may be given again",
    )


_KINDS: Final[MappingProxyType[str, tuple[str, Callable[[ArgumentParser], Any], Planning]]] = (
    MappingProxyType(
        {
            "upgrade": (
                "move to another room version, an older one too",
                _add_upgrade,
                _upgrade,
            ),
            "hand-over": (
                "give the owner's power to another user",
                _add_hand_over,
                lambda told, o: plans.hand_over(told.state, o.to, by=o.by, keep=o.keep),
            ),
            "close": (
                "let nobody new in",
                _add_close,
                lambda told, o: plans.close(told.state, by=o.by, withdraw=o.withdraw),
            ),
            "open": (
                "let in the members of a space",
                _add_open,
                lambda told, o: plans.open_to(told.state, o.to, by=o.by),
            ),
            "lock-out": (
                "shut servers out by the access control list, but never one's own",
                _add_lock_out,
                lambda told, o: plans.lock_out(told.state, o.server, by=o.by),
            ),
        }
    )
)
