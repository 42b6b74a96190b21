"""Trials: an event sent in a drawn room, and changes of the room before it.

Making an event costs far more than changing a sketch of its content. So a drawn room is
sketched, changed until the trial fits, and turned into events once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

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
from matrix_membership.strategies._json import Fields, exchanged

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


@frozen
class Trial:
    """An event that a user sends in a room.

    Attributes:
        room: the room.
        fields: the fields of the event, without references unless they matter.
        follows_create: whether its only previous event is the create event.
        signed_by: the servers that sign it beside the sender's.
    """

    room: Sketch
    fields: Fields
    follows_create: bool = False
    signed_by: tuple[str, ...] = ()


Chapter = Callable[[DrawFn, Sketch, str, str], Trial]
"""Draws a trial, given the room, Ben's user ID, and the reason to allow or reject."""

# Hypothesis mutates an example by copying between equal strategies, which repeats
# values. All these strategies differ, so copying never makes two parts of a case equal.
MAYBE: Final = st.booleans()
MEMBERSHIPS: Final = st.sampled_from((None, "invite", "join", "leave", "ban", "knock"))
NAMED: Final = st.sampled_from(
    ("ban", "kick", "invite", "redact", "users_default", "events_default")
)
# The odd names are valid: engines that read user IDs by the grammar for new users fail at them.
_BENS: Final = st.sampled_from((*((BEN,) * 12), "@:b.example", "@Ben ünd so:b.example", BEN + ":1"))
_MEMBERSHIPS_OF_BEN: Final = st.sampled_from((None, "join", "invite", "leave", "ban", "knock"))
_MEMBERSHIPS_OF_CLEO: Final = st.sampled_from((None, "join", "leave", "join", "invite", "ban"))
_NO_LEVELS: Final = "no levels"
# Half of the rooms have no power levels, since there the defaults decide.
_LEVELS_OF_BEN: Final[SearchStrategy[int | str | None]] = st.sampled_from(
    (*((_NO_LEVELS,) * 6), None, 50, 100, 49, 51, -1)
)
_LEVELS_OF_CLEO: Final = st.sampled_from((None, 50, 0, 49, 51, 100))
_NAMED_LEVELS: Final = st.sampled_from(
    (
        *((None,) * 6),
        *(("ban", 49), ("ban", 100), ("kick", 0), ("kick", 51), ("invite", 50), ("invite", 100)),
        *(("users_default", 50), ("events_default", 1), ("state_default", 0), ("redact", 0)),
    )
)
_RULES: Final = st.sampled_from(
    (
        *(None, "public", "invite", "knock", "restricted", "knock_restricted", "private"),
        "odd",
    )
)


def draw_room(draw: DrawFn, version: RoomVersion) -> tuple[Sketch, str]:
    """Draw a room of Ana, in which Ben has any membership.

    Returns:
        The room, and Ben's user ID.
    """
    ben = draw(_BENS)
    room = _with_other_levels(draw, with_join_rule(draw, Sketch.of(version), _RULES), ben)
    room = room.with_member(ben, draw(_MEMBERSHIPS_OF_BEN))
    return room.with_member(CLEO, draw(_MEMBERSHIPS_OF_CLEO)), ben


def with_join_rule(draw: DrawFn, room: Sketch, rules: SearchStrategy[str | None]) -> Sketch:
    """Return the room with one of these join rules, or one that its version adds."""
    own = room.room_version.own_join_rules
    if bool(own) and draw(MAYBE):
        return room.with_(JOIN_RULES, {"join_rule": draw(st.sampled_from(own))})
    rule = draw(rules)
    return room if rule is None else room.with_(JOIN_RULES, {"join_rule": rule})


def _with_other_levels(draw: DrawFn, room: Sketch, ben: str) -> Sketch:
    """Return the room, perhaps with power levels; Ana has the highest."""
    level = draw(_LEVELS_OF_BEN)
    if level == _NO_LEVELS:
        return room
    users = {ben: level, CLEO: draw(_LEVELS_OF_CLEO)}
    # None leaves a user out, so that the default level counts.
    listed = {user: at for user, at in users.items() if isinstance(at, int)}
    named = draw(_NAMED_LEVELS)
    content = dict([named] if named else [])
    return with_levels(room, listed, **content)


def levels_of_ana(room: Sketch) -> Fields:
    """Return Ana's entry in `users`; version 12 allows none for a creator."""
    return {} if room.room_version.privileged_creators else {ANA: 100}


def with_levels(room: Sketch, users: Mapping[str, int], **named: int) -> Sketch:
    """Return the room with these power levels, and Ana's."""
    return room.with_(POWER_LEVELS, {"users": {**levels_of_ana(room), **users}, **named})


def close(room: Sketch) -> Sketch:
    """Return the room, closed to other servers."""
    return room.with_(CREATE, {**room.content(CREATE), "m.federate": False})


def with_a_change(draw: DrawFn, room: Sketch, ben: str) -> Sketch:
    """Return the room, changed at random."""
    match draw(_CHANGES):
        case "membership":
            return room.with_member(draw(st.sampled_from((ben, ANA, CLEO))), draw(MEMBERSHIPS))
        case "levels":
            return _with_other_levels(draw, room, ben)
        case "join rule":
            return with_join_rule(draw, room, _RULES)
        case "federation":
            return close(room)
        case "creators":
            # Before version 12 the key means nothing. An engine that reads it there gives Ben power.
            content = {**room.content(CREATE), "additional_creators": [CLEO, ben]}
            return room.with_(CREATE, content)
    place = draw(st.sampled_from(tuple(room.places)))
    sender, content = room.places[place]
    malformed = exchanged(draw, place[0], content, room.room_version)
    return room.with_(place, malformed, sender=sender)


_CHANGES: Final = st.sampled_from(
    ("membership", "levels", "join rule", "malformed value", "federation", "creators")
)
