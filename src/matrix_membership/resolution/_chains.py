"""The chain index: auth differences and subgraphs without walking auth chains.

Most events replace one of their auth events: power levels list the power levels before them,
a member event the one before it. So the auth graph falls into chains: in each of them an
event authorises the next. An event that reaches one of a chain reaches all before that
one. So one number for each chain tells which events a set reaches.

Between two chains only those edges are kept that lead further up than the ones before. They are
a staircase: a search by halves finds how far an event of the one reaches into the other. The
chains that matter to authorisation are as many as the users who had power or are in dispute.
Their length makes no difference.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import field

from matrix_membership._attrs import frozen
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.resolution._batches import Batches, found_in, with_batch
from matrix_membership.resolution._links import links_of
from matrix_membership.resolution._state_sets import (
    Place,
    unconflicted_state_map,
)

__all__ = ["ChainIndex", "Reach"]

Spot = tuple[int, int]
"""The spot of an event: the number of its chain, its position there from 1."""

Stairs = tuple[tuple[int, ...], tuple[int, ...]]
"""Edges from one chain into another: positions in the one, ascending, and how far each leads."""

Chain = tuple[int, "Place | None", Mapping[int, Stairs]]
"""A chain: its length, the place of its events, and the edges into others by their number."""


@frozen
class Reach:
    """The events that a set of events reaches along auth events.

    Attributes:
        up_to: for each chain, by its number in the index, the last position that is reached.
    """

    up_to: Mapping[int, int] = field(repr=False)

    def __hash__(self) -> int:
        return hash(frozenset(self.up_to.items()))


@frozen
class ChainIndex:
    """The auth graph of a room, as chains. A value: it grows by `with_events`.

    Only state events need be in it. An event has to come after its auth events: one that is
    listed before it came counts as an event without auth events from then on.

    >>> from matrix_membership.room_versions import V11
    >>> len(ChainIndex.of([]))
    0

    .. versionadded:: 0.1.0
    """

    _spots: Batches[EventID, Spot] = field(repr=False)
    _ids: Batches[Spot, EventID] = field(repr=False)
    _chains: Batches[int, Chain] = field(repr=False)
    _count: int
    _size: int

    def __hash__(self) -> int:
        return hash((self._count, self._size))

    @classmethod
    def of(cls, events: Iterable[Event]) -> ChainIndex:
        """Index events, each after its auth events. Cost: as `with_events`."""
        return cls((), (), (), 0, 0).with_events(events)

    def __len__(self) -> int:
        """Count the events, those that were only listed included."""
        return self._size

    def __contains__(self, event_id: object) -> bool:
        return isinstance(event_id, str) and found_in(self._spots, EventID(event_id)) is not None

    def with_events(self, events: Iterable[Event]) -> ChainIndex:
        """Return the index with more events, each after its auth events.

        Args:
            events: state events; those that are in the index are passed over.

        Returns:
            The new index. Cost: for each event linear in its auth events and in the chains
            that its chain has edges into; for all of them n log n.
        """
        growing = _Growing(self._spots, self._chains, self._count)
        for event in events:
            growing.add(event)
        return ChainIndex(
            with_batch(self._spots, growing.spots),
            with_batch(self._ids, {spot: name for name, spot in growing.spots.items()}),
            with_batch(self._chains, growing.chains),
            growing.count,
            self._size + len(growing.spots),
        )

    def reach(self, event_ids: Iterable[EventID]) -> Reach:
        """Find the events that these reach: all in their auth chains.

        Args:
            event_ids: the events. One that is not in the index reaches nothing.

        Returns:
            The reach. Cost: linear in the events, and in the chains that they reach with the
            edges between them.
        """
        # Only the furthest position of each chain is kept. The loop ends because a position only
        # grows, and it visits a chain again only when it has learned of a later event in it.
        up_to: dict[int, int] = {}
        waiting: list[Spot] = []
        for event_id in event_ids:
            spot = found_in(self._spots, event_id)
            if spot is not None:
                # Not the event itself, but all before it, and what it lists in other chains.
                number, position = spot
                waiting.append((number, position - 1))
                waiting += self._edges(number, position)
        while waiting:
            number, position = waiting.pop()
            if position > up_to.get(number, 0):
                up_to[number] = position
                waiting += self._edges(number, position)
        return Reach(up_to)

    def auth_difference(
        self, state_sets: Iterable[Mapping[Place, EventID]], *, common: Reach | None = None
    ) -> frozenset[EventID]:
        """Return the auth difference of states.

        Args:
            state_sets: the states.
            common: the reach of what all states have in common, for a caller that keeps it.
                Then the states need hold no more than the rest.

        Returns:
            The event IDs. Cost: linear in the states and in the difference, and in the chains
            that they reach with the edges between them. The length of the chains does not
            matter.
        """
        sets = list(state_sets)
        unconflicted = unconflicted_state_map(sets)
        shared = self.reach(unconflicted.values()).up_to
        if common is not None:
            # A caller that keeps the common reach passes states without their common part. Some of
            # it may still be there, so the two are joined and not exchanged.
            numbers = {*shared, *common.up_to}
            shared = {n: max(shared.get(n, 0), common.up_to.get(n, 0)) for n in numbers}
        reaches = [
            self.reach(
                [name for place, name in state_set.items() if place not in unconflicted]
            ).up_to
            for state_set in sets
        ]
        found: list[EventID] = []
        for number in set[int]().union(*reaches):
            ends = [reach.get(number, 0) for reach in reaches]
            # Up to `min(ends)` every state reaches the chain, and up to `shared` their common part
            # does. The events above both, up to the furthest reach, are in some chains and not in
            # all.
            first = max(min(ends), shared.get(number, 0))
            found += self._between(number, first + 1, max(ends))
        return frozenset(found)

    def conflicted_state_subgraph(self, conflicted: Iterable[EventID]) -> frozenset[EventID]:
        """Return the events on paths along auth events between conflicted ones.

        Args:
            conflicted: the conflicted state set. Those that are not in the index are on no path.

        Returns:
            The event IDs, the conflicted ones included. Cost: linear in the chains that they
            reach with the edges between them, and in the subgraph.
        """
        names = frozenset(conflicted)
        spots = [spot for name in names if (spot := found_in(self._spots, name)) is not None]
        up_to = dict(self.reach(names).up_to)
        down_to: dict[int, int] = {}
        for number, position in spots:
            up_to[number] = max(up_to.get(number, 0), position)
            down_to[number] = min(down_to.get(number, position), position)
        # From which position on a chain leads to a conflicted event: found for the chains
        # that an edge leads into first, until nothing changes.
        into: dict[int, list[int]] = {}
        for number in up_to:
            for target in self._chain(number)[2]:
                into.setdefault(target, []).append(number)
        waiting = list(down_to)
        while waiting:
            target = waiting.pop()
            for number in into.get(target, ()):
                positions, ends = self._chain(number)[2][target]
                # The first edge that leads far enough is the lowest, since both tuples of a
                # staircase ascend.
                step = bisect_left(ends, down_to[target])
                if step < len(ends) and positions[step] < down_to.get(number, positions[step] + 1):
                    down_to[number] = positions[step]
                    waiting.append(number)
        found = set(names)
        for number, first in down_to.items():
            found.update(self._between(number, first, up_to[number]))
        return frozenset(found)

    def _chain(self, number: int) -> Chain:
        found = found_in(self._chains, number)
        assert found is not None  # noqa: S101 - every number that a spot or an edge has is in it
        return found

    def _edges(self, number: int, position: int) -> Iterator[Spot]:
        """Yield the furthest spots in other chains that a chain up to a position reaches."""
        for target, (positions, ends) in self._chain(number)[2].items():
            step = bisect_right(positions, position)
            if step:
                yield target, ends[step - 1]

    def _between(self, number: int, first: int, last: int) -> list[EventID]:
        """Return the events of a chain from one position to another."""
        spots = [(number, position) for position in range(first, last + 1)]
        return [name for spot in spots if (name := found_in(self._ids, spot)) is not None]


class _Growing:
    """An addition to an index: the new events, and the chains that they change."""

    def __init__(
        self, spots: Batches[EventID, Spot], chains: Batches[int, Chain], count: int
    ) -> None:
        self.spots: dict[EventID, Spot] = {}
        self.chains: dict[int, Chain] = {}
        self.count = count
        self._spots_before = spots
        self._chains_before = chains

    def add(self, event: Event) -> None:
        """Put an event at the end of a chain, or into one of its own."""
        if self._spot(event.event_id) is not None:
            return
        listed = [self._spot(name) or self._begin(name, None) for name in links_of(event)]
        place = event.type, event.state_key or ""
        # The place is compared as well as the position. An event may cite the newest of many
        # chains, and any of them could take it. But only events of one place make long chains, and
        # only long chains make the index small.
        for number, position in listed:
            length, of_chain, _ = self._chain(number)
            if of_chain == place and position == length:
                spot = number, position + 1
                self.spots[event.event_id] = spot
                break
        else:
            spot = self._begin(event.event_id, place)
        self._lead(spot, place, listed)

    def _begin(self, event_id: EventID, place: Place | None) -> Spot:
        """Begin a chain with an event; without a place if it is only listed."""
        spot = self.spots[event_id] = self.count, 1
        self.chains[self.count] = 1, place, {}
        self.count += 1
        return spot

    def _lead(self, spot: Spot, place: Place, listed: Sequence[Spot]) -> None:
        """Note the edges of an event that lead further than those before it."""
        number, position = spot
        edges = dict(self._chain(number)[2])
        for target, end in listed:
            positions, ends = edges.get(target, ((), ()))
            if target != number and end > (ends[-1] if ends else 0):
                # An event that lists two events of one other chain leads as far as the further one.
                # Two steps at one position would break the search by halves.
                if positions and positions[-1] == position:
                    positions, ends = positions[:-1], ends[:-1]
                edges[target] = (*positions, position), (*ends, end)
        self.chains[number] = position, place, edges

    def _spot(self, event_id: EventID) -> Spot | None:
        return self.spots.get(event_id) or found_in(self._spots_before, event_id)

    def _chain(self, number: int) -> Chain:
        found = self.chains.get(number) or found_in(self._chains_before, number)
        assert found is not None  # noqa: S101 - every number that a spot has is in it
        return found
