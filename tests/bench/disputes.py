"""Rooms that forked, with any number of places in dispute, for state resolution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from matrix_membership import Event, RoomVersion
from matrix_membership.canonical_json import encode
from matrix_membership.identifiers import EventID
from matrix_membership.resolution import ChainIndex, Resolution, resolve
from matrix_membership.room_versions import V11
from tests.builders import ANA

__all__ = ["Dispute", "a_dispute", "resolved", "resolved_with_index"]

Place = tuple[str, str]
USERS: Final = 50
"""Users in the power levels."""


class Dispute:
    """A room of two branches. On each, Ana changed the power levels and the topic, and all others joined.

    Args:
        version: the version of the room.
        places: how many places are in dispute.
        changes: how often Ana changed her name or the power levels before: the length of the auth chain.
        members: how many others joined before.
    """

    def __init__(
        self, version: RoomVersion, places: int, *, changes: int = 0, members: int = 0
    ) -> None:
        self.version = version
        self.events: dict[EventID, Event] = {}
        self.room_id = "!r:a.example"
        create = self.make("m.room.create", ANA, {"room_version": version.identifier}, "")
        self.room_id = create.room_id
        listed = [] if version.room_id_is_create_event else [create]
        ana = self.make("m.room.member", ANA, {"membership": "join"}, ANA, *listed)
        levels = {f"@admin{number}:a.example": 50 for number in range(USERS - 1)}
        if not version.privileged_creators:
            levels[ANA] = 100
        power = self.make("m.room.power_levels", ANA, {"users": levels}, "", *listed, ana)
        rules = self.make(
            "m.room.join_rules", ANA, {"join_rule": "public"}, "", *listed, power, ana
        )
        for number in range(changes):
            if number % 50:
                join = {"membership": "join", "displayname": f"Ana {number}"}
                ana = self.make("m.room.member", ANA, join, ANA, *listed, power, ana)
            else:
                users = {**levels, "@often:a.example": number % 3}
                power = self.make(
                    "m.room.power_levels", ANA, {"users": users}, "", *listed, power, ana
                )
        self.common = {("m.room.member", ANA): ana.event_id}
        for event in (create, rules):
            self.common[event.type, ""] = event.event_id
        for number in range(members):
            user = f"@member{number}:c{number % 37}.example"
            event = self.make(
                "m.room.member", user, {"membership": "join"}, user, *listed, power, rules
            )
            self.common[event.type, user] = event.event_id
        self.rest: list[dict[Place, EventID]] = []
        for branch in "ab":
            users = {**levels, f"@{branch}:a.example": 10}
            changed = self.make(
                "m.room.power_levels", ANA, {"users": users}, "", *listed, power, ana
            )
            new = [
                changed,
                self.make("m.room.topic", ANA, {"topic": branch}, "", *listed, changed, ana),
            ]
            for number in range(places - len(new)):
                user = f"@user{number}:b{number % 37}.example"
                join = {"membership": "join", "displayname": f"{branch} {number}"}
                new.append(self.make("m.room.member", user, join, user, *listed, changed, rules))
            self.rest.append({(event.type, event.state_key or ""): event.event_id for event in new})
        self.state_sets = [{**self.common, **places} for places in self.rest]

    def make(
        self, kind: str, sender: str, content: Mapping[str, Any], state_key: str, *listed: Event
    ) -> Event:
        number = len(self.events)
        fields = {
            "type": kind,
            "sender": sender,
            "content": content,
            "state_key": state_key,
            "room_id": self.room_id,
            "depth": number,
            "origin_server_ts": number,
            "prev_events": [],
            "auth_events": [event.event_id for event in listed],
            "hashes": {"sha256": "x" * 43},
            "signatures": {"a.example": {"ed25519:a": "s" * 86}},
        }
        if kind == "m.room.create" and self.version.room_id_is_create_event:
            del fields["room_id"]
        event = Event.from_pdu(encode(fields, strict=False), self.version)
        self.events[event.event_id] = event
        return event


def resolved_with_index(members: int, changes: int) -> Callable[[], Resolution]:
    """A resolution of 100 places in a large room, as a server does it that keeps a chain index."""
    room = Dispute(V11, 100, changes=changes, members=members)
    index = ChainIndex.of(room.events.values())
    common = index.reach(room.common.values())

    def call() -> Resolution:
        return resolve(
            room.version,
            room.rest,
            room.events,
            unconflicted=room.common,
            auth_difference=index.auth_difference(room.rest, common=common),
        )

    return call


@cache
def a_dispute(version: RoomVersion, places: int) -> Dispute:
    """A room with so many places in dispute."""
    return Dispute(version, places)


def resolved(version: RoomVersion, places: int, *, with_chains: bool) -> Callable[[], Resolution]:
    """A resolution, with the auth chains computed or with what is needed of them at hand."""
    room = a_dispute(version, places)
    if with_chains:
        return lambda: resolve(version, room.state_sets, room.events)
    index = ChainIndex.of(room.events.values())
    first, second = room.state_sets
    disputed = {*first.values()} ^ {*second.values()}
    difference = index.auth_difference(room.state_sets)
    subgraph = index.conflicted_state_subgraph(disputed)

    def call() -> Resolution:
        return resolve(
            version,
            room.state_sets,
            room.events,
            auth_difference=difference,
            conflicted_subgraph=subgraph,
        )

    return call
