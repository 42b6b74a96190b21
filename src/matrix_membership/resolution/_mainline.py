"""The mainline of a power levels event, and the mainline ordering.

See the `definitions`__ of algorithm 2. A room whose power levels changed 50,000 times has a
mainline of that length, and a resolution needs its newest few. So it is walked only as far
as the events in dispute ask for, at the pace of a walk from the event that asks.

__ https://spec.matrix.org/v1.19/rooms/v12/#definitions
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from matrix_membership.identifiers import EventID
from matrix_membership.resolution._graph import Graph

__all__ = ["OFF_MAINLINE", "Mainline", "MainlineRank", "mainline_ordering"]

MainlineRank = tuple[int, int, EventID]
"""The sort key of an event: mainline position, negated; time sent; ID."""

OFF_MAINLINE: Final = 2**53
"""The position of an event that no event of the mainline authorises: more than there are."""


class Mainline:
    """A power levels event, the one that authorised it, and so on to the first.

    Args:
        power_levels: the event at its end; None for a room without one.
        graph: where the events are.
    """

    __slots__ = ("_last", "_length", "_positions", "_power_levels")

    def __init__(self, power_levels: EventID | None, graph: Graph) -> None:
        self._power_levels = graph.power_levels
        self._last = power_levels
        self._length = 1
        self._positions = {} if power_levels is None else {power_levels: 0}
        # IDs of versions 1 and 2 are not hashes, so a mainline can lead back into itself. There it
        # is walked whole: what is met first depends on where a walk begins.
        if graph.room_version.event_id_in_pdu:
            while self._walk_on() is not None:
                pass

    def position(self, event_id: EventID) -> int:
        """Return the mainline position of an event.

        Cost: amortised linear in the events between it and the mainline, and in the part of the
        mainline before that position.
        """
        power_levels, positions = self._power_levels, self._positions
        before = power_levels(event_id)
        # Most events list power levels whose position is known.
        if before is not None and (found := positions.get(before.event_id)) is not None:
            return found
        # Two walks in step: one from the event down its own power levels, one along the mainline.
        # Whichever meets the other first ends both, so a short distance costs little on either
        # side.
        passed: dict[EventID, None] = {}
        found = None
        while found is None:
            if before is not None and before.event_id not in passed:
                name = before.event_id
                found = positions.get(name)
                if found is not None:
                    break
                passed[name] = None
                before = power_levels(name)
            elif self._last is None:
                found = OFF_MAINLINE
            reached = self._walk_on()
            if reached in passed:
                # The events behind it are not known yet.
                found = positions[reached]
                names = list(passed)
                passed = dict.fromkeys(names[: names.index(reached)])
        # All events that were passed on the way have the same position. Kept, it shortens the walks
        # of the next events.
        if passed:
            positions.update(dict.fromkeys(passed, found))
        return found

    def _walk_on(self) -> EventID | None:
        """Go to the next event of the mainline, and return it; None at its end."""
        last, self._last = self._last, None
        before = None if last is None else self._power_levels(last)
        if before is None or before.event_id in self._positions:
            return None
        self._positions[before.event_id] = self._length
        self._length += 1
        self._last = before.event_id
        return self._last


def mainline_ordering(
    event_ids: Iterable[EventID], line: Mainline, graph: Graph
) -> list[MainlineRank]:
    """Sort events by the event of the mainline that they are based on.

    Args:
        event_ids: the events.
        line: the mainline.
        graph: where the events are.

    Returns:
        The events in order, each as what it was compared by. Cost: n log n in the events, and
        linear in the power levels events between them and the mainline and in the part of the
        mainline that they are based on.
    """
    events, auth_events = graph.events, graph.auth_events
    positions: dict[tuple[EventID, ...], int] = {}
    ranks: list[MainlineRank] = []
    for name in event_ids:
        listed = auth_events(name)
        # The position follows from the list, and many events have the same one.
        found = positions.get(listed)
        if found is None:
            found = positions[listed] = line.position(name)
        ranks.append((-found, events[name].origin_server_ts, name))
    ranks.sort()
    return ranks
