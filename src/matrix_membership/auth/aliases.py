"""Rule 4: aliases, in room versions 1 to 5."""

from __future__ import annotations

from matrix_membership.auth._rule import Category, Section, allows, numbers_of, rejects
from matrix_membership.events import Event
from matrix_membership.state import RoomState


# Version 6 dropped the rule. From then on aliases are judged as any other state event, and a server
# name as state key carries no right.
@rejects(v1="4.1", v6=None, category=Category.MALFORMED)
def no_state_key(event: Event, _: RoomState) -> bool:
    """The event has no state key."""
    return event.state_key is None


@rejects(v1="4.2", v6=None, category=Category.OF_ANOTHER)
def state_key_of_another_server(event: Event, _: RoomState) -> bool:
    """The state key is not the sender's server."""
    return event.state_key != event.server


# Ends the list: neither rule 6 nor rule 8 is asked. A server listed its aliases without a joined
# user and without a power level.
@allows(v1="4.3", v6=None)
def otherwise(event: Event, _: RoomState) -> bool:
    """A server lists its own aliases."""
    return True


ALIASES = Section(
    event_type="m.room.aliases",
    numbers=numbers_of({"v1": "4", "v6": None}),
    rules=(no_state_key, state_key_of_another_server, otherwise),
)
