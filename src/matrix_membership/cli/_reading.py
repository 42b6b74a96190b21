"""Read the files of a command line: documents, events, the room version."""

from __future__ import annotations

import codecs
import sys
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from matrix_membership.canonical_json import Budget, JsonValue, decode
from matrix_membership.errors import (
    InvalidJson,
    InvalidMessage,
    MatrixMembershipError,
    UnknownRoomVersion,
)
from matrix_membership.events import Event
from matrix_membership.identifiers import ServerName, is_server_name, server_of
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.state.from_client import read_event

UNCHECKED: Final = (
    "Signatures are not checked: each server that a PDU names counts as having signed it, and\n"
    "for an event in client format, which carries none, each server that would have to."
)
"""The note below every verdict on an event from a file."""

YES: Final = 0
NO: Final = 1
UNREADABLE: Final = 2

# A string, because the class of argparse takes no parameter while the program runs.
Commands: TypeAlias = "_SubParsersAction[ArgumentParser]"
"""The object that a command adds its parser to."""

# The usual bound is there against strangers. These files were chosen by the person who runs the
# command, and the state of a large room is larger.
BUDGET: Final = Budget(max_bytes=2**31)


def add_page_option(parser: ArgumentParser) -> None:
    """Add `--html`."""
    parser.add_argument("--html", metavar="FILE", help="write a page")


def add_common_options(parser: ArgumentParser, printed: str, when: str) -> None:
    """Add `--json` and `--room-version`."""
    parser.add_argument("--json", action="store_true", help=f"print {printed} as JSON")
    help_text = f"the room's version, when {when}"
    parser.add_argument("--room-version", metavar="VERSION", help=help_text)


class UnreadableError(MatrixMembershipError):
    """An error with the file that it is about."""

    def __str__(self) -> str:
        return ": ".join(map(str, self.args))


def place_of(file: str) -> str:
    """Return the name of a file for people: `-` is standard input."""
    return "standard input" if file == "-" else file


@contextmanager
def located(name: str) -> Iterator[None]:
    """Name the file or option in each error from inside."""
    try:
        yield
    except MatrixMembershipError as error:
        raise UnreadableError(place_of(name), error) from error


def read_document(name: str) -> JsonValue:
    """Read the JSON of a file, or of standard input for `-`."""
    with located(name):
        return decode(read_bytes(name), strict=False, budget=BUDGET)


def read_bytes(name: str) -> bytes:
    """Read a file, or standard input for `-`, without its byte order mark.

    Editors and shells mark text with one; that of PowerShell is UTF-16.
    """
    data = _standard_input() if name == "-" else Path(name).read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        # `replace`, so that broken text is told as a fault of the JSON, with its place.
        data = data.decode("utf-16", "replace").encode()
    return data.removeprefix(codecs.BOM_UTF8)


def _standard_input() -> bytes:
    # Python has None for a stream that was closed before it began.
    if sys.stdin is None:
        raise UnreadableError("standard input", "closed")
    return sys.stdin.buffer.read()


Placed = list[tuple[str, JsonValue]]
"""Values, each with its place in the file."""


def read_documents(name: str) -> Placed:
    """Read the documents of a file, a list or lines."""
    whole = read_document_or_lines(name)
    if isinstance(whole, list):
        return whole
    if isinstance(whole, Mapping):
        return [(place_of(name), whole)]
    return entries_of(whole, place_of(name), "a list or an object")


def read_document_or_lines(file: str) -> JsonValue | Placed:
    """Read the document of a file, or a list of the documents of its lines.

    Only lines are a list: the reader of JSON makes tuples.
    """
    data, name = read_bytes(file), place_of(file)
    try:
        # As one document first: lines fail as a document at the second line.
        return decode(data, strict=False, budget=BUDGET)
    except InvalidJson as error:
        lines = [(n, line) for n, line in enumerate(data.splitlines(), 1) if line.strip()]
        if not _are_documents(lines):
            raise InvalidMessage(name, "JSON", str(error)) from error
    return [(f"{name}:{number}", _line(line, f"{name}:{number}")) for number, line in lines]


def _are_documents(lines: Sequence[tuple[int, bytes]]) -> bool:
    """Tell whether a file has a document a line, by the ends of the first line.

    An indented document that is broken somewhere would fail as lines at its first one, which is
    `[` or `{`, with an error that hides the real one.
    """
    if len(lines) < 2:  # noqa: PLR2004 - a file of one line is one document
        return False
    first = lines[0][1].strip()
    return first[:1] + first[-1:] in (b"{}", b"[]")


def _line(line: bytes, where: str) -> JsonValue:
    try:
        return decode(line, strict=False, budget=BUDGET)
    except InvalidJson as error:
        raise InvalidMessage(where, "JSON", str(error)) from error


def entries_of(value: JsonValue, where: str, expected: str) -> Placed:
    """Return the entries of a value that has to be a list."""
    if not isinstance(value, (list, tuple)):
        raise InvalidMessage(where, expected, value)
    return [(f"{where}[{index}]", entry) for index, entry in enumerate(value)]


def object_of(value: JsonValue, where: str) -> Mapping[str, JsonValue]:
    """Return a value that has to be an event's object."""
    if not isinstance(value, Mapping):
        raise InvalidMessage(where, "an event", value)
    return value


def room_version_of(named: str | None, documents: Sequence[Mapping[str, JsonValue]]) -> RoomVersion:
    """Return the version named on the command line, or else in the create event."""
    create = next(filter(is_create, documents), None)
    content = {} if create is None else create.get("content")
    told = content.get("room_version", "1") if isinstance(content, Mapping) else content
    version = named_version(named)
    if version is not None:
        # The option never overrides the create event: judged by the rules of another version, the
        # event would get a verdict that no server gives.
        if create is not None and isinstance(content, Mapping) and told != named:
            expected = f"{named}, as --room-version says"
            raise InvalidMessage("m.room.create: room_version", expected, told)
        return version
    if create is None:
        raise InvalidMessage("state", "a create event, or --room-version", "neither")
    readable = isinstance(content, Mapping) and isinstance(told, str)
    version = KNOWN.get(str(told)) if readable else None
    if version is None:
        raise UnknownRoomVersion(told)
    return version


def named_version(named: str | None) -> RoomVersion | None:
    """Return the version that the command line names; None if it names none."""
    if named is None:
        return None
    if named not in KNOWN:
        raise UnknownRoomVersion(named)
    return KNOWN[named]


def is_create(document: Mapping[str, JsonValue]) -> bool:
    """Tell whether a document is a create event."""
    return document.get("type") == "m.room.create"


def event_of(document: Mapping[str, JsonValue], version: RoomVersion) -> Event:
    """Read an event, with the servers that count as having signed it."""
    event = read_event(document, version)
    if event.pdu:
        signatures = document.get("signatures")
        named = signatures if isinstance(signatures, Mapping) else ()
        # Keys are not at hand, so what is signed counts as signed. The page of `explain` says so.
        return event.with_signers(filter(is_server_name, named))
    via = event.authorised_via
    return event.with_signers({event.server, *([] if not via else [ServerName(server_of(via))])})
