"""A receipt has what each of its checks gives by itself, whatever the checks share."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

import pytest

from matrix_membership import Event, RoomState, auth
from matrix_membership.auth import Decision
from matrix_membership.auth.auth_events import parts_selected
from matrix_membership.receipt import Check, _judge, _Room
from matrix_membership.room_versions import KNOWN
from tests.generated_cases import events_of, generate

CASES: Final = 400


def listed_by(event: Event, state: RoomState, draw: random.Random) -> list[Event]:
    """What the state selects, in any order; sometimes with a fault, or with a copy of an event."""
    (_, types), places = parts_selected(event)
    found = [entry for entry in state.in_places(types, places) or () if entry]
    draw.shuffle(found)
    match draw.randrange(8):
        case 0:
            return found[1:]
        case 1:
            return [*found, *found[:1]]
        case 2:
            return [*found, *draw.sample([*state.events], 1)]
        case 3:
            copies = [again(entry) for entry in found[:1]]
            return [*copies, *found[1:]]
    return found


def again(event: Event) -> Event:
    """An equal event that is another object."""
    return Event.from_pdu(event.pdu, event.room_version, event_id=event.event_id)


def one_by_one(
    event: Event, listed: list[Event], before: RoomState, current: RoomState
) -> tuple[Check | None, Decision]:
    """The failed check and the decision, each check run anew."""
    judged = (
        (
            Check.AUTH_EVENTS,
            auth.judge(
                event,
                listed,
                create=before.create_event,
                listed_ids=[entry.event_id for entry in listed],
            ),
        ),
        (Check.STATE_BEFORE, auth.check(event, before)),
        (Check.CURRENT_STATE, auth.check(event, current)),
    )
    for check, decision in judged:
        if not decision.allowed and not decision.undecided:
            return check, decision
    decisions = [decision for _, decision in judged]
    return None, next((one for one in decisions if one.undecided), decisions[-1])


@pytest.mark.parametrize("version", KNOWN)
def test_receipt_has_what_each_check_gives_by_itself(version: str) -> None:
    seen: Counter[Check | None] = Counter()
    for seed in range(CASES):
        draw = random.Random(seed)
        events, event = events_of(generate(seed, version))
        if event.type == "m.room.create" or not events:
            continue
        before = RoomState.of(KNOWN[version], events)
        others = RoomState.of(KNOWN[version], draw.sample(events, len(events) - 1))
        current = draw.choice([before, before, others])
        listed = listed_by(event, before, draw)
        at_hand = {entry.event_id: entry for entry in listed}
        room = _Room(KNOWN[version], at_hand.get, before, current, frozenset(), None)
        ids = tuple(entry.event_id for entry in listed)
        receipt = _judge(event, room, redacted=False, listed=ids)
        found = [at_hand[event_id] for event_id in ids]
        expected = one_by_one(event, found, before, current)
        assert (receipt.check, receipt.decision) == expected, seed
        seen[receipt.check] += 1
    assert min(seen[check] for check in (None, Check.AUTH_EVENTS)) > CASES // 20
