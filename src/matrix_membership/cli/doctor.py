"""`doctor CAPTURE`: diagnose a join, knock, leave or invite between two servers."""

from __future__ import annotations

from argparse import Namespace

from matrix_membership.cli._page import show
from matrix_membership.cli._reading import (
    NO,
    YES,
    Commands,
    add_common_options,
    add_page_option,
    located,
    place_of,
    read_document,
    read_document_or_lines,
)
from matrix_membership.cli._state_file import named_by, read_state_file
from matrix_membership.errors import InvalidMessage
from matrix_membership.federation.diagnosis import (
    Diagnosis,
    Exchange,
    conversations,
    diagnose,
    read_capture,
)
from matrix_membership.federation.diagnosis.keys import NO_KEYS, merged, read_keys
from matrix_membership.federation.diagnosis.page import page_of
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import KeyRing
from matrix_membership.state import RoomState


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "doctor",
        help="say why a join, knock, leave or invite between two servers failed, and what would help",
        epilog="exit code: 0 nothing is wrong, 1 it failed, is odd or not finished, 2 unreadable",
    )
    parser.add_argument(
        "captures",
        metavar="CAPTURE",
        nargs="+",
        help="a HAR file; JSON: requests with their answers, in a list or one a line; or the bare "
        "answers of make_join and send_join, in one file or several; - for standard input",
    )
    parser.add_argument(
        "--state",
        metavar="FILE",
        help="JSON: the state of the room before, as for explain; it explains refusals",
    )
    parser.add_argument(
        "--keys",
        metavar="FILE",
        help="JSON: the keys of the servers, as key documents or by server and key ID",
    )
    add_page_option(parser)
    add_common_options(parser, "all", "the capture does not say it")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print the diagnoses, and return the exit code."""
    named = [*options.captures, options.state, options.keys]
    if named.count("-") > 1:
        raise InvalidMessage("CAPTURE, --state, --keys", "at most one on standard input", "-")
    exchanges = _exchanges(options.captures)
    told = _diagnoses(options, exchanges)
    if not told:
        expected = "a request of a join, knock, leave or invite, or an answer to one"
        raise InvalidMessage(", ".join(map(place_of, options.captures)), expected, None)
    text = "\n\n".join(map(str, told))
    show(options, text, lambda: [one.to_dict() for one in told], lambda: page_of(told))
    return YES if all(told) else NO


def _exchanges(names: list[str]) -> tuple[Exchange, ...]:
    wholes = [(place_of(name), read_document_or_lines(name)) for name in names]
    return tuple(
        exchange
        for name, whole in wholes
        for place, value in (whole if isinstance(whole, list) else [(name, whole)])
        for exchange in read_capture(value, place=place)
    )


def _diagnoses(options: Namespace, exchanges: tuple[Exchange, ...]) -> list[Diagnosis]:
    version = named_by(options)
    keys = merged(_keys(options.keys), (exchange.keys for exchange in exchanges))
    state = _state(options.state, version)
    return [
        diagnose(conversation, keys=keys, state=state, room_version=version)
        for conversation in conversations(exchanges)
    ]


def _keys(name: str | None) -> KeyRing:
    if name is None:
        return NO_KEYS
    with located(name):
        return read_keys(read_document(name), place_of(name))


def _state(name: str | None, version: RoomVersion | None) -> RoomState | None:
    if name is None:
        return None
    return read_state_file(
        read_document_or_lines(name),
        place_of(name),
        room_id=None,
        room_version=version,
        partial=False,
        complete=None,
    ).state
