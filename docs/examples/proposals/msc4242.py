"""MSC4242: events that list no auth events, because each server calculates them.

An event names the state events that it follows, in `prev_state_events`. They have to be accepted
state events of its room. What authorises it is looked up in the state before it, which these
events lead to.

The rules say all of that here. The field itself and the answer to send_join stay as in version
12: a rulebook would need the event format and the messages as values too.

https://github.com/matrix-org/matrix-spec-proposals/pull/4242
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from matrix_membership import V12, Event, RoomState, auth
from matrix_membership.auth import rejects
from matrix_membership.auth.auth_events import AuthEvents


def nothing(_: Event) -> frozenset[tuple[str, str]]:
    """Return what an event lists as its auth events: nothing."""
    return frozenset()


# The chapter on auth events judges `prev_state_events` in their place. That an event follows
# the same one twice, or events that could not authorise it, is in order.
@rejects("3.1")
def follows_other_than_state(_: Event, followed: AuthEvents) -> bool:
    """An event of prev_state_events has no state key."""
    return any(entry.state_key is None for entry in followed.events)


VERSION = V12.evolve(
    identifier="org.matrix.msc4242.12",
    rules=auth.rulebook(V12)
    .replace("auth_events.duplicates", follows_other_than_state)
    .remove("auth_events.unexpected")
    .select(nothing),
)


def calculated_auth_events(event: Event, state: RoomState) -> tuple[Event, ...]:
    """Return the events of the state before an event that authorise it, in a fixed order."""
    like_version_12 = Event.from_client_event(event.document, V12)
    places = sorted(auth.select_auth_events(like_version_12))
    return tuple([found for place in places if (found := state.get(*place)) is not None])


def check(
    event: Event,
    state: RoomState,
    prev_state_events: Iterable[Event],
    *,
    rejected: AbstractSet[str] = frozenset(),
) -> auth.Decision:
    """Judge an event by the state events that it follows, then by the state before it."""
    decision = auth.check_auth_events(
        event, prev_state_events, rejected=rejected, create=state.create_event, listed=()
    )
    # Rule 1 judges a create event, by what it is alone.
    judged = decision.allowed and event.type != "m.room.create"
    return auth.check(event, state) if judged else decision
