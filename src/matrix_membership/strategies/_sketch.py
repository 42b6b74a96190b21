"""Sketches: the content of a room's state, before its events are made.

Making an event costs far more than changing a sketch. So a drawn room is sketched,
changed until the trial fits, and turned into events once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.events import Event
from matrix_membership.identifiers import server_of
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import sign
from matrix_membership.strategies._fields import (
    MEMBER,
    ROOM,
    Place,
    completed,
    create_content,
    signer_of,
    state_fields,
)
from matrix_membership.strategies._json import Fields

ANA: Final = "@ana:a.example"
BEN: Final = "@ben:b.example"
CLEO: Final = "@cleo:c.example"
# Of Ana's server: a member whose signature on a restricted join is that of the room's own server.
DAN: Final = "@dan:a.example"
CREATE: Final = ("m.room.create", "")
JOIN_RULES: Final = ("m.room.join_rules", "")
POWER_LEVELS: Final = ("m.room.power_levels", "")

_NO_PLACES: Final[Mapping[Place, tuple[str, Fields]]] = MappingProxyType({})


@frozen
class Sketch:
    """The senders and contents of a room's state.

    Attributes:
        room_version: the version of the room.
        places: sender and content, by type and state key.
    """

    room_version: RoomVersion
    places: Mapping[Place, tuple[str, Fields]] = _NO_PLACES

    @classmethod
    def of(cls, room_version: RoomVersion, **content: JsonValue) -> Sketch:
        """Return a room that Ana created and joined.

        Args:
            room_version: the version of the room.
            content: further content of the create event.
        """
        create = {**create_content(room_version, ANA), **content}
        return cls(room_version).with_(CREATE, create).with_member(ANA, "join")

    def with_(self, place: Place, content: Fields, *, sender: str = ANA) -> Sketch:
        """Return the room with another state event in one place."""
        places = MappingProxyType({**self.places, place: (sender, content)})
        return evolve(self, places=places)

    def with_member(self, user: str, membership: str | None) -> Sketch:
        """Return the room with this membership of a user; None removes the member event."""
        if membership is None:
            return self.without((MEMBER, user))
        sender = user if membership in ("join", "knock", "leave") else ANA
        return self.with_((MEMBER, user), {"membership": membership}, sender=sender)

    def without(self, place: Place) -> Sketch:
        """Return the room without the state event in one place."""
        others = {other: said for other, said in self.places.items() if other != place}
        return evolve(self, places=MappingProxyType(others))

    def content(self, place: Place) -> Fields:
        """Return the content in one place; empty when the place is empty."""
        return self.places[place][1] if place in self.places else {}

    def events(self, *, signed: bool) -> tuple[Event, ...]:
        """Return the state events of the room."""
        found: list[Event] = []
        room_id: str | None = None if self.room_version.room_id_is_create_event else ROOM
        for number, (place, (sender, content)) in enumerate(self.places.items()):
            fields = {
                **state_fields(sender, place, content),
                "room_id": room_id,
                "event_id": f"${number}:{server_of(sender)}",
            }
            event = written(fields, self.room_version, signed_by=[], signed=signed)
            # In version 12 the create event, which stands first, gives the room its ID.
            room_id = event.room_id
            found.append(event)
        return tuple(found)


def written(
    fields: Mapping[str, JsonValue],
    version: RoomVersion,
    *,
    signed_by: Iterable[str],
    signed: bool,
) -> Event:
    """Return the event of these fields, with the other fields that a PDU needs.

    Args:
        fields: fields of a PDU; those that are None are left out.
        version: the version of the room.
        signed_by: the servers that sign it beside the sender's.
        signed: whether to hash and sign it; otherwise only `signed_by` names the
            signers.
    """
    least: Fields = {"auth_events": [], "depth": 1, "origin_server_ts": 0, "prev_events": []}
    pdu = {key: value for key, value in {**least, **fields}.items() if value is not None}
    if not version.event_id_in_pdu:
        del pdu["event_id"]
    if signed:
        event = completed(pdu, version)
        for server in signed_by:
            event = sign(event, signer_of(server))
        return event
    # The rules ask who signed, not how. `with_signers` says it without an Ed25519 signature for
    # each event.
    event = Event.from_pdu({**pdu, "hashes": {"sha256": ""}, "signatures": {}}, version)
    return event.with_signers([event.server, *signed_by])
