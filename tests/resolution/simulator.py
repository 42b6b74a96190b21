"""Honest servers that share a room over a network that cuts, delays and loses.

A `Network` plays a script. A step is an act of a user on their server, or a delivery of one event
that a server has not got yet: any one of them, so events come late and out of order. Without a
delivery two servers are cut apart, and what a script never delivers was lost until the network heals:
then everything reaches everybody, each server in an order of its own.

A server does with an event what `docs/howto/receive-an-event.md` says: it waits for the parents,
resolves the states after them, and asks `receive`. Its own events follow the newest accepted ones.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, Final

import attrs

from matrix_membership import (
    Event,
    EventTemplate,
    KeyRing,
    RoomState,
    RoomVersion,
    Signer,
    auth,
)
from matrix_membership.hashing import reference_hash
from matrix_membership.identifiers import EventID
from matrix_membership.machine import admit
from matrix_membership.receipt import Disposition, receive
from matrix_membership.resolution import resolve

__all__ = ["NAMES", "Act", "Deliver", "Network", "Server", "Step", "ids_of"]

Place = tuple[str, str]

AT: Final = 1_700_000_000_000
NAMES: Final = ("a.example", "b.example", "c.example")
ANA, BEN, CAY = USERS = ("@ana:a.example", "@ben:b.example", "@cay:c.example")
SIGNERS: Final = {
    name: Signer.from_seed(name, "ed25519:0", seed * 42 + "A")
    for name, seed in zip(NAMES, "ABC", strict=True)
}
KEYS: Final = reduce(KeyRing.with_keys, [signer.key_ring for signer in SIGNERS.values()])


@attrs.frozen
class Act:
    """A user does something, if the rules allow it where the user is.

    Attributes:
        sender: the place of the user in `USERS`.
        move: what the user does.
        target: the place of the user whom it concerns.
    """

    sender: int
    move: str
    target: int = 0


@attrs.frozen
class Deliver:
    """A server gets one of the events that it has not got yet.

    Attributes:
        to: the place of the server in `NAMES`.
        which: which of them, counted round.
    """

    to: int
    which: int = 0


Step = Act | Deliver


def ids_of(state: RoomState) -> dict[Place, EventID]:
    """The IDs of the events of a state, by place."""
    return {(event.type, event.state_key or ""): event.event_id for event in state.events}


class Server:
    """A server that does as the specification says.

    Attributes:
        after: the state after each event that it has.
        rejected: the IDs of the events that it rejected.
        soft_failed: the IDs of those that it soft-failed.
        tips: the newest accepted events.
        state: the current state, resolved from those after `tips`.
    """

    def __init__(self, version: RoomVersion, name: str) -> None:
        self.version = version
        self.name = name
        self.events: dict[EventID, Event] = {}
        self.after: dict[EventID, RoomState] = {}
        self.rejected: set[EventID] = set()
        self.soft_failed: set[EventID] = set()
        self.tips: frozenset[EventID] = frozenset()
        self.state = RoomState.of(version, [])
        self._waiting: dict[EventID, Event] = {}

    def merged(self, parents: Iterable[EventID]) -> RoomState:
        """The state after some events."""
        states = [self.after[parent] for parent in sorted(parents)]
        if not states:
            return RoomState.of(self.version, [])
        if len(states) == 1:
            return states[0]
        found = resolve(self.version, states, self.events, rejected=self.rejected)
        assert found.missing == frozenset()
        return found.room_state()

    def take(self, event: Event) -> None:
        """Take an event, and those that waited for it."""
        self._waiting[event.event_id] = event
        while ready := [
            found
            for found in self._waiting.values()
            if all(parent in self.after for parent in found.prev_events)
        ]:
            for found in ready:
                del self._waiting[found.event_id]
                self._judge(found)

    def _judge(self, event: Event) -> None:
        before = self.state_before(event)
        receipt = receive(
            event.pdu,
            self.version,
            keys=KEYS,
            auth_events=self.events.get,
            state_before=before,
            current_state=before if set(event.prev_events) == self.tips else self.state,
            rejected=self.rejected,
        )
        assert not receipt.provisional
        if receipt.disposition is Disposition.REJECTED:
            self.rejected.add(event.event_id)
            self.after[event.event_id] = before
            return
        assert receipt.event is not None
        self._keep(receipt.event, before)
        if receipt:
            self._follow(event)
        else:
            self.soft_failed.add(event.event_id)

    def state_before(self, event: Event) -> RoomState:
        """The state before an event."""
        return self.merged(event.prev_events)

    def _keep(self, event: Event, before: RoomState) -> None:
        self.events[event.event_id] = event
        self.after[event.event_id] = before if event.state_key is None else before.with_event(event)

    def _follow(self, event: Event) -> None:
        self.tips = self.tips.difference(event.prev_events) | {event.event_id}
        self.state = self.merged(self.tips)

    def make(
        self, kind: str, sender: str, content: Mapping[str, Any], state_key: str | None, number: int
    ) -> Event | None:
        """Make an event that follows the newest ones; None if the rules forbid it."""
        fields: dict[str, Any] = {
            "type": kind,
            "sender": sender,
            "content": content,
            "origin_server_ts": AT + number // 2,  # two may be made at the same time
            "depth": 1 + max((self.events[tip].depth for tip in self.tips), default=0),
            "prev_events": self._refer(sorted(self.tips)),
        }
        if state_key is not None:
            fields["state_key"] = state_key
        create = self.state.create_event
        if create is not None:
            fields["room_id"] = create.room_id
        elif not self.version.room_id_is_create_event:
            fields["room_id"] = "!r:a.example"
        selected = auth.select_auth_events(Event.from_client_event(fields, self.version))
        listed = [self.state.get(*place) for place in sorted(selected)]
        fields["auth_events"] = self._refer([found.event_id for found in listed if found])
        name = EventID(f"$e{number}:{self.name}")  # for versions 1 and 2
        event = EventTemplate.of(fields, self.version).complete(SIGNERS[self.name], event_id=name)
        if not admit(event, self.state):
            return None
        self._keep(event, self.state)
        self._follow(event)
        return event

    def _refer(self, names: Iterable[EventID]) -> list[Any]:
        if not self.version.event_id_in_pdu:
            return list(names)
        return [
            [name, {"sha256": reference_hash(self.events[name].document, self.version)}]
            for name in names
        ]


class Network:
    """Servers in one room, and what is on the way to each.

    Attributes:
        servers: the servers.
        made: all events in the order in which they were made.
    """

    def __init__(
        self, version: RoomVersion, *, kinds: Sequence[type[Server]] = (Server, Server, Server)
    ) -> None:
        self.version = version
        self.servers = tuple(kind(version, name) for kind, name in zip(kinds, NAMES, strict=True))
        self.made: list[Event] = []
        self._under_way: tuple[list[Event], ...] = tuple([] for _ in NAMES)
        self._found()

    def _found(self) -> None:
        """Make a room of which everybody knows: Ana 100, Ben 50, Cay 50."""
        content: dict[str, Any] = {"room_version": self.version.identifier}
        if self.version.creator_in_content:
            content["creator"] = ANA
        users = {BEN: 50, CAY: 50}
        if not self.version.privileged_creators:
            users[ANA] = 100
        self._make(0, "m.room.create", content, "")
        self._make(0, "m.room.member", {"membership": "join"}, ANA)
        self._make(0, "m.room.power_levels", {"users": users}, "")
        self._make(0, "m.room.join_rules", {"join_rule": "public"}, "")
        self._deliver_all()
        for place in (1, 2):
            self._make(place, "m.room.member", {"membership": "join"}, USERS[place])
            self._deliver_all()

    def play(self, script: Iterable[Step]) -> None:
        """Play the steps of a script."""
        for step in script:
            match step:
                case Deliver(to=to, which=which):
                    under_way = self._under_way[to]
                    if under_way:
                        self.servers[to].take(under_way.pop(which % len(under_way)))
                case Act(sender=sender, move=move, target=target):
                    self._act(sender, move, target)

    def heal(self, draw: random.Random) -> None:
        """Deliver everything, to each server in an order of its own.

        Then somebody on each server says something, one after the other, which reaches everybody:
        a server that soft-failed an event learns by such a message that others count it.
        """
        self._deliver_all(draw)
        for place in range(len(NAMES)):
            self._act(place, "message", 0)
            self._deliver_all(draw)

    def _deliver_all(self, draw: random.Random | None = None) -> None:
        for server, under_way in zip(self.servers, self._under_way, strict=True):
            if draw is not None:
                draw.shuffle(under_way)
            for event in under_way:
                server.take(event)
            under_way.clear()

    def _act(self, sender: int, move: str, target: int) -> None:
        other = USERS[target]
        match move:
            case "join" | "leave":
                self._make(sender, "m.room.member", {"membership": move}, USERS[sender])
            case "kick":
                self._make(sender, "m.room.member", {"membership": "leave"}, other)
            case "ban" | "invite":
                self._make(sender, "m.room.member", {"membership": move}, other)
            case "public" | "private":
                rule = {"public": "public", "private": "invite"}[move]
                self._make(sender, "m.room.join_rules", {"join_rule": rule}, "")
            case "promote" | "demote":
                self._change_levels(sender, other, 100 if move == "promote" else 0)
            case "topic":
                self._make(sender, "m.room.topic", {"topic": f"{len(self.made)}"}, "")
            case _:
                self._make(sender, "m.room.message", {"body": move}, None)

    def _change_levels(self, sender: int, other: str, level: int) -> None:
        now = self.servers[sender].state.get("m.room.power_levels")
        content = {} if now is None else dict(now.content)
        users = {**content.get("users", {}), other: level}
        self._make(sender, "m.room.power_levels", {**content, "users": users}, "")

    def _make(self, sender: int, kind: str, content: Mapping[str, Any], key: str | None) -> None:
        server = self.servers[sender]
        event = server.make(kind, USERS[sender], content, key, len(self.made))
        if event is not None:
            self.made.append(event)
            for place, under_way in enumerate(self._under_way):
                if place != sender:
                    under_way.append(event)
