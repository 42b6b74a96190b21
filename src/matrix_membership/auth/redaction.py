"""Rule 11: redactions, in room versions 1 and 2."""

from __future__ import annotations

from matrix_membership.auth._rule import Category, Section, allows, numbers_of, rejects
from matrix_membership.events import Event
from matrix_membership.identifiers import is_event_id, server_of
from matrix_membership.state import RoomState


@allows(v1="11.1", v3=None)
def sender_may_redact(event: Event, state: RoomState) -> bool:
    """The sender has the redact level."""
    return state.power_level_of(event.sender) >= state.power_levels.redact


# From version 3 on event IDs are hashes and name no server, so the rule ended. Servers look at the
# sender when they apply a redaction.
@allows(v1="11.2", v3=None)
def of_an_event_of_the_same_server(event: Event, _: RoomState) -> bool:
    """The redacted event's ID is of the same server as the redaction's."""
    # The two event IDs are compared, as the text says, where gomatrixserverlib takes the sender's
    # domain. A `redacts` that is not text, which Synapse allows, falls to the next rule.
    redacts = event.redacts
    return (
        is_event_id(redacts) and ":" in redacts and server_of(redacts) == server_of(event.event_id)
    )


@rejects(v1="11.3", v3=None, category=Category.POWER)
def otherwise(event: Event, _: RoomState) -> bool:
    """The sender is below the redact level and the event is another server's."""
    return True


REDACTION = Section(
    event_type="m.room.redaction",
    numbers=numbers_of({"v1": "11", "v3": None}),
    rules=(sender_may_redact, of_an_event_of_the_same_server, otherwise),
)
