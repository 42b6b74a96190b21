"""Read the state of a room from a file: a list, the answer of a server, `/sync`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from matrix_membership.canonical_json import JsonValue
from matrix_membership.cli._reading import located, named_version, read_document
from matrix_membership.errors import IncompleteState, InvalidMessage
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
        "one under pdus, state or events; or an answer to /sync, whose timeline is applied; - "
        "for standard input",
    )


def add_state_options(parser: ArgumentParser) -> None:
    """Add the options that say how the state is to be read."""
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


def state_of(options: Namespace, room_version: RoomVersion | None) -> StateFile:
    """Read the state that the command line names."""
    return read_state_file(
        read_document(options.state),
        options.state,
        room_id=options.room,
        room_version=room_version,
        partial=options.partial,
        complete=True if options.complete else False if options.stripped else None,
    )


class _Listed(NamedTuple):
    """Entries with their places in the file, and what the document says of them."""

    entries: list[tuple[str, JsonValue]]
    room_id: str = ""
    partial: bool = False
    stripped: bool = False


def read_state_file(
    value: JsonValue,
    name: str,
    *,
    room_id: str | None,
    room_version: RoomVersion | None,
    partial: bool,
    complete: bool | None,
) -> StateFile:
    """Read the state of a room.

    Args:
        value: the document.
        name: the name of its file.
        room_id: the room to take from an answer to `/sync`.
        room_version: the room version that the command line names.
        partial: members may be missing.
        complete: as `read_state` takes it.

    Raises:
        InvalidMessage: with the file and the place in it.
    """
    listed = _listed(value, name, room_id)
    # The events' own text counts before the key under which an answer to `/sync` has them.
    found = _room_of(listed.entries) or listed.room_id
    if listed.stripped and complete is None:
        complete = False
    with located(name):
        try:
            state = read_state(
                (entry for _, entry in listed.entries),
                room_version=room_version,
                partial=partial or listed.partial,
                complete=complete,
            )
        except IncompleteState:
            expected = "a create event, or --room-version"
            raise InvalidMessage("state", expected, "neither") from None
    return StateFile(state, found)


def _room_of(entries: list[tuple[str, JsonValue]]) -> str:
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
            raise InvalidMessage(name, "a list of state events", sorted(value))
        found = found._replace(stripped=found.stripped or key in _STRIPPED_UNDER)
        value, name = value[key], f"{name}: {key}"
    return found._replace(entries=_entries(value, name))


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
        yield from _entries(after.get("events", ()), f"{name}: state_after.events")
        return
    for part in ("state", "timeline"):
        told = room.get(part)
        # A list under `state` is the answer of another endpoint, which has no timeline.
        events = told.get("events", ()) if isinstance(told, Mapping) else told or ()
        for where, entry in _entries(events, f"{name}: {part}.events"):
            if part == "state" or (isinstance(entry, Mapping) and "state_key" in entry):
                yield where, entry


def _entries(value: JsonValue, name: str) -> list[tuple[str, JsonValue]]:
    if not isinstance(value, (list, tuple)):
        raise InvalidMessage(name, "a list of state events", value)
    return [(f"{name}[{index}]", entry) for index, entry in enumerate(value)]
