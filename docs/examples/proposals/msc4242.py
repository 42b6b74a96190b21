"""MSC4242: events that list no auth events, because each server calculates them.

Only the rules are amended here: nothing may be listed, and what authorises an event is looked
up in the state before it. The proposal also gives events a field of their own,
`prev_state_events`, and changes the answer to send_join. A rulebook cannot say that: it would
need the event format and the messages as values too.

https://github.com/matrix-org/matrix-spec-proposals/pull/4242
"""

from __future__ import annotations

from matrix_membership import V12, Event, RoomState, auth


def nothing(_: Event) -> frozenset[tuple[str, str]]:
    """Return what an event lists: nothing. Rule 3.2 rejects an event that lists something."""
    return frozenset()


VERSION = V12.evolve(identifier="org.example.msc4242.12", rules=auth.rulebook(V12).select(nothing))


def calculated_auth_events(event: Event, state: RoomState) -> tuple[Event, ...]:
    """Return the events of the state before an event that authorise it, in a fixed order."""
    like_version_12 = Event.from_client_event(event.document, V12)
    places = sorted(auth.select_auth_events(like_version_12))
    return tuple([found for place in places if (found := state.get(*place)) is not None])


def check(event: Event, state: RoomState) -> auth.Decision:
    """Judge an event against the state before it, by what it lists and by what authorises it."""
    decision = auth.check_auth_events(event, (), create=state.create_event)
    return auth.check(event, state) if decision else decision
