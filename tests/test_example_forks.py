"""Two example homeservers that were cut apart act against each other, meet again, and agree."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from homeserver import joining
from homeserver.rooms import MOST_PREV_EVENTS, Room
from homeserver.server import Homeserver
from matrix_membership import Event, RoomState, RoomVersion
from matrix_membership.federation import Joined
from matrix_membership.membership import BAN, JOIN
from matrix_membership.resolution import resolve
from tests.test_examples import between_two, joined

SIX_VERSIONS = pytest.mark.parametrize("version", ["1", "2", "6", "10", "11", "12"])


class Apart:
    """A room of Ana (100), on one server, and of Ben (50), on another one, which are cut apart."""

    def __init__(self, host: Homeserver, guest: Homeserver, room: Room, ours: Room) -> None:
        self.host, self.guest = host, guest
        self.rooms = (room, ours)
        self.ana, self.ben = f"@ana:{host.name}", f"@ben:{guest.name}"
        self.cay = f"@cay:{guest.name}"
        self.untold: tuple[list[Event], list[Event]] = ([], [])

    @classmethod
    async def begin(cls, host: Homeserver, guest: Homeserver, version: str) -> Apart:
        """Make the room, and let Ben join."""
        users = {f"@ben:{guest.name}": 50}
        if version != "12":
            users[f"@ana:{host.name}"] = 100
        room = host.create_room(f"@ana:{host.name}", version, levels={"users": users})
        end = await joining.join(
            guest, f"@ben:{guest.name}", room.room_id, [host.name], omit_members=False
        )
        assert isinstance(end, Joined), end
        return cls(host, guest, room, guest.rooms[room.room_id])

    def acts(self, sender: str, kind: str, content: Any, state_key: str | None = "") -> None:
        """Put an event into the room on the sender's server; the other one does not get it."""
        place = 0 if sender == self.ana else 1
        server = (self.host, self.guest)[place]
        event = server.send(self.rooms[place], sender, kind, content, state_key=state_key)
        self.untold[place].append(event)

    def member(self, sender: str, target: str, membership: str) -> None:
        self.acts(sender, "m.room.member", {"membership": membership}, target)

    def demote(self, user: str) -> None:
        levels = self.rooms[0].state.get("m.room.power_levels")
        assert levels is not None
        users = {**levels.content["users"], user: 0}
        self.acts(self.ana, "m.room.power_levels", {**levels.content, "users": users})

    async def meet(self) -> None:
        """Tell each server what the other one did meanwhile."""
        told = [tuple(events) for events in self.untold]
        for events in self.untold:
            events.clear()
        await self.host.tell([self.guest.name], *told[0])
        await self.guest.tell([self.host.name], *told[1])

    async def go_on(self) -> None:
        """Let each server say something after the other, which ties the branches together."""
        for sender in (self.ana, self.ben):
            self.acts(sender, "m.room.message", {"body": "hello"}, None)
            await self.meet()

    def agree(self) -> bool:
        """Tell whether both servers have the same newest events and the same state."""
        room, ours = self.rooms
        return room.prev_events == ours.prev_events and same(room.state, ours.state)


def same(one: RoomState, other: RoomState) -> bool:
    return set(one.events) == set(other.events)


def apart(version: str, acts: Callable[[Apart], Awaitable[Any]]) -> None:
    """Play what happens between two servers that are in one room."""

    async def scenario(host: Homeserver, guest: Homeserver) -> None:
        await acts(await Apart.begin(host, guest, version))

    between_two(scenario)


@SIX_VERSIONS
class TestCutApart:
    def test_a_demotion_undoes_a_kick(self, version: str) -> None:
        async def acts(room: Apart) -> None:
            room.member(room.cay, room.cay, "join")
            await room.meet()
            room.demote(room.ben)
            room.member(room.ben, room.cay, "leave")
            await room.meet()
            assert [found.state.membership_of(room.cay) for found in room.rooms] == [JOIN, JOIN]
            await room.go_on()
            assert room.agree()

        apart(version, acts)

    def test_a_ban_undoes_a_join(self, version: str) -> None:
        async def acts(room: Apart) -> None:
            room.member(room.ana, room.cay, "ban")
            room.member(room.cay, room.cay, "join")
            await room.meet()
            assert [found.state.membership_of(room.cay) for found in room.rooms] == [BAN, BAN]
            await room.go_on()
            assert room.agree()

        apart(version, acts)

    def test_of_two_join_rules_one_stands(self, version: str) -> None:
        async def acts(room: Apart) -> None:
            room.acts(room.ana, "m.room.join_rules", {"join_rule": "invite"})
            room.acts(room.ben, "m.room.join_rules", {"join_rule": "private"})
            room.acts(room.ben, "m.room.topic", {"topic": "only there"})
            await room.meet()
            one, other = (found.state for found in room.rooms)
            assert one.get("m.room.join_rules") == other.get("m.room.join_rules")
            assert one.get("m.room.topic") == other.get("m.room.topic") is not None
            await room.go_on()
            assert room.agree()

        apart(version, acts)

    def test_what_was_lost_is_asked_for(self, version: str) -> None:
        async def acts(room: Apart) -> None:
            room.member(room.ana, room.cay, "ban")
            room.demote(room.ben)
            room.acts(room.ben, "m.room.topic", {"topic": "only there"})
            for sender, lost in zip((room.ana, room.ben), room.untold, strict=True):
                lost.clear()  # then only a message that follows it arrives
                room.acts(sender, "m.room.message", {"body": "hello"}, None)
            await room.meet()
            await room.go_on()
            assert room.agree()
            state = room.rooms[1].state
            assert state.membership_of(room.cay) is BAN
            assert state.power_level_of(room.ben) == 0

        apart(version, acts)

    def test_both_branches_are_newest_until_an_event_follows_them(self, version: str) -> None:
        async def acts(room: Apart) -> None:
            room.acts(room.ana, "m.room.topic", {"topic": "x"})
            room.acts(room.ben, "m.room.name", {"name": "x"})
            branches = {events[0].event_id for events in room.untold}
            await room.meet()
            for found in room.rooms:
                assert set(found.prev_events) == branches
            room.acts(room.ana, "m.room.message", {"body": "hello"}, None)
            assert set(room.untold[0][0].prev_events) == branches
            await room.meet()
            assert room.agree()
            before = [found.before[found.prev_events[0]] for found in room.rooms]
            assert same(*before)
            assert before[0].get("m.room.topic") is not None
            assert before[0].get("m.room.name") is not None

        apart(version, acts)


def test_a_branch_too_many_does_not_push_out_another_one() -> None:
    """A stranger could end a ban by that."""

    async def acts(room: Apart) -> None:
        host, ours = room.rooms
        start = host.prev_events, host.state, host.depth
        room.member(room.ana, room.cay, "ban")
        branches = []
        for number in range(MOST_PREV_EVENTS + 5):
            ours.prev_events, ours.state, ours.depth = start
            room.acts(room.ben, "m.room.message", {"body": str(number)}, None)
            branches.append(room.untold[1][-1])
        await room.meet()
        assert len(host.prev_events) == MOST_PREV_EVENTS
        assert host.state.membership_of(room.cay) is BAN
        assert all(host.knows(event.event_id) for event in branches)

    apart("11", acts)


def test_messages_on_a_branch_cost_no_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a large room with many branches, strangers could keep a server busy by them."""
    resolved = []

    def counted(
        version: RoomVersion, states: Sequence[RoomState], *events: Any, **options: Any
    ) -> Any:
        resolved.append(len(states))
        return resolve(version, states, *events, **options)

    monkeypatch.setattr("homeserver.rooms.resolve", counted)

    async def acts(room: Apart) -> None:
        room.acts(room.ana, "m.room.topic", {"topic": "x"})
        room.acts(room.ben, "m.room.name", {"name": "x"})
        for number in range(10):
            room.acts(room.ben, "m.room.message", {"body": str(number)}, None)
        first = room.untold[0][0].event_id
        await room.host.tell([room.guest.name], *room.untold[0])
        assert resolved == [2]
        await room.guest.tell([room.host.name], *room.untold[1])
        assert resolved == [2, 2]
        assert set(room.rooms[0].prev_events) == {first, room.untold[1][-1].event_id}
        assert same(*(found.state for found in room.rooms))

    apart("11", acts)


def test_a_fork_keeps_the_servers_that_a_join_was_told() -> None:
    async def scenario(host: Homeserver, guest: Homeserver) -> None:
        room, ours = await joined(host, guest)
        assert ours.state.is_partial
        topic = host.send(room, f"@ana:{host.name}", "m.room.topic", {"topic": "x"}, state_key="")
        guest.send(ours, f"@ben:{guest.name}", "m.room.message", {"body": "y"})
        await host.tell([guest.name], topic)
        assert len(ours.prev_events) == 2
        assert ours.state.is_partial
        assert ours.state.servers_in_room == {host.name, guest.name}
        assert guest.takes_part_in(room.room_id)

    between_two(scenario)
