"""`explain STATE EVENT`: judge an event, and print the explanation."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from types import MappingProxyType
from typing import Final

from matrix_membership import auth
from matrix_membership.advice.may import Permission, may
from matrix_membership.advice.pages import page_of_explanation
from matrix_membership.cli._page import show
from matrix_membership.cli._reading import (
    NO,
    UNCHECKED,
    YES,
    Commands,
    is_create,
    located,
    object_of,
    place_of,
    read_document,
    room_version_of,
)
from matrix_membership.cli._state_file import (
    add_state,
    add_state_options,
    event_in,
    state_of,
)
from matrix_membership.errors import InvalidMessage
from matrix_membership.state import RoomState

_COUNTS_AS_A_PART: Final = (
    "The state counts as a part of the room's, as an invited user gets it: its events have no IDs,\n"
    "or the create event is missing. If these are all state events, add --complete."
)
_BY_ONESELF: Final = MappingProxyType(
    {
        "join": "joins",
        "knock": "knocks",
        "leave": "leaves, rejects an invite, or retracts a knock",
    }
)
_TO_ANOTHER: Final = MappingProxyType(
    {
        "invite": "is invited",
        "kick": "is removed",
        "ban": "is banned",
        "unban": "is unbanned",
    }
)


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "explain",
        help="say why an event is allowed or rejected, and what would help",
        epilog="exit code: 0 allowed, 1 rejected or undecided, 2 unreadable",
    )
    add_state(parser)
    parser.add_argument(
        "event", metavar="EVENT", nargs="?", help="JSON: the event; - for standard input"
    )
    _add_questions(parser)
    add_state_options(parser, "the explanation")
    parser.set_defaults(run=run, refuse=parser.error)


def _add_questions(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("in place of EVENT")
    questions = group.add_mutually_exclusive_group()
    for name, told in (*_BY_ONESELF.items(), *_TO_ANOTHER.items()):
        questions.add_argument(f"--{name}", metavar="USER", help=f"the user {told}")
    group.add_argument("--by", metavar="USER", help="who invites, kicks, bans or unbans")


def run(options: Namespace) -> int:
    """Print the explanation, and return the exit code."""
    asked = _asked(options)
    version = None
    name = options.event
    document = None if name is None else object_of(read_document(name), place_of(name))
    # No state comes before a create event, so nothing else can name the version.
    if document is not None and is_create(document) and options.room_version is None:
        with located(name):
            version = room_version_of(None, [document])
    told = state_of(options, version)
    if document is None:
        return _print(options, _answer(told.state, *asked))
    return _print(options, Permission.of(event_in(document, place_of(name), told), told.state))


def _asked(options: Namespace) -> tuple[str, str, str | None]:
    """Return the question, the user it is about, and who does it."""
    named = {name: getattr(options, name) for name in (*_BY_ONESELF, *_TO_ANOTHER)}
    found = [(name, user) for name, user in named.items() if user is not None]
    if (options.event is None) is not bool(found):
        options.refuse("expected EVENT, or one of --join, --invite and the like")
    if options.state == options.event == "-":
        raise InvalidMessage("STATE and EVENT", "at most one of them on standard input", "-")
    name, user = found[0] if found else ("", "")
    # argparse cannot make one option depend on another.
    if (options.by is not None) is not (name in _TO_ANOTHER):
        options.refuse("expected --by with --invite, --kick, --ban and --unban, and only there")
    return name, user, options.by


def _answer(state: RoomState, question: str, user: str, by: str | None) -> Permission:
    with located(f"--{question}" if by is None else f"--{question} and --by"):
        about = may(user if by is None else by, state)
        asked: Permission = getattr(about, question)(*([] if by is None else [user]))
        return asked


def _print(options: Namespace, answer: Permission) -> int:
    explanation = auth.explain(answer.event, answer.state)
    parts = [str(explanation), UNCHECKED]
    if str(answer) != str(explanation.decision):
        parts.insert(0, str(answer))
    # A place that no room has: only stripped state does not know it.
    if explanation.decision.undecided and not answer.state.knows("m.room.create", "?"):
        parts.append(_COUNTS_AS_A_PART)
    show(
        options,
        "\n\n".join(parts),
        lambda: {"answer": str(answer), **explanation.to_dict()},
        lambda: page_of_explanation(str(answer), explanation),
    )
    return YES if answer else NO
