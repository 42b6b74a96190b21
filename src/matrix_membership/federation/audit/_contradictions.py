"""Find signs that the state in an answer is not that before the join.

None of them proves a lie, so all are only noted. State resolution can undo an event, and a
server that sends a join twice is in the room the second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from matrix_membership.events import Event
from matrix_membership.federation.audit._report import Defect, Entry, Severity
from matrix_membership.identifiers import EventID, ServerName
from matrix_membership.state import RoomState


def contradictions(
    state: RoomState,
    told: Iterable[Entry],
    auth_chain: Mapping[EventID, Event],
    entries: Mapping[EventID, Entry],
    join: Event,
) -> Iterator[Defect]:
    """Yield a defect for each contradiction of state, auth chain and join.

    `state` and `auth_chain` are the good events; `told` is the state as the answer has it.
    """
    # As it was told, with what the audit dropped: a place whose event fell is not empty, and its
    # event has a defect already.
    places = {(entry.type, entry.state_key) for entry in told}
    if state.get("m.room.member", join.sender) == join:
        yield _noted("after_join", "the state is the one after the join", join.event_id)
    for event_id, event in auth_chain.items():
        if event.state_key is None:
            continue
        there = state.get(event.type, event.state_key)
        # If members were omitted, an absent one contradicts nothing.
        left_out = state.is_partial and event.type == "m.room.member"
        if there is not None and there.event_id in entries[event_id].auth_events:
            detail = f"{event_id} of the chain has replaced it"
            yield _noted("replaced", detail, there.event_id)
        elif not left_out and (event.type, event.state_key) not in places:
            yield _noted("absent_from_state", "nothing in the state has its place", event_id)


def untold(servers: Iterable[ServerName]) -> Iterator[Defect]:
    """Yield a defect for each server of a joined member that was not named."""
    for server in sorted(servers):
        detail = f"{server} has a joined member, and is not among the servers in the room"
        yield _noted("server_untold", detail)


def _noted(code: str, detail: str, event_id: str = "") -> Defect:
    return Defect(Severity.NOTED, code, detail, event_id)
