"""Find out which servers may ask about a room, and whether this one answers."""

from __future__ import annotations

from matrix_membership.errors import IncompleteState
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.receipt.server_acl import permits


def takes_part(room: ResidentRoom) -> bool:
    """Tell whether a user of this server is joined; true if that cannot be told."""
    try:
        return room.server_name in room.state.servers_in_room
    except IncompleteState:  # a state over a look-up: the caller, who passed it, knows
        return True


def denied(origin: str, room: ResidentRoom) -> MatrixError | None:
    """Return the error for a server that the room's access control list denies."""
    if permits(room.state, origin):
        return None
    return MatrixError.of("M_FORBIDDEN", f"the room's access control list denies {origin}")
