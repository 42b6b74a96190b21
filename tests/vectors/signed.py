"""Events of the tests' rooms, which nobody signed, as PDUs that are hashed and signed with published keys."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

from matrix_membership import Event, EventTemplate, RoomVersion, Signer
from matrix_membership.identifiers import server_of
from matrix_membership.signing import sign
from tests.builders import IDENTITY, SIGNER_A, SIGNER_B

SERVERS: Final = ("a.example", "b.example", "c.example", "d.example", "evil.example")


def _seed(server: str) -> str:
    return b64encode(sha256(server.encode()).digest()).decode().rstrip("=")


def signer_of(server: str) -> Signer:
    """The throw-away key of a server: its seed is the hash of its name."""
    return Signer.from_seed(server, "ed25519:vectors", _seed(server))


def keys() -> dict[str, Any]:
    """The document of all keys, private ones too: they are good for nothing else."""
    found: dict[str, Any] = {}
    for signer, seed in (
        *((signer_of(server), _seed(server)) for server in SERVERS),
        (SIGNER_A, "A" * 43),
        (SIGNER_B, "B" * 42 + "A"),
        (IDENTITY, "I" * 42 + "A"),
    ):
        key = {"seed": seed, "verify_key": signer.verify_key}
        found.setdefault(signer.server_name, {})[signer.key_id] = key
    return found


def really_signed(
    state: Iterable[Event], event: Event, version: RoomVersion
) -> tuple[list[Event], Event]:
    """The same state and event, hashed and signed; IDs and what refers to them are new.

    Args:
        state: the state; its create event, if there is one, comes first.
        event: the event.
        version: the version of the room.
    """
    renamed: dict[str, str] = {}
    made = [_signed(entry, version, renamed) for entry in _create_first(state)]
    return made, _signed(event, version, renamed)


def _create_first(state: Iterable[Event]) -> list[Event]:
    return sorted(state, key=lambda event: event.type != "m.room.create")


def _signed(event: Event, version: RoomVersion, renamed: dict[str, str]) -> Event:
    fields: dict[str, Any] = _renamed(event.to_pdu(), renamed)
    own_id = fields.get("event_id") if version.event_id_in_pdu else None
    template = EventTemplate.of(fields, version)
    made = template.complete(signer_of(event.server), event_id=own_id)
    # In versions 1 and 2 the server that an event ID names owes a signature too.
    named = {server_of(made.event_id)} if version.event_id_in_pdu else set()
    for server in sorted((event.signed_by | named) - {event.server}):
        made = sign(made, signer_of(server))
    if event.server not in event.signed_by:
        unsigned = {**made.to_pdu(), "signatures": {}}
        made = Event.from_pdu(unsigned, version, event_id=made.event_id)
    renamed[event.event_id] = made.event_id
    if version.room_id_is_create_event and event.type == "m.room.create":
        renamed[event.room_id] = made.room_id
    return made


def _renamed(value: Any, renamed: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(item, renamed) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(item, renamed) for item in value]
    return renamed.get(value, value) if isinstance(value, str) else value
