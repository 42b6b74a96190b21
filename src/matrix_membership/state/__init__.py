"""Room state: what an event is judged against. Immutable and persistent.

The same class stands for auth events, for the state before an event and for the current
state of a room: the rules do not know which they read. `with_event` returns a new state in
amortised constant time and leaves the old one valid.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, Never

from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.identifiers import ServerName, UserID
from matrix_membership.membership import JOIN, LEAVE, UNKNOWN, Membership
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state._fields import NO_JOIN_RULE as NO_JOIN_RULE
from matrix_membership.state._fields import (
    TO_PREPARE,
    Fields,
    add_told,
    fill_in,
    filtered,
    listed,
    looked_up,
    over,
    pickled,
    places_of,
    seal,
    told_in_part,
    with_member,
    with_other,
)
from matrix_membership.state._fields import keep_rows as keep_rows
from matrix_membership.state._members import ABSENT, PRESENT
from matrix_membership.state._storage import (
    LookUp,
    Name,
    StateKey,
    Storage,
    Stored,
    held_by_ids,
    version_of,
)
from matrix_membership.state._storage import PassedOver as PassedOver
from matrix_membership.state._views import CREATOR_POWER_LEVEL as CREATOR_POWER_LEVEL
from matrix_membership.state._views import FIRST_CREATOR_POWER_LEVEL as FIRST_CREATOR_POWER_LEVEL

__all__ = ["RoomState", "Storage"]

HEROES: Final = 5
"""The largest number of members that describe a room without a name."""

_CREATE: Final = "m.room.create"
_MEMBER: Final = "m.room.member"
_keep = object.__setattr__


class RoomState(Fields):
    """The state of a room at one point.

    Attributes:
        room_version: the version of the room.
        create: the view of its create event.
        create_event: its create event. A state without one rejects all events.
        join_rule: its join rule; invite when the state has no such event.
        allow: the rooms whose members a restricted room lets in.
        power_levels: its power levels, defaults filled in.
        power_level_of: gives the power level of any user: 2**53 for a creator in
            version 12, which stands for an infinite level.
        is_partial: whether members, or events of every type, may have been left out of it.
        get_member: gives the member event of a user, or None.
        prepared: the program that `auth` keeps here after the first check. Before that,
            its second part says whether `auth` may keep one: for a whole state of a
            federated room.

    .. versionadded:: 0.1.0
    """

    __slots__ = ()

    def __init__(self) -> None:
        raise TypeError("a RoomState is made by RoomState.of or RoomState.over")

    def __init_subclass__(cls, **_: object) -> None:
        if cls.__module__ != __name__:
            raise TypeError(f"RoomState is sealed: {cls.__name__} cannot extend it")

    def __setattr__(self, name: str, value: object) -> Never:
        raise TypeError("a RoomState does not change; with_event makes another one")

    def __delattr__(self, name: str) -> Never:
        raise TypeError("a RoomState does not change; with_event makes another one")

    @classmethod
    def of(
        cls,
        room_version: RoomVersion,
        events: Iterable[Event],
        *,
        partial: bool = False,
        stripped: bool = False,
        servers: Iterable[str] | None = None,
        passed_over: Sequence[PassedOver] = (),
    ) -> RoomState:
        """Make the state that consists of these events.

        Args:
            room_version: the version of the room.
            events: state events in the order in which they came. Of two for one place
                the later counts, but of two create events the first. Non-state events
                are ignored.
            partial: members may have been left out: their membership is unknown,
                not leave.
            stripped: events of every type may have been left out, as in an invite's
                `Stripped state`__: a question that needs one raises `IncompleteState`, and
                `auth.check` answers undecided. Then the state is partial too.
            servers: the servers in the room, when the events do not show them all.
            passed_over: malformed events, left out of `events`: their places are unknown,
                as if the state were stripped there.

        Returns:
            The state. Cost: linear in the number of events.

        __ https://spec.matrix.org/v1.19/client-server-api/#stripped-state

        >>> from matrix_membership.room_versions import V11
        >>> RoomState.of(V11, []).membership_of("@ana:a.example")
        <Membership.LEAVE: 'leave'>
        """
        if stripped or passed_over:
            part = told_in_part(
                room_version, events, servers, passed_over, partial=partial, stripped=stripped
            )
            return seal(part, _Lazy)
        state: Any = listed(room_version, events)
        if partial or servers is not None:
            add_told(state, servers, partial=partial)
        state.__class__ = RoomState  # as `seal` does, without the call
        return state  # type: ignore[no-any-return]  # the line above made it one

    @classmethod
    def over(
        cls,
        room_version: RoomVersion,
        source: LookUp | Storage,
        *,
        partial: bool = False,
        prepare: bool = False,
    ) -> RoomState:
        """Make a state over a look-up function or a storage of the caller.

        Only what a question needs is looked up. Over a look-up function, questions about
        the whole room raise `IncompleteState`, and so does `with_event`.

        Args:
            room_version: the version of the room.
            source: a function that takes a type and a state key, and gives the event or
                None; or a `Storage`. Its answers must not change while the state is used.
            partial: members may be missing from it: their membership is unknown.
            prepare: look up at once what every judgement reads, so that many events are judged
                as fast as against a state of `of`.

        Returns:
            The state. Cost: constant; each question costs its look-ups.

        >>> from matrix_membership.room_versions import V11
        >>> RoomState.over(V11, lambda type, state_key: None).join_rule
        <JoinRule.INVITE: 'invite'>
        """
        state = seal(over(room_version, source, partial=partial), _Lazy)
        if prepare and not partial and state.create_event and state.create.openly_federated:
            _keep(state, "prepared", TO_PREPARE)
        return state

    @classmethod
    def of_ids(
        cls,
        ids: Mapping[StateKey, Name],
        get: Mapping[Name, Event] | Callable[[Sequence[Name]], Mapping[Name, Event]],
        *,
        needed: Collection[StateKey] | None = None,
        room_version: RoomVersion | None = None,
        partial: bool = False,
        servers: Iterable[str] | None = None,
    ) -> RoomState:
        """Make a state of the event IDs that a host keeps for each place.

        Args:
            ids: the event ID for each type and state key.
            get: the events by ID; or a function that takes all IDs wanted and returns that.
            needed: the places that `ids` was filtered to, or that are wanted of it, such as
                `auth.needed_state` of an event, or `receipt.needed_places`. Other places are
                unknown: a question about one raises `IncompleteState`, and `auth.check` answers
                undecided. An answer that reads none is final. None if `ids` is the whole state.
            room_version: the version of the room, if there may be no event to tell it.
            partial: `ids` lacks members, as after a join whose members were omitted.
            servers: the servers in the room, when the events do not show them all.

        Returns:
            The state. Cost: linear in `needed`, or in `ids` for a whole state.

        Raises:
            MissingEvents: `get` lacks events. It names all of them, so that a store fetches once.
            IncompleteState: no event tells the room version.
            InvalidEvent: `get` gave an event of another place.

        >>> from matrix_membership.room_versions import V11
        >>> create = {"type": "m.room.create", "sender": "@a:a", "content": {}, "state_key": ""}
        >>> ids, events = {("m.room.create", ""): "$1"}, {"$1": Event.accepted(create, V11)}
        >>> state = RoomState.of_ids(ids, events, needed=[("m.room.create", "")])
        >>> state.knows("m.room.create"), state.knows("m.room.power_levels")
        (True, False)
        """
        known = None if needed is None else frozenset(needed)
        held = held_by_ids(ids, get, ids if known is None else known)
        version = version_of(held, room_version)
        if known is None:
            return cls.of(version, held.values(), partial=partial, servers=servers)
        return seal(filtered(version, held, known, servers, partial=partial), _Lazy)

    def get(self, event_type: str, state_key: str = "") -> Event | None:
        """Return the event of a type and a state key, or None.

        Raises:
            IncompleteState: the state is stripped and lacks this event, which is not a member
                event; or it was filtered, and the place is not among those needed.
        """
        if event_type == _MEMBER:
            return self.get_member(state_key)
        if self._members is None:
            return self._lookup(event_type, state_key)
        # Almost all state but members has an empty state key. One dict for those makes their
        # look-up one step.
        if state_key == "":
            return self._single.get(event_type)
        found = self._keyed.get(event_type)
        return None if found is None else found.get(state_key)

    def knows(self, event_type: str, state_key: str = "") -> bool:
        """Tell whether the state says which event a place holds, or that it holds none.

        >>> from matrix_membership.room_versions import V11
        >>> RoomState.of(V11, [], partial=True).knows("m.room.member", "@ana:a.example")
        False
        """
        try:
            event = self.get(event_type, state_key)
        except IncompleteState:
            return False
        if event is not None or event_type != _MEMBER:
            return True
        return self.membership_of(state_key) is not UNKNOWN

    @property
    def is_whole(self) -> bool:
        """False if it is partial, stripped, filtered, or lacks malformed events."""
        if self.is_partial or self._members is not None or self._stored is None:
            return not self.is_partial
        return not (self._stored.filtered or self._stored.passed_over)

    @property
    def passed_over(self) -> tuple[PassedOver, ...]:
        """The malformed events that the state was made without."""
        if self._members is not None or self._stored is None:
            return ()
        return self._stored.passed_over

    def membership_of(self, user: str) -> Membership:
        """Return the membership of a user: leave for a user without a member event.

        A partial state gives unknown instead, because the event may have been left out. So
        does every state for a user whose member event was malformed.

        Raises:
            IncompleteState: the state was filtered, and the user is not among those needed.
        """
        event = self.get_member(user)
        if event is None:
            if self._members is None and self._stored and self._stored.could_not_read(user):
                return UNKNOWN
            return self._unseen
        # A state holds what the caller put in, rejected events too: one without a membership counts
        # as leave.
        return event.membership or LEAVE

    def with_event(self, event: Event) -> RoomState:
        """Return the state after an event, whether or not the rules allow it.

        `machine.admit` judges an event and asks for its signatures; this does neither. But a
        state that has a create event never gets another one.

        Args:
            event: an event. A non-state event changes nothing; neither does a second
                create event.

        Returns:
            The new state. Cost: amortised constant; linear in the members after `of`.

        Raises:
            IncompleteState: the state is over a look-up function.
        """
        state_key = event.state_key
        if state_key is None:
            return self
        if event.type == _CREATE and self.create_event is not None:
            return self  # also for a redacted copy of the first one, which says less
        if self._members is None:
            stored = self._in_storage("a changed state").with_event(event)
            made = looked_up(self.room_version, stored.get, stored, partial=self.is_partial)
            return seal(made, _Lazy)
        if event.type == _MEMBER:
            return seal(with_member(self, state_key, event), RoomState)
        return seal(with_other(self, state_key, event), RoomState)

    @property
    def members(self) -> Mapping[str, Event]:
        """All member events by user, as they came; those who left may stand last.

        Raises:
            IncompleteState: the state is over a look-up function.
        """
        return MappingProxyType(self._whole("the members"))

    @property
    def events(self) -> Iterator[Event]:
        """All state events, member events last.

        Raises:
            IncompleteState: the state is over a look-up function.
        """
        if self._members is None:
            stored = self._in_storage("all events")
            yield from stored.others()
            yield from stored.members(None)
        else:
            yield from self.events_but_members
            yield from self._members.values()

    @property
    def events_but_members(self) -> Iterator[Event]:
        """All state events without the member events.

        Raises:
            IncompleteState: the state is over a look-up function.
        """
        if self._members is None:
            yield from self._in_storage("all events but members").others()
            return
        yield from self._single.values()
        for of_type in self._keyed.values():
            yield from of_type.values()

    @property
    def servers_in_room(self) -> frozenset[ServerName]:
        """The servers that have a joined member.

        In a partial state: those that were told, and those of members who came since. Cost:
        constant; linear in the servers for the first question after one came or went. In a
        storage, that of `Storage.servers`, and linear in the members after a member left.

        Raises:
            IncompleteState: the state is over a look-up, or partial and made without `servers`.
        """
        servers = self._servers
        if servers is None:
            if self._members is None:
                servers = self._in_storage("servers in the room").servers()
            elif self.is_partial:
                raise IncompleteState("servers in the room", "all members")
            else:
                servers = self._roster.servers_in_room
            _keep(self, "_servers", servers)
        return servers

    def heroes(self, *, excluding: str | None = None, at_most: int = HEROES) -> tuple[UserID, ...]:
        """Return the members who describe a room without a name.

        The `first members`__ who are joined or invited, in the order in which their
        memberships came; if there are none, those who left or are banned.

        Args:
            excluding: the user for whom the room is described.
            at_most: the number of members wanted, by default as many as describe a room.

        Returns:
            Their user IDs. Cost: linear in `at_most`, and in at most a sixteenth of the
            members when the first ones changed their membership recently.

        Raises:
            IncompleteState: the state is over a look-up function, or it is partial: the
                members left out may come before those at hand.

        __ https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid
        """
        if self.is_partial:
            raise IncompleteState("the heroes", "all members")
        for wanted in (PRESENT, ABSENT):
            users = (user for user in self._members_of(wanted) if user != excluding)
            # Joined and invited in one order, as the text says. Synapse takes the joined first.
            found = tuple(islice(users, max(at_most, 0)))
            if found:
                return found
        return ()

    def joined_members(self) -> Iterator[UserID]:
        """Return the joined users, in the order in which their memberships came.

        Of a partial state, those whom it shows: others may be joined too.

        Raises:
            IncompleteState: the state is over a look-up function.
        """
        # Never refused for a partial state: those shown are joined, whatever else is missing.
        return self._members_of((JOIN,), "the joined members")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RoomState):
            return NotImplemented
        if self is other:
            return True
        # States over a look-up could be compared only by loading every event of both.
        if self._members is None or other._members is None:
            return False
        return (
            self.room_version == other.room_version
            and self.is_partial == other.is_partial
            and places_of(self) == places_of(other)
            and dict(self._members) == dict(other._members)
        )

    def __hash__(self) -> int:
        # Few programs hash states, and the members would cost the size of the room.
        return hash((self.room_version, self.create_event))

    def __repr__(self) -> str:
        create = self.create_event  # in client format it need not name its room
        of_room = f" of {create.room_id}" if create and create.room_id else ""
        where = of_room if create else " without a create event"
        return f"<state{where}, version {self.room_version}>"

    def __reduce__(self) -> tuple[object, ...]:
        return pickled(self, RoomState.of)

    def _whole(self, question: str) -> Mapping[str, Event]:
        if self._members is None:
            found = self._in_storage(question).members(None)
            return {entry.state_key: entry for entry in found if entry.state_key is not None}
        return self._members

    def _members_of(
        self, wanted: tuple[Membership, ...], question: str = "the heroes"
    ) -> Iterator[UserID]:
        """Return the users of these memberships, in the order in which the events came."""
        if self._members is None:
            found = self._in_storage(question).members(wanted)
            return (UserID(entry.state_key) for entry in found if entry.state_key is not None)
        roster = self._roster
        members: Any = roster.absent if LEAVE in wanted else roster.present
        return (user for user, event in members.items() if event.membership in wanted)

    def _in_storage(self, question: str) -> Stored:
        if self._stored is None:
            raise IncompleteState(question, "all members")
        return self._stored


class _Lazy(RoomState):
    """A state whose slots are filled when they are asked for."""

    # A class of its own: with `__getattr__` an attribute takes 40 ns longer, and a check reads six.
    __slots__ = ()


# It is attached from outside because with a `__getattr__` in the class body type checkers accept
# every attribute, `state.heros()` as well.
type.__setattr__(_Lazy, "__getattr__", fill_in)
