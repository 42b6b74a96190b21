"""A snapshot of a room, from which a resident server makes its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

from matrix_membership._attrs import constant
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID, RoomID, ServerName, UserID
from matrix_membership.membership import Membership
from matrix_membership.state import RoomState

__all__ = ["ResidentRoom"]


def _sees_no_room(_user: UserID, _room: RoomID) -> None:
    """Return no membership. A snapshot with a lambda could not be pickled."""


@constant
class ResidentRoom:
    """A snapshot of a room that this server is in.

    Attributes:
        server_name: this server.
        state: the current state.
        prev_events: the IDs of the newest events (forward extremities), at most 20.
        depth: the greatest depth among them.
        get_event: returns an event of the room by its ID; None if it is not stored here. An
            event that it returns counts as known: it was judged when it came.
        rejected: the IDs of events that were rejected.
        memberships: returns the membership of a user in a room that a restricted join rule
            lists, as text or not; None if this server cannot see that room.
        local_users: this server's joined users; None to search them in the state.
        state_after: returns the state after some events, resolved where they are on different
            branches; None if one of them is unknown. It is asked for the state before an event
            that does not follow exactly the newest events. Without it (the default), `get_event`
            must know those events, and the current state stands for the state before. An event
            on an older branch is then judged by today's state alone.
    """

    server_name: ServerName
    state: RoomState
    prev_events: tuple[EventID, ...]
    depth: int
    get_event: Callable[[EventID], Event | None]
    rejected: AbstractSet[str] = frozenset()
    memberships: Callable[[UserID, RoomID], Membership | str | None] = _sees_no_room
    local_users: Iterable[str] | None = None
    state_after: Callable[[tuple[EventID, ...]], RoomState | None] | None = None

    @property
    def room_id(self) -> str:
        """The room ID; empty if the state has no create event."""
        create = self.state.create_event
        return "" if create is None else create.room_id
