"""Receipt and admission of an event with several previous events: their states are resolved."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import V3, V6, V11, V12, Event, RoomState, RoomVersion
from matrix_membership.identifiers import EventID
from matrix_membership.machine import admit
from matrix_membership.receipt import Check, Disposition, Receipt, receive, reevaluate
from tests.builders import ANA, BEN, KEYS, SIGNER_B, decision
from tests.histories import a_history

FOUR_VERSIONS = pytest.mark.parametrize("version", [V3, V6, V11, V12], ids=str)
BEA = "@bea:b.example"
TOPIC = {"topic": "cats"}


class Fork:
    """A public room in which Ana bans Ben on one branch, and sets a topic on the other."""

    def __init__(self, version: RoomVersion) -> None:
        before = a_history(version)
        self.join = before.member(BEN, "join", signer=SIGNER_B)
        self.left = before.with_member(BEN, "ban", sender=ANA)
        self.right = before.with_state("m.room.topic", TOPIC)
        self.version = version

    @property
    def states(self) -> list[RoomState]:
        """The states at both ends."""
        return [self.left.state, self.right.state]

    @property
    def events(self) -> dict[EventID, Event]:
        """All events of both branches."""
        return {event.event_id: event for event in (*self.left.events, *self.right.events)}

    def received(self, event: Event, **more: Any) -> Receipt:
        """The receipt of an event that follows both ends, for a server that has the topic only."""
        given: dict[str, Any] = {
            "keys": KEYS,
            "auth_events": self.events.get,
            "state_before": self.states,
            "current_state": self.right.state,
            **more,
        }
        return receive(event.pdu, self.version, **given)


class TestReceive:
    @FOUR_VERSIONS
    def test_rejects_by_the_resolved_state(self, version: RoomVersion) -> None:
        """By either what the join lists or the current state it would be accepted."""
        fork = Fork(version)
        receipt = fork.received(fork.join)
        assert (receipt.disposition, receipt.check, receipt.decision, receipt.provisional) == (
            Disposition.REJECTED,
            Check.STATE_BEFORE,
            decision("join.while_banned", version),
            False,
        )

    @FOUR_VERSIONS
    def test_accepts_by_the_resolved_state(self, version: RoomVersion) -> None:
        fork = Fork(version)
        assert fork.received(fork.left.member(BEA, "join", signer=SIGNER_B))

    def test_takes_the_events_as_a_collection(self) -> None:
        fork = Fork(V11)
        at_hand = list(fork.events.values())
        assert fork.received(fork.join, auth_events=at_hand) == fork.received(fork.join)

    def test_takes_one_state_for_a_state(self) -> None:
        fork = Fork(V11)
        state = fork.right.state
        one = fork.received(fork.join, state_before=[state, state])
        assert one == fork.received(fork.join, state_before=state)

    @FOUR_VERSIONS
    def test_takes_no_state_for_the_empty_one(self, version: RoomVersion) -> None:
        create = a_history(version).events[0]
        empty = RoomState.of(version, [])
        assert Fork(version).received(create, state_before=[], current_state=empty)

    def test_passes_over_rejected_events(self) -> None:
        fork = Fork(V11)
        ban = fork.left.events[-1].event_id
        assert fork.received(fork.join, rejected={ban})

    def test_is_provisional_without_the_auth_chains(self) -> None:
        fork = Fork(V11)
        levels = [
            fork.left.with_state("m.room.power_levels", {"users": {ANA: 100}}),
            fork.left.with_state("m.room.power_levels", {"users": {ANA: 100}, "ban": 60}),
        ]
        longer = levels[0].with_state("m.room.power_levels", {"users": {ANA: 100}, "ban": 70})
        states = [longer.state, levels[1].state]
        event = fork.right.event("m.room.message", ANA, {})
        receipt = fork.received(event, state_before=states)
        assert (bool(receipt), receipt.provisional) == (True, True)


class TestReevaluate:
    def test_judges_by_the_resolved_state(self) -> None:
        fork = Fork(V11)
        in_part = fork.right.in_part(ANA)
        early = fork.received(fork.join, state_before=in_part, current_state=in_part)
        assert early.provisional
        change = reevaluate(
            early,
            auth_events=fork.events.get,
            state_before=fork.states,
            current_state=fork.right.state,
        )
        assert change is not None
        assert change.after == fork.received(fork.join)


class TestAdmit:
    @FOUR_VERSIONS
    def test_judges_by_the_resolved_state(self, version: RoomVersion) -> None:
        fork = Fork(version)
        refused = admit(fork.join.with_signers({"b.example"}), fork.states, events=fork.events)
        assert refused.decision == decision("join.while_banned", version)
        assert refused.state.get("m.room.topic") == fork.right.events[-1]

    @FOUR_VERSIONS
    def test_adds_the_event_to_the_resolved_state(self, version: RoomVersion) -> None:
        fork = Fork(version)
        event = fork.left.member(BEA, "join", signer=SIGNER_B).with_signers({"b.example"})
        admission = admit(event, iter(fork.states), events=fork.events.get)
        assert admission
        found = {entry.event_id for entry in admission.state.events}
        assert found == {*fork.events, event.event_id}

    def test_needs_no_events_for_one_state(self) -> None:
        fork = Fork(V11)
        event = fork.join.with_signers({"b.example"})
        assert admit(event, [fork.right.state]) == admit(event, fork.right.state)
