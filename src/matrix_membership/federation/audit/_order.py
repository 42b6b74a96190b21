"""The order in which events can be judged: each after those that authorise it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from matrix_membership.federation.audit._report import Entry
from matrix_membership.identifiers import EventID

__all__ = ["in_order"]


def in_order(
    event_ids: Iterable[EventID],
    entries: Mapping[EventID, Entry],
    settled: Collection[tuple[EventID, ...]],
) -> Iterator[tuple[EventID, bool]]:
    """All entries, each after its auth events, as far as they are at hand.

    Args:
        event_ids: where to begin, in this order; one may stand there twice.
        entries: the entries.
        settled: lists of auth events all of which were given already; more may come to
            it meanwhile. Most events list the same few.

    Returns:
        Each ID once, and whether the event's auth events lead back to itself: of a circle
        the event that closes it, which comes before those that wait for it.
    """
    done: set[EventID] = set()
    open_: set[EventID] = set()
    closing: set[EventID] = set()
    for start in event_ids:
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
                    if found in open_:
                        closing.add(event_id)
                    elif found in entries and found not in done:
                        stack.append(found)
