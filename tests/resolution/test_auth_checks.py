"""The states by which events are judged in a resolution: the views of what stands in them."""

from __future__ import annotations

import gc
from typing import Final

import pytest

from matrix_membership import Event, RoomState, RoomVersion
from matrix_membership.identifiers import EventID
from matrix_membership.resolution import resolve
from matrix_membership.resolution._auth_checks import Judge
from matrix_membership.resolution._graph import Graph
from matrix_membership.room_versions import V1, V11, V12
from tests.builders import ANA, BEN
from tests.resolution.forks import a_fork

CREATE: Final = ("m.room.create", "")
LEVELS: Final = ("m.room.power_levels", "")
RULES: Final = ("m.room.join_rules", "")
VIEWS: Final = ("create", "create_event", "power_levels", "join_rule", "allow")


@pytest.mark.parametrize("place", [CREATE, LEVELS, RULES])
@pytest.mark.parametrize("instead", [None, ("m.room.member", BEN), CREATE, LEVELS, RULES])
def test_a_judge_views_what_a_look_up_shows(
    place: tuple[str, str], instead: tuple[str, str] | None
) -> None:
    room = a_fork(V11)
    topic = EventID(room.add("m.room.topic", ANA, {"topic": "x"}))
    start = {name: event_id for name, event_id in room.state.items() if name != place}
    if instead is not None:  # a state may name any event for any place
        start[place] = room.state[instead]
    graph = Graph(V11, room.events.get)

    def get(event_type: str, state_key: str) -> Event | None:
        event_id = start.get((event_type, state_key))
        return None if event_id is None else room.events[event_id]

    judge = Judge(start, graph, listed_too=False)
    judge.choose(topic, graph.auth_events(topic))
    over = RoomState.over(V11, get, prepare=True)
    assert judge.state.prepared[1] == over.prepared[1]
    for name in VIEWS:
        assert getattr(judge.state, name) is getattr(over, name)
    for user in (ANA, BEN):
        assert judge.state.power_level_of(user) == over.power_level_of(user)
        assert judge.state.get_member(user) is over.get_member(user)


@pytest.mark.parametrize("version", [V1, V11, V12], ids=str)
def test_a_resolution_leaves_nothing_to_the_garbage_collector(version: RoomVersion) -> None:
    room = a_fork(version)
    other = room.branch()
    for branch in (room, other):
        branch.levels(ANA, {BEN: len(room.events)})
        branch.add("m.room.topic", ANA, {"topic": f"{len(room.events)}"})
    gc.collect()
    gc.disable()
    try:
        resolve(version, [room.state, other.state], room.events)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_the_room_id_of_version_12_names_the_create_event_before_the_room_is_settled() -> None:
    room = a_fork(V12)
    topic = EventID(room.add("m.room.topic", ANA, {"topic": "x"}))
    graph = Graph(V12, room.events.get)
    graph.load([topic])
    judge = Judge({}, graph)
    judge.choose(topic, graph.auth_events(topic))
    assert judge.state.create_event is room.events[room.state[CREATE]]
