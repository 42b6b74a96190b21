"""Planted resets are found and named in generated histories, and clean histories raise no alarm.

`make resolution` runs `RESET_HISTORIES` planted histories and ten times as many clean ones.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Final

import pytest

from matrix_membership import Event, RoomState, auth
from matrix_membership.canonical_json import thaw
from matrix_membership.resolution import Repair, Reset, resets, resolve
from tests.resolution.planted import PLANTS, History, a_clean_history, a_planted_history

PLANTED: Final = int(os.environ.get("RESET_HISTORIES", "2000"))
CLEAN: Final = 10 * PLANTED
PARTS: Final = 10
A_FEW: Final = 2 * len(PLANTS)


def faults(history: History) -> list[str]:
    """What is wrong with the resets that are found in a planted history."""
    found = resolve(history.room.version, history.state_sets, history.room.events)
    named = resets(history.room.state, found)
    wrong = [] if history.place in [reset.place for reset in named] else ["not found"]
    for reset in named:
        if (reset.cause, reset.branches) != (history.cause, history.branches):
            wrong.append(f"{reset.place} has another cause: {reset.cause} in {reset.branches}")
        elif not proved(history, reset):
            wrong.append(f"{reset.place} is the same without {reset.cause}")
        if reset.repair is None or not repaired(reset.repair, history, found.room_state()):
            wrong.append(f"{reset.place} is not repaired by {reset.repair}")
    return wrong


def proved(history: History, reset: Reset) -> bool:
    """Tell whether another event wins when the cause, and what it authorises, is left out."""
    events = history.room.events
    without = {reset.cause}
    for event in sorted(events.values(), key=lambda event: event.depth):
        if not without.isdisjoint(event.auth_events):
            without.add(event.event_id)
    found = resolve(
        history.room.version,
        history.state_sets,
        events,
        rejected={name for name in without if name is not None},
    )
    return found.state.get(reset.place) != reset.after


def repaired(repair: Repair, history: History, state: RoomState) -> bool:
    """Tell whether the rules let the repair be sent, and the lost content after it."""
    lost = history.room.events[repair.content_of]
    steps = [] if repair.first is None else [{"membership": str(repair.first)}]
    for content, sender in [
        *((step, repair.sender) for step in steps),
        (thaw(lost.content), lost.sender if steps else repair.sender),
    ]:
        kind, state_key = repair.place
        fields = {"type": kind, "sender": sender, "state_key": state_key, "content": content}
        event = Event.from_client_event(fields, lost.room_version).with_signers(lost.signed_by)
        event = event.with_signers({event.server, *lost.signed_by})
        if not auth.check(event, state).allowed:
            return False
        state = state.with_event(event)
    return True


def part(count: int, number: int) -> range:
    """One of the parts of a run of seeds."""
    return range(count * number // PARTS, count * (number + 1) // PARTS)


@pytest.mark.parametrize("seed", range(A_FEW))
def test_a_planted_reset_is_found_and_named(seed: int) -> None:
    assert faults(a_planted_history(seed)) == []


@pytest.mark.parametrize("seed", range(4 * A_FEW))
def test_a_clean_history_raises_no_alarm(seed: int) -> None:
    assert alarms(a_clean_history(seed)) == ()


def alarms(history: History) -> tuple[Reset, ...]:
    """The resets that are seen on the newest branch of a clean history."""
    found = resolve(history.room.version, history.state_sets, history.room.events)
    return resets(history.room.state, found)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(PARTS))
def test_all_planted_resets_are_found_and_named(number: int) -> None:
    wrong = {
        seed: found for seed in part(PLANTED, number) if (found := faults(a_planted_history(seed)))
    }
    assert wrong == {}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(PARTS))
def test_no_clean_history_raises_an_alarm(number: int) -> None:
    wrong = [seed for seed in part(CLEAN, number) if alarms(a_clean_history(seed))]
    assert wrong == []


def test_the_clean_histories_are_not_trivial() -> None:
    """In most the branches differ, and in many an event of the newest branch was replaced."""
    seen: Counter[str] = Counter()
    for seed in range(200):
        history = a_clean_history(seed)
        found = resolve(history.room.version, history.state_sets, history.room.events)
        seen["disputed"] += bool(found.conflicted)
        seen["replaced"] += any(
            found.state.get(place) != name for place, name in history.room.state.items()
        )
    assert seen["disputed"] > 120
    assert seen["replaced"] > 40
