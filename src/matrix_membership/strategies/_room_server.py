"""An honest server in one room, whose engine can be replaced.

It waits for parents, resolves forks and judges on receipt, as `docs/howto/receive-an-event.md` says it. How it resolves states and
judges events is a parameter, so that another engine can stand where this package's does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final

from matrix_membership import resolution
from matrix_membership._attrs import frozen
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.receipt import Disposition, receive
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState
from matrix_membership.strategies._fields import Place, next_event, signer_of
from matrix_membership.strategies._json import Fields

Resolve = Callable[
    [RoomVersion, Sequence[Mapping[Place, EventID]], Mapping[EventID, Event], AbstractSet[EventID]],
    Mapping[Place, EventID],
]
"""Takes the room version, states, the events by ID, and the IDs of the rejected ones; returns the state."""

Receive = Callable[
    [Event, RoomState, RoomState, Mapping[EventID, Event], AbstractSet[EventID]], Disposition
]
"""Takes an event, the state before it, the current state, the events by ID, and the IDs of rejected ones."""

SERVERS: Final = ("a.example", "b.example", "c.example", "d.example")

_KEYS: Final = MappingProxyType({name: signer_of(name).key_ring for name in SERVERS})
_AT: Final = 1_700_000_000_000
# The depth serves as the clock. So what happens at the same time often has the same time, a script
# stays the same room when it loses a step, and one server whose clock is ahead has late ancestors.
_AHEAD: Final = MappingProxyType({"c.example": 3})


def _resolved(
    version: RoomVersion,
    states: Sequence[Mapping[Place, EventID]],
    events: Mapping[EventID, Event],
    rejected: AbstractSet[EventID],
) -> Mapping[Place, EventID]:
    return resolution.resolve(version, states, events, rejected=rejected).state


def _received(
    event: Event,
    before: RoomState,
    current: RoomState,
    events: Mapping[EventID, Event],
    rejected: AbstractSet[EventID],
) -> Disposition:
    receipt = receive(
        event.pdu,
        event.room_version,
        keys=_KEYS[event.server],
        auth_events=events.get,
        state_before=before,
        current_state=current,
        rejected=rejected,
    )
    return receipt.disposition


@frozen
class Engine:
    """A way to resolve states and to judge events."""

    resolve: Resolve = _resolved
    receive: Receive = _received


OURS: Final = Engine()


def ids_of(state: RoomState) -> dict[Place, EventID]:
    """Return the IDs of the events of a state, by place."""
    return {(event.type, event.state_key or ""): event.event_id for event in state.events}


class RoomServer:
    """A server that does as the specification says.

    Attributes:
        after: the state after each event that it has, in the order in which they came.
        tips: the newest accepted events.
        state: the current state, resolved from those after `tips`.
    """

    def __init__(self, version: RoomVersion, name: str, engine: Engine) -> None:
        self.version = version
        self.name = name
        self.engine = engine
        self.events: dict[EventID, Event] = {}
        self.after: dict[EventID, RoomState] = {}
        self.rejected: set[EventID] = set()
        self.soft_failed: set[EventID] = set()
        self.tips: frozenset[EventID] = frozenset()
        self.state = RoomState.of(version, [])
        self.merges = 0
        self._waiting: dict[EventID, Event] = {}

    def copy(self, engine: Engine) -> RoomServer:
        """Return a server that knows the same, and goes on by another engine."""
        other = RoomServer(self.version, self.name, engine)
        other.events, other.after = dict(self.events), dict(self.after)
        other.tips, other.state = self.tips, self.state
        return other

    def merged(self, parents: Iterable[EventID]) -> RoomState:
        """Return the state after some events.

        The engine gets the states in the order in which the events came.
        """
        wanted = set(parents)
        states = [state for event_id, state in self.after.items() if event_id in wanted]
        if len(states) <= 1:
            return states[0] if states else RoomState.of(self.version, [])
        self.merges += 1
        sets = [ids_of(state) for state in states]
        found = self.engine.resolve(self.version, sets, self.events, self.rejected)
        return RoomState.of(self.version, [self.events[event_id] for event_id in found.values()])

    def take(self, event: Event) -> None:
        """Take an event, and those that waited for it. The first one with an ID counts."""
        if event.event_id not in self.after:
            self._waiting.setdefault(event.event_id, event)
        while ready := [
            found
            for found in self._waiting.values()
            if all(parent in self.after for parent in found.prev_events)
        ]:
            for found in ready:
                del self._waiting[found.event_id]
                self._judge(found)

    def _judge(self, event: Event) -> None:
        before = self.merged(event.prev_events)
        current = before if set(event.prev_events) == self.tips else self.state
        judged = self.engine.receive(event, before, current, self.events, self.rejected)
        if judged is Disposition.DROPPED:
            return
        if judged is Disposition.REJECTED:
            self.rejected.add(event.event_id)
            self.after[event.event_id] = before
            return
        self.events[event.event_id] = event
        self.after[event.event_id] = before if event.state_key is None else before.with_event(event)
        if judged is Disposition.SOFT_FAILED:
            self.soft_failed.add(event.event_id)
            return
        self.tips = self.tips.difference(event.prev_events) | {event.event_id}
        self.state = self.merged(self.tips)

    @property
    def whole(self) -> RoomState:
        """The state after all events that it did not reject."""
        followed = {parent for event in self.events.values() for parent in event.prev_events}
        return self.merged(self.events.keys() - followed)

    def draft(
        self,
        fields: Fields,
        number: int,
        *,
        parents: AbstractSet[EventID] | None = None,
        state: RoomState | None = None,
    ) -> Event:
        """Return an event, whether the rules allow it or not.

        Args:
            fields: its type, sender, content and perhaps state key.
            number: how many events there are already, which makes its ID in versions 1 and 2.
            parents: the events that it follows; the newest ones by default.
            state: the state that its auth events are taken from; by default that after the
                parents.
        """
        after = self.tips if parents is None else parents
        if state is None:
            state = self.state if parents is None else self.merged(after)
        followed = [self.events[parent] for parent in sorted(after)]
        depth = 1 + max((parent.depth for parent in followed), default=0)
        at = _AT + depth + _AHEAD.get(self.name, 0)
        named = f"$e{number}:{self.name}"
        return next_event(fields, state, followed, depth=depth, at=at, event_id=named)
