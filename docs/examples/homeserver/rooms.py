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
    resolve,
)

MOST_PREV_EVENTS: Final = 20
"""Newest events. A further branch waits until an event ties the others together, such as our next one.

It bounds what a state event on a branch costs: to resolve 20 states takes about 50 ms of CPU in a room of
1,000 members, and half a second in one of 10,000.
"""

REDACTS_IN_CONTENT: Final = 11
"""The redaction rules from which on a redaction names its target in the content."""

MOST_EVENTS: Final = 10_000
MOST_REJECTED: Final = 10_000
MOST_WAITING: Final = 100
MOST_LEARNT: Final = 1000
"""Events of a room whose state before them is kept, rejected events that are recognised, events that wait
for their auth events, and events that are known from auth chains only."""

Memberships = Callable[[UserID, RoomID], Membership | None]


class Rejected(Exception):
    """The rules reject an event of our own."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(str(decision))
        self.decision = decision


class Room:
    """A room: its events in the order in which they came, and its state.

    Where servers act at the same time, the history forks. The state before an event with several previous
    events, and the current state where there are several newest events, are resolved.

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
        self._waiting: Bounded[EventID, tuple[Receipt, RoomState]] = Bounded(MOST_WAITING)
        self._learnt: Bounded[EventID, None] = Bounded(MOST_LEARNT)
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
        """Return the state after some events, resolved where they are on different branches.

        Returns:
            The state; None if one of the events is unknown.
        """
        referred = set(event_ids)
        if referred == set(self.prev_events):
            return self.state
        return self._resolved(referred)

    def _resolved(self, event_ids: AbstractSet[EventID]) -> RoomState | None:
        """Resolve the states after some events; None if one is unknown, or if there are none."""
        states = []
        for event_id in event_ids:
            found = self._after_one(event_id)
            if found is None:
                return None
            states.append(found)
        if len(states) <= 1:
            return states[0] if states else None
        get = self.events.get
        state = resolve(self.version, states, get, rejected=self.rejected).room_state()
        if not state.is_partial:
            return state
        # Our join was told the servers, not the members: the resolved members show few of them.
        servers = frozenset().union(*[found.servers_in_room for found in states])
        return RoomState.of(self.version, state.events, partial=True, servers=servers)

    def _after_one(self, event_id: EventID) -> RoomState | None:
        """Return the state after an event. A soft-failed one counts: other servers may have taken it."""
        before = self.before.get(event_id)
        if before is None:
            return self._around(event_id)
        event = self.events[event_id]
        return before if event.state_key is None else before.with_event(event)

    def _around(self, event_id: EventID) -> RoomState | None:
        """Return the state after our join, or around an event that changes none: a rejected one."""
        waiting = self._waiting.get(event_id)
        around = self._after_join.get(event_id) or self._rejected.get(event_id)
        return waiting[1] if around is None and waiting is not None else around

    def knows(self, event_id: EventID) -> bool:
        """Return whether an event was taken: it came, and was not only learnt from an auth chain."""
        known = event_id in self.events and event_id not in self._learnt
        return known or event_id in self._rejected

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
            self.judge_waiting()
        return receipt

    def learn(self, read: ReadPdu, keys: KeyRing) -> None:
        """Keep an event of an auth chain, by which others can be judged.

        It changes no state: nobody says where it stands in the room's history.
        """
        event_id, create = read.event.event_id, self.state.create_event
        listed = [self.events[found] for found in read.auth_events if found in self.events]
        if event_id in self.events or len(self._learnt) == MOST_LEARNT:
            return
        # Judged by what it lists alone: the state that these events make stands for the room's.
        by_list = RoomState.of(self.version, [*listed, *([] if create is None else [create])])
        receipt = receive(
            read,
            self.version,
            keys=keys,
            auth_events=listed,
            state_before=by_list,
            current_state=by_list,
            rejected=self.rejected,
        )
        if receipt and receipt.event is not None and not receipt.missing_auth_events:
            self.events[event_id] = receipt.event
            self._learnt[event_id] = None

    def judge_waiting(self) -> None:
        """Judge again the events that were rejected for lack of auth events which came since."""
        settled = True
        while settled:  # each turn settles an event at least, for which others may wait
            settled = False
            # The oldest first: the state before the others depends on it.
            waiting = [(receipt, receipt.event) for receipt, _ in self._waiting.values()]
            found = [(event.depth, receipt, event) for receipt, event in waiting if event]
            for _, receipt, event in sorted(found, key=lambda entry: entry[0]):
                if not self._has_all(receipt.missing_auth_events):
                    continue
                before = self.after(event.prev_events) or self.state
                change = reevaluate(
                    receipt,
                    auth_events=self.events.get,
                    state_before=before,
                    current_state=self.state,
                    rejected=self.rejected,
                )
                after = receipt if change is None else change.after
                del self._waiting[event.event_id]
                self._settle(event, after, before, late=True)
                settled = True

    def _has_all(self, event_ids: Iterable[EventID]) -> bool:
        return all(event_id in self.events for event_id in event_ids)

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

    def _settle(
        self, event: Event, receipt: Receipt | None, before: RoomState, *, late: bool = False
    ) -> None:
        """Keep an event as its receipt says; our own events have no receipt, they were admitted."""
        if receipt is not None:
            if receipt.disposition is Disposition.REJECTED:
                if receipt.missing_auth_events and receipt.provisional and not late:
                    self._waiting[event.event_id] = (receipt, before)
                else:
                    self._rejected[event.event_id] = before
                return
            self.receipts[event.event_id] = receipt
        self.events[event.event_id] = event
        self.before[event.event_id] = before
        self._learnt.pop(event.event_id, None)
        if receipt is None or receipt:  # new events do not refer to a soft-failed one
            self._follow(event)
        if len(self.before) > MOST_EVENTS:
            self._forget_oldest()

    def _follow(self, event: Event) -> None:
        """Count an event among the newest ones, and resolve the current state."""
        tips = [found for found in self.prev_events if found not in event.prev_events]
        # To drop one of the others in its place would drop what it did to the state, such as a ban.
        if len(tips) < MOST_PREV_EVENTS:
            # A message after one of the newest events leaves the state after its branch as it was.
            one = len(event.prev_events) == 1 and len(tips) + 1 == len(self.prev_events)
            self.prev_events = (*tips, event.event_id)
            self.depth = max(self.depth, event.depth)
            if one and event.state_key is None:
                return
            state = self._resolved(frozenset(self.prev_events))
            assert state is not None, "the states after the newest events are kept"
            self.state = state

    def _forget_oldest(self) -> None:
        """Forget the oldest message or soft-failed event; keep accepted state events."""
        oldest = next(event_id for event_id in self.before if event_id not in self.prev_events)
        receipt = self.receipts.pop(oldest, None)
        del self.before[oldest]
        if self.events[oldest].state_key is None or not (receipt is None or receipt):
            del self.events[oldest]

    def store(self, event: Event) -> None:
        """Keep an event that was admitted to the current state; it may follow older events."""
        self._settle(event, None, self.after(event.prev_events) or self.state)

    def replace(self, event: Event) -> None:
        """Keep an event that has got another signature in place of the one without."""
        self.events[event.event_id] = event

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
        event = self.build(signer, sender, event_type, content, state_key=state_key, at=at)
        self.store(event)
        return event

    def build(
        self,
        signer: Signer,
        sender: str,
        event_type: str,
        content: Any,
        *,
        state_key: str | None = None,
        redacts: str = "",
        at: int,
    ) -> Event:
        """Make and judge an event of a user of ours; `store` keeps it.

        Raises:
            Rejected: the rules reject it.
        """
        in_content = bool(redacts) and self.version.redaction_rules >= REDACTS_IN_CONTENT
        fields = {
            "type": event_type,
            "sender": sender,
            "room_id": self.room_id,
            "content": {**content, "redacts": redacts} if in_content else content,
            "origin_server_ts": at,
            "depth": min(self.depth + 1, self.version.max_depth),
            "prev_events": self._references(self.prev_events),
        }
        if state_key is not None:
            fields["state_key"] = state_key
        if redacts and not in_content:
            fields["redacts"] = redacts
        draft = Event.from_client_event(fields, self.version)
        found = [self.state.get(*place) for place in sorted(auth.select_auth_events(draft))]
        fields["auth_events"] = self._references([event.event_id for event in found if event])
        event_id = f"${secrets.token_hex(9)}:{signer.server_name}"  # for versions 1 and 2
        event = EventTemplate.of(fields, self.version).complete(signer, event_id=event_id)
        admission = admit(event, self.state)
        if not admission:
            raise Rejected(admission.decision)
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
