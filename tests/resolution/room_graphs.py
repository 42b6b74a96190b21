"""Rooms that were torn apart: generated graphs of events, by a seed.

A room starts with a few events and forks into branches, each of which goes its own way: bans
against promotions, races for power, changed join rules, people who come and go. Branches fork
again and merge. What is wrong on purpose is chosen by the seed too: rejected events, events
that were let in although the rules forbid it, events that are missing, are of another room, or
authorise each other.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.canonical_json import encode
from matrix_membership.identifiers import EventID
from matrix_membership.resolution import resolve
from tests.builders import VERSIONS

__all__ = ["Case", "Graph", "a_case", "cases", "with_own_ids"]

Place = tuple[str, str]

USERS: Final = tuple(f"@{name}:{name[0]}.example" for name in ("ana", "ben", "cay", "dan", "eve"))
ANA: Final = USERS[0]


@attrs.frozen
class Case:
    """States to resolve.

    Attributes:
        version: the version of the room.
        state_sets: the states.
        events: the events at hand, by ID.
        rejected: the IDs of those that were rejected.
        sound: nothing is wrong on purpose.
    """

    version: RoomVersion
    state_sets: tuple[dict[Place, EventID], ...]
    events: dict[EventID, Event]
    rejected: frozenset[EventID]
    sound: bool


class Graph:
    """A room that grows."""

    def __init__(self, version: RoomVersion, draw: random.Random) -> None:
        self.version = version
        self.draw = draw
        self.events: dict[EventID, Event] = {}
        self.rejected: set[EventID] = set()
        self.room_id = "!r:a.example"
        self.names = draw.sample(range(10_000), 400)
        self.now = 1

    def name(self) -> EventID:
        """An ID that says nothing of when the event was made."""
        number = self.names.pop()
        if self.version.event_id_in_pdu:
            return EventID(f"$e{number}:a.example")
        return EventID("$" + f"{number}".rjust(43, "x"))

    def refer(self, event_ids: Iterable[str]) -> list[Any]:
        """References in the form of the version."""
        if self.version.event_id_in_pdu:
            return [[event_id, {}] for event_id in event_ids]
        return list(event_ids)

    def make(
        self,
        kind: str,
        sender: str,
        content: Mapping[str, Any],
        state_key: str,
        state: Mapping[Place, EventID],
        *,
        more_auth: Iterable[str] = (),
        **more: Any,
    ) -> Event:
        """An event that lists what a state has to authorise it."""
        name = self.name()
        self.now += self.draw.choice((0, 0, 1, 3))
        fields: dict[str, Any] = {
            "type": kind,
            "sender": sender,
            "content": content,
            "state_key": state_key,
            "room_id": self.room_id,
            "depth": len(self.events) // 2 + 1,
            "origin_server_ts": self.now - self.draw.choice((0, 0, 0, 5)),
            "prev_events": self.refer(list(self.events)[-1:]),
            "hashes": {"sha256": "x"},
            "signatures": {},
            **more,
        }
        if kind == "m.room.create" and self.version.room_id_is_create_event:
            del fields["room_id"]
        selected = auth.select_auth_events(Event.from_client_event(fields, self.version))
        listed = [state[place] for place in sorted(selected) if place in state]
        self.draw.shuffle(listed)
        fields["auth_events"] = self.refer([*listed, *more_auth])
        if self.version.event_id_in_pdu:
            fields["event_id"] = name
        event = Event.from_pdu(encode(fields, strict=False), self.version, event_id=name)
        event = event.with_signers({event.server})
        self.events[name] = event
        return event

    def begin(self) -> dict[Place, EventID]:
        """The first events of the room."""
        state: dict[Place, EventID] = {}
        content: dict[str, Any] = {"room_version": self.version.identifier}
        if self.version.creator_in_content:
            content["creator"] = ANA
        if self.version.privileged_creators and self.draw.random() < 0.5:
            content["additional_creators"] = [USERS[1]]
        create = self.make("m.room.create", ANA, content, "", state, prev_events=[])
        self.room_id = create.room_id
        state["m.room.create", ""] = create.event_id
        self.add(state, "m.room.member", ANA, {"membership": "join"}, ANA)
        users = {} if self.version.privileged_creators else {ANA: 100}
        if self.draw.random() < 0.9:
            levels = {"users": {**users, USERS[2]: 50, USERS[3]: 50}}
            self.add(state, "m.room.power_levels", ANA, levels, "")
        rule = self.draw.choice(("public", "public", "invite"))
        self.add(state, "m.room.join_rules", ANA, {"join_rule": rule}, "")
        for user in USERS[1:4]:
            self.add(state, "m.room.member", user, {"membership": "join"}, user)
        return state

    def add(
        self, state: dict[Place, EventID], kind: str, sender: str, content: dict[str, Any], key: str
    ) -> Event:
        """An event that goes into a state if the rules allow it, and is rejected if not."""
        event = self.make(kind, sender, content, key, state)
        events = [self.events[name] for name in state.values()]
        if auth.check(event, RoomState.of(self.version, events)).allowed:
            state[kind, key] = event.event_id
        else:
            self.rejected.add(event.event_id)
        return event

    def grow(self, state: dict[Place, EventID]) -> None:
        """Somebody does something."""
        draw = self.draw
        sender, other = draw.choice(USERS), draw.choice(USERS)
        match draw.choice(_MOVES):
            case "join":
                content: dict[str, Any] = {
                    "membership": "join",
                    "displayname": f"{draw.randrange(99)}",
                }
                if self.version.restricted_joins and draw.random() < 0.2:
                    content["join_authorised_via_users_server"] = other
                self.add(state, "m.room.member", sender, content, sender)
            case "leave":
                self.add(state, "m.room.member", sender, {"membership": "leave"}, sender)
            case "remove":
                membership = draw.choice(("leave", "ban", "ban", "invite"))
                self.add(state, "m.room.member", sender, {"membership": membership}, other)
            case "promote":
                self.promote(state, sender, other)
            case "rule":
                rules = ("public", "invite", "invite", "knock", "restricted")
                content = {"join_rule": draw.choice(rules)}
                self.add(state, "m.room.join_rules", sender, content, "")
            case kind:
                content = {"value": draw.randrange(99)}
                self.add(state, kind, sender, content, draw.choice(("", "", "key", sender)))

    def promote(self, state: dict[Place, EventID], sender: str, other: str) -> None:
        """Somebody changes the levels."""
        name = state.get(("m.room.power_levels", ""))
        content = dict(self.events[name].content) if name else {}
        users = {**content.get("users", {}), other: self.draw.choice((0, 50, 50, 100))}
        if self.version.privileged_creators:
            users.pop(ANA, None)
        more = {self.draw.choice(("ban", "kick", "state_default")): self.draw.choice((0, 50, 60))}
        changed = {**content, "users": users, **(more if self.draw.random() < 0.3 else {})}
        self.add(state, "m.room.power_levels", sender, changed, "")


_MOVES: Final = (
    *("join", "join", "leave", "remove", "remove", "remove", "promote", "promote", "rule"),
    *("m.room.topic", "m.room.name"),
)


def a_case(seed: int, version: RoomVersion | None = None) -> Case:
    """The case of a seed."""
    draw = random.Random(seed)
    version = version or VERSIONS[seed % len(VERSIONS)]
    graph = Graph(version, draw)
    branches = [graph.begin()]
    for _ in range(draw.randrange(4)):
        graph.grow(branches[0])
    branches += [dict(branches[0]) for _ in range(draw.choice((1, 1, 1, 2, 3)))]
    for _ in range(draw.randrange(4, 26)):
        branch = draw.choice(branches)
        graph.grow(branch)
        if draw.random() < 0.06:
            branches[branches.index(branch)] = _merged(graph, draw.sample(branches, 2))
    sound = draw.random() < 0.6
    if not sound:
        _spoil(graph, branches)
    draw.shuffle(branches)
    return Case(version, tuple(branches), graph.events, frozenset(graph.rejected), sound)


def cases(first: int, count: int) -> Iterable[Case]:
    """The cases of a run of seeds."""
    return map(a_case, range(first, first + count))


def with_own_ids(case: Case, *, shift: int = 0) -> Case:
    """Return the case with the IDs that the events really have: from version 3 on their hashes.

    Args:
        case: the case.
        shift: is added to all times; generated ones can be before 1970, which some implementations refuse.
    """
    names: dict[str, EventID] = {}
    events = {}
    for name, event in case.events.items():
        pdu = dict(event.to_pdu())
        pdu["origin_server_ts"] += shift
        if not case.version.event_id_in_pdu:
            for key in ("auth_events", "prev_events"):
                pdu[key] = [names.get(listed, listed) for listed in pdu[key]]
        room = f"${pdu.get('room_id', '')[1:]}"
        if case.version.room_id_is_create_event and room in names:
            pdu["room_id"] = f"!{names[room][1:]}"
        made = Event.from_pdu(pdu, case.version).with_signers(event.signed_by)
        names[name] = made.event_id
        events[made.event_id] = made
    return attrs.evolve(
        case,
        events=events,
        rejected=frozenset(names.get(name, name) for name in case.rejected),
        state_sets=tuple(
            {place: names.get(name, name) for place, name in state.items()}
            for state in case.state_sets
        ),
    )


def _merged(graph: Graph, branches: list[dict[Place, EventID]]) -> dict[Place, EventID]:
    found = resolve(graph.version, branches, graph.events, rejected=frozenset(graph.rejected))
    return dict(found.state)


def _spoil(graph: Graph, branches: list[dict[Place, EventID]]) -> None:  # noqa: C901 - a list of mishaps
    """Make something of a room wrong."""
    draw, events = graph.draw, graph.events
    names = list(events)
    for _ in range(draw.choice((1, 1, 2, 4))):
        branch = draw.choice(branches)
        place = draw.choice(list(branch))
        match draw.randrange(8):
            case 0:
                events.pop(draw.choice(names), None)
            case 1:
                graph.rejected.add(draw.choice(names))
            case 2 if graph.rejected & events.keys():
                name = draw.choice(sorted(graph.rejected & events.keys()))
                branch[events[name].type, events[name].state_key or ""] = name
            case 3:
                del branch[place]
            case 4:
                graph.room_id, before = "!other:a.example", graph.room_id
                if not graph.version.room_id_is_create_event:
                    foreign = graph.make(*place[:1], ANA, {}, place[1], branch)
                    branch[place] = foreign.event_id
                graph.room_id = before
            case 5 if graph.version.event_id_in_pdu:
                _tie_a_knot(graph, branch)
            case 6:
                content = {"room_version": graph.version.identifier, "creator": USERS[1]}
                second = graph.make("m.room.create", USERS[1], content, "", {}, prev_events=[])
                if second.room_id == graph.room_id:
                    branch["m.room.create", ""] = second.event_id
            case _:
                # An event that some server let in although the rules forbid it.
                content = {"membership": draw.choice(("ban", "leave", "join"))}
                user = draw.choice(USERS)
                event = graph.make("m.room.member", draw.choice(USERS), content, user, branch)
                branch["m.room.member", user] = event.event_id


def _tie_a_knot(graph: Graph, branch: dict[Place, EventID]) -> None:
    """Two events that authorise each other, which IDs that are no hashes allow."""
    promised = graph.names[-2]
    name = (
        f"$e{promised}:a.example"
        if graph.version.event_id_in_pdu
        else "$" + f"{promised}".rjust(43, "x")
    )
    kind = graph.draw.choice(("m.room.power_levels", "m.room.join_rules", "m.room.topic"))
    first = graph.make(kind, ANA, {"users": {ANA: 100}}, "", branch, more_auth=[name])
    branch[kind, ""] = first.event_id
    second = graph.make(
        "m.room.power_levels", ANA, {"users": {ANA: 99}}, "", branch, more_auth=[first.event_id]
    )
    assert second.event_id == name
    branch["m.room.power_levels", ""] = second.event_id
