"""The worst known input of every public entry, of any size."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import attrs

from matrix_membership import Event, RoomState, auth, may, signing, who_may
from matrix_membership._attrs import evolve
from matrix_membership.advice.lint import lint
from matrix_membership.advice.powers import who_can
from matrix_membership.canonical_json import decode
from matrix_membership.client import create_room, upgrade_room
from matrix_membership.errors import InvalidEvent, MatrixMembershipError
from matrix_membership.events import EventTemplate, read_pdu
from matrix_membership.events.format import MAX_PDU_BYTES
from matrix_membership.federation import JOINING, Attempts, SendJoinReader, SendJoinResponse
from matrix_membership.federation.audit.sufficiency import shortcomings
from matrix_membership.federation.drafts import draft
from matrix_membership.federation.invites.room_state import examined
from matrix_membership.federation.resident import answer_make, answer_send
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import EventID, RoomID, UserID
from matrix_membership.machine import admit
from matrix_membership.membership import JOIN, LEAVE
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.receipt import receive
from matrix_membership.receipt.server_acl import ServerAcl
from matrix_membership.restricted import authorise, servers_that_can_authorise
from matrix_membership.room_summary import hierarchy
from matrix_membership.room_versions import V5, V11, RoomVersion
from matrix_membership.signing import KeyRing, Signer
from matrix_membership.state.from_client import read_state
from matrix_membership.visibility import timeline
from tests.builders import (
    ANA,
    BEN,
    CAY,
    IDENTITY,
    KEYS,
    SIGNER_A,
    SIGNER_B,
    Room,
    a_levelled_room,
    a_room,
    signed_invite,
)
from tests.client.new_rooms import FIRST, NEXT, creates, upgrades
from tests.client.rooms import resident
from tests.entries import ENTRIES, WITHIN
from tests.events.test_events import pdu
from tests.federation.conversation import begin, make_request, send_request, signed
from tests.federation.signed_rooms import AT, a_signed_room, with_state
from tests.growth.counting import Call

__all__ = ["COPIED", "IN_C", "LARGE_PDUS", "SHAPES", "WORST", "Make", "of_a_pdu", "of_entry"]

Make = Callable[[int], Call]

MANY_BRACKETS: Final[list[Any]] = [[]] * 130
"""More brackets than an event may have levels.

The levels of a text with fewer are not counted: a step between two sizes that looks like growth.
"""

SHAPES: Final[Mapping[str, Callable[[int], Any]]] = MappingProxyType(
    {
        "keys": lambda size: {f"k{number}": number for number in range(size)},
        "texts": lambda size: [f"@u{number}:u{number}.example" for number in range(size)],
        "objects": lambda size: [{"a": [number]} for number in range(size)],
        "one text": lambda size: '"\\' * size,
        "digits": lambda size: "0" * size + "x",
        "bytes": lambda size: json.dumps(
            {"brackets": MANY_BRACKETS} | {f"k{n}": [n, "\\"] for n in range(size)}
        ).encode(),
    }
)
"""Values for entries that take any."""


def of_entry(name: str, shape: str) -> Make:
    """An entry of `tests.entries`, with a value of some shape."""
    entry = {**ENTRIES, **WITHIN}[name]

    def make(size: int) -> Call:
        value = SHAPES[shape](size)

        def call() -> None:
            with suppress(MatrixMembershipError, TypeError):
                entry(value, V5)

        return call

    return make


def user(number: int) -> str:
    return f"@u{number}:s{number}.example"


def users(size: int) -> list[str]:
    return [user(number) for number in range(size)]


def powerful(size: int, room: Room | None = None) -> RoomState:
    """A room of many members, each of whom has a level of their own."""
    levels = {name: 10 + number % 80 for number, name in enumerate(users(size))}
    levelled = a_levelled_room(V11, users=levels) if room is None else room
    return crowded(size, levelled)


def crowded(size: int, room: Room | None = None) -> RoomState:
    """A room of many members."""
    room = a_room(V11) if room is None else room
    members = [
        room.event("m.room.member", name, {"membership": "join"}, name) for name in users(size)
    ]
    return RoomState.of(V11, [*room.events, *members])


def new_levels(size: int, sender: str = ANA) -> Event:
    """An event that changes the levels of many users."""
    levels = {name: 11 + number % 80 for number, name in enumerate(users(size))}
    content = {"users": {ANA: 50, **levels}, "events": {f"x{n}": 60 for n in range(size)}}
    return a_room(V11).event("m.room.power_levels", sender, content, "")


# ------------------------------------------------------------------- PDUs


def _signed(size: int, room_version: RoomVersion = V11, **fields: Any) -> Event:
    return EventTemplate.of(pdu(room_version, **fields), room_version).complete(SIGNER_A)


def _received(
    data: bytes | Mapping[str, Any], keys: KeyRing = KEYS, state: RoomState | None = None
) -> Call:
    state = a_room(V11).state if state is None else state
    at_hand = {event.event_id: event for event in state.events}.get
    return lambda: receive(
        data, V11, keys=keys, auth_events=at_hand, state_before=state, current_state=state
    )


def with_content(size: int) -> bytes:
    content = {f"k{n}": {"a": [n, "é", '"\\']} for n in range(size)}
    return _signed(size, content=content).pdu


def with_levels(size: int) -> bytes:
    content = {"users": dict.fromkeys(users(size), 50)}
    return _signed(size, type="m.room.power_levels", state_key="", content=content).pdu


def with_signatures(size: int) -> tuple[bytes, KeyRing]:
    """A PDU with signatures of many servers, all of whom are known."""
    signers = {f"s{n}.example": {"ed25519:1": SIGNER_A.verify_key} for n in range(size)}
    document = _signed(1).to_pdu()
    document["signatures"] |= {server: {"ed25519:1": "A" * 86} for server in signers}
    document["unsigned"] = {"brackets": MANY_BRACKETS}
    return json.dumps(document).encode(), KEYS.with_keys(KeyRing.of(signers))


def _with_signatures(size: int) -> Call:
    data, keys = with_signatures(size)
    return _received(data, keys)


def _of_many_keys(size: int) -> tuple[Event, RoomState]:
    """An invite through a third party of many signatures, to a room that names many keys."""
    keys = [
        {"public_key": Signer.from_seed("i", "ed25519:1", f"{n:043}").verify_key}
        for n in range(size)
    ]
    room = a_room(V11).with_third_party_invite(public_keys=keys)
    invite = signed_invite()
    junk = {f"ed25519:{number}": "A" * 86 for number in range(size)}
    invite["signed"]["signatures"][IDENTITY.server_name].update(junk)
    return room.invite(ANA, BEN, third_party_invite=invite), room.state


def _third_party(size: int) -> Call:
    event, state = _of_many_keys(size)
    return lambda: auth.check(event, state)


def _of(read: Callable[[bytes], object], make: Callable[[int], bytes]) -> Make:
    def call_of(size: int) -> Call:
        data = make(size)

        def call() -> None:
            with suppress(MatrixMembershipError):
                read(data)

        return call

    return call_of


def _read(data: bytes, version: RoomVersion = V11) -> Event:
    return Event.from_pdu(data, version)


# ------------------------------------------------------------------- rooms


def _explained(make_event: Callable[[int], Event]) -> Make:
    def call_of(size: int) -> Call:
        event, state = make_event(size), powerful(size)
        return lambda: auth.explain(event, state).to_dict()

    return call_of


def _topic(_: int) -> Event:
    return a_room(V11).event("m.room.topic", CAY, {}, "")


def _kick(_: int) -> Event:
    return a_room(V11).kick(user(1), ANA)


def _checked(size: int) -> Call:
    event, state = new_levels(size), powerful(size)
    return lambda: (auth.check(event, state), admit(event, state), auth.select_auth_events(event))


def _linted(size: int) -> Call:
    patterns = [f"*{'?' * (number % 5)}x{number}*" for number in range(size)]
    room = a_room(V11).with_content("m.room.server_acl", {"allow": ["*"], "deny": patterns})
    state = crowded(size, room)
    return lambda: lint(state)


def _permitted(size: int) -> Call:
    patterns = [f"*{'?' * (number % 60)}x*?a{number}*" for number in range(size)]
    content = {
        "allow": ["*"],
        "deny": [*patterns, *("*?????x" * number for number in range(size % 7))],
    }
    return lambda: ServerAcl.from_content(content).allows("a" * 250)


def _authorised(size: int) -> Call:
    allow = [{"type": "m.room_membership", "room_id": f"!r{n}:a.example"} for n in range(size)]
    room = a_levelled_room(V11, users=dict.fromkeys(users(size), 10))
    state = crowded(size, room.with_join_rule("restricted", allow=allow))
    seen = {f"!r{number}:a.example": LEAVE for number in range(size)}
    return lambda: (
        authorise(BEN, state, seen, "z.example"),
        authorise(BEN, state, {**seen, f"!r{size - 1}:a.example": JOIN}, "z.example"),
        servers_that_can_authorise(state),
    )


def _asked(size: int) -> Call:
    state = powerful(size)
    return lambda: (list(who_may(state, lambda one: one.kick(BEN))), may(ANA, state).invite(BEN))


def _ranked(size: int) -> Call:
    levels = {name: number for number, name in enumerate(users(size))}
    state = crowded(size, a_levelled_room(V11, users=levels))
    return lambda: who_can(state)


def _looked_at(size: int) -> Call:
    state = crowded(size)
    events = [
        a_room(V11).event("m.room.member", name, {"membership": "leave"}, name)
        for name in users(size)
    ]

    def call() -> object:
        left = state
        for event in events:
            left = left.with_event(event)
        return left.heroes(), left.servers_in_room, list(left.joined_members()), left == state

    return call


def _replayed(place: Callable[[int], tuple[str, str]]) -> Make:
    def call_of(size: int) -> Call:
        room = a_room(V11)
        places = [place(number) for number in range(size)]
        events = [room.event(kind, ANA, {}, key) for kind, key in places]

        def call() -> object:
            states = [room.state]
            for event in events:
                states.append(states[-1].with_event(event))
            return states

        return call

    return call_of


def _membership(number: int, membership: str, sender: str, **more: Any) -> Event:
    """A membership of Ben, whose server is not in the room; each number has its own event ID."""
    room = attrs.evolve(a_room(V11), made=number)
    return room.event("m.room.member", sender, {"membership": membership}, BEN, **more)


def _flooded(size: int) -> Call:
    """Invites of strangers, each of another server; at most `MAX_HELD` are held."""
    first = OutOfBand.invited(_membership(0, "invite", ANA), at=0)
    events = [_membership(1 + number, "invite", user(number)) for number in range(size)]

    def call() -> object:
        held = first
        for event in events:
            held = held.receive(event, at=1).after
        return held.servers_to_ask, held.invites, held.expire(at=9, after=1)

    return call


def _kicked(size: int) -> Call:
    """A kick by another user, judged by a long room state."""
    invite = _membership(0, "invite", ANA)
    told = tuple(crowded(size).events)
    held = OutOfBand.invited(invite, at=0, room_state=told, servers=users(size))
    kick = _membership(1, "leave", user(0), auth_events=[invite.event_id])
    return lambda: held.receive(kick, at=1)


def _replaced(size: int) -> Call:
    """An invite after many others that the same server sent."""
    held = OutOfBand.invited(_membership(0, "invite", ANA), at=0)
    for number in range(size):
        held = held.receive(_membership(1 + number, "invite", ANA), at=1).after
    again = _membership(1 + size, "invite", ANA)
    return lambda: held.receive(again, at=1)


def _told(size: int) -> Call:
    document = [
        {
            "type": "m.room.member",
            "sender": name,
            "state_key": name,
            "content": {"membership": "join"},
        }
        for name in users(size)
    ]
    return lambda: read_state(document, room_version=V11)


def _described(size: int) -> Call:
    room = a_signed_room(V11)
    create = room.state.create_event
    assert create is not None
    entries = [create.to_pdu()] * size
    return lambda: examined(entries, create, KEYS)


def _chained(size: int) -> Call:
    """A chain of events, each of which lists the one before."""
    events: dict[EventID, Event] = {}
    last = Event.from_pdu(pdu(V11, auth_events=[]), V11)
    for number in range(size):
        events[last.event_id] = last
        fields = pdu(V11, auth_events=[last.event_id], content={"n": number})
        last = Event.from_pdu(fields, V11)
    return lambda: auth.auth_chain([last], events.get)


def _answered(size: int) -> Call:
    """An answer of events that fall with each other, each of which comes altered as well."""
    room = a_room(V11)
    last = room.events[0].event_id
    state, chain = [], []
    for number in range(size):
        fields = pdu(
            V11, type="x", state_key=f"{number}", auth_events=[last], content={"n": number}
        )
        last = Event.from_pdu(fields, V11).event_id
        state.append(fields)
        chain.append({**fields, "signatures": {f"s{number}.example": {"ed25519:1": "x"}}})
    document = {"auth_chain": [*chain, *state], "state": [*state, *state], "event": {}}
    text = json.dumps(document).encode()

    def call() -> None:
        reader = SendJoinReader(room.join(BEN), asked_to_omit=False, resident="a.example")
        for start in range(0, len(text), 1_000):
            reader.feed(text[start : start + 1_000])
        reader.finish().audit(KEYS)

    return call


def _insufficient(size: int) -> Call:
    pdus = [pdu(V11, type="m.room.member", state_key=name, sender=name) for name in users(size)]
    response = SendJoinResponse(
        event=None,
        state=tuple(json.dumps(document).encode() for document in pdus),
        auth_chain=(),
        members_omitted=True,
        servers_in_room=tuple(f"t{number}.example" for number in range(size)),
    )
    join = a_room(V11).join(BEN)
    return lambda: shortcomings(response, join)


def _refused_by_all(size: int) -> Call:
    def call() -> None:
        step: Any = Attempts.begin(
            JOINING,
            UserID(BEN),
            RoomID("!r:a.example"),
            servers=[f"s{number}.example" for number in range(size)],
            signer=SIGNER_B,
            room_versions={"11": V11},
        )
        while isinstance(step, Attempts):
            step = step.receive(404, {"errcode": "M_NOT_FOUND"}, at=1)

    return call


def _resident(size: int, join_rules: Mapping[str, Any]) -> ResidentRoom:
    """A room of many members, as a server that is in it knows it."""
    room = with_state(a_signed_room(V11), "m.room.join_rules", join_rules)
    joined = [
        draft(
            room, "m.room.member", name, sender=name, content={"membership": "join"}, at=AT
        ).complete(SIGNER_A)
        for name in users(size)
    ]
    events = {event.event_id: event for event in (*room.state.events, *joined)}
    return evolve(
        room, state=RoomState.of(V11, events.values()), get_event=events.get, local_users=(ANA,)
    )


def _public(size: int) -> ResidentRoom:
    return _resident(size, {"join_rule": "public"})


def _restricted(size: int) -> ResidentRoom:
    """A room that the members of many rooms may join; Ben is in the last."""
    rooms = [f"!r{number}:a.example" for number in range(size)]
    allow = [{"type": "m.room_membership", "room_id": room} for room in rooms]
    return evolve(
        _resident(size, {"join_rule": "restricted", "allow": allow, "brackets": MANY_BRACKETS}),
        memberships=lambda _, room: JOIN if room == rooms[-1] else LEAVE,
    )


def _asked_for_template(make: Callable[[int], ResidentRoom]) -> Make:
    def call_of(size: int) -> Call:
        room = make(size)
        request = make_request(room, begin(room))
        return lambda: answer_make(JOINING, request, room, at=AT)

    return call_of


def _sent_a_join(make: Callable[[int], ResidentRoom], *, omit_members: bool = False) -> Make:
    def call_of(size: int) -> Call:
        room = make(size)
        request = send_request(signed(room, omit_members=omit_members))
        return lambda: answer_send(JOINING, request, room, SIGNER_A, keys=KEYS)

    return call_of


def _invited(size: int) -> Call:
    room = a_signed_room(V11)
    create = room.state.create_event
    assert create is not None
    body = {"event": pdu(V11), "room_version": "11", "invite_room_state": [create.to_pdu()] * size}
    return lambda: ENTRIES["federation.invites.messages.InviteRequest.from_json"](body, V11)


def _stored_keys(size: int) -> Call:
    key = {"public_key": IDENTITY.verify_key, "key_validity_url": "https://i.example"}
    body = {
        "display_name": "b",
        "token": "t",
        "public_key": IDENTITY.verify_key,
        "public_keys": [key] * size,
    }

    def call() -> None:
        with suppress(MatrixMembershipError):
            ENTRIES["federation.invites.messages.StoredInvite.from_json"](body, V11)

    return call


def _document_of_keys(size: int) -> Call:
    """A document of many keys, none of which has signed it as it says."""
    keys = {f"ed25519:{number}": {"key": SIGNER_A.verify_key} for number in range(size)}
    old = {
        f"ed25519:o{number}": {**key, "expired_ts": 1} for number, key in enumerate(keys.values())
    }
    document = {
        "server_name": "a.example",
        "valid_until_ts": 1_000,
        "verify_keys": keys,
        "old_verify_keys": old,
        "signatures": {"a.example": dict.fromkeys(keys, "A" * 86)},
    }

    def call() -> None:
        with suppress(MatrixMembershipError):
            ENTRIES["signing._keys.KeyRing.from_documents"](document, V11)

    return call


def _walked(size: int) -> Call:
    """Spaces in a circle: each holds the next eight of them, twice."""
    names = [f"!{number}:a.example" for number in range(size)]

    def summary(number: int) -> dict[str, Any]:
        held = [names[(number + step) % size] for step in range(1, 9)] * 2
        children = [{"state_key": name, "content": {"via": ["a.example"]}} for name in held]
        return {"room_id": names[number], "children_state": children}

    rooms = {name: summary(number) for number, name in enumerate(names)}
    return lambda: hierarchy(BEN, names[0], rooms.get, limit=size)


def _seen_by(viewer: str) -> Make:
    """A timeline of invites, each to a user of another server: every event has a state of its own."""

    def make(size: int) -> Call:
        room = a_room(V11).with_content(
            "m.room.history_visibility", {"history_visibility": "invited"}
        )
        state, steps = room.state, []
        for number in range(size):
            event = room.invite(ANA, f"@x:s{number}.example")
            steps.append((event, state))
            state = state.with_event(event)
        return lambda: timeline(viewer, steps, state)

    return make


# Each event of a new room is drafted, judged and hashed: a quarter of the size tells as much.
def _created(field: str, entry: Callable[[int], Any]) -> Make:
    def make(size: int) -> Call:
        request = creates(ANA, **{field: [entry(number) for number in range(size // 4)]})
        return lambda: create_room(request, room_id=FIRST, at=AT)

    return make


def _upgraded(size: int) -> Call:
    room = a_room(V11)
    for number in range(size // 4):
        room = room.with_member(user(number), "ban")
    known = resident(room)
    request = upgrades(ANA, known, "12")
    return lambda: upgrade_room(request, known, room_id=NEXT, at=AT)


WORST: Final[Mapping[str, Make]] = MappingProxyType(
    {
        "Event.from_pdu: content": _of(_read, with_content),
        "Event.from_pdu: levels": _of(_read, with_levels),
        "receive: content": lambda size: _received(with_content(size)),
        "receive: levels": lambda size: _received(with_levels(size), state=powerful(size)),
        "receive: signatures": _with_signatures,
        "redacted": lambda size: Event.from_pdu(with_content(size), V11).redacted,
        "verify": lambda size: partial(
            signing.verify, Event.from_pdu(with_signatures(size)[0], V11), with_signatures(size)[1]
        ),
        "check: third-party invite": _third_party,
        "check: levels": _checked,
        "explain: topic": _explained(_topic),
        "explain: kick": _explained(_kick),
        "explain: levels": _explained(new_levels),
        "explain: levels of an outsider": _explained(partial(new_levels, sender=CAY)),
        "lint: access control list": _linted,
        "ServerAcl: question marks": _permitted,
        "authorise": _authorised,
        "who_may": _asked,
        "who_can: a level for each member": _ranked,
        "RoomState: members leave": _looked_at,
        "OutOfBand: invites of strangers": _flooded,
        "OutOfBand: a long room state": _kicked,
        "OutOfBand: many replaced invites": _replaced,
        "read_state": _told,
        "invite_state.examined": _described,
        "auth_chain": _chained,
        "SendJoinReader and audit": _answered,
        "sufficiency.shortcomings": _insufficient,
        "Attempts": _refused_by_all,
        "answer_make: public": _asked_for_template(_public),
        "answer_make: restricted": _asked_for_template(_restricted),
        "answer_send: all members": _sent_a_join(_public),
        "answer_send: omitted members": _sent_a_join(_public, omit_members=True),
        "answer_send: restricted": _sent_a_join(_restricted),
        "InviteRequest.from_json": _invited,
        "StoredInvite.from_json": _stored_keys,
        "KeyRing.from_documents": _document_of_keys,
        "hierarchy": _walked,
        "create_room: initial state": _created(
            "initial_state", lambda number: {"type": f"x.{number}", "content": {}}
        ),
        "create_room: invites": _created("invite", user),
        "upgrade_room: bans": _upgraded,
        "timeline: of a user": _seen_by(BEN),
        "timeline: of a server": _seen_by("b.example"),
    }
)
"""Entries with an input of a size."""

COPIED: Final[Mapping[str, Make]] = MappingProxyType(
    {
        "with_event: types": _replayed(lambda number: (f"x.{number}", "")),
        "with_event: state keys": _replayed(lambda number: ("x", f"{number}")),
        "with_event: types with a state key": _replayed(lambda number: (f"x.{number}", "y")),
        "with_event: members": _replayed(lambda number: ("m.room.member", user(number))),
    }
)
"""Entries whose work is copying."""


# ------------------------------------------------------------------- PDUs as large as they may be


def _full(make: Callable[[int], bytes]) -> bytes:
    """The PDU of this kind that has as many bytes as one may have, or hardly fewer."""
    least, more = len(make(100)), len(make(200))
    size = 100 + (MAX_PDU_BYTES - least) * 100 // (more - least)
    while True:
        with suppress(InvalidEvent):  # larger than a PDU may be
            data = make(size)
            if len(data) <= MAX_PDU_BYTES:
                return data
        size -= size // 100 + 1


def _levels_in_text(size: int) -> bytes:
    content = {"users": dict.fromkeys(users(size), "0050")}
    return _signed(size, V5, type="m.room.power_levels", state_key="", content=content).pdu


def _with_allow(size: int) -> bytes:
    allow = [{"type": "m.room_membership", "room_id": f"!{number}:a"} for number in range(size)]
    content = {"join_rule": "restricted", "allow": allow}
    return _signed(size, type="m.room.join_rules", state_key="", content=content).pdu


def _with_keys(size: int) -> bytes:
    keys = [{"public_key": f"{number:043}"} for number in range(size)]
    kind = "m.room.third_party_invite"
    return _signed(size, type=kind, state_key="t", content={"public_keys": keys}).pdu


LARGE_PDUS: Final[Mapping[str, tuple[RoomVersion, Callable[[int], bytes]]]] = MappingProxyType(
    {
        "objects": (V11, with_content),
        "lists": (V11, lambda size: _signed(size, content={"a": [[]] * size}).pdu),
        "numbers": (V11, lambda size: _signed(size, content={"a": [7] * size}).pdu),
        "keys": (V11, lambda size: _signed(size, content={f"{n}": 1 for n in range(size)}).pdu),
        "one text": (V11, lambda size: _signed(size, content={"a": '"\\é' * size}).pdu),
        "levels": (V11, with_levels),
        "levels in text": (V5, _levels_in_text),
        "restricted": (V11, _with_allow),
        "third-party keys": (V11, _with_keys),
        "signatures": (V11, lambda size: with_signatures(size)[0]),
    }
)
"""PDUs of a size, with the room version that they are for."""


def of_a_pdu(name: str) -> dict[str, Call]:
    """What an event goes through, with the largest PDU of some kind, by the entry."""
    version, make = LARGE_PDUS[name]
    data = _full(make)
    room = a_room(version)
    event, state = Event.from_pdu(data, version), room.state
    after, client_form = state.with_event(event), event.to_client_event()
    message = room.message(BEN)
    at_hand = {entry.event_id: entry for entry in state.events}.get
    return {
        "Event.from_pdu": lambda: Event.from_pdu(data, version),
        "read_pdu": lambda: read_pdu(data, version),
        "Event.from_client_event": lambda: Event.from_client_event(client_form, version),
        "receive": lambda: receive(
            data, version, keys=KEYS, auth_events=at_hand, state_before=state, current_state=state
        ),
        "verify": lambda: signing.verify(event, KEYS),
        "redacted": event.redacted,
        "content": lambda: event.content,
        "to_pdu": event.to_pdu,
        "to_client_event": event.to_client_event,
        "content_hash_matches": lambda: event.content_hash_matches,
        "check": lambda: auth.check(event, state),
        "check against it": lambda: auth.check(message, after),
        "check_auth_events": lambda: auth.check_auth_events(event, state.events),
        "with_event": lambda: state.with_event(event),
        "lint": lambda: lint(after),
    }


# ------------------------------------------------------------------- work of C code


IN_C: Final[Mapping[str, Make]] = MappingProxyType(
    {
        "nesting before a text without an end": lambda size: _decoding(
            "[" * 101 + '"' + '\\"' * size
        ),
        "nesting after texts": lambda size: _decoding("[" * 101 + '"\\"",' * size),
        "one key twice": lambda size: _decoding(
            "{" + ",".join(f'"{number}":1' for number in range(size)) + ',"1":1}'
        ),
        "an answer of quotation marks": lambda size: of_entry_with(
            "federation.audit.SendJoinReader.feed", b'{"state":[{"a":"' + b'\\"' * size
        ),
        "a level of zeros": lambda size: of_entry_with("_levels.level_of", "0" * size + "x"),
        "a user ID of colons": lambda size: of_entry_with(
            "identifiers.read_user_id", "@" + ":" * size
        ),
        "base64 of dashes": lambda size: of_entry_with(
            "_signatures.PublishedKey.verifies", "-" * size + "="
        ),
        "an access control list": _permitted,
    }
)
"""Entries where one instruction looks at all of the input."""


def of_entry_with(name: str, value: Any) -> Call:
    def call() -> None:
        with suppress(MatrixMembershipError):
            ENTRIES[name](value, V5)

    return call


def _decoding(text: str) -> Call:
    def call() -> None:
        with suppress(MatrixMembershipError):
            decode(text, strict=True)

    return call
