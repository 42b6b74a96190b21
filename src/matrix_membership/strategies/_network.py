"""A room of several servers whose network delays and loses, and one lies.

A `Network` plays steps. A step is an act of a user on their server, a lie of the last server,
or a delivery of one event that a server has not got yet: any one of them, so events come late and
out of order. Without a delivery two servers are cut apart. What was never delivered was lost
until the network heals: then everything reaches everybody, each server in an order of its own.

A server waits for parents, resolves forks and judges on receipt, as
`docs/howto/receive-an-event.md` says it. How it resolves states and judges events is a parameter,
so that another engine can stand where this package's does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final

from matrix_membership import resolution
from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue, thaw
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.machine import admit
from matrix_membership.receipt import Disposition, receive
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState
from matrix_membership.strategies._fields import (
    MEMBER,
    Place,
    create_content,
    membership_fields,
    next_event,
    signer_of,
    state_fields,
)
from matrix_membership.strategies._json import Fields
from matrix_membership.strategies._trials import CREATE, JOIN_RULES, POWER_LEVELS

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


# ------------------------------------------------------------------ the network

NAMES: Final = ("ana", "ben", "cay", "mal")
_USERS: Final = MappingProxyType(
    {name: f"@{name}:{server}" for name, server in zip(NAMES, SERVERS, strict=True)}
)

_LEVELS: Final = MappingProxyType({"promote": 100, "demote": 0})
_CONTENTS: Final[Mapping[str, tuple[Place, Mapping[str, JsonValue]]]] = MappingProxyType(
    {
        "public": (JOIN_RULES, MappingProxyType({"join_rule": "public"})),
        "private": (JOIN_RULES, MappingProxyType({"join_rule": "invite"})),
        "topic": (("m.room.topic", ""), MappingProxyType({"topic": "cats"})),
    }
)

MOVES: Final = (
    *("join", "leave", "kick", "ban", "invite", "public", "private"),
    *("promote", "demote", "topic", "message"),
)
"""The moves of users: to themselves, to another user, or to the room."""

LIES: Final = ("forbidden", "backdated", "auth events", "withheld", "equivocation")
"""The ways to lie about an event, see `Lie`."""


@frozen
class Act:
    """A user does something, if the rules allow it where the user is.

    Attributes:
        user: one of ana (level 100), ben and mal (50) and cay (0), each on a server of
            their own.
        move: what the user does: `ban`, `promote`, `topic` ...
        other: the user whom it concerns, if it concerns one.
    """

    user: str
    move: str
    other: str = "ana"

    def __repr__(self) -> str:
        return f"Act({self.user!r}, {self.move!r}, {self.other!r})"


@frozen
class Deliver:
    """A server gets one of the events that it has not got yet.

    Attributes:
        server: the server's name.
        which: the place of the event among them, counted round.
    """

    server: str
    which: int = 0

    def __repr__(self) -> str:
        return f"Deliver({self.server!r}, {self.which})"


@frozen
class Lie:
    """Mal's server sends an event that an honest one would not send.

    Attributes:
        how: `forbidden`: nobody asks the rules. `backdated`: it follows an old event.
            `auth events`: it lists those of an old state. `withheld`: nobody gets the event
            that it follows. `equivocation`: there are two, one for half of the servers each
            until the network heals; in versions 1 and 2 they have the same ID.
        move: what Mal does by it.
        other: the user whom it concerns.
        since: the place of the old event among those of the room, counted round.
    """

    how: str
    move: str
    other: str = "ana"
    since: int = 0

    def __repr__(self) -> str:
        return f"Lie({self.how!r}, {self.move!r}, {self.other!r}, {self.since})"


Step = Act | Deliver | Lie


class Network:
    """Servers in one room, and what is on the way to each.

    Attributes:
        servers: the servers.
        made: all events in the order in which they were made.
    """

    def __init__(self, version: RoomVersion) -> None:
        self.version = version
        self.servers = tuple(RoomServer(version, name, OURS) for name in SERVERS)
        self.made: list[Event] = []
        self._under_way: tuple[list[Event], ...] = tuple([] for _ in SERVERS)
        self._found()

    def _found(self) -> None:
        """Make a room that everybody knows."""
        ana, *others = _USERS.values()
        users = {user: 50 for user in others if not user.startswith("@cay")}
        if not self.version.privileged_creators:
            users[ana] = 100
        for state_place, content in (
            (CREATE, create_content(self.version, ana)),
            ((MEMBER, ana), {"membership": "join"}),
            (POWER_LEVELS, {"users": users}),
            (JOIN_RULES, {"join_rule": "public"}),
        ):
            self._make(0, state_fields(ana, state_place, content))
        for place, user in enumerate(others, 1):
            self._deliver_all()
            self._make(place, membership_fields(user, user, "join"))
        self._deliver_all()

    def copy(self, engines: Sequence[Engine]) -> Network:
        """Return a network in the same situation, whose servers go on by these engines."""
        other = object.__new__(Network)
        other.version = self.version
        other.servers = tuple(
            server.copy(engine) for server, engine in zip(self.servers, engines, strict=True)
        )
        other.made = list(self.made)
        other._under_way = tuple(list(events) for events in self._under_way)
        return other

    def play(self, steps: Iterable[Step]) -> None:
        """Play some steps."""
        for step in steps:
            match step:
                case Deliver(server=name, which=which):
                    place = SERVERS.index(name)
                    under_way = self._under_way[place]
                    if under_way:
                        self.servers[place].take(under_way.pop(which % len(under_way)))
                case Act(user=user, move=move, other=other):
                    self._act(user, move, other)
                case _:
                    self._lie(step)

    def heal(self, order: Sequence[int]) -> None:
        """Deliver everything, to each server in an order of its own.

        Then a user of each server says something, one after the other, which reaches everybody:
        a server that soft-failed an event learns by such a message that others count it.
        """
        self._deliver_all(order)
        for user in NAMES:
            self._act(user, "message", user)
            self._deliver_all(order)

    def _deliver_all(self, order: Sequence[int] = ()) -> None:
        picks = [*order] or [0]
        number = 0
        for server, under_way in zip(self.servers, self._under_way, strict=True):
            while under_way:
                server.take(under_way.pop(picks[number % len(picks)] % len(under_way)))
                number += 1

    def _act(self, user: str, move: str, other: str) -> None:
        place = NAMES.index(user)
        self._make(place, _fields(user, move, other, self.servers[place].state))

    def _make(self, place: int, fields: Fields) -> None:
        """Make an event that follows the newest ones, unless the rules forbid it."""
        server = self.servers[place]
        event = server.draft(fields, len(self.made))
        if admit(event, server.state):
            server.take(event)
            self._send(place, event)

    def _send(self, place: int, *events: Event) -> None:
        """Put an event on its way to the others; of two, one for half of them each first."""
        self.made.extend(events)
        for other, under_way in enumerate(self._under_way):
            if other != place:
                under_way.extend(events if other % 2 == 0 else reversed(events))

    def _lie(self, lie: Lie) -> None:
        place = len(SERVERS) - 1
        server, number = self.servers[place], len(self.made)
        old = list(server.events)[lie.since % len(server.events)]
        fields = _fields("mal", lie.move, lie.other, server.state)
        match lie.how:
            case "backdated":
                events = [server.draft(fields, number, parents={old})]
            case "auth events":
                events = [server.draft(fields, number, state=server.after[old])]
            case "withheld":
                hidden = server.copy(OURS)
                message = _fields("mal", "message", "mal", server.state)
                hidden.take(hidden.draft(message, -number))
                events = [hidden.draft(fields, number)]
            case "equivocation":
                other = {**fields, "content": {**fields["content"], "reason": "other"}}
                events = [server.draft(said, number) for said in (fields, other)]
            case _:
                events = [server.draft(fields, number)]
        for event in events:
            server.take(event)
        self._send(place, *events)


def _fields(user: str, move: str, other: str, state: RoomState) -> Fields:
    """Return the fields of the event by which a user does something."""
    sender, target = _USERS[user], _USERS[other]
    members = {
        "join": (sender, "join"),
        "leave": (sender, "leave"),
        "kick": (target, "leave"),
        "ban": (target, "ban"),
        "invite": (target, "invite"),
    }
    if move in members:
        return membership_fields(sender, *members[move])
    if move in _LEVELS:
        now = state.get(*POWER_LEVELS)
        content = {} if now is None else thaw(now.content)
        users = {**content.get("users", {}), target: _LEVELS[move]}
        return state_fields(sender, POWER_LEVELS, {**content, "users": users})
    if move in _CONTENTS:
        place, said = _CONTENTS[move]
        return state_fields(sender, place, {**said})
    return {"type": "m.room.message", "sender": sender, "content": {"body": "hello"}}
