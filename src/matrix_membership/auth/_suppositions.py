"""Complete a partial state in every way that could change a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from matrix_membership.events import Event
from matrix_membership.identifiers import is_user_id
from matrix_membership.membership import MEMBERSHIPS, UNKNOWN
from matrix_membership.state import RoomState


def suppositions(event: Event, state: RoomState) -> Iterator[RoomState]:
    """Suppose each membership of the users whom an event involves and the state leaves out.

    Args:
        event: the event. The rules read the memberships of its sender, its target user and
            the authorising user, and of nobody else.
        state: the partial state.

    Yields:
        States in which each of these users has some membership: at most 5 ** 3.
    """
    involved = {event.sender, event.state_key, event.authorised_via}
    users = filter(is_user_id, involved)  # not the token of a third-party invite
    missing = sorted(user for user in users if state.membership_of(user) is UNKNOWN)
    for guess in product(MEMBERSHIPS, repeat=len(missing)):
        yield _supposing(state, dict(zip(missing, guess, strict=True)))


def _supposing(state: RoomState, memberships: Mapping[str, str]) -> RoomState:
    """Return the state with these memberships added."""
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
