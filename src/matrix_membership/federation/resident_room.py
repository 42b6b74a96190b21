"""A room as a server that is in it knows it at one moment: what its answers are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

from matrix_membership._attrs import constant
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID, RoomID, ServerName, UserID
from matrix_membership.membership import Membership
from matrix_membership.state import RoomState

__all__ = ["ResidentRoom"]


@constant
class ResidentRoom:
    """A room as this server knows it at one moment.

    Attributes:
        server_name: this server.
        state: the current state.
        prev_events: the IDs of the newest events, at most 20.
        depth: the greatest depth among them.
        get_event: gives an event of the room by its ID; None when it is not at hand.
        rejected: IDs of events that were rejected.
        memberships: of a user who wants to join a restricted room, the memberships
            in the rooms to check: takes a user and a room, None for a room that this
            server cannot look into.
        local_users: this server's joined users, when they are at hand.
    """

    server_name: ServerName
    state: RoomState
    prev_events: tuple[EventID, ...]
    depth: int
    get_event: Callable[[EventID], Event | None]
    rejected: AbstractSet[str] = frozenset()
    memberships: Callable[[UserID, RoomID], Membership | None] = lambda _user, _room: None
    local_users: Iterable[str] | None = None

    @property
    def room_id(self) -> str:
        """The room's ID; empty for a state without a create event."""
        create = self.state.create_event
        return "" if create is None else create.room_id
