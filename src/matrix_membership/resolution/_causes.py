"""Causes: the event without which a place would have come out otherwise.

Each suspect is rejected in turn, and the states are resolved again. Of several events whose
absence brings the lost one back, these come first:

1. what the newest branch did not know, since that is what the meeting of the branches brought;
2. what the judgement of the lost event read: its sender's membership, the power levels;
3. the newest, since an event that leads to a cause changes the outcome as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import constant
from matrix_membership.identifiers import EventID
from matrix_membership.resolution._auth_difference import auth_difference
from matrix_membership.resolution._resolving import Resolution, answer, question_of
from matrix_membership.resolution._state_sets import Place
from matrix_membership.resolution._story import Considered

__all__ = ["Inquiry", "inquiry_into"]

# Without a bound, a server that sends thousands of events into one dispute decides how long the
# search takes: each try resolves all states again.
_TRIES: Final = 64
"""The largest number of events tried as the cause of one reset: each costs a resolution, or two."""


@constant
class Inquiry:
    """A resolution, with all that the search for causes reads.

    Attributes:
        resolution: the resolution.
        considered: the events that it considered, by ID and in order.
        known: all that stood in the newest branch or authorised it.
        listed_by: for each event the considered ones that list it to authorise them.
        difference: the auth difference of the states.
    """

    resolution: Resolution
    considered: Mapping[EventID, Considered]
    known: AbstractSet[EventID]
    listed_by: Mapping[EventID, Sequence[EventID]]
    difference: AbstractSet[EventID]

    def cause_of(self, place: Place, before: EventID, after: EventID | None) -> EventID | None:
        """Find the event that took a place from one event and gave it to another.

        Args:
            place: the type and state key.
            before: the event that was lost.
            after: the event that stands there now.

        Returns:
            The first event without which the lost one stands again; without such an event, one
            without which something else does. None when there is neither. Cost: at most 128
            resolutions.
        """
        suspects = list(islice(self._suspects(before, after), _TRIES))
        news = [name for name in suspects if name not in self.known]
        changing = None
        for group in (news, [name for name in suspects if name in self.known]):
            for suspect in group:
                outcome = self._outcome_without({suspect}, place)
                if outcome == before:
                    return suspect
                # Kept as second best, not returned at once: a later suspect may bring back the very
                # event that was lost, and that answer is worth more.
                if outcome != after and changing is None:
                    changing = suspect
            # A later event may repeat what the cause said, as power levels do. It lists the cause
            # to authorise it, so without the cause it would have been rejected as well.
            for suspect in group:
                without = self._built_on(suspect)
                if before not in without and self._outcome_without(without, place) == before:
                    return suspect
        return changing

    def _suspects(self, before: EventID, after: EventID | None) -> Iterator[EventID]:
        graph, common = self.resolution._graph, self.resolution._question.common
        event = graph.event(before)
        read = auth.select_auth_events(event) if event is not None else frozenset()
        # The lost event cites these. Without them it would not be allowed either, so leaving one
        # out shows nothing.
        based_on = {before, *graph.auth_events(before)}
        taken = [
            entry
            for entry in reversed(tuple(self.considered.values()))
            if entry.decision is not None and entry.decision.allowed
        ]
        # Algorithm 2 lets what nobody disputes judge events that were sent before it.
        undisputed = [common[place] for place in sorted(read) if place in common]
        near = [*(entry.event_id for entry in taken if entry.place in read), *undisputed]
        first = [name for name in near if name not in based_on]
        others = [entry.event_id for entry in taken if entry.event_id not in (before, after)]
        yield from dict.fromkeys([*first, *others, *([after] if after else [])])

    def _outcome_without(self, without: AbstractSet[EventID], place: Place) -> EventID | None:
        """Return the event in a place when the states are resolved without some events."""
        question, common = self.resolution._question, self.resolution._question.common
        # Rejecting is not enough for an event that all states hold: the last step would put it back
        # over what was replayed.
        if not without.isdisjoint(common.values()):
            common = {name: found for name, found in common.items() if found not in without}
        tried = question_of(
            question.room_version,
            question.state_sets,
            question.rejected | without,
            question.algorithm,
            common,
            # The difference is that of the states with the event: its auth events still explain its
            # branch.
            self.difference,
            question.conflicted_subgraph,
        )
        return answer(tried, self.resolution._graph.event).state.get(place)

    def _built_on(self, event_id: EventID) -> AbstractSet[EventID]:
        """Return an event and all that it authorises, directly or not."""
        found, waiting = {event_id}, [event_id]
        while waiting:
            for name in self.listed_by.get(waiting.pop(), ()):
                if name not in found:
                    found.add(name)
                    waiting.append(name)
        return found


def inquiry_into(resolution: Resolution, known: AbstractSet[EventID]) -> Inquiry:
    """Prepare to look for causes. Cost: linear in the story and the auth chains."""
    question, graph = resolution._question, resolution._graph
    considered = {entry.event_id: entry for entry in resolution.story.considered}
    difference = question.auth_difference
    if difference is None:
        difference = auth_difference(question.state_sets, question.common, graph.auth_events)
    return Inquiry(resolution, considered, known, _listed_by(considered, resolution), difference)


def _listed_by(
    event_ids: Iterable[EventID], resolution: Resolution
) -> Mapping[EventID, Sequence[EventID]]:
    found: dict[EventID, list[EventID]] = {}
    for event_id in event_ids:
        for auth_id in resolution._graph.auth_events(event_id):
            found.setdefault(auth_id, []).append(event_id)
    return found
