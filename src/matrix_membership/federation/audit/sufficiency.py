"""Is an answer to send_join that this server made all that it has to be?

The counterpart of `audit`, for whoever builds answers: each event in it can be judged
from it, nothing in the chain could go, and the state is one state. What the audit of
the other side would forgive is found here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from enum import Enum

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event
from matrix_membership.federation.messages import SendJoinResponse
from matrix_membership.identifiers import EventID, server_of
from matrix_membership.membership import JOIN
from matrix_membership.receipt.listed_events import judge_by_listed_events

__all__ = ["Fault", "Shortcoming", "shortcomings"]


class Fault(Enum):
    """What is wrong with an answer: it does not suffice, is too much, or is not one state."""

    UNREADABLE = "an event that is none"
    OTHER_ROOM = "an event of another room"
    NO_STATE = "an event in the state that is no state"
    MISSING_AUTH_EVENT = "an auth event that is not in the answer"
    UNAUTHORISED = "an event that its auth events do not allow"
    NOT_NEEDED = "an event of the chain that authorises nothing in the answer"
    TWICE = "an event that stands twice where once would do"
    TWO_IN_ONE_PLACE = "two events for one place of the state"
    REPLACED = "an event of the state that one of the chain has replaced"
    EMPTY_PLACE = "an event of the chain whose place in the state is empty"
    AFTER_THE_JOIN = "the join in the state before it"
    NO_CREATE_EVENT = "no create event"
    NOT_COUNTERSIGNED = "a join that does not come back with the signature of who vouches"
    NO_SERVERS = "omitted members without the servers in the room"
    SERVER_UNTOLD = "a server of a joined member that is not among the servers in the room"

    def __str__(self) -> str:
        return self._value_


@frozen
class Shortcoming:
    """One thing that is wrong with an answer.

    Attributes:
        fault: what it is.
        event_id: the event on which it hangs; empty when on none.
        about: the missing event, the other event, or the server that it is about.
    """

    fault: Fault
    event_id: str = ""
    about: str = ""

    def __str__(self) -> str:
        parts = (self.fault, self.event_id, self.about)
        return " ".join(str(part) for part in parts if str(part))


def shortcomings(response: SendJoinResponse, join: Event) -> tuple[Shortcoming, ...]:
    """Find all that is wrong with an answer that this server made.

    Args:
        response: the answer.
        join: the join that it answers, signed by whoever has to.

    Returns:
        The shortcomings; none for an answer that suffices, is minimal, and is of one
        state. Where state resolution undid an event, `REPLACED` and `EMPTY_PLACE` can be
        the truth about the room. Cost: linear in the answer; signatures are not checked.
    """
    found: list[Shortcoming] = []
    state = _events(response.state, join, found)
    chain = _events(response.auth_chain, join, found)
    at_hand = {event.event_id: event for event in (*chain, *state)}
    omitted = bool(response.members_omitted)
    found += _insufficient((*state, *chain, join), at_hand, state)
    needed = auth.auth_chain([*state, join], at_hand.get)
    found += _too_much(state, chain, needed, omitted=omitted)
    found += _not_one(state, needed.values(), join, omitted=omitted)
    found += _servers(response, state)
    found += _not_countersigned(response, join)
    return tuple(found)


def _events(pdus: Iterable[bytes], join: Event, found: list[Shortcoming]) -> tuple[Event, ...]:
    events = []
    for pdu in pdus:
        try:
            event = Event.from_pdu(pdu, join.room_version)
        except InvalidEvent as error:
            found.append(Shortcoming(Fault.UNREADABLE, about=str(error)))
        else:
            if event.room_id != join.room_id:
                found.append(Shortcoming(Fault.OTHER_ROOM, event.event_id, event.room_id))
            # Who signed it is the audit's question; here all that have to count as having.
            via = event.authorising_server
            events.append(event.with_signers({event.server, *([via] if via else [])}))
    return tuple(events)


def _insufficient(
    events: Iterable[Event], at_hand: Mapping[EventID, Event], state: Iterable[Event]
) -> Iterator[Shortcoming]:
    """Events that cannot be judged from the answer, or are judged badly."""
    create = next((event for event in state if event.type == "m.room.create"), None)
    if create is None:
        yield Shortcoming(Fault.NO_CREATE_EVENT)
    for event in dict.fromkeys(events):
        listed = event.auth_events
        missing = [event_id for event_id in listed if event_id not in at_hand]
        yield from (
            Shortcoming(Fault.MISSING_AUTH_EVENT, event.event_id, event_id) for event_id in missing
        )
        if missing or create is None:
            continue
        known = [at_hand[event_id] for event_id in listed]
        decision = judge_by_listed_events(event, known, create=create)
        if not decision.allowed:
            yield Shortcoming(Fault.UNAUTHORISED, event.event_id, str(decision))


def _too_much(
    state: tuple[Event, ...],
    chain: tuple[Event, ...],
    needed: Mapping[EventID, Event],
    *,
    omitted: bool,
) -> Iterator[Shortcoming]:
    """Events of the chain that could go."""
    in_state = {event.event_id for event in state}
    seen: set[EventID] = set()
    for event in chain:
        event_id = event.event_id
        if event_id in seen or (omitted and event_id in in_state):
            yield Shortcoming(Fault.TWICE, event_id)
        elif event_id not in needed:
            yield Shortcoming(Fault.NOT_NEEDED, event_id)
        seen.add(event_id)


def _not_one(
    state: tuple[Event, ...], chain: Iterable[Event], join: Event, *, omitted: bool
) -> Iterator[Shortcoming]:
    """What contradicts that it is one state, the one before the join."""
    places: dict[tuple[str, str | None], Event] = {}
    for event in state:
        if event.state_key is None:
            yield Shortcoming(Fault.NO_STATE, event.event_id)
            continue
        # Of two events for a place one is of another time.
        other = places.setdefault((event.type, event.state_key), event)
        if other is not event:
            yield Shortcoming(Fault.TWO_IN_ONE_PLACE, event.event_id, other.event_id)
        elif event == join:
            yield Shortcoming(Fault.AFTER_THE_JOIN, event.event_id)
    for event in chain:
        there = places.get((event.type, event.state_key))
        if there is not None and there.event_id in event.auth_events:
            yield Shortcoming(Fault.REPLACED, there.event_id, event.event_id)
        left_out = omitted and event.type == "m.room.member"
        if there is None and event.is_state and not left_out:
            yield Shortcoming(Fault.EMPTY_PLACE, event.event_id)


def _servers(response: SendJoinResponse, events: Iterable[Event]) -> Iterator[Shortcoming]:
    """Servers that have to be told when members are left out."""
    if not response.members_omitted:
        return
    if response.servers_in_room is None:
        yield Shortcoming(Fault.NO_SERVERS)
        return
    told = frozenset(response.servers_in_room)
    joined = (event for event in events if event.membership is JOIN)
    for event in joined:
        server = server_of(str(event.state_key))
        if server not in told:
            yield Shortcoming(Fault.SERVER_UNTOLD, event.event_id, server)


def _not_countersigned(response: SendJoinResponse, join: Event) -> Iterator[Shortcoming]:
    """A join that only the signature of who vouches makes good, and that lacks it."""
    server = join.authorising_server
    if not server or server == join.server:
        return
    signatures: JsonValue = None
    if response.event is not None:
        with suppress(InvalidEvent):
            returned = Event.from_pdu(response.event, join.room_version)
            signatures = returned.document["signatures"] if returned == join else None
    if signatures is None or server not in signatures:
        yield Shortcoming(Fault.NOT_COUNTERSIGNED, join.event_id, server)
