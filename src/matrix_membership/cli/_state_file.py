"""Read the state of a room from a file: a list, the answer of a server, `/sync`."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from matrix_membership.canonical_json import JsonValue, decode
from matrix_membership.cli._progress import watched
from matrix_membership.cli._reading import (
    BUDGET,
    Placed,
    add_common_options,
    add_page_option,
    entries_of,
    event_of,
    located,
    named_version,
    place_of,
    read_document_or_lines,
)
from matrix_membership.errors import IncompleteState, InvalidMessage
from matrix_membership.events import Event
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState
from matrix_membership.state.from_client import read_state

_STRIPPED_UNDER: Final = (
    "invite_state",
    "knock_state",
    "invite_room_state",
    "knock_room_state",
)
_LISTED_UNDER: Final = ("pdus", "state", "events", *_STRIPPED_UNDER)
# The unstable name too: answers were saved before the specification had the other one.
_MEMBERS_OMITTED: Final = ("members_omitted", "org.matrix.msc3706.partial_state")


class StateFile(NamedTuple):
    """A room as a file tells it.

    Attributes:
        state: its state.
        room_id: its ID; empty if the file does not tell it.
    """

    state: RoomState
    room_id: str


def add_state(parser: ArgumentParser) -> None:
    """Add the argument that names the file of a state."""
    parser.add_argument(
        "state",
        metavar="STATE",
        help="JSON: a list of state events, as PDUs or as clients get them; an answer that holds "
        "one under pdus, state or events; an answer to /sync, whose timeline is applied; an event a "
        "line; or a capture (HAR) with one of these answers; - for standard input",
    )


def add_state_options(parser: ArgumentParser, printed: str) -> None:
    """Add the options of each command that asks about a state.

    Args:
        parser: the parser of the command.
        printed: the thing that `--json` prints.
    """
    add_page_option(parser)
    add_common_options(parser, printed, "the state has no create event")
    parser.add_argument("--room", metavar="ROOM_ID", help="the room, in an answer to /sync")
    parser.add_argument("--partial", action="store_true", help="the state leaves members out")
    whole = parser.add_mutually_exclusive_group()
    whole.add_argument(
        "--complete",
        action="store_true",
        help="these are all state events, although they have no IDs",
    )
    whole.add_argument(
        "--stripped", action="store_true", help="the state leaves events of every type out"
    )


def named_by(options: Namespace) -> RoomVersion | None:
    """Return the room version that the command line names; None if it names none."""
    with located("--room-version"):
        return named_version(options.room_version)


def state_of(options: Namespace, room_version: RoomVersion | None = None) -> StateFile:
    """Read the state that the command line names.

    Args:
        options: the command line.
        room_version: the version of the room; None for the one that the command line names.
    """
    room_version = room_version or named_by(options)
    return read_state_file(
        read_document_or_lines(options.state),
        place_of(options.state),
        room_id=options.room,
        room_version=room_version,
        partial=options.partial,
        complete=True if options.complete else False if options.stripped else None,
    )


def event_in(document: Mapping[str, JsonValue], name: str, told: StateFile) -> Event:
    """Read an event of the room of a state."""
    room_id = document.get("room_id")
    if isinstance(room_id, str) and told.room_id and room_id and room_id != told.room_id:
        expected = f"{told.room_id}, the room of the state"
        raise InvalidMessage(f"{name}: room_id", expected, room_id)
    with located(name):
        return event_of(document, told.state.room_version)


class _Listed(NamedTuple):
    """Entries with their places in the file, and what the document says of them."""

    entries: Placed
    room_id: str = ""
    partial: bool = False
    stripped: bool = False


def read_state_file(
    value: JsonValue | Placed,
    name: str,
    *,
    room_id: str | None,
    room_version: RoomVersion | None,
    partial: bool,
    complete: bool | None,
) -> StateFile:
    """Read the state of a room.

    Args:
        value: the document, or the events of its lines.
        name: the name of its file.
        room_id: the room to take from an answer to `/sync`.
        room_version: the room version that the command line names.
        partial: members may be missing.
        complete: as `read_state` takes it.

    Raises:
        InvalidMessage: with the file and the place in it.
    """
    listed = _Listed(value) if isinstance(value, list) else _listed(value, name, room_id)
    # The events' own text counts before the key under which an answer to `/sync` has them.
    found = _room_of(listed.entries) or listed.room_id
    if listed.stripped and complete is None:
        complete = False
    entries = [entry for _, entry in listed.entries]
    with located(name), watched(entries, len(entries), "events read") as read:
        try:
            state = read_state(
                read,
                room_version=room_version,
                partial=partial or listed.partial,
                complete=complete,
            )
        except IncompleteState:
            expected = "a create event, or --room-version"
            raise InvalidMessage("state", expected, "neither") from None
    return StateFile(state, found)


def _room_of(entries: Placed) -> str:
    """Return the room of the events; empty if none of them tells it."""
    room_id = ""
    for where, entry in entries:
        told = entry.get("room_id") if isinstance(entry, Mapping) else None
        if isinstance(told, str) and told:
            if room_id not in ("", told):
                raise InvalidMessage(f"{where}: room_id", f"{room_id}, as before", told)
            room_id = told
    return room_id


def _listed(value: JsonValue, name: str, room_id: str | None) -> _Listed:
    """Find the state events of a document."""
    found = _Listed([])
    if isinstance(value, Mapping) and isinstance(value.get("log"), Mapping):
        value, name = _captured(value["log"], name, room_id)
    if isinstance(value, tuple) and value[:1] == (_OK,):
        value, name = value[-1], f"{name}[1]"  # the first answer to send_join was a pair
    if isinstance(value, Mapping) and isinstance(value.get("rooms"), Mapping):
        value, name, room = _synced_room(value["rooms"], name, room_id)
        found = found._replace(room_id=room)
    if isinstance(value, Mapping) and "timeline" in value:
        return found._replace(entries=list(_after_timeline(value, name)))
    while isinstance(value, Mapping):
        # `is True`: any text would count as yes, "false" as well.
        if any(value.get(key) is True for key in _MEMBERS_OMITTED):
            found = found._replace(partial=True)
        key = next((key for key in _LISTED_UNDER if key in value), None)
        if key is None:
            raise InvalidMessage(name, _STATE_EVENTS, sorted(value))
        found = found._replace(stripped=found.stripped or key in _STRIPPED_UNDER)
        value, name = value[key], f"{name}: {key}"
    return found._replace(entries=entries_of(value, name, _STATE_EVENTS))


_STATE_EVENTS: Final = "a list of state events"
_OK: Final = 200
_TELLS_STATE: Final = re.compile(
    r"/(?:rooms/(?P<room>[^/]+)/state|v1/state/(?P<at>[^/]+)|send_join/(?P<joined>[^/]+)/[^/]+|sync)$"
)


def _captured(
    log: Mapping[str, JsonValue], name: str, room_id: str | None
) -> tuple[JsonValue, str]:
    """Return the last answer of a capture that tells a state, and its place."""
    entries = log.get("entries")
    listed = entries if isinstance(entries, (list, tuple)) else ()
    for index, entry in reversed([*enumerate(listed)]):
        told = _text_of_state(entry, room_id)
        if told is not None:
            where = f"{name}: log.entries[{index}]"
            with located(where):
                return decode(told, strict=False, budget=BUDGET), where
    raise InvalidMessage(name, "an answer to /state, /sync or /send_join in the capture", None)


def _text_of_state(entry: JsonValue, room_id: str | None) -> bytes | None:
    """Return the text of an answer that tells a state; None for another one."""
    try:
        answer, url = entry["response"], urlsplit(entry["request"]["url"])
        found = _TELLS_STATE.search(url.path)
        room = found and unquote("".join(filter(None, found.groups())))
        if not found or answer["status"] != _OK or (room and room_id not in (None, room)):
            return None
        text = answer["content"]["text"]
        is_base64 = answer["content"].get("encoding") == "base64"
        return b64decode(text) if is_base64 else text.encode()
    # A capture has entries of all kinds, such as those without an answer.
    except (TypeError, LookupError, ValueError, AttributeError):
        return None


def _synced_room(
    rooms: Mapping[str, JsonValue], name: str, room_id: str | None
) -> tuple[JsonValue, str, str]:
    """Return a room of an answer to `/sync`, its place, and its ID."""
    found = {
        room: (told, f"{name}: rooms.{kind}.{room}")
        for kind, by_id in rooms.items()
        if isinstance(by_id, Mapping)
        for room, told in by_id.items()
    }
    wanted = next(iter(found)) if room_id is None and len(found) == 1 else room_id
    if wanted is None or wanted not in found:
        raise InvalidMessage(name, f"--room with one of {', '.join(found)}", room_id)
    return *found[wanted], wanted


def _after_timeline(room: Mapping[str, JsonValue], name: str) -> Iterator[tuple[str, JsonValue]]:
    """Yield the state before the timeline, then the state events of the timeline."""
    after = room.get("state_after")
    # It is the state at the end of the timeline. Applied once more, the timeline could bring back
    # what state resolution took away.
    if isinstance(after, Mapping):
        yield from entries_of(after.get("events", ()), f"{name}: state_after.events", _STATE_EVENTS)
        return
    for part in ("state", "timeline"):
        told = room.get(part)
        # A list under `state` is the answer of another endpoint, which has no timeline.
        events = told.get("events", ()) if isinstance(told, Mapping) else told or ()
        for where, entry in entries_of(events, f"{name}: {part}.events", _STATE_EVENTS):
            if part == "state" or (isinstance(entry, Mapping) and "state_key" in entry):
                yield where, entry
