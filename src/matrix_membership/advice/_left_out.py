"""Tell whether a state leaves members out, who may be joined."""

from __future__ import annotations

from matrix_membership.errors import IncompleteState
from matrix_membership.state import RoomState


def lacks_members(state: RoomState) -> bool:
    """Tell whether a state is partial, or has a malformed event at a member's place.

    Cost: linear in the malformed events.
    """
    # A malformed event that was passed over says nothing of its user, who may be joined all the
    # same. Of a filtered state, any question about a member left out raises by itself.
    return state.is_partial or any(
        entry.type == "m.room.member" and not state.knows(entry.type, entry.state_key or "")
        for entry in state.passed_over
    )


def need_all_members(state: RoomState) -> None:
    """Raise if members may be missing: then what nobody can do is unknown.

    Raises:
        IncompleteState: the state leaves members out.
    """
    if lacks_members(state):
        raise IncompleteState("what hurts in the room", "all members")
