"""Judge a kick, ban or unban by another user, by the few events at hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from matrix_membership import auth
from matrix_membership.auth import Decision
from matrix_membership.events import Event
from matrix_membership.identifiers import ServerName
from matrix_membership.membership import JOIN, UNKNOWN
from matrix_membership.out_of_band._verdicts import Reason, Verdict
from matrix_membership.state import RoomState


def judge_by_proofs(
    event: Event, held: Event, proofs: Iterable[Event], servers_seen: Collection[ServerName]
) -> tuple[Verdict, Reason, Decision | None]:
    """Judge an event that another user sent after the held one.

    `proofs` are the signed PDUs of the room that came with the held event.
    """
    if event.server not in servers_seen:
        return Verdict.UNKNOWN, Reason.SERVER_UNSEEN, None
    state = RoomState.of(held.room_version, [*proofs, held], partial=True)
    if state.membership_of(event.sender) not in (JOIN, UNKNOWN):
        return Verdict.UNKNOWN, Reason.SENDER_NOT_JOINED, None
    if not _shows_power_of(event.sender, state):
        return Verdict.LIKELY, Reason.POWER_UNSEEN, None
    decision = auth.check(event, state.with_event(_supposed_join(event)))
    if not decision.allowed:
        return Verdict.UNKNOWN, Reason.POWER_LACKING, decision
    return Verdict.LIKELY, Reason.POWER_SEEN, decision


def _shows_power_of(user: str, state: RoomState) -> bool:
    """Tell whether a state shows a user's power level, without a default."""
    if state.create_event is None:
        return False
    # Levels that were not told must not become defaults: by default a moderator has 0, and the ban
    # looks forged.
    return state.power_levels.exists or user in state.create.privileged


def _supposed_join(event: Event) -> Event:
    """Return a join of the sender, without which the rules reject the event."""
    # In client format, which needs no signature: this event is neither sent nor kept.
    return Event.from_client_event(
        {
            "type": "m.room.member",
            "sender": event.sender,
            "state_key": event.sender,
            "content": {"membership": "join"},
        },
        event.room_version,
    )
