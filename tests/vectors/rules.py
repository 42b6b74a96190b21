"""One smallest case for every rule of every version, with the rules that were tried before it fired."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.auth import Decision
from matrix_membership.auth.auth_events import AuthEvents
from matrix_membership.auth.explaining import TriedRule, try_rules
from tests.rule_cases import CASES, Make
from tests.vectors.signed import really_signed

Decides = Callable[[list[Event]], Decision]


def cases(version: RoomVersion, made: Mapping[str, Make] = CASES) -> Iterator[dict[str, Any]]:
    """The cases of a version, in the order of its rules; a version of one's own needs its own cases."""
    for number, rule in auth.rules_of(version).numbered:
        case = made[rule.name](version)
        make = _on_auth_events if isinstance(case.against, AuthEvents) else _on_state
        yield {
            "id": f"v{version}/{rule.name}",
            "room_version": version.identifier,
            **make(case.event, case.against, version),
            "rule": rule.name,
            "number": number,
            "allowed": rule.allows,
        }


def _on_state(event: Event, state: Any, version: RoomVersion) -> dict[str, Any]:
    def decide(kept: list[Event]) -> Decision:
        return auth.check(event, RoomState.of(version, kept))

    kept = _shrunk(list(state.events), decide)
    signed, made = really_signed(kept, event, version)
    explanation = auth.explain(made, RoomState.of(version, signed))
    return {
        "judged_by": "create" if event.type == "m.room.create" else "state",
        "state": [entry.to_pdu() for entry in signed],
        "event": made.to_pdu(),
        "silent": _silent(explanation.steps),
    }


def _on_auth_events(event: Event, against: Any, version: RoomVersion) -> dict[str, Any]:
    places = list(against.events)
    known = {entry.event_id: entry for entry in (*places, against.create) if entry is not None}
    signed, made = really_signed(known.values(), event, version)
    renamed = {
        old.event_id: new
        for old, new in zip(
            sorted(known.values(), key=lambda entry: entry.type != "m.room.create"),
            signed,
            strict=True,
        )
    }
    listed = tuple(renamed[entry.event_id] for entry in places)
    create = None if against.create is None else renamed[against.create.event_id]
    rejected = frozenset(renamed[found].event_id for found in against.rejected if found in renamed)
    judged = AuthEvents.of(event, listed, rejected, create)
    book = auth.rulebook(version)
    rules = book.create if event.type == "m.room.create" else book.auth_events
    return {
        "judged_by": "auth_events",
        "auth_events": [entry.to_pdu() for entry in listed],
        "create": None if create is None else create.to_pdu(),
        "rejected": sorted(rejected),
        "event": made.to_pdu(),
        "silent": _silent(try_rules(rules, made, lambda _: judged)),
    }


def _silent(tried: tuple[TriedRule, ...]) -> list[str]:
    """The rules that were tried and did not fire."""
    return [step.name for step in tried if step.name and not step.fired]


def _shrunk(state: list[Event], decide: Decides) -> list[Event]:
    """The least of the state on which the decision is the same: each event left out makes it another one."""
    decision = decide(state)
    for event in list(state):
        fewer = [entry for entry in state if entry is not event]
        if event.type != "m.room.create" and decide(fewer) == decision:
            state = fewer
    return state
