"""The mainline is walked no further than somebody asks."""

from __future__ import annotations

from matrix_membership.identifiers import EventID
from matrix_membership.resolution._graph import Graph
from matrix_membership.resolution._mainline import OFF_MAINLINE, Mainline
from matrix_membership.room_versions import V2, V11
from tests.builders import ANA, BEN
from tests.resolution.forks import Fork, a_fork

LEVELS = ("m.room.power_levels", "")


def a_long_mainline(fork: Fork, count: int = 20) -> list[EventID]:
    """Power levels that were changed this often, the newest first."""
    names = [fork.state[LEVELS]]
    names += [fork.levels(ANA, {BEN: number}) for number in range(count)]
    return names[::-1]


class TestMainline:
    def test_positions_count_from_the_newest(self) -> None:
        fork = a_fork(V11)
        line = a_long_mainline(fork)
        found = Mainline(line[0], Graph(V11, fork.events.get))
        assert found.position(fork.add("m.room.topic", ANA, {})) == 0
        assert [found.position(name) for name in line[:-1]] == list(range(1, 21))
        assert found.position(line[-1]) == OFF_MAINLINE

    def test_a_branch_counts_from_where_it_left(self) -> None:
        fork = a_fork(V11)
        branch = fork.branch()
        line = a_long_mainline(fork)
        branch.levels(ANA, {BEN: 1})
        branch.levels(ANA, {BEN: 2})
        topic = branch.add("m.room.topic", ANA, {})
        for _ in range(2):
            found = Mainline(line[0], Graph(V11, fork.events.get))
            assert found.position(topic) == 20
            assert found.position(branch.state[LEVELS]) == 20

    def test_is_not_walked_beyond_what_is_asked_for(self) -> None:
        fork = a_fork(V11)
        line = a_long_mainline(fork)
        topic = fork.add("m.room.topic", ANA, {})
        graph = Graph(V11, fork.events.get)
        Mainline(line[0], graph).position(topic)
        assert set(line) - graph.events.keys() == set(line[1:])

    def test_another_mainline_counts_for_nothing(self) -> None:
        fork = a_fork(V11)
        topic = fork.add("m.room.topic", ANA, {})
        other = Fork(V11, fork.events, {})
        other.levels(ANA, {})
        found = Mainline(other.state[LEVELS], Graph(V11, fork.events.get))
        assert found.position(topic) == OFF_MAINLINE
        assert found.position(fork.add("m.room.name", ANA, {})) == OFF_MAINLINE

    def test_of_no_power_levels_is_empty(self) -> None:
        fork = a_fork(V11)
        found = Mainline(None, Graph(V11, fork.events.get))
        assert found.position(fork.add("m.room.topic", ANA, {})) == OFF_MAINLINE

    def test_where_ids_are_no_hashes_it_is_walked_whole(self) -> None:
        fork = a_fork(V2)
        line = a_long_mainline(fork)
        graph = Graph(V2, fork.events.get)
        Mainline(line[0], graph)
        assert set(line) <= graph.events.keys()

    def test_a_circle_of_hashes_that_are_none_has_an_end(self) -> None:
        fork = a_fork(V11)
        line = a_long_mainline(fork, 1)
        names = [EventID("$" + letter * 43) for letter in "pq"]
        for name, other in zip(names, reversed(names), strict=True):
            event = fork.make("m.room.power_levels", ANA, {}, auth_events=[other])
            fork.events[name] = type(event).from_pdu(event.pdu, V11, event_id=name)
        topic = fork.add("m.room.topic", ANA, {}, auth_events=[names[0]])
        found = Mainline(line[0], Graph(V11, fork.events.get))
        assert found.position(topic) == OFF_MAINLINE
