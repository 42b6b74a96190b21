"""Rooms that fork, built step by step: every event authorised by the state of its branch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from matrix_membership import Event, Membership, RoomState, RoomVersion, auth
from matrix_membership.canonical_json import encode
from matrix_membership.identifiers import EventID
from matrix_membership.membership import JOIN
from tests.builders import ANA, BEN, CAY, event_id

__all__ = ["Fork", "Place", "a_fork"]

Place = tuple[str, str]


@attrs.define
class Fork:
    """One branch of a room; what all branches have made is shared.

    Attributes:
        version: the version of the room.
        events: all events of all branches, by ID.
        state: the state at the end of this branch.
    """

    version: RoomVersion
    events: dict[EventID, Event]
    state: dict[Place, EventID]

    def branch(self) -> Fork:
        """Another branch, which begins here."""
        return Fork(self.version, self.events, dict(self.state))

    @property
    def room_id(self) -> str:
        """The ID of the room."""
        return next((event.room_id for event in self.events.values()), "!r:a.example")

    def make(
        self, kind: str, sender: str, content: Mapping[str, Any], state_key: str = "", **more: Any
    ) -> Event:
        """An event that lists what the state has to authorise it; it enters no state."""
        number = len(self.events)
        name = event_id(number, self.version)
        fields: dict[str, Any] = {
            "type": kind,
            "sender": sender,
            "content": content,
            "state_key": state_key,
            "room_id": self.room_id,
            "depth": number + 1,
            "origin_server_ts": number + 1,
            "prev_events": self.refer(*list(self.events)[-1:]),
            "hashes": {"sha256": "x"},
            "signatures": {},
        }
        if kind == "m.room.create" and self.version.room_id_is_create_event:
            del fields["room_id"]
        if self.version.event_id_in_pdu:
            fields["event_id"] = name
        selected = auth.select_auth_events(Event.from_client_event(fields, self.version))
        listed = [self.state[place] for place in sorted(selected) if place in self.state]
        fields["auth_events"] = self.refer(*listed)
        pdu = encode({**fields, **more}, strict=False)
        event = Event.from_pdu(pdu, self.version, event_id=name)
        event = self.events[event.event_id] = event.with_signers({event.server})
        return event

    def add(
        self, kind: str, sender: str, content: Mapping[str, Any], state_key: str = "", **more: Any
    ) -> EventID:
        """An event that enters the state. Returns its ID."""
        event = self.make(kind, sender, content, state_key, **more)
        self.state[kind, state_key] = event.event_id
        return event.event_id

    def member(
        self, sender: str, target: str, membership: Membership = JOIN, **more: Any
    ) -> EventID:
        """A member event that enters the state. Returns its ID."""
        return self.add("m.room.member", sender, {"membership": str(membership)}, target, **more)

    def levels(self, sender: str, users: Mapping[str, int], **more: Any) -> EventID:
        """Power levels that enter the state. Returns the event's ID."""
        named = {} if self.version.privileged_creators else {ANA: 100}
        return self.add("m.room.power_levels", sender, {"users": {**named, **users}}, **more)

    def refer(self, *names: EventID) -> list[Any]:
        """References in the form of the version."""
        return [[name, {}] for name in names] if self.version.event_id_in_pdu else list(names)

    @property
    def room_state(self) -> RoomState:
        """The state with its events."""
        return RoomState.of(self.version, [self.events[name] for name in self.state.values()])


def a_fork(version: RoomVersion) -> Fork:
    """A public room of Ana's with Ben (50) and Cay (50), before it forks."""
    fork = Fork(version, {}, {})
    content = {"room_version": version.identifier}
    more = {"creator": ANA} if version.creator_in_content else {}
    fork.add("m.room.create", ANA, {**content, **more}, prev_events=[])
    fork.member(ANA, ANA)
    fork.levels(ANA, {BEN: 50, CAY: 50})
    fork.add("m.room.join_rules", ANA, {"join_rule": "public"})
    fork.member(BEN, BEN)
    fork.member(CAY, CAY)
    return fork
