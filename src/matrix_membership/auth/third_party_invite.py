"""Rule 7 (versions 6 to 11: 6): `m.room.third_party_invite`."""

from __future__ import annotations

from matrix_membership.auth._rule import Category, Section, allows, numbers_of, rejects
from matrix_membership.events import Event
from matrix_membership.state import RoomState


@allows(v1="7.1", v6="6.1", v12="7.1")
def sender_may_invite(event: Event, state: RoomState) -> bool:
    """The sender has the invite level."""
    return state.power_level_of(event.sender) >= state.power_levels.invite


# This ends the list. The general rules on levels (8) and on state keys (9) are not asked, so a
# token may start with @.
@rejects(v1="7.1", v6="6.1", v12="7.1", category=Category.POWER)
def otherwise(event: Event, _: RoomState) -> bool:
    """The sender is below the invite level."""
    return True


THIRD_PARTY_INVITE = Section(
    event_type="m.room.third_party_invite",
    numbers=numbers_of({"v1": "7", "v6": "6", "v12": "7"}),
    rules=(sender_may_invite, otherwise),
)
