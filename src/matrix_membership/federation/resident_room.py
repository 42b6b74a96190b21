"""A snapshot of a room, from which a resident server makes its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from types import MappingProxyType
from typing import Generic, TypeVar

from attrs import field

from matrix_membership._attrs import constant, evolve
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.federation.messages import MatrixError
from matrix_membership.identifiers import EventID, RoomID, ServerName, UserID, listed, several
from matrix_membership.membership import Membership
from matrix_membership.receipt.server_acl import permits
from matrix_membership.state import RoomState

__all__ = ["AwaitingEvents", "ResidentRoom", "in_batches"]

Answer = TypeVar("Answer")
Entry = TypeVar("Entry")


class _Kept(Generic[Entry]):
    """The entries of a cursor, kept as they are taken, to be gone through again.

    `in_batches` makes an answer several times from one snapshot. A cursor gives nothing the second
    time, and the answer would be another one.
    """

    __slots__ = ("rest", "taken")

    def __init__(self, rest: Iterator[Entry]) -> None:
        self.rest = rest
        self.taken: list[Entry] = []

    def __iter__(self) -> Iterator[Entry]:
        index = 0
        while index < len(self.taken) or self._takes_another():
            yield self.taken[index]
            index += 1

    def _takes_another(self) -> bool:
        found = list(islice(self.rest, 1))
        self.taken += found
        return bool(found)


def _kept(entries: Iterable[Entry] | None) -> Iterable[Entry] | None:
    return _Kept(entries) if isinstance(entries, Iterator) else entries


def _users(users: Iterable[str] | None) -> Iterable[str] | None:
    return None if users is None else _kept(several(users, "local_users"))


def _sees_no_room(_user: UserID, _room: RoomID) -> None:
    """Return no membership. A snapshot with a lambda could not be pickled."""


@constant
class ResidentRoom:
    """A snapshot of a room that this server is in.

    Attributes:
        server_name: this server.
        state: the current state.
        prev_events: the IDs of the newest events (forward extremities), at most 20.
        depth: the greatest depth among them.
        get_event: returns an event of the room by its ID; None if it is not stored here. An
            event that it returns counts as known: it was judged when it came, and has its
            verified signers.
        rejected: the IDs of events that were rejected.
        memberships: returns the membership of a user in a room that a restricted join rule
            lists, as text or not; None if this server cannot see that room.
        local_users: this server's joined users; None to search them in the state. No more is taken
            from a cursor than is needed, and what was taken is kept.
        state_after: returns the state after some events, resolved where they are on different
            branches; None if one of them is unknown. It is asked for the state before an event
            that does not follow exactly the newest events. Without it (the default), `get_event`
            must know those events, and the current state stands for the state before. An event
            on an older branch is then judged by today's state alone.
        heroes: the members who describe a room without a name, as pairs of user and event ID, in
            the order in which they came: six are enough. None to find them in the state, which
            loads their events.

    .. versionadded:: 0.1.0
    """

    server_name: ServerName
    state: RoomState
    prev_events: tuple[EventID, ...] = field(converter=listed)
    depth: int
    get_event: Callable[[EventID], Event | None]
    rejected: AbstractSet[str] = frozenset()
    memberships: Callable[[UserID, RoomID], Membership | str | None] = _sees_no_room
    local_users: Iterable[str] | None = field(default=None, converter=_users)
    state_after: Callable[[tuple[EventID, ...]], RoomState | None] | None = None
    heroes: Iterable[tuple[UserID, EventID]] | None = field(default=None, converter=_kept)

    @property
    def room_id(self) -> str:
        """The room ID; empty if the state has no create event."""
        create = self.state.create_event
        return "" if create is None else create.room_id

    @property
    def takes_part(self) -> bool:
        """True if a user of this server is joined, and if that cannot be told."""
        try:
            return self.server_name in self.state.servers_in_room
        except IncompleteState:  # a state over a look-up: the caller, who passed it, knows
            return True

    def denial(self, origin: str) -> MatrixError | None:
        """Return the error for a server that the access control list denies."""
        if permits(self.state, origin):
            return None
        return MatrixError.of("M_FORBIDDEN", f"the room's access control list denies {origin}")


@constant
class AwaitingEvents(Generic[Answer]):
    """An answer about a room that waits for events from this server's store.

    Attributes:
        needs: the IDs of the events to load now.
        answer: makes the answer about a room.
        room: the room.
        held: the events given so far, by ID; None for one that is not stored.
        in_chain: whether the events needed are those of an auth chain.

    .. versionadded:: 0.1.0
    """

    needs: frozenset[EventID]
    answer: Callable[[ResidentRoom], Answer]
    room: ResidentRoom
    held: Mapping[EventID, Event | None]
    in_chain: bool

    def given(self, events: Iterable[Event]) -> AwaitingEvents[Answer] | Answer:
        """Go on with these events.

        Args:
            events: the events loaded. One that was needed and is not among them counts as not
                stored. More may be given than were needed: a store that follows
                auth chains itself saves a round for each event of the longest one.

        Returns:
            The answer, or what it needs next. Cost: that of the answer; of the events given, while
            an auth chain is followed.
        """
        loaded = {event.event_id: event for event in events}
        held: dict[EventID, Event | None] = {**self.held, **dict.fromkeys(self.needs), **loaded}
        if self.in_chain:
            # Without making the answer anew for each event of the longest chain.
            listed = {event_id for event in loaded.values() for event_id in event.auth_events}
            needs = frozenset(entry for entry in listed if entry not in held)
            needs = frozenset(entry for entry in needs if self.room.get_event(entry) is None)
            if needs:
                return AwaitingEvents(needs, self.answer, self.room, held, in_chain=True)
        return _answered(self.answer, self.room, held)


def in_batches(
    answer: Callable[[ResidentRoom], Answer], room: ResidentRoom
) -> AwaitingEvents[Answer] | Answer:
    """Make an answer about a room whose events are loaded in batches.

    For stores that are asked asynchronously. The answer is made with the events at hand; what it
    asked for besides is needed next, and then it is made again::

        step = in_batches(lambda room: answer_send(JOINING, request, room, signer, keys=keys), room)
        while isinstance(step, AwaitingEvents):
            step = step.given(await load(step.needs))

    Args:
        answer: a function of this package that answers about a room: `answer_make`,
            `answer_send` and others.
        room: the room. Its `get_event` gives what is at hand, and None for all else.

    Returns:
        The answer, or what it needs.

    .. versionadded:: 0.1.0
    """
    return _answered(answer, room, MappingProxyType({}))


def _answered(
    answer: Callable[[ResidentRoom], Answer],
    room: ResidentRoom,
    held: Mapping[EventID, Event | None],
) -> AwaitingEvents[Answer] | Answer:
    asked: set[EventID] = set()

    def get(event_id: EventID) -> Event | None:
        if event_id in held:
            return held[event_id]
        event = room.get_event(event_id)
        if event is None:
            asked.add(event_id)
        return event

    made = answer(evolve(room, get_event=get))
    if not asked:
        return made
    given = [event for event in held.values() if event is not None]
    listed = {event_id for event in given for event_id in event.auth_events}
    return AwaitingEvents(frozenset(asked), answer, room, held, in_chain=asked <= listed)
