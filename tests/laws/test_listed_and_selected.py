"""The rules on auth events allow a list of exactly what the state selects, in whichever way it is selected."""

from __future__ import annotations

from typing import Final

import pytest

from matrix_membership import Event, RoomState, auth
from matrix_membership.auth.auth_events import parts_selected
from matrix_membership.room_versions import KNOWN
from tests.generated_cases import events_of, generate

CASES: Final = 600


def held(state: RoomState, event: Event) -> set[Event]:
    """The events in the places selected, each looked up by itself."""
    places = auth.select_auth_events(event)
    return {entry for place in places if (entry := state.get(*place)) is not None}


@pytest.mark.parametrize("version", KNOWN)
class TestThePartsSelected:
    def test_are_each_place_once(self, version: str) -> None:
        for seed in range(CASES):
            _, event = events_of(generate(seed, version))
            (_, types), places = parts_selected(event)
            parts = [*((event_type, "") for event_type in types), *places]
            assert len(parts) == len({*parts})
            assert {*parts} == {*auth.select_auth_events(event)}

    def test_are_found_behind_a_look_up_too(self, version: str) -> None:
        for seed in range(CASES // 4):
            events, event = events_of(generate(seed, version))
            state = RoomState.of(KNOWN[version], events)
            (_, types), places = parts_selected(event)
            over = RoomState.over(KNOWN[version], state.get)
            assert over.in_places(types, places) == state.in_places(types, places)


@pytest.mark.parametrize("version", KNOWN)
class TestTheListThatTheStateSelects:
    # `receive` asks none of these rules then, but whether the rooms are one.
    def test_breaks_no_rule_but_of_another_room(self, version: str) -> None:
        fired = set()
        for seed in range(CASES):
            events, event = events_of(generate(seed, version))
            state = RoomState.of(KNOWN[version], events)
            create = state.create_event
            if create is None or event.type == "m.room.create":
                continue
            (_, types), places = parts_selected(event)
            found = [entry for entry in state.in_places(types, places) or () if entry]
            assert {*found} == held(state, event)
            ids = [entry.event_id for entry in found]
            decision = auth.check_auth_events(event, found, listed=ids, create=create)
            in_one_room = {entry.room_id for entry in found} <= {event.room_id}
            if KNOWN[version].room_id_is_create_event:
                in_one_room = in_one_room and event.room_id[1:] == create.event_id[1:]
            assert decision.allowed == in_one_room, seed
            fired.add(decision.rule)
        assert fired <= {
            "auth_events.otherwise",
            "auth_events.of_another_room",
            "auth_events.room_id_of_no_accepted_create_event",
        }
        assert "auth_events.otherwise" in fired


@pytest.mark.parametrize("version", KNOWN)
def test_a_missing_event_leaves_the_decision_open_or_does_not_matter(version: str) -> None:
    for seed in range(200):
        state, event = events_of(generate(seed, version))
        selected = auth.select_auth_events(event)
        listed = [entry for entry in state if (entry.type, entry.state_key) in selected]
        create = next((entry for entry in state if entry.type == "m.room.create"), None)
        ids = [entry.event_id for entry in listed]
        whole = auth.judge(event, listed, create=create, listed_ids=ids)
        for gone in listed:
            if gone.type == "m.room.create":
                continue
            held = [entry for entry in listed if entry is not gone]
            found = auth.judge(event, held, create=create, listed_ids=ids, missing=[gone.event_id])
            assert found == whole or found.undecided, (seed, gone)
