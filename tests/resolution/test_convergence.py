"""Honest servers agree on a room once everything has reached everybody, in any order of delivery.

The state after an event follows from the events before it alone. So what a server rejects, the state
after each event and the state of the whole graph are the same everywhere. Soft failure is the
exception, as the specification has it: it hangs on what a server had when the event came.
"""

from __future__ import annotations

import random
from typing import Final

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from matrix_membership import V1, V2, V6, V10, V11, V12, Event, RoomState, RoomVersion
from tests.resolution.simulator import Act, Deliver, Network, Server, Step, ids_of

SIX_VERSIONS = pytest.mark.parametrize("version", [V1, V2, V6, V10, V11, V12], ids=str)
MOVES: Final = (
    *("join", "leave", "kick", "ban", "invite", "public", "private"),
    *("promote", "demote", "topic", "message"),
)

places = st.integers(0, 2)
acts = st.builds(Act, places, st.sampled_from(MOVES), places)
deliveries = st.builds(Deliver, places, st.integers(0, 7))
steps = acts | deliveries
# Hypothesis makes short lists more often than long ones; the long ones still shrink to the short.
scripts = st.lists(steps, max_size=12) | st.lists(steps, min_size=12, max_size=30)
orders = st.randoms(use_true_random=False)


def healed(version: RoomVersion, script: list[Step], order: random.Random) -> Network:
    """A network on which a script was played, and then everything was delivered."""
    network = Network(version)
    network.play(script)
    network.heal(order)
    return network


def check_agreement(network: Network) -> None:
    """Check that all servers agree, as far as the specification lets them."""
    first, *others = network.servers
    ends = first.after.keys() - {parent for event in network.made for parent in event.prev_events}
    whole = ids_of(first.merged(ends))
    for other in others:
        assert other.rejected == first.rejected
        assert {name: ids_of(state) for name, state in other.after.items()} == {
            name: ids_of(state) for name, state in first.after.items()
        }
        assert ids_of(other.merged(ends)) == whole
        if other.soft_failed == first.soft_failed:
            assert other.tips == first.tips
            assert ids_of(other.state) == ids_of(first.state)


@SIX_VERSIONS
@settings(max_examples=30)
@given(scripts, orders)
def test_healed_servers_agree(
    version: RoomVersion, script: list[Step], order: random.Random
) -> None:
    check_agreement(healed(version, script, order))


@pytest.mark.slow
@SIX_VERSIONS
@settings(max_examples=400)
@given(scripts, orders)
def test_healed_servers_agree_in_many_rooms(
    version: RoomVersion, script: list[Step], order: random.Random
) -> None:
    check_agreement(healed(version, script, order))


@SIX_VERSIONS
@settings(max_examples=8)
@given(scripts, orders)
def test_a_server_that_comes_late_agrees_too(
    version: RoomVersion, script: list[Step], order: random.Random
) -> None:
    """It gets all events in any order, and has no current state of its own."""
    network = healed(version, script, order)
    late = Server(version, "d.example")
    made = list(network.made)
    order.shuffle(made)
    for event in made:
        late.take(event)
    assert late.rejected == network.servers[0].rejected
    assert {name: ids_of(state) for name, state in late.after.items()} == {
        name: ids_of(state) for name, state in network.servers[0].after.items()
    }


class TestPartitions:
    """Two servers act against each other while they are cut apart."""

    @SIX_VERSIONS
    @pytest.mark.parametrize(
        "script",
        [
            [Act(0, "kick", 2), Act(1, "promote", 2)],
            [Act(0, "demote", 1), Act(1, "kick", 2)],
            [Act(0, "ban", 2), Act(2, "leave"), Act(2, "join")],
            [Act(0, "private"), Act(1, "private"), Act(1, "public")],
        ],
        ids=["kick-promotion", "demotion-kick", "ban-join", "join-rules"],
    )
    def test_end_with_the_same_members(self, version: RoomVersion, script: list[Step]) -> None:
        network = healed(version, script, random.Random(0))
        check_agreement(network)
        first, *others = (set(server.state.joined_members()) for server in network.servers[:2])
        assert others == [first]


class TestSoftFailure:
    def test_can_keep_current_states_apart(self) -> None:
        """In version 1 Ben's join wins over the ban of which his server did not know.

        Ana's server soft-failed the join, and whatever follows from it: no event brings it in. The
        state of the whole graph is the same for both all the same.
        """
        script: list[Step] = [Act(0, "join", 0), Act(0, "ban", 1), Act(1, "join")]
        network = healed(V1, script, random.Random(0))
        check_agreement(network)
        of_ana, of_ben, _ = network.servers
        assert of_ana.soft_failed
        assert ids_of(of_ana.state) != ids_of(of_ben.state)


class LastParent(Server):
    """A server with a fault: it takes the state after one parent for the state before an event."""

    def state_before(self, event: Event) -> RoomState:
        return self.merged(event.prev_events[-1:])


def test_a_fault_shrinks_to_a_few_events() -> None:
    def disagree(script: list[Step]) -> bool:
        network = Network(V11, kinds=(Server, Server, LastParent))
        network.play(script)
        network.heal(random.Random(0))
        try:
            check_agreement(network)
        except AssertionError:
            return True
        return False

    found = find(
        scripts,
        disagree,
        settings=settings(
            max_examples=100,
            database=None,
            derandomize=True,
            phases=[Phase.generate, Phase.shrink],
        ),
    )
    assert len(found) <= 2
