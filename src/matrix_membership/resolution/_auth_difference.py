"""Auth chains: the auth difference and the conflicted state subgraph.

See the `definitions`__ of algorithm 2.1. The walks go by event IDs alone, whether or not an
event was rejected, so that an index that a server keeps gives the same sets. They use lists
of what is left to do instead of recursion: a chain can have 50,000 events in a row.

__ https://spec.matrix.org/v1.19/rooms/v12/#definitions
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import NamedTuple

from matrix_membership.identifiers import EventID
from matrix_membership.resolution._state_sets import StateSet, conflicted_state_set

__all__ = [
    "AuthEvents",
    "Chains",
    "auth_difference",
    "chains_of",
    "conflicted_state_subgraph",
    "full_auth_chain",
]

AuthEvents = Callable[[EventID], tuple[EventID, ...]]
"""Gives the IDs in the `auth_events` of an event; none for one that is missing."""


def full_auth_chain(
    event_ids: Iterable[EventID], auth_events: AuthEvents, known: set[EventID]
) -> set[EventID]:
    """Return the auth events of these events, their auth events, and so on.

    Args:
        event_ids: where to start. They are in the chain only if another one lists them.
        auth_events: gives the auth events of an event.
        known: events whose chains are known; they are left out.
    """
    # The events to start from are left out on purpose. By the definition, an event is in its own
    # chain only when another one of the set lists it.
    # Each list is walked once: members who joined one after the other list the same events.
    found: set[EventID] = set()
    found = found.union(*set(map(auth_events, event_ids))) - known
    waiting = list(found)
    while waiting:
        for event_id in auth_events(waiting.pop()):
            if event_id not in found and event_id not in known:
                found.add(event_id)
                waiting.append(event_id)
    return found


class Chains(NamedTuple):
    """The full auth chains of some states.

    Attributes:
        common: that of what they all have in common; it is part of all of them.
        beyond: what each of them has beyond it.
    """

    common: set[EventID]
    beyond: Sequence[set[EventID]]

    def difference(self) -> set[EventID]:
        """Return the events in some of the chains and not in all."""
        first, *others = self.beyond
        return first.union(*others) - first.intersection(*others)

    def connect(self, conflicted: AbstractSet[EventID], auth_events: AuthEvents) -> bool:
        """Tell whether a path may lead from one conflicted event to another."""
        # The common part has all auth events of its own. So if none of its events is conflicted,
        # none lists one that is.
        if not conflicted.isdisjoint(self.common):
            return True
        inner = set[EventID]().union(*self.beyond) - conflicted
        return not conflicted.isdisjoint(chain.from_iterable(map(auth_events, inner)))


def chains_of(
    differing: Iterable[Sequence[EventID]], unconflicted: StateSet, auth_events: AuthEvents
) -> Chains:
    """Return the full auth chains of some states.

    Args:
        differing: what each of them has beyond the common part.
        unconflicted: what they have in common. All that authorises it stands in every
            chain, so it is walked once.
        auth_events: gives the auth events of an event.

    Returns:
        The chains. Cost: linear in them, once for the common part and once for what each
        state has beyond it.
    """
    # The chain below the common part is in the chains of all states, so it cannot differ. To walk
    # it for each state would cost the size of the room times the number of branches.
    common = full_auth_chain(unconflicted.values(), auth_events, set())
    return Chains(common, [full_auth_chain(ids, auth_events, common) for ids in differing])


def auth_difference(
    state_sets: Iterable[StateSet], unconflicted: StateSet, auth_events: AuthEvents
) -> set[EventID]:
    """Return the events in the full auth chains of some states and not of all.

    Args:
        state_sets: the states.
        unconflicted: what they have in common.
        auth_events: gives the auth events of an event.

    Returns:
        The event IDs. Cost: as `chains_of`.
    """
    _, differing = conflicted_state_set(state_sets, unconflicted)
    return chains_of(differing, unconflicted, auth_events).difference() if any(differing) else set()


def conflicted_state_subgraph(
    conflicted: AbstractSet[EventID], auth_events: AuthEvents, chains: Chains | None = None
) -> AbstractSet[EventID]:
    """Return the events on paths along auth events between conflicted ones.

    Args:
        conflicted: the conflicted state set.
        auth_events: gives the auth events of an event.
        chains: the full auth chains of the states, when they were walked.

    Returns:
        The IDs, the conflicted events included. Cost: linear in their auth chains.
    """
    # In most rooms nothing below lists one of them: a path would have to enter by such an event.
    # Walked again for this, the chains took 1.5 us of a resolution of two places.
    if chains is not None and not chains.connect(conflicted, auth_events):
        return conflicted
    # Below a conflicted event are the events of its chain; above it are those whose chains it is
    # in. An event on a path is below one and above another.
    below = full_auth_chain(conflicted, auth_events, set()) | conflicted
    listing: dict[tuple[EventID, ...], list[EventID]] = {}
    for event_id in below:
        listing.setdefault(auth_events(event_id), []).append(event_id)
    lists_with: dict[EventID, list[tuple[EventID, ...]]] = {}
    for names in listing:
        for name in names:
            lists_with.setdefault(name, []).append(names)
    above, waiting = set(conflicted), list(conflicted)
    while waiting:
        for names in lists_with.pop(waiting.pop(), ()):
            found = [event_id for event_id in listing.pop(names, ()) if event_id not in above]
            above.update(found)
            waiting += found
    return above
