"""The events by which an invite describes its room: choosing and checking them.

Since version 1.16 of the specification the entries of `invite_room_state` are full
PDUs and include the create event. Older servers send stripped state events. The answer
to a knock describes the room in `knock_room_state`, which is checked in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from matrix_membership import auth
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, read_pdu
from matrix_membership.events.contents import Create
from matrix_membership.federation.messages import MatrixError
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import KeyRing, missing_signers, unverified, verify
from matrix_membership.state import RoomState

DESCRIBING: Final = (
    "m.room.create",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.avatar",
    "m.room.name",
    "m.room.topic",
    "m.room.encryption",
)
"""The types of the state events that describe a room: `Stripped state`__.

__ https://spec.matrix.org/v1.19/client-server-api/#stripped-state
"""

MOST_DESCRIBING: Final = 100
"""The most events that may describe a room; a longer list is refused unread.

The specification asks for eight, and servers let their operators add types. Each costs
up to 32 verifications, and any server can send a list.
"""

_STRIPPED: Final = ("type", "sender", "state_key", "content")


def described(state: RoomState, *, sender: str | None = None) -> tuple[Event, ...]:
    """Return the events that describe a room and, perhaps, an invite's sender."""
    found = [state.get(event_type) for event_type in DESCRIBING]
    if sender is not None:
        found.append(state.get_member(sender))
    return tuple(event for event in found if event is not None)


def examined(
    entries: Iterable[JsonValue],
    event: Event,
    keys: KeyRing,
    *,
    where: str = "invite_room_state",
) -> tuple[tuple[Event, ...], dict[MatrixError, bool]]:
    """Check the events that describe a room, in an invite or the answer to a knock.

    The entries are `invite_room_state` or `knock_room_state`, as received; `where` names the
    list in errors. The keys are those of the senders' servers.

    Returns:
        The events that can be shown; and an error for each fault, with true if it is grave.
        The fault of a stripped event is not, except in the create event: it claims nothing that
        a signature could prove, and older servers send only stripped ones. A list of more than
        `MOST_DESCRIBING` entries gives one fault and no events. Cost: reading and
        verifying each entry once, so at most `MOST_DESCRIBING` times
        `signing.MOST_SIGNATURES` Ed25519 verifications.
    """
    # One more than the bound shows that there are more, however many a stranger sends.
    entries = tuple(islice(entries, MOST_DESCRIBING + 1))
    if len(entries) > MOST_DESCRIBING:
        sentence = f"{where} has more than {MOST_DESCRIBING} entries"
        return (), {MatrixError.of("M_INVALID_PARAM", sentence): True}
    events: list[Event] = []
    faults: dict[MatrixError, bool] = {}
    has_create = False
    create: Event | None = None
    for index, entry in enumerate(entries):
        has_create = has_create or _is_create(entry)
        shown, fault = _examined(entry, event, keys)
        if shown is not None and shown.type == "m.room.create":
            # The first one stands, as in `RoomState.of`: the second could name other creators.
            if create is not None:
                shown, fault = None, "is a second create event"
            create = create or shown
        if shown is not None:
            events.append(shown)
        if fault:
            sentence = f"{where}[{index}] {fault}"
            grave = shown is None or shown.type == "m.room.create"
            faults[MatrixError.of("M_INVALID_PARAM", sentence)] = grave
    if not has_create:
        missing = f"{where} has no create event"
        faults = {MatrixError.of("M_MISSING_PARAM", missing): True, **faults}
    return tuple(events), faults


def _is_create(entry: JsonValue) -> bool:
    return (
        isinstance(entry, Mapping)
        and entry.get("type") == "m.room.create"
        and entry.get("state_key") == ""
    )


def _examined(entry: JsonValue, about: Event, keys: KeyRing) -> tuple[Event | None, str]:
    """Return an event of the description, if it can be shown, and its fault, if any."""
    version = about.room_version
    if not isinstance(entry, Mapping):
        return None, "is not an event"
    try:
        # An altered event is redacted here, so the checks below see only what was signed.
        event = verify(read_pdu(entry, version), keys)
    except InvalidEvent as error:
        return _stripped(entry, version), f"is not an event of room version {version}: {error}"
    named = event.view.room_version if isinstance(event.view, Create) else version.identifier
    if event.room_id == about.room_id and missing_signers(event):
        return None, f"could not be verified: {unverified(event, keys)}"
    for wrong, fault in (
        (event.room_id != about.room_id, "is of another room"),
        # The keys that signed a third-party invite are in the room's state, which we lack.
        (event.server not in event.signed_by, "is an invite that only a third party signed"),
        (not event.is_state, "is a non-state event"),
        (named != version.identifier, f"names another room version, {named!r}"),
    ):
        if wrong:
            return None, fault
    if event.type == "m.room.create":
        # A room ID that is written into it proves nothing: any server could write this room's.
        # Rule 1 forbids that in version 12; before, it asks for the server in the room ID.
        decision = auth.check(event, RoomState.of(version, ()))
        if not decision.allowed:
            return None, f"is {decision}"
    return event, ""


def _stripped(entry: Mapping[str, JsonValue], version: RoomVersion) -> Event | None:
    """Return a stripped state event, as servers sent them before they sent PDUs."""
    # An event with hashes or signatures claims to be a PDU. If it could pass as stripped after it
    # failed as one, a forged event would be shown all the same.
    if "hashes" in entry or "signatures" in entry or "state_key" not in entry:
        return None
    try:
        return Event.from_client_event(
            {key: entry[key] for key in _STRIPPED if key in entry}, version
        )
    except InvalidEvent:
        return None
