"""A check reads no place outside `auth.needed_state`, and needs none."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from matrix_membership import Event, RoomState, auth
from matrix_membership.room_versions import KNOWN
from tests.generated_cases import events_of, generate

pytestmark = pytest.mark.long

VERSIONS = tuple(KNOWN)
CASES = 600


def as_stored(event: Event) -> Event:
    """The event as a host holds it."""
    document = {**event.document, "event_id": event.event_id}
    return Event.accepted(document, event.room_version, signed_by=event.signed_by)


def for_rules(event: Event) -> Event:
    """The event as a check alone needs it."""
    source = SimpleNamespace(**{**event.document, "event_id": event.event_id})
    version = event.room_version
    return Event.accepted(source, version, signed_by=event.signed_by, for_rules=True)


def watched(state: list[Event], read: list[tuple[str, str]]) -> Callable[[str, str], Event | None]:
    """A look-up that notes what is looked up."""
    held = {(entry.type, entry.state_key): entry for entry in state}

    def get(event_type: str, state_key: str) -> Event | None:
        read.append((event_type, state_key))
        return held.get((event_type, state_key))

    return get


@pytest.mark.parametrize("version", VERSIONS)
class TestNeededState:
    def test_gives_the_decision_of_the_whole_state(self, version: str) -> None:
        for seed in range(CASES):
            state, event = events_of(generate(seed, version))
            expected = auth.check(event, RoomState.of(KNOWN[version], state))
            needed = auth.needed_state(event)
            held = [entry for entry in state if (entry.type, entry.state_key) in needed]
            assert auth.check(event, RoomState.of(KNOWN[version], held)) == expected, seed
            ids = {(entry.type, entry.state_key or ""): entry.event_id for entry in state}
            by_id = {entry.event_id: entry for entry in state}
            filtered = RoomState.of_ids(ids, by_id, needed=needed, room_version=KNOWN[version])
            assert auth.check(event, filtered) == expected, seed

    def test_leaves_the_decision_open_without_one_of_its_places(self, version: str) -> None:
        for seed in range(CASES):
            state, event = events_of(generate(seed, version))
            expected = auth.check(event, RoomState.of(KNOWN[version], state))
            ids = {(entry.type, entry.state_key or ""): entry.event_id for entry in state}
            by_id = {entry.event_id: entry for entry in state}
            needed = auth.needed_state(event)
            for place in needed:
                filtered = RoomState.of_ids(
                    ids, by_id, needed=needed - {place}, room_version=KNOWN[version]
                )
                found = auth.check(event, filtered)
                assert found == expected or (found.undecided and found.missing), (seed, place)

    def test_gives_the_decision_of_a_partial_state(self, version: str) -> None:
        for seed in range(CASES):
            state, event = events_of(generate(seed, version))
            held = [entry for entry in state if entry.type != "m.room.member"]
            held += [entry for entry in state if entry.type == "m.room.member"][seed % 3 :]
            expected = auth.check(event, RoomState.of(KNOWN[version], held, partial=True))
            ids = {(entry.type, entry.state_key or ""): entry.event_id for entry in held}
            filtered = RoomState.of_ids(
                ids,
                {entry.event_id: entry for entry in held},
                needed=auth.needed_state(event),
                room_version=KNOWN[version],
                partial=True,
            )
            assert auth.check(event, filtered) == expected, seed

    def test_holds_every_place_that_is_looked_up(self, version: str) -> None:
        for seed in range(CASES):
            state, event = events_of(generate(seed, version))
            needed = auth.needed_state(event)
            looked_up: list[tuple[str, str]] = []

            auth.check(event, RoomState.over(KNOWN[version], watched(state, looked_up)))
            assert set(looked_up) <= needed, seed

    def test_is_the_same_for_an_event_that_a_host_accepted(self, version: str) -> None:
        for seed in range(CASES):
            state, event = events_of(generate(seed, version))
            accepted = as_stored(event)
            assert auth.needed_state(accepted) == auth.needed_state(event)
            theirs = RoomState.of(KNOWN[version], map(as_stored, state))
            ours = RoomState.of(KNOWN[version], state)
            assert auth.check(accepted, theirs) == auth.check(event, ours), seed
            assert auth.check(for_rules(event), theirs) == auth.check(event, ours), seed
