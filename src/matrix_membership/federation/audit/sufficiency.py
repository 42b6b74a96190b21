"""Check an answer to send_join that this server made.

A good answer holds all that is needed to judge its events, an auth chain without superfluous
events, and one consistent state. This check is stricter than `audit`, with which the joining
server reads the answer: it reports what the audit only notes.
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

__all__ = ["shortcomings"]


class Fault(Enum):
    """The kinds of shortcoming: something is missing, superfluous or inconsistent."""

    UNREADABLE = "a PDU that is not a valid event"
    OTHER_ROOM = "an event of another room"
    NO_STATE = "a non-state event in the state"
    MISSING_AUTH_EVENT = "an auth event that is not in the answer"
    UNAUTHORISED = "an event that its auth events do not allow"
    NOT_NEEDED = "an event of the chain that authorises nothing in the answer"
    TWICE = "an event that the answer needs once and has twice"
    TWO_IN_ONE_PLACE = "two events for one place of the state"
    REPLACED = "an event of the state that one of the chain has replaced"
    EMPTY_PLACE = "an event of the chain whose place in the state is empty"
    AFTER_THE_JOIN = "the join in the state before it"
    NO_CREATE_EVENT = "no create event"
    NOT_COUNTERSIGNED = "a join without the signature of its authorising server"
    NO_SERVERS = "omitted members without the servers in the room"
    SERVER_UNTOLD = "a server of a joined member that is not among the servers in the room"

    def __str__(self) -> str:
        return self._value_


@frozen
class Shortcoming:
    """One shortcoming of an answer.

    Attributes:
        fault: its kind.
        event_id: the event that has it; empty if it concerns the whole answer.
        about: the missing event, the other event or the server concerned; otherwise empty.
    """

    fault: Fault
    event_id: str = ""
    about: str = ""

    def __str__(self) -> str:
        parts = (self.fault, self.event_id, self.about)
        return " ".join(str(part) for part in parts if str(part))


def shortcomings(response: SendJoinResponse, join: Event) -> tuple[Shortcoming, ...]:
    """Find all shortcomings of an answer that this server made.

    Args:
        response: the answer.
        join: the join that it answers, with all required signatures.

    Returns:
        The shortcomings; empty for a good answer. If state resolution undid an event,
        `REPLACED` and `EMPTY_PLACE` can be true of the room and right. Signatures are not
        checked. Cost: linear in the answer.
    """
    found: list[Shortcoming] = []
    state = _events(response.state, join, found)
    chain = _events(response.auth_chain, join, found)
    at_hand = {event.event_id: event for event in (*chain, *state)}
    omitted = bool(response.members_omitted)
    found += _insufficient((*state, *chain, join), at_hand, state)
    # The chain of the join too: Synapse and tuwunel send that of the state alone, and then the
    # joining server can lack what its own event lists.
    needed = auth.auth_chain([*state, join], at_hand.get)
    found += _too_much(state, chain, needed, omitted=omitted)
    found += _not_one(state, needed.values(), join, omitted=omitted)
    found += _servers(response, state)
    found += _not_countersigned(response, join)
    return tuple(found)


def _events(pdus: Iterable[bytes], join: Event, found: list[Shortcoming]) -> tuple[Event, ...]:
    """Read events, and add to `found` those that are unreadable or of another room."""
    events = []
    for pdu in pdus:
        try:
            event = Event.from_pdu(pdu, join.room_version)
        except InvalidEvent as error:
            found.append(Shortcoming(Fault.UNREADABLE, about=str(error)))
        else:
            if event.room_id != join.room_id:
                found.append(Shortcoming(Fault.OTHER_ROOM, event.event_id, event.room_id))
            # Only the audit checks signatures; here all required ones count as good.
            via = event.authorising_server
            events.append(event.with_signers({event.server, *([via] if via else [])}))
    return tuple(events)


def _insufficient(
    events: Iterable[Event], at_hand: Mapping[EventID, Event], state: Iterable[Event]
) -> Iterator[Shortcoming]:
    """Yield events that cannot be judged by the answer, or are rejected."""
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
        decision = judge_by_listed_events(event, known, create=create, listed_ids=listed)
        if not decision.allowed:
            yield Shortcoming(Fault.UNAUTHORISED, event.event_id, str(decision))


def _too_much(
    state: tuple[Event, ...],
    chain: tuple[Event, ...],
    needed: Mapping[EventID, Event],
    *,
    omitted: bool,
) -> Iterator[Shortcoming]:
    """Yield events of the chain that the answer could leave out."""
    in_state = {event.event_id for event in state}
    seen: set[EventID] = set()
    for event in chain:
        event_id = event.event_id
        # Only with omitted members does the specification leave out of the chain what the state
        # has. In a full answer an event may stand in both.
        if event_id in seen or (omitted and event_id in in_state):
            yield Shortcoming(Fault.TWICE, event_id)
        elif event_id not in needed:
            yield Shortcoming(Fault.NOT_NEEDED, event_id)
        seen.add(event_id)


def _not_one(
    state: tuple[Event, ...], chain: Iterable[Event], join: Event, *, omitted: bool
) -> Iterator[Shortcoming]:
    """Yield what contradicts that the state is one state, the one before the join."""
    places: dict[tuple[str, str | None], Event] = {}
    for event in state:
        if event.state_key is None:
            yield Shortcoming(Fault.NO_STATE, event.event_id)
            continue
        # Two events for one place are from different times.
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
    """Yield servers that the answer has to name, since members were left out."""
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
    """Yield a shortcoming if the join lacks the signature of its authorising server."""
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
