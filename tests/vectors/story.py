"""A room without forks, event after event: each is a PDU, hashed and signed with the published keys."""

from __future__ import annotations

from typing import Any, Final

from matrix_membership import Event, EventTemplate, RoomState, RoomVersion, auth
from matrix_membership.hashing import reference_hash
from matrix_membership.identifiers import server_of
from tests.vectors.signed import signer_of

__all__ = ["Story"]

FIRST_AT: Final = 1_700_000_000_000


class Story:
    """A room, and what happens in it. Nobody judges the events.

    Attributes:
        version: the version of the room.
        room_id: its ID.
        steps: its events in order, each with the state before it.
        state: its state.
    """

    def __init__(self, version: RoomVersion, name: str = "r", **create: Any) -> None:
        self.version = version
        self.room_id = f"!{name}:a.example"
        self.steps: list[tuple[Event, RoomState]] = []
        self.state = RoomState.of(version, [])
        ana = "@ana:a.example"
        content = {"room_version": version.identifier, "org.example.name": name, **create}
        if version.creator_in_content:
            content["creator"] = ana
        self.say("m.room.create", ana, content, "")
        self.room_id = self.events[0].room_id
        self.join(ana)

    @property
    def events(self) -> list[Event]:
        """Its events."""
        return [event for event, _ in self.steps]

    def say(
        self, kind: str, sender: str, content: Any, key: str | None = None, **more: Any
    ) -> Event:
        """Add an event."""
        number = len(self.events) + 1
        fields = {
            "type": kind,
            "room_id": self.room_id,
            "sender": sender,
            "content": content,
            "depth": number,
            "origin_server_ts": FIRST_AT + number,
            "prev_events": self._named(self.events[-1:]),
            **({} if key is None else {"state_key": key}),
            **more,
        }
        if kind == "m.room.create" and self.version.room_id_is_create_event:
            del fields["room_id"]
        draft = Event.from_client_event(fields, self.version)
        found = [self.state.get(*place) for place in sorted(auth.select_auth_events(draft))]
        fields["auth_events"] = self._named([event for event in found if event])
        server = server_of(sender)
        own_id = f"${self.room_id[1:].partition(':')[0]}{number}:{server}"
        template = EventTemplate.of(fields, self.version)
        event = template.complete(signer_of(server), event_id=own_id)
        self.steps.append((event, self.state))
        self.state = self.state if key is None else self.state.with_event(event)
        return event

    def set(self, kind: str, content: Any, key: str = "") -> Event:
        """Have Ana set a place of the state."""
        return self.say(kind, "@ana:a.example", content, key)

    def join(self, user: str) -> Event:
        """Have a user join."""
        return self.member(user, user, "join")

    def member(self, sender: str, user: str, membership: str) -> Event:
        """Have a user give another one a membership."""
        return self.say("m.room.member", sender, {"membership": membership}, user)

    def message(self, sender: str, body: str) -> Event:
        """Have a user say something."""
        return self.say("m.room.message", sender, {"msgtype": "m.text", "body": body})

    def _named(self, events: list[Event]) -> list[Any]:
        if not self.version.event_id_in_pdu:
            return [event.event_id for event in events]
        return [
            [event.event_id, {"sha256": reference_hash(event.document, self.version)}]
            for event in events
        ]


def pdus(events: Any) -> list[Any]:
    """Events as a vector gives them."""
    return [event.to_pdu() for event in events]
