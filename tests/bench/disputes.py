"""Rooms that forked, with any number of places in dispute, for state resolution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from matrix_membership import Event, RoomVersion
from matrix_membership.canonical_json import encode
from matrix_membership.identifiers import EventID
from matrix_membership.resolution import ChainIndex, Resolution, resolve
from tests.builders import ANA

__all__ = ["Dispute", "a_dispute", "resolved"]

Place = tuple[str, str]
USERS: Final = 50
"""Users in the power levels."""


class Dispute:
    """A room of two branches. On each, Ana changed the power levels and the topic, and all others joined."""

    def __init__(self, version: RoomVersion, places: int) -> None:
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
        self.state_sets: list[dict[Place, EventID]] = []
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
            everything = [create, ana, rules, *new]
            self.state_sets.append(
                {(event.type, event.state_key or ""): event.event_id for event in everything}
            )

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
