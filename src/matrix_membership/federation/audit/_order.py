"""Order events, each after its auth events, and keep what lists of these prove."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from matrix_membership.events import Event
from matrix_membership.federation.audit._report import Entry
from matrix_membership.identifiers import EventID
from matrix_membership.state import RoomState


def in_order(
    event_ids: Iterable[EventID],
    entries: Mapping[EventID, Entry],
    settled: Collection[tuple[EventID, ...]],
) -> Iterator[tuple[EventID, bool]]:
    """Yield all entries, each after those of its auth events that are at hand.

    The search keeps a stack of its own: a recursive one would end at chains of 1,000 events,
    which a hostile answer can have.

    `settled` has the lists of auth events that were all yielded; the caller adds to it
    meanwhile. Most events have one of these few lists, and then need no search.

    Yields:
        Each ID once, and whether the auth events of the event lead back to it. In a circle,
        that is the event that closes it; it comes before the events that wait for it. Cost:
        linear in the references.
    """
    done: set[EventID] = set()
    open_: set[EventID] = set()
    closing: set[EventID] = set()
    for start in event_ids:
        # Most members share a list of auth events. Once the list was judged, all that it leads to
        # is done, and such a member needs no stack.
        if entries[start].auth_events in settled and start not in done:
            done.add(start)
            yield start, False
            continue
        stack = [start]
        while stack:
            event_id = stack[-1]
            if event_id in done:
                stack.pop()
            elif event_id in open_:
                stack.pop()
                open_.discard(event_id)
                done.add(event_id)
                yield event_id, event_id in closing
            else:
                open_.add(event_id)
                for found in entries[event_id].auth_events:
                    # Only versions 1 and 2 allow this: where an ID is a hash, an event cannot name
                    # one that names it.
                    if found in open_:
                        closing.add(event_id)
                    elif found in entries and found not in done:
                        stack.append(found)


class Listed:
    """A list of auth events, and what judging one event by it proved for the next.

    Most members list the same few auth events. In a room of thousands of members the list is
    checked and made a state once, not once for each of them.
    """

    __slots__ = ("cases", "events", "ids", "in_order", "places", "root", "state")

    def __init__(self, ids: tuple[EventID, ...], events: list[Event], root: EventID | None) -> None:
        self.ids = ids
        self.events = events
        # The first event that was dropped, if one in the list is dropped or missing.
        self.root = root
        self.state: RoomState | None = None
        # True once rules 1 to 3 allowed one event with this list. They then allow every event
        # of this room that may list these places: they read nothing else of an event.
        self.in_order = False
        self.places = {(event.type, event.state_key) for event in events}
        # The cases of events that may list these places. It is filled only if no place
        # belongs to a user: then the case alone decides.
        self.cases: set[str] = set()

    def learn(self, event: Event) -> None:
        """Remember that the rules let this event list them."""
        self.in_order = True
        # All malformed member events share one case, although their memberships may differ.
        if self.places <= _OF_NO_USER and event.case != "m.room.member":
            self.cases.add(event.case)


_OF_NO_USER: Final = frozenset(
    {("m.room.create", ""), ("m.room.join_rules", ""), ("m.room.power_levels", "")}
)
