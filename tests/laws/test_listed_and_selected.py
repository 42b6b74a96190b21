"""The rules on auth events allow a list of exactly what the state selects."""

from __future__ import annotations

from typing import Final

import pytest

from matrix_membership import RoomState, auth
from matrix_membership.room_versions import KNOWN
from tests.generated_cases import events_of, generate

CASES: Final = 600


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
            found = state.in_places(auth.select_auth_events(event))
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
