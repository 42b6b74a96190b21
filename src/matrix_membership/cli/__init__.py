"""The command line: `python -m matrix_membership explain STATE EVENT`.

It judges an event against the state of a room and prints the explanation. The exit code is 0
for allowed, 1 for rejected or undecided, 2 for unreadable input. Only this part of the
package reads files and prints.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from matrix_membership import auth
from matrix_membership.canonical_json import Budget, JsonValue, decode
from matrix_membership.errors import InvalidMessage, MatrixMembershipError, UnknownRoomVersion
from matrix_membership.events import Event
from matrix_membership.identifiers import ServerName, is_server_name, server_of
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.state import RoomState

__all__ = ["main"]

ALLOWED: Final = 0
REJECTED: Final = 1
UNREADABLE: Final = 2

_BUDGET: Final = Budget(max_bytes=2**31)
_LISTED_UNDER: Final = ("pdus", "state", "events")
_ONLY_IN_PDUS: Final = ("auth_events", "prev_events", "hashes")
_UNCHECKED: Final = (
    "Signatures are not checked: each server that a PDU names counts as having signed it, and\n"
    "for an event in client format, which carries none, each server that would have to."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the arguments after the name of the program; None for those of the process.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        explanation = _explain(options)
    except (MatrixMembershipError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return UNREADABLE
    if options.json:
        sys.stdout.write(json.dumps(explanation.to_dict(), indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(f"{explanation}\n\n{_UNCHECKED}\n")
    return ALLOWED if explanation else REJECTED


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m matrix_membership", description="Room membership in Matrix."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    explain = commands.add_parser(
        "explain",
        help="say why an event is allowed or rejected, and what would help",
        epilog="exit code: 0 allowed, 1 rejected or undecided, 2 unreadable",
    )
    explain.add_argument(
        "state",
        metavar="STATE",
        help="JSON: a list of state events, as PDUs or as clients get them, or an answer that "
        "holds one under pdus, state or events; - for standard input",
    )
    explain.add_argument("event", metavar="EVENT", help="JSON: the event; - for standard input")
    explain.add_argument("--json", action="store_true", help="print the explanation as JSON")
    explain.add_argument(
        "--room-version",
        metavar="VERSION",
        help="the room's version, when the create event does not say it",
    )
    explain.add_argument(
        "--partial", action="store_true", help="the state leaves members out (stripped state)"
    )
    return parser


def _explain(options: Namespace) -> auth.Explanation:
    if options.state == options.event == "-":
        raise InvalidMessage("STATE and EVENT", "at most one of them on standard input", "-")
    entries = _entries(_read(options.state), options.state)
    document = _object(_read(options.event), options.event)
    version = _room_version(options.room_version, [*entries, document])
    state = RoomState.of(
        version, [_event(entry, version) for entry in entries], partial=options.partial
    )
    return auth.explain(_event(document, version), state)


def _read(name: str) -> JsonValue:
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    return decode(data, strict=False, budget=_BUDGET)


def _entries(value: JsonValue, name: str) -> list[Mapping[str, JsonValue]]:
    """Return the state events of a document: a list, or a list under one of the known keys."""
    while isinstance(value, Mapping):
        found = next((value[key] for key in _LISTED_UNDER if key in value), None)
        if found is None:
            raise InvalidMessage(name, "a list of state events", sorted(value))
        value = found
    if not isinstance(value, (list, tuple)):
        raise InvalidMessage(name, "a list of state events", value)
    return [_object(entry, f"{name}[{index}]") for index, entry in enumerate(value)]


def _object(value: JsonValue, where: str) -> Mapping[str, JsonValue]:
    if not isinstance(value, Mapping):
        raise InvalidMessage(where, "an event", value)
    return value


def _room_version(named: str | None, documents: Sequence[Mapping[str, JsonValue]]) -> RoomVersion:
    """Return the version named on the command line, or else in the create event."""
    identifier: JsonValue = named
    if identifier is None:
        create = next((entry for entry in documents if entry.get("type") == "m.room.create"), None)
        if create is None:
            raise InvalidMessage("state", "a create event, or --room-version", "neither")
        content = create.get("content")
        identifier = content.get("room_version", "1") if isinstance(content, Mapping) else content
    version = KNOWN.get(identifier) if isinstance(identifier, str) else None
    if version is None:
        raise UnknownRoomVersion(identifier)
    return version


def _event(document: Mapping[str, JsonValue], version: RoomVersion) -> Event:
    """Read an event of either format, with the servers that count as having signed it."""
    if all(key in document for key in _ONLY_IN_PDUS):
        signatures = document.get("signatures")
        named = signatures if isinstance(signatures, Mapping) else ()
        return Event.from_pdu(document, version).with_signers(filter(is_server_name, named))
    event = Event.from_client_event(document, version)
    via = event.authorised_via
    return event.with_signers({event.server, *([] if not via else [ServerName(server_of(via))])})
