"""A room on several servers that lag, part, and misbehave: what holds on each of them.

There is no state resolution here. Each server keeps a linear view of its own: it judges
events in the order in which they reach it, each against the state that it has by then.
Views may therefore differ, as they do between servers that never hear of each other;
the laws are those of one view, and of any two that saw the same in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from matrix_membership import Event, RoomState, RoomVersion, machine, strategies
from matrix_membership._attrs import evolve
from matrix_membership.auth import Decision
from matrix_membership.identifiers import server_of
from matrix_membership.strategies import RoomHistory

pytestmark = pytest.mark.long

SERVERS: Final = ("a.example", "b.example", "c.example")
USERS: Final = ("@ana:a.example", "@ben:b.example", "@cleo:c.example", "@dan:a.example")
ANA: Final = USERS[0]

LETS_IN: Final = frozenset(
    {
        *("join.first_join_of_the_creator", "join.invited_to_invite_room", "join.public_room"),
        *("join.invited_to_invite_or_knock_room", "join.invited_to_restricted_room"),
        "join.authorised_by_a_member",
    }
)
"""The rules that allow joins."""


@attrs.define
class Server:
    """One server's view of the room, with all that it ever decided."""

    history: RoomHistory
    inbox: list[Event] = attrs.field(factory=list)
    outbox: list[Event] = attrs.field(factory=list)
    decided: dict[Event, tuple[RoomState, Decision]] = attrs.field(factory=dict)
    reachable: bool = True

    def take(self, event: Event, admission: machine.Admission) -> None:
        """Remember what became of an event; one that was seen before is passed over."""
        if event not in self.decided:
            self.decided[event] = (self.history.state, admission.decision)
            if admission:
                self.history = self.history.with_event(event)

    def verdicts(self, event_type: str) -> Iterator[tuple[Event, RoomState, Decision]]:
        """The decisions that allowed events of a type, with the states before them."""
        for event, (before, decision) in self.decided.items():
            if event.type == event_type and decision:
                yield event, before, decision


class MisbehavingRoom(RuleBasedStateMachine):
    """Ana makes a room; everybody does what they can think of; messages wait on the way."""

    users = Bundle("users")
    admit = staticmethod(machine.admit)

    def __init__(self) -> None:
        super().__init__()
        self.servers: dict[str, Server] = {}

    @initialize(target=users, version=strategies.room_versions(), public=st.booleans())
    def create(self, version: RoomVersion, public: bool) -> Any:
        history = made_by_ana(version)
        if public:
            history = with_public_join_rule(history)
        self.servers = {name: Server(history) for name in SERVERS}
        return multiple(*USERS)

    # ------------------------------------------------------------ what people do

    def send(self, sender: str, fields: Mapping[str, object], *, honest: bool = True) -> None:
        """Send an event from the sender's server to all.

        An honest server does not send what its own view rejects.
        """
        home = self.servers[server_of(sender)]
        event = home.history.next_event(sender, fields)
        admission = self.admit(event, home.history.state)
        if admission or not honest:
            home.take(event, admission)
            home.outbox.append(event)
            self.exchange()

    def exchange(self) -> None:
        """Move events on the way to the servers that can be reached."""
        for home in self.servers.values():
            if home.reachable:
                for server in self.servers.values():
                    server.inbox += home.outbox if server is not home else []
                home.outbox.clear()

    @rule(
        sender=users,
        user=users,
        membership=st.sampled_from(("join", "invite", "leave", "ban", "knock")),
        honest=st.sampled_from((True, True, False)),
    )
    def change_membership(self, sender: str, user: str, membership: str, honest: bool) -> None:
        content = {"membership": membership}
        fields = {"type": "m.room.member", "state_key": user, "content": content}
        self.send(sender, fields, honest=honest)

    @rule(sender=users)
    def join(self, sender: str) -> None:
        self.change_membership(sender, sender, "join", honest=False)

    @rule(sender=users, user=users)
    def ban_and_come_back(self, sender: str, user: str) -> None:
        self.change_membership(sender, user, "ban", honest=True)
        self.change_membership(user, user, "join", honest=False)

    @rule(sender=users, join_rule=st.sampled_from(("public", "invite", "knock", "restricted")))
    def change_join_rule(self, sender: str, join_rule: str) -> None:
        fields = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": join_rule}}
        self.send(sender, fields)

    @rule(
        sender=users,
        user=users,
        level=st.sampled_from((50, 100, 0, 49, 51, 101)),
        honest=st.booleans(),
    )
    def change_level(self, sender: str, user: str, level: int, honest: bool) -> None:
        state = self.servers[server_of(sender)].history.state
        current = state.get("m.room.power_levels")
        content = {} if current is None else dict(current.content)
        first = {} if state.room_version.privileged_creators else {ANA: 100}
        content["users"] = {**content.get("users", first), user: level}
        fields = {"type": "m.room.power_levels", "state_key": "", "content": content}
        self.send(sender, fields, honest=honest)

    # ------------------------------------------------------------ what the network does

    @rule(name=st.sampled_from(SERVERS), count=st.sampled_from((1, 2, 100)))
    def deliver(self, name: str, count: int) -> None:
        for _ in range(count):
            self.deliver_one(name, 0)

    @rule(name=st.sampled_from(SERVERS))
    def deliver_the_latest_first(self, name: str) -> None:
        self.deliver_one(name, -1)

    def deliver_one(self, name: str, position: int) -> None:
        server = self.servers[name]
        if server.reachable and server.inbox:
            event = server.inbox.pop(position)
            server.take(event, self.admit(event, server.history.state))

    @rule(name=st.sampled_from(SERVERS))
    def part(self, name: str) -> None:
        self.servers[name].reachable = False

    @precondition(lambda self: not all(server.reachable for server in self.servers.values()))
    @rule()
    def heal(self) -> None:
        for server in self.servers.values():
            server.reachable = True
        self.exchange()

    # ------------------------------------------------------------ what holds all the time

    @invariant()
    def no_rejected_event_is_in_a_state(self) -> None:
        for server in self.servers.values():
            rejected = {event for event, (_, decision) in server.decided.items() if not decision}
            assert rejected.isdisjoint(server.history.state.events)
            assert rejected.isdisjoint(server.history.events)

    @invariant()
    def state_is_what_the_events_say(self) -> None:
        for server in self.servers.values():
            said = RoomState.of(server.history.room_version, server.history.events)
            assert said == server.history.state

    @invariant()
    def nobody_goes_from_banned_to_joined(self) -> None:
        for server in self.servers.values():
            memberships: dict[str | None, object] = {}
            for event in server.history.events:
                if event.type == "m.room.member":
                    now = event.content["membership"]
                    assert (memberships.get(event.state_key), now) != ("ban", "join")
                    memberships[event.state_key] = now

    @invariant()
    def whoever_joined_was_let_in_by_a_named_rule(self) -> None:
        for server in self.servers.values():
            for event, _, decision in server.verdicts("m.room.member"):
                assert event.content["membership"] != "join" or decision.rule in LETS_IN

    @invariant()
    def power_never_rises_out_of_nothing(self) -> None:
        for server in self.servers.values():
            for event, before, _ in server.verdicts("m.room.power_levels"):
                assert_power_comes_from_above(event, before)

    def teardown(self) -> None:
        """Replay every view to the same decisions and the same state."""
        for server in self.servers.values():
            for event, (before, decision) in server.decided.items():
                assert self.admit(event, before).decision == decision
            state = RoomState.of(server.history.room_version, [])
            for event in server.history.events:
                state = self.admit(event, state).state
            assert state == server.history.state


def made_by_ana(version: RoomVersion) -> RoomHistory:
    content: dict[str, object] = {"room_version": version.identifier}
    if version.creator_in_content:
        content["creator"] = ANA
    create: dict[str, object] = {"type": "m.room.create", "state_key": "", "content": content}
    if not version.room_id_is_create_event:
        create["room_id"] = "!room:a.example"
    join = {"type": "m.room.member", "state_key": ANA, "content": {"membership": "join"}}
    history = RoomHistory(version)
    for fields in (create, join):
        history = history.with_event(history.next_event(ANA, fields))
    return history


def with_public_join_rule(history: RoomHistory) -> RoomHistory:
    fields = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "public"}}
    return history.with_event(history.next_event(ANA, fields))


def assert_power_comes_from_above(event: Event, before: RoomState) -> None:
    """Nobody gets more power than the sender has; who has as much keeps it."""
    own = before.power_level_of(event.sender)
    levels = event.content.get("users", {})
    current = before.get("m.room.power_levels")
    if current is None:
        assert event.sender == ANA  # who made the room says who has power in it
        return
    held = current.content.get("users", {})
    for user in {*levels, *held}:
        if levels.get(user) != held.get(user):
            assert levels.get(user, 0) <= own
            assert user == event.sender or held.get(user, own - 1) < own


@pytest.mark.parametrize(
    ("examples", "steps"),
    [(40, 30), pytest.param(1500, 50, marks=pytest.mark.slow)],
    ids=["a few", "many"],
)
def test_rules_hold_in_a_misbehaving_room(examples: int, steps: int) -> None:
    run(MisbehavingRoom, examples=examples, steps=steps)


@pytest.mark.parametrize(
    "rule_left_out",
    [
        *("join.while_banned", "join.otherwise", "power_levels.sets_user_above_own"),
        *(
            "power_levels.changes_user_not_below_own",
            "every_event.sender_below_required_power_level",
        ),
    ],
)
def test_room_notices_a_rule_that_is_left_out(rule_left_out: str) -> None:
    def admit(event: Event, state: RoomState) -> machine.Admission:
        admission = machine.admit(event, state)
        if admission.decision.rule != rule_left_out:
            return admission
        allowed = evolve(admission.decision, allowed=True)
        return machine.Admission(allowed, None, state.with_event(event), admission.evidence)

    sabotaged = type("Sabotaged", (MisbehavingRoom,), {"admit": staticmethod(admit)})
    with pytest.raises(AssertionError):
        run(sabotaged, examples=500, steps=30, phases=[Phase.generate], derandomize=True)


def run(room: type[MisbehavingRoom], *, examples: int, steps: int, **options: Any) -> None:
    how = settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        report_multiple_bugs=False,
        **options,
    )
    run_state_machine_as_test(room, settings=how)
