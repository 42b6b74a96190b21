"""Find what a restricted join hangs on: other rooms, and who authorises it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matrix_membership.advice._given import lacks_members
from matrix_membership.errors import IncompleteState
from matrix_membership.identifiers import RoomID, UserID
from matrix_membership.membership import JOIN, UNKNOWN, Membership, read_membership
from matrix_membership.restricted import authorisers, servers_that_can_authorise
from matrix_membership.state import RoomState


def by_membership(
    rooms: Iterable[RoomID], memberships: Mapping[str, Membership | str | None]
) -> Mapping[Membership, tuple[RoomID, ...]]:
    """Return the rooms that the user is joined to, and those that are unknown."""
    found = {
        room: read_membership(memberships.get(room), f"membership in {room}") or UNKNOWN
        for room in rooms
    }
    return {
        wanted: tuple([room for room, membership in found.items() if membership is wanted])
        for wanted in (JOIN, UNKNOWN)
    }


def authoriser_of(state: RoomState) -> UserID | None:
    """Return a joined user who may authorise joins; None if nobody can.

    Raises:
        IncompleteState: it depends on members whom the state does not tell.
    """
    for server in servers_that_can_authorise(state):
        found = next(authorisers(state, server), None)
        if found is not None:
            return found
    # A user without a level of their own can authorise too if the default level suffices. A
    # look-up function cannot list these users.
    if state.power_levels.users_default >= state.power_levels.invite:
        state.joined_members()
    if lacks_members(state):
        raise IncompleteState("who can authorise the join", "members")
    return None
