"""A partial state supposed whole: every membership that those left out could have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from matrix_membership.events import Event
from matrix_membership.identifiers import is_user_id
from matrix_membership.membership import MEMBERSHIPS, UNKNOWN
from matrix_membership.state import RoomState


def suppositions(event: Event, state: RoomState) -> Iterator[RoomState]:
    """Every whole state that a partial one could be, as far as an event's judgement goes.

    Args:
        event: the event: its sender, its target and who vouches are who matters.
        state: the partial state.

    Yields:
        States in which each of them who was left out has one of the memberships.
    """
    involved = {event.sender, event.state_key, event.authorised_via}
    users = filter(is_user_id, involved)  # not the token of a third-party invite
    missing = sorted(user for user in users if state.membership_of(user) is UNKNOWN)
    for guess in product(MEMBERSHIPS, repeat=len(missing)):
        yield _supposing(state, dict(zip(missing, guess, strict=True)))


def _supposing(state: RoomState, memberships: Mapping[str, str]) -> RoomState:
    """A state in which these users have these memberships."""
    supposed = {
        user: Event.from_client_event(
            {
                "type": "m.room.member",
                "sender": user,
                "state_key": user,
                "content": {"membership": membership},
            },
            state.room_version,
        )
        for user, membership in memberships.items()
    }

    def get(event_type: str, state_key: str) -> Event | None:
        if event_type == "m.room.member" and state_key in supposed:
            return supposed[state_key]
        return state.get(event_type, state_key)

    return RoomState.over(state.room_version, get)
