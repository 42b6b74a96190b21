"""Keep rooms in memory: their events, and the state before each event."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Final

from homeserver.bounded import Bounded
from matrix_membership import (
    Decision,
    Event,
    EventTemplate,
    KeyRing,
    Membership,
    RoomState,
    RoomVersion,
    Signer,
    auth,
)
from matrix_membership.server import (
    Disposition,
    EventID,
    Joined,
    ReadPdu,
    Receipt,
    ResidentRoom,
    RoomID,
    ServerName,
    UserID,
    admit,
    receive,
    reevaluate,
    reference_hash,
)

MOST_PREV_EVENTS: Final = 20
MOST_EVENTS: Final = 10_000
MOST_REJECTED: Final = 10_000
"""Events of a room whose state before them is kept, and rejected events that are recognised."""

Memberships = Callable[[UserID, RoomID], Membership | None]


class Rejected(Exception):
    """The rules reject an event of our own."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(str(decision))
        self.decision = decision


class Room:
    """A room: its events in the order in which they came, and its state.

    A real server resolves the states of events that do not refer to each other. Here, the state after an
    event is simply the state before it and that event.

    Everything is in memory, so the oldest messages are forgotten. Accepted state events are kept, because
    later events are judged by them: a real server keeps them on disk.

    Attributes:
        version: the room's version.
        state: the current state.
        events: the events of the room, by event ID.
        before: the state before each event that came since this server is in the room.
        prev_events: the newest events, to which no other event refers yet.
        depth: the greatest depth among them.
        receipts: the receipts of events of other servers that were not rejected.
        joined: how this server joined; None for a room that was made here.
    """

    def __init__(self, version: RoomVersion, joined: Joined | None = None) -> None:
        self.version = version
        self.state = RoomState.of(version, [])
        self.events: dict[EventID, Event] = {}
        self.before: dict[EventID, RoomState] = {}
        self.prev_events: tuple[EventID, ...] = ()
        self.depth = 0
        self._rejected: Bounded[EventID, RoomState] = Bounded(MOST_REJECTED)
        self.receipts: dict[EventID, Receipt] = {}
        self.joined = joined
        self._after_join: dict[EventID, RoomState] = {}
        if joined is not None:
            self.state = joined.state
            self._after_join[joined.event.event_id] = joined.state
            self.events.update((event.event_id, event) for event in joined.to_store)
            self.prev_events = (joined.event.event_id,)
            self.depth = joined.event.depth

    @property
    def rejected(self) -> AbstractSet[EventID]:
        """The IDs of the newest events that the rules rejected."""
        return self._rejected.keys()

    @property
    def room_id(self) -> RoomID:
        """The room's ID."""
        create = self.state.create_event
        assert create is not None, "a room begins with its create event"
        return create.room_id

    def after(self, event_ids: Iterable[EventID]) -> RoomState | None:
        """Return the state after some events: here, after the one that came last.

        Returns:
            The state; None if one of the events is unknown.
        """
        referred = set(event_ids)
        if referred == set(self.prev_events):
            return self.state
        # A rejected event changes no state: the one before it is also the one after it.
        unchanged = {**self._after_join, **self._rejected}
        if not referred <= self.before.keys() | unchanged.keys():
            return None
        came = [event_id for event_id in self.before if event_id in referred]
        if not came:
            return next((unchanged[event_id] for event_id in referred), None)
        before, receipt = self.before[came[-1]], self.receipts.get(came[-1])
        changes_state = receipt is None or receipt  # a soft-failed event does not
        return before.with_event(self.events[came[-1]]) if changes_state else before

    def take(self, read: ReadPdu, keys: KeyRing) -> Receipt:
        """Run the checks on an event of another server, and keep it if it passes."""
        before = self.after(read.event.prev_events) or self.state
        receipt = receive(
            read,
            self.version,
            keys=keys,
            auth_events=self.events.get,
            state_before=before,
            current_state=self.state,
            rejected=self.rejected,
        )
        if receipt.event is not None:
            self._settle(receipt.event, receipt, before)
        return receipt

    def complete(self, state: RoomState, to_store: Iterable[Event]) -> None:
        """Replace the partial state after our join by the whole state, and store its events.

        Events that were judged by the partial state are judged again.
        """
        assert self.joined is not None, "a room that was made here is never partial"
        self.events.update((event.event_id, event) for event in to_store)
        since, self.before = self.before, {}
        self.state = state.with_event(self.joined.event)
        self.prev_events = (self.joined.event.event_id,)
        self._after_join[self.joined.event.event_id] = self.state
        for event_id in since:
            event = self.events[event_id]
            before = self.after(event.prev_events) or self.state
            receipt = self.receipts.get(event_id)
            if receipt is None and not auth.check(event, before):
                # Our own user's join, sent while nobody here knew that they were banned.
                self._rejected[event_id] = before
                del self.events[event_id]
                continue
            if receipt is not None:
                change = reevaluate(
                    receipt,
                    auth_events=self.events.get,
                    state_before=before,
                    current_state=self.state,
                    rejected=self.rejected,
                )
                receipt = receipt if change is None else change.after
            self._settle(event, receipt, before)

    def _settle(self, event: Event, receipt: Receipt | None, before: RoomState) -> None:
        """Keep an event as its receipt says; our own events have no receipt, they were admitted."""
        if receipt is not None:
            if receipt.disposition is Disposition.REJECTED:
                self._rejected[event.event_id] = before
                return
            self.receipts[event.event_id] = receipt
        self.events[event.event_id] = event
        self.before[event.event_id] = before
        if receipt is None or receipt:  # a soft-failed event changes no state
            self.state = self.state.with_event(event)
            referred = event.prev_events
            tips = [found for found in self.prev_events if found not in referred]
            self.prev_events = (*tips, event.event_id)[-MOST_PREV_EVENTS:]
            self.depth = max(self.depth, event.depth)
        if len(self.before) > MOST_EVENTS:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Forget the oldest message or soft-failed event; keep accepted state events."""
        oldest = next(event_id for event_id in self.before if event_id not in self.prev_events)
        receipt = self.receipts.pop(oldest, None)
        del self.before[oldest]
        if self.events[oldest].state_key is None or not (receipt is None or receipt):
            del self.events[oldest]

    def store(self, event: Event) -> None:
        """Keep an event that was admitted to the current state."""
        self._settle(event, None, self.state)

    def make(
        self,
        signer: Signer,
        sender: str,
        event_type: str,
        content: Any,
        *,
        state_key: str | None = None,
        at: int,
    ) -> Event:
        """Make, judge and keep an event of a user of ours.

        Raises:
            Rejected: the rules reject it.
        """
        fields = {
            "type": event_type,
            "sender": sender,
            "content": content,
            "origin_server_ts": at,
            "depth": min(self.depth + 1, self.version.max_depth),
            "prev_events": self._references(self.prev_events),
        }
        if state_key is not None:
            fields["state_key"] = state_key
        if self.prev_events:
            fields["room_id"] = self.room_id
        elif not self.version.room_id_is_create_event:
            fields["room_id"] = f"!{secrets.token_hex(9)}:{signer.server_name}"
        draft = Event.from_client_event(fields, self.version)
        found = [self.state.get(*place) for place in sorted(auth.select_auth_events(draft))]
        fields["auth_events"] = self._references([event.event_id for event in found if event])
        event_id = f"${secrets.token_hex(9)}:{signer.server_name}"  # for versions 1 and 2
        event = EventTemplate.of(fields, self.version).complete(signer, event_id=event_id)
        admission = admit(event, self.state)
        if not admission:
            raise Rejected(admission.decision)
        self.store(event)
        return event

    def _references(self, event_ids: Iterable[EventID]) -> list[Any]:
        if not self.version.event_id_in_pdu:
            return list(event_ids)
        return [
            [found, {"sha256": reference_hash(self.events[found].document, self.version)}]
            for found in event_ids
        ]

    def snapshot(self, server: ServerName, memberships: Memberships) -> ResidentRoom:
        """Return the room at this moment, as the library takes it."""
        return ResidentRoom(
            server,
            self.state,
            self.prev_events,
            self.depth,
            self.events.get,
            rejected=self.rejected,
            memberships=memberships,
            state_after=self.after,
        )
