"""What an invite tells of its room: building it, and checking what came.

Since version 1.16 of the specification the entries of `invite_room_state` are full
PDUs, the create event among them; older servers send four keys of each. The answer to a
knock tells the same in `knock_room_state`, and is checked in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, read_pdu
from matrix_membership.events.contents import Create
from matrix_membership.federation.messages import MatrixError
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import KeyRing, missing_signers, unverified, verify_read
from matrix_membership.state import RoomState

__all__ = ["INVITE_ROOM_STATE", "MOST_DESCRIBING", "described", "examined"]

INVITE_ROOM_STATE: Final = (
    "m.room.create",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.avatar",
    "m.room.name",
    "m.room.topic",
    "m.room.encryption",
)
"""The types of state by which the invited user can tell what the room is.

The sender's membership comes with them. See `Stripped state`__.

__ https://spec.matrix.org/v1.19/client-server-api/#stripped-state
"""

MOST_DESCRIBING: Final = 100
"""How many events may describe a room; more are refused unread.

The specification asks for eight, and servers let their operators add types.
"""

_STRIPPED: Final = ("type", "sender", "state_key", "content")


def described(invite: Event, state: RoomState) -> tuple[Event, ...]:
    """What tells the invited user which room it is and who invites.

    Args:
        invite: the invite.
        state: the current state of the room.
    """
    places = [(event_type, "") for event_type in INVITE_ROOM_STATE]
    found = [state.get(*place) for place in (*places, ("m.room.member", invite.sender))]
    return tuple(event for event in found if event is not None)


def examined(
    entries: Iterable[JsonValue],
    event: Event,
    keys: KeyRing,
    *,
    where: str = "invite_room_state",
) -> tuple[tuple[Event, ...], tuple[MatrixError, ...]]:
    """Check what comes with an invite, or with the answer to a knock, to tell of the room.

    Args:
        entries: `invite_room_state` or `knock_room_state`, as it came.
        event: the invite or the knock.
        keys: the keys of those who sent these events, as far as they are known.
        where: which of the two it is, for the errors.

    Returns:
        The events that can be shown, and an error for each fault. Of more than
        `MOST_DESCRIBING` entries nothing is looked at: there is one fault, and nothing to
        show. Cost: that of reading and verifying each entry once, so at most
        `MOST_DESCRIBING` times `signing.MOST_SIGNATURES` verifications of Ed25519.
    """
    entries = tuple(islice(entries, MOST_DESCRIBING + 1))
    if len(entries) > MOST_DESCRIBING:
        sentence = f"{where} has more than {MOST_DESCRIBING} entries"
        return (), (MatrixError.of("M_INVALID_PARAM", sentence),)
    events: list[Event] = []
    faults: list[MatrixError] = []
    has_create = False
    create: Event | None = None
    for index, entry in enumerate(entries):
        has_create = has_create or _is_create(entry)
        shown, fault = _examined(entry, event, keys)
        if shown is not None and shown.type == "m.room.create":
            if create is not None:
                shown, fault = None, "is a second create event"
            create = create or shown
        if shown is not None:
            events.append(shown)
        if fault:
            sentence = f"{where}[{index}] {fault}"
            faults.append(MatrixError.of("M_INVALID_PARAM", sentence))
    if not has_create:
        missing = f"{where} has no create event"
        faults.insert(0, MatrixError.of("M_MISSING_PARAM", missing))
    return tuple(events), tuple(faults)


def _is_create(entry: JsonValue) -> bool:
    return (
        isinstance(entry, Mapping)
        and entry.get("type") == "m.room.create"
        and entry.get("state_key") == ""
    )


def _examined(entry: JsonValue, about: Event, keys: KeyRing) -> tuple[Event | None, str]:
    """One event that describes the room, if it can be shown, and what is wrong with it."""
    version = about.room_version
    if not isinstance(entry, Mapping):
        return None, "is no event"
    try:
        # Redacted if it was altered: all that follows is asked of what its sender signed.
        event = verify_read(read_pdu(entry, version), keys)
    except InvalidEvent as error:
        return _stripped(entry, version), f"is no event of room version {version}: {error}"
    named = event.view.room_version if isinstance(event.view, Create) else version.identifier
    if event.room_id == about.room_id and missing_signers(event):
        return None, f"could not be verified: {unverified(event, keys)}"
    for wrong, fault in (
        (event.room_id != about.room_id, "is of another room"),
        # What a third party signed for cannot be verified without the room's state.
        (event.server not in event.signed_by, "is an invite that a third party alone signed for"),
        (not event.is_state, "is no state event"),
        (named != version.identifier, f"names another room version, {named!r}"),
    ):
        if wrong:
            return None, fault
    return event, ""


def _stripped(entry: Mapping[str, JsonValue], version: RoomVersion) -> Event | None:
    """An event in the form in which servers sent them before they sent PDUs."""
    if "hashes" in entry or "signatures" in entry or "state_key" not in entry:
        return None
    try:
        return Event.from_client_event(
            {key: entry[key] for key in _STRIPPED if key in entry}, version
        )
    except InvalidEvent:
        return None
