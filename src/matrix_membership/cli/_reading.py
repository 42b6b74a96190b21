"""Read the files of a command line: documents, events, the room version."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from matrix_membership.canonical_json import Budget, JsonValue, decode
from matrix_membership.errors import InvalidMessage, UnknownRoomVersion
from matrix_membership.events import Event
from matrix_membership.identifiers import ServerName, is_server_name, server_of
from matrix_membership.room_versions import KNOWN, RoomVersion

YES: Final = 0
NO: Final = 1
UNREADABLE: Final = 2

# A string, because the class of argparse takes no parameter while the program runs.
Commands: TypeAlias = "_SubParsersAction[ArgumentParser]"
"""What a command adds its parser to."""

_BUDGET: Final = Budget(max_bytes=2**31)
_LISTED_UNDER: Final = ("pdus", "state", "events")
_ONLY_IN_PDUS: Final = ("auth_events", "prev_events", "hashes")


def read_document(name: str) -> JsonValue:
    """Read the JSON of a file, or of standard input for `-`."""
    return decode(read_bytes(name), strict=False, budget=_BUDGET)


def read_bytes(name: str) -> bytes:
    """Read a file, or standard input for `-`."""
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def entries_of(value: JsonValue, name: str) -> list[Mapping[str, JsonValue]]:
    """Return the state events of a document: a list, or one under a known key."""
    while isinstance(value, Mapping):
        found = next((value[key] for key in _LISTED_UNDER if key in value), None)
        if found is None:
            raise InvalidMessage(name, "a list of state events", sorted(value))
        value = found
    if not isinstance(value, (list, tuple)):
        raise InvalidMessage(name, "a list of state events", value)
    return [object_of(entry, f"{name}[{index}]") for index, entry in enumerate(value)]


def object_of(value: JsonValue, where: str) -> Mapping[str, JsonValue]:
    """Return a value that has to be an event's object."""
    if not isinstance(value, Mapping):
        raise InvalidMessage(where, "an event", value)
    return value


def room_version_of(named: str | None, documents: Sequence[Mapping[str, JsonValue]]) -> RoomVersion:
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


def event_of(document: Mapping[str, JsonValue], version: RoomVersion) -> Event:
    """Read an event, with the servers that count as having signed it."""
    if all(key in document for key in _ONLY_IN_PDUS):
        signatures = document.get("signatures")
        named = signatures if isinstance(signatures, Mapping) else ()
        return Event.from_pdu(document, version).with_signers(filter(is_server_name, named))
    event = Event.from_client_event(document, version)
    via = event.authorised_via
    return event.with_signers({event.server, *([] if not via else [ServerName(server_of(via))])})
