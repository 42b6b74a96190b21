"""State resolution once more, slow and plain: the definitions of the text, one after the other.

Written from https://spec.matrix.org/unstable/rooms/v1/#state-resolution, /v2/ and /v12/. It
shares no code with the package but the authorisation rules, which have an oracle of their own.
Where the text leaves a choice it makes the one that docs/explanation/conformance.md lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from math import inf

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.identifiers import EventID

__all__ = ["Room", "resolve"]

Place = tuple[str, str]
StateMap = Mapping[Place, str]

CREATE = ("m.room.create", "")
LEVELS = ("m.room.power_levels", "")


class Room:
    """What is known of a room: its events by ID, and which were rejected."""

    def __init__(
        self, version: RoomVersion, events: Mapping[EventID, Event], rejected: frozenset[str]
    ) -> None:
        self.version = version
        self.rejected = rejected
        self.events: dict[str, Event] = {
            event_id: event
            for event_id, event in events.items()
            if event.event_id == event_id and event.state_key is not None
        }

    def place(self, event_id: str) -> Place:
        """Say where an event stands."""
        event = self.events[event_id]
        return event.type, event.state_key or ""

    def auth_events(self, event_id: str) -> list[str]:
        """List the auth events of an event, at hand or not."""
        return list(self.events[event_id].auth_events) if event_id in self.events else []

    def listed(self, event_id: str, place: Place) -> str | None:
        """Find the auth event of an event in a place."""
        for auth_id in self.auth_events(event_id):
            if auth_id in self.events and self.place(auth_id) == place:
                return auth_id
        return None

    def auth_chain(self, event_id: str) -> set[str]:
        """All events reachable along auth events."""
        chain: set[str] = set()
        new = set(self.auth_events(event_id))
        while new - chain:
            chain |= new
            new = {auth_id for known in new for auth_id in self.auth_events(known)}
        return chain

    def create_of(self, event_id: str) -> str | None:
        """Find the create event of an event's room."""
        if not self.version.room_id_is_create_event:
            return self.listed(event_id, CREATE)
        create_id = "$" + self.events[event_id].room_id[1:]
        known = create_id in self.events and self.events[create_id].type == CREATE[0]
        return create_id if known and create_id not in self.rejected else None

    def power_of_sender(self, event_id: str) -> int:
        """The power level of the sender by the event's auth events."""
        event = self.events[event_id]
        found = [self.create_of(event_id), self.listed(event_id, LEVELS)]
        state = RoomState.of(self.version, [self.events[name] for name in found if name])
        return state.power_level_of(event.sender)

    def allowed(self, event_id: str, state: StateMap, *, alone: bool = False) -> bool:
        """Tell whether the rules allow an event, by a state and by what the event lists."""
        event = self.events[event_id]
        needed = set(auth.select_auth_events(event))
        if event.type != CREATE[0]:
            needed.add(CREATE)
        judged_by = []
        for place in needed:
            found = state.get(place)
            if found is None or found not in self.events or found in self.rejected:
                found = None
            if found is None and not alone:
                found = self.listed(event_id, place)
                if place == CREATE and self.version.room_id_is_create_event:
                    found = self.create_of(event_id)
            if found is not None and found not in self.rejected:
                judged_by.append(self.events[found])
        return auth.check(event, RoomState.of(self.version, judged_by)).allowed


def resolve(
    version: RoomVersion,
    state_sets: Sequence[StateMap],
    events: Mapping[EventID, Event],
    rejected: frozenset[str] = frozenset(),
    algorithm: str | None = None,
) -> dict[Place, str]:
    """Resolve states."""
    sets = [
        {place: name for place, name in state.items() if name not in rejected}
        for state in state_sets
    ]
    room = Room(version, events, rejected)
    unconflicted = {
        place: name
        for state in sets
        for place, name in state.items()
        if all(other.get(place) == name for other in sets)
    }
    conflicted = {
        name for state in sets for place, name in state.items() if place not in unconflicted
    }
    only_events_of(room, room_of(room, unconflicted, conflicted))
    match algorithm or version.state_resolution:
        case "1":
            return algorithm_1(room, sets)
        case "2":
            return algorithm_2(room, sets, unconflicted, conflicted, conflicted, unconflicted)
        case _:
            subgraph = conflicted_state_subgraph(room, conflicted)
            return algorithm_2(room, sets, unconflicted, conflicted, subgraph, {})


def room_of(room: Room, unconflicted: StateMap, conflicted: Iterable[str]) -> str | None:
    """The room ID of the undisputed create event, or else that of most events."""
    create = room.events.get(unconflicted.get(CREATE, ""))
    if create is not None:
        return create.room_id
    rooms = sorted(room.events[name].room_id for name in conflicted if name in room.events)
    return max(sorted(set(rooms)), key=rooms.count, default=None)


def only_events_of(room: Room, room_id: str | None) -> None:
    """Forget the events of other rooms."""
    if room_id is not None:
        room.events = {
            name: event for name, event in room.events.items() if event.room_id == room_id
        }


def algorithm_1(room: Room, sets: Sequence[StateMap]) -> dict[Place, str]:
    """Resolve by passes."""
    candidates = candidates_of(room, sets)
    result = {place: names[0] for place, names in candidates.items() if len(names) == 1}
    conflicts = {place: names for place, names in candidates.items() if len(names) > 1}
    for kind in ("m.room.power_levels", "m.room.join_rules", "m.room.member", None):
        before = dict(result)
        for place, oldest_first in conflicts.items():
            if place[0] == kind:
                result[place] = oldest_first[0]
                for name in oldest_first[1:]:
                    if not room.allowed(name, {**before, place: result[place]}, alone=True):
                        break
                    result[place] = name
            elif kind is None and place not in before:
                allowed = [name for name in oldest_first if room.allowed(name, before, alone=True)]
                result[place] = (allowed or oldest_first[:1])[-1]
    return result


def candidates_of(room: Room, sets: Sequence[StateMap]) -> dict[Place, list[str]]:
    """The events of each place, oldest first; where several are disputed, those at hand."""
    candidates: dict[Place, list[str]] = {}
    for place in {place for state in sets for place in state}:
        names = {state[place] for state in sets if place in state}
        at_hand = {name for name in names if name in room.events and room.place(name) == place}
        disputed = sorted(at_hand, key=lambda name: age(room, name))
        candidates[place] = disputed if len(names) > 1 else list(names)
    return candidates


def age(room: Room, name: str) -> tuple[int, list[int]]:
    """Ascending depth, then descending hash."""
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).digest()
    return room.events[name].depth, [-byte for byte in digest]


def algorithm_2(
    room: Room,
    sets: Sequence[StateMap],
    unconflicted: StateMap,
    conflicted: set[str],
    more: set[str],
    start: StateMap,
) -> dict[Place, str]:
    """Resolve by the five steps."""
    if not conflicted:
        return dict(unconflicted)
    full = {name for name in conflicted | more | auth_difference(room, sets) if name in room.events}
    power = {name for name in full if is_power_event(room.events[name])}
    picked = set(power)
    while True:
        reached = {auth_id for name in picked for auth_id in room.auth_events(name)} & full
        if reached <= picked:
            break
        picked |= reached
    ordered = reverse_topological_power_ordering(room, picked)
    state = iterative_auth_checks(room, ordered, start)
    rest = full - picked
    line = mainline(room, state.get(LEVELS))
    by_mainline = sorted(rest, key=lambda name: mainline_rank(room, name, line))
    state = iterative_auth_checks(room, by_mainline, state)
    return {**state, **unconflicted}


def auth_difference(room: Room, sets: Sequence[StateMap]) -> set[str]:
    """The union of the full auth chains without their intersection."""
    chains = [
        set[str]().union(*(room.auth_chain(name) for name in state.values())) for state in sets
    ]
    return set[str]().union(*chains) - chains[0].intersection(*chains)


def conflicted_state_subgraph(room: Room, conflicted: set[str]) -> set[str]:
    """The events on paths between two conflicted events."""
    below = conflicted.union(*(room.auth_chain(name) for name in conflicted))
    return {
        name
        for name in below
        if name in conflicted or not conflicted.isdisjoint(room.auth_chain(name))
    }


def is_power_event(event: Event) -> bool:
    """Tell whether an event might take something from somebody."""
    if event.type in ("m.room.power_levels", "m.room.join_rules"):
        return True
    membership = event.content.get("membership")
    return (
        event.type == "m.room.member"
        and membership in ("leave", "ban")
        and event.sender != event.state_key
    )


def reverse_topological_power_ordering(room: Room, names: set[str]) -> list[str]:
    """Always the smallest event whose auth events are all placed."""
    waiting = {name: set(room.auth_events(name)) & names for name in names}
    ordered: list[str] = []
    while True:
        ready = [name for name, needs in waiting.items() if needs <= set(ordered)]
        if not ready:
            return ordered
        smallest = min(
            ready,
            key=lambda name: (
                -room.power_of_sender(name),
                room.events[name].origin_server_ts,
                name,
            ),
        )
        ordered.append(smallest)
        del waiting[smallest]


def mainline(room: Room, name: str | None) -> list[str]:
    """A power levels event and all those before it."""
    line: list[str] = []
    while name is not None and name in room.events and name not in line:
        line.append(name)
        name = room.listed(name, LEVELS)
    return line


def mainline_rank(room: Room, name: str, line: list[str]) -> tuple[float, int, str]:
    """Older events of the mainline first, then time, then ID."""
    event = room.events[name]
    seen: set[str] = set()
    found = room.listed(name, LEVELS)
    while found is not None and found not in line and found not in seen:
        seen.add(found)
        found = room.listed(found, LEVELS)
    position = line.index(found) if found in line else inf
    return -position, event.origin_server_ts, name


def iterative_auth_checks(room: Room, names: Iterable[str], start: StateMap) -> dict[Place, str]:
    """Let each event in that the rules allow."""
    state = dict(start)
    for name in names:
        if name not in room.rejected and room.allowed(name, state):
            state[room.place(name)] = name
    return state
