"""Rooms of any size to measure in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, reduce
from types import MappingProxyType
from typing import Final

from matrix_membership import Event, RoomState
from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import encode
from matrix_membership.events.contents import NAMED_LEVELS
from matrix_membership.federation import ResidentRoom
from matrix_membership.identifiers import EventID
from matrix_membership.room_versions import V11
from matrix_membership.signing import KeyRing, Signer
from tests.builders import ANA, BEN, CAY, KEYS, a_room
from tests.captures import captures, pdus
from tests.federation.conversation import a_public_room, accepted, signed
from tests.federation.signed_rooms import with_state

ALLOW: Final = ({"type": "m.room_membership", "room_id": "!s:a.example"},)


@cache
def real_join() -> bytes:
    """A join that Synapse sent, of about the size for which the targets were set."""
    found = [
        json.dumps(pdu, separators=(",", ":"), ensure_ascii=False).encode()
        for capture in captures("11")
        for _, pdu in pdus(capture)
        if pdu["type"] == "m.room.member" and pdu["content"].get("membership") == "join"
    ]
    return min(found, key=lambda pdu: abs(len(pdu) - 765))


@cache
def levelled(users: int, join_rule: str = "public") -> RoomState:
    """A room of Ana, Cay and as many users in its power levels; of Ben one asks."""
    levels = {f"@user{number}:a.example": 10 for number in range(users - 1)}
    room = a_room(V11).with_levels({ANA: 100, **levels}, invite=0)
    room = room.with_join_rule(join_rule, allow=ALLOW).with_member(CAY, "join")
    return room.state


@cache
def questions(users: int) -> Mapping[str, tuple[Event, RoomState]]:
    """One allowed event of each kind, with the state that it is judged against."""
    public, restricted = levelled(users), levelled(users, "restricted")
    room = a_room(V11)
    vouched = room.join(BEN, signed_by=["a.example"], join_authorised_via_users_server=ANA)
    return MappingProxyType(
        {
            "public join": (room.join(BEN), public),
            "restricted join": (vouched, restricted),
            "invite": (room.invite(ANA, BEN), public),
            "kick": (room.kick(ANA, CAY), public),
            "ban": (room.ban(ANA, CAY), public),
            "message": (room.message(ANA), public),
        }
    )


def member(number: int, room: ResidentRoom) -> Event:
    """A join as it would be stored: with an ID, and not signed anew."""
    user = f"@member{number}:s{number % 100}.example"
    fields = {
        "type": "m.room.member",
        "room_id": room.room_id,
        "sender": user,
        "state_key": user,
        "content": {"membership": "join", "displayname": f"Member {number}"},
        "depth": 9,
        "origin_server_ts": 1_700_000_000_000 + number,
        "prev_events": ["$" + "p" * 43],
        "auth_events": ["$" + "a" * 43, "$" + "b" * 43, "$" + "c" * 43],
        "hashes": {"sha256": "h" * 43},
        "signatures": {f"s{number % 100}.example": {"ed25519:1": "s" * 86}},
    }
    event_id = "$" + f"{number}".rjust(43, "m")
    return Event.from_pdu(encode(fields), V11, event_id=event_id)


@cache
def crowded(members: int) -> ResidentRoom:
    """A room of as many members, as its server has it at hand; few of them are really signed."""
    room = a_public_room(V11)
    crowd = [member(number, room) for number in range(members)]
    state = RoomState.of(V11, [*room.state.events, *crowd])
    state = state.with_event(member(0, room))  # what a room in use has been through
    return evolve(room, state=state, local_users=(ANA,))


SERVERS: Final = tuple(
    Signer.from_seed(f"matrix-{number}.example.org", "ed25519:a_KeyV", "A" * 40 + f"{letters}A")
    for number, letters in enumerate(a + b for a in "ABCDE" for b in "ABCD")
)
RING: Final = reduce(KeyRing.with_keys, [server.key_ring for server in SERVERS], KEYS)


@cache
def really_signed(members: int) -> ResidentRoom:
    """A public room with as many members."""
    return filled(a_public_room(V11), members)


def filled(room: ResidentRoom, members: int) -> ResidentRoom:
    """The room with more members of some servers, hashed, signed, and referring to each other.

    Their joins are as long as those that Synapse sends.
    """
    events: dict[EventID, Event] = {event.event_id: event for event in room.state.events}
    for number in range(members):
        server = SERVERS[number % len(SERVERS)]
        user = f"@member{number}:{server.server_name}"
        avatar = f"mxc://{server.server_name}/{number:024}"
        content = {"membership": "join", "displayname": f"Member {number}", "avatar_url": avatar}
        elsewhere = evolve(room, server_name=server.server_name)
        joined = with_state(
            elsewhere, "m.room.member", content, sender=user, state_key=user, signer=server
        )
        event = joined.state.get("m.room.member", user)
        assert event is not None
        events[event.event_id] = event
        room = evolve(joined, server_name=room.server_name, get_event=events.get)
    return room


def incoming_join() -> tuple[bytes, RoomState]:
    """A join of another server's user into a public room, and the state before it."""
    room = really_signed(0)
    return accepted(room, signed(room)).event.pdu, room.state


def incoming_levels(users: int) -> tuple[bytes, RoomState]:
    """A change of the power levels of a room of as many users, and the state before it."""
    level = {**NAMED_LEVELS, "events": {"m.room.name": 50, "m.room.power_levels": 100}}
    listed = {ANA: 100, **{f"@user{number}:a.example": 10 for number in range(users - 1)}}
    content = {**level, "users": listed}
    room = with_state(really_signed(0), "m.room.power_levels", content)
    changed = {**content, "users": {**listed, "@user1:a.example": 50}}
    after = with_state(room, "m.room.power_levels", changed).state.get("m.room.power_levels")
    assert after is not None
    return after.pdu, room.state
