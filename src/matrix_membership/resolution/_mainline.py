"""The mainline of a power levels event, and the mainline ordering.

See the `definitions`__ of algorithm 2.

__ https://spec.matrix.org/v1.19/rooms/v12/#definitions
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from matrix_membership.identifiers import EventID
from matrix_membership.resolution._graph import Graph

__all__ = ["OFF_MAINLINE", "MainlineRank", "mainline", "mainline_ordering"]

MainlineRank = tuple[int, int, EventID]
"""What events are compared by: mainline position, negated; time sent; ID."""

OFF_MAINLINE: Final = 2**53
"""The position of an event that no event of the mainline authorises: more than there are."""


def mainline(power_levels: EventID | None, graph: Graph) -> list[EventID]:
    """A power levels event, the one that authorised it, and so on to the first of the room."""
    line: dict[EventID, None] = {}
    while power_levels is not None and power_levels not in line:
        line[power_levels] = None
        before = graph.power_levels(power_levels)
        power_levels = None if before is None else before.event_id
    return list(line)


def mainline_ordering(
    event_ids: Iterable[EventID], line: list[EventID], graph: Graph
) -> list[MainlineRank]:
    """Sort events by the newest event of the mainline that they are based on, oldest first.

    Args:
        event_ids: the events.
        line: the mainline.
        graph: where the events are.

    Returns:
        The events in order, each as what it was compared by. Cost: n log n in the events, and
        linear in the power levels events between them and the mainline.
    """
    positions = {event_id: position for position, event_id in enumerate(line)}
    return sorted(
        [
            (-_position(event_id, positions, graph), graph.links(event_id)[1], event_id)
            for event_id in event_ids
        ]
    )


def _position(event_id: EventID, positions: dict[EventID, int], graph: Graph) -> int:
    """The mainline position of an event. Keeps that of the power levels on the way."""
    listed = graph.power_levels(event_id)
    if listed is None:
        return OFF_MAINLINE
    position = positions.get(listed.event_id)
    if position is not None:
        return position
    passed: dict[EventID, None] = {}
    while listed is not None and listed.event_id not in passed:
        position = positions.get(listed.event_id)
        if position is not None:
            break
        passed[listed.event_id] = None
        listed = graph.power_levels(listed.event_id)
    position = OFF_MAINLINE if position is None else position
    positions.update(dict.fromkeys(passed, position))
    return position
