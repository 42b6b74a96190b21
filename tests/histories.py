"""Rooms of signed PDUs that list what authorises them: for receipt, where hashes and signatures count."""

from __future__ import annotations

from typing import Any, Final

import attrs

from matrix_membership import Event, EventTemplate, RoomState, RoomVersion, Signer, auth
from tests.builders import ANA, SIGNER_A

AT: Final = 1_700_000_000_000


@attrs.frozen
class History:
    """A room that a test builds event by event.

    Attributes:
        version: its room version.
        events: its events in order, rejected ones too.
        state: its state.
    """

    version: RoomVersion
    events: tuple[Event, ...]
    state: RoomState

    def event(
        self,
        kind: str,
        sender: str,
        content: Any,
        state_key: str | None = None,
        *,
        signer: Signer = SIGNER_A,
        **more: Any,
    ) -> Event:
        """A signed event that follows the newest one; nobody judges it."""
        fields: dict[str, Any] = {
            "type": kind,
            "sender": sender,
            "content": content,
            "room_id": self.events[0].room_id if self.events else "!r:a.example",
            "depth": len(self.events) + 1,
            "origin_server_ts": AT,
            "prev_events": self.refer(*self.events[-1:]),
        }
        if state_key is not None:
            fields["state_key"] = state_key
        if self.version.room_id_is_create_event and kind == "m.room.create":
            del fields["room_id"]
        selected = auth.select_auth_events(Event.from_client_event(fields, self.version))
        found = [self.state.get(*place) for place in sorted(selected)]
        fields["auth_events"] = self.refer(*[event for event in found if event])
        if self.version.event_id_in_pdu:
            fields["event_id"] = f"$e{len(self.events)}:{signer.server_name}"
        return EventTemplate.of({**fields, **more}, self.version).complete(signer)

    def refer(self, *events: Event) -> list[Any]:
        """References to events in the version's format."""
        if self.version.event_id_in_pdu:
            return [[event.event_id, {}] for event in events]
        return [event.event_id for event in events]

    def member(
        self,
        user: str,
        membership: str,
        *,
        sender: str | None = None,
        signer: Signer = SIGNER_A,
        **more: Any,
    ) -> Event:
        """A signed member event."""
        content = {"membership": membership}
        return self.event("m.room.member", sender or user, content, user, signer=signer, **more)

    def with_event(self, event: Event) -> History:
        """The room after an event, allowed or not."""
        return History(self.version, (*self.events, event), self.state.with_event(event))

    def with_state(self, kind: str, content: Any, *, sender: str = ANA) -> History:
        """The room with a state event of this content."""
        return self.with_event(self.event(kind, sender, content, ""))

    def with_member(self, user: str, membership: str, **more: Any) -> History:
        """The room with a member event."""
        return self.with_event(self.member(user, membership, **more))

    def in_part(self, *users: str) -> RoomState:
        """Its state with no members but these, as a server knows it that joined a moment ago."""
        events = [e for e in self.state.events if e.type != "m.room.member" or e.state_key in users]
        return RoomState.of(self.version, events, partial=True)


def a_history(version: RoomVersion) -> History:
    """A public room that Ana made and joined."""
    content = {"room_version": version.identifier}
    if version.creator_in_content:
        content["creator"] = ANA
    return (
        History(version, (), RoomState.of(version, []))
        .with_state("m.room.create", content)
        .with_member(ANA, "join")
        .with_state("m.room.join_rules", {"join_rule": "public"})
    )
