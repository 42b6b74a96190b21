"""The events of one resolution: each looked up once, and read once.

The events that a look-up gives are not trusted. An event counts as missing when the look-up
does not have it, or gives one with another ID, of another room, or without a state key.
Nothing in a resolution raises for it: a missing event cannot be judged, and nothing is
known of what authorises it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from matrix_membership.events import Event
from matrix_membership.identifiers import EventID, RoomID
from matrix_membership.resolution._links import END_OF_LIST, Lists, links_in
from matrix_membership.resolution._state_sets import Place
from matrix_membership.room_versions import RoomVersion

__all__ = ["Graph", "Names"]

FindEvent = Callable[[EventID], Event | None]
Names = tuple[EventID, ...]
"""A list of auth events, as an event has it."""

_CREATE: Final = "m.room.create"
_LEVELS: Final = "m.room.power_levels"


class _Events(dict[EventID, Event]):
    """The events that were looked up and found.

    Attributes:
        look_up: gives the event of an ID, or None.
        missing: the IDs of those that were not found.
        room_id: the ID of the room, once it is known.
    """

    # `Graph` fills them in: a constructor, which C code has to call, takes 0.3 us.
    __slots__ = ("look_up", "missing", "room_id")

    look_up: FindEvent
    missing: set[EventID]
    room_id: RoomID | None

    def __missing__(self, event_id: EventID) -> Event | None:
        """Look up an event, and return it, or None when it is missing."""
        self.load((event_id,))
        return self.get(event_id)

    def load(self, event_ids: Iterable[EventID]) -> None:
        """Look up those events that were not looked up before."""
        # A storage is asked once for each ID, a missing event too. Its answer may change while a
        # resolution runs, and no other server would have a result made of both answers.
        look_up, room_id, missing = self.look_up, self.room_id, self.missing
        for event_id in event_ids:
            if event_id in self or event_id in missing:
                continue
            found = look_up(event_id)
            if (
                found is None
                # A look-up by a hash of another room version, or a cache with a mixed-up key, must
                # not put one event under the name of another. All servers would then disagree with
                # this one.
                or found.event_id != event_id
                or found.state_key is None
                or (found.room_id != room_id and room_id is not None)
            ):
                missing.add(event_id)
            else:
                self[event_id] = found


class _Edges(dict[EventID, Names]):
    """The auth events of each event, read at the first look-up.

    Attributes:
        events: the events.
        lists: the lists that were read.
    """

    __slots__ = ("events", "lists")

    # Not the graph, which holds this: two objects that hold each other stay until the garbage
    # collector comes, and with them the events of the resolution.
    events: _Events
    lists: Lists

    def read(self, event_ids: Iterable[EventID]) -> None:
        """Read those of many events at once: one by one takes 6 % of a resolution longer."""
        events, lists = self.events, self.lists
        for event_id in event_ids:
            event = events.get(event_id)
            if event is not None:
                pdu = event.pdu
                text = pdu[: pdu.find(END_OF_LIST)]
                self[event_id] = lists.get(text) or links_in(text, event, lists)

    def __missing__(self, event_id: EventID) -> Names:
        events = self.events
        event = events.get(event_id)
        if event is None:  # asked once more here, `__missing__` would be a second call from C
            events.load((event_id,))
            event = events.get(event_id)
        if event is None:
            found: Names = ()
        else:
            pdu, lists = event.pdu, self.lists
            text = pdu[: pdu.find(END_OF_LIST)]
            found = lists.get(text) or links_in(text, event, lists)
        self[event_id] = found
        return found


class Graph:
    """The events of a room by ID, with the edges from each to its auth events.

    It lives as long as one resolution does, fills itself on the way, and never leaves it.

    Attributes:
        room_version: the version of the room.
        rejected: the IDs of rejected events.
        events: the events that were looked up and found.
        missing: the IDs of those that were not found.
        event: gives the event of an ID, or None when it is missing.
        load: looks up events that were not looked up before.
        read: reads the auth events of events that are at hand.
        auth_events: gives the IDs of the events that authorise an event; none of a missing one.
    """

    __slots__ = (
        "_creates",
        "_levels",
        "_listed",
        "auth_events",
        "event",
        "events",
        "load",
        "missing",
        "read",
        "rejected",
        "room_version",
    )

    def __init__(
        self, room_version: RoomVersion, get: FindEvent, rejected: AbstractSet[str] = frozenset()
    ) -> None:
        self.room_version = room_version
        self.rejected = rejected
        self.events = events = _Events()
        events.look_up, events.room_id = get, None
        self.missing = events.missing = set()
        # A dict that fills itself answers in 40 ns from then on, a method of ours in 150.
        self.event: Callable[[EventID], Event | None] = events.__getitem__
        self.load = events.load
        edges = _Edges()
        edges.events, edges.lists = events, {}
        self.read = edges.read
        self.auth_events: Callable[[EventID], Names] = edges.__getitem__
        # By list: members who joined one after the other list the same events. A list of three is
        # hashed in 60 ns, and its events looked up in 500.
        self._levels: dict[Names, Event | None] = {}
        self._listed: dict[Names, Mapping[Place, Event]] = {}
        self._creates: dict[RoomID | None, Event | None] = {}

    def listed(self, names: Names) -> Mapping[Place, Event]:
        """Return the auth events of a list by place, but missing and rejected ones.

        Of two for one place, for which the event is to be rejected, the first counts.
        """
        found = self._listed.get(names)
        if found is None:
            by_place: dict[Place, Event] = {}
            event, rejected = self.event, self.rejected
            # Reversed, so that the first of two for one place is written last and stays. The rules
            # reject an event that lists two. Of such an event in a room, Synapse takes the last.
            for name in reversed(names):
                listed = event(name)
                if listed is not None and name not in rejected:
                    by_place[listed.type, listed.state_key or ""] = listed
            found = self._listed[names] = by_place
        return found

    def power_levels(self, event_id: EventID) -> Event | None:
        """Return the power levels event that an event lists, rejected or not."""
        names, levels = self.auth_events(event_id), self._levels
        if names not in levels:
            # Rejected power levels count here, unlike in a judgement: the mainline only sorts, and
            # auth chains lead through rejected events too.
            levels[names] = self._first_of(_LEVELS, names)
        return levels[names]

    def create_event(self, event_id: EventID) -> Event | None:
        """Return the create event that an event lists; in version 12, its room's."""
        if self.room_version.room_id_is_create_event:
            return self.create_of_room(self.events[event_id].room_id)
        return self._first_of(_CREATE, self.auth_events(event_id))

    def _first_of(self, kind: str, names: Names) -> Event | None:
        """Return the first of these events that has this type and the empty state key."""
        event = self.event
        for name in names:
            found = event(name)
            if found is not None and found.type == kind and found.state_key == "":
                return found
        return None

    def create_of_room(self, room_id: RoomID | None) -> Event | None:
        """Return the create event that a version 12 room ID names, unless rejected."""
        if room_id not in self._creates:
            create = None
            if room_id is not None and self.room_version.room_id_is_create_event:
                create_id = EventID("$" + room_id[1:])
                create = None if create_id in self.rejected else self.event(create_id)
            named = create is not None and create.type == _CREATE
            self._creates[room_id] = create if named else None
        return self._creates[room_id]

    def settle(self, create_id: EventID | None, event_ids: Iterable[EventID]) -> None:
        """Find out which room this is, and count the events of other rooms as missing.

        It is the room of the create event that all states have in common. Without one, it
        is the room of most of these events, or of several with equally many the smallest
        ID.

        Args:
            create_id: the ID of that create event, if there is one.
            event_ids: the events that the states differ in.
        """
        events = self.events
        create = None
        if create_id is not None:
            self.load((create_id,))
            create = events.get(create_id)
        if create is not None:
            # Then an event of another room is not even kept.
            events.room_id = create.room_id
        self.load(event_ids)
        if create is not None:
            return
        rooms = Counter([event.room_id for event in events.values()])
        # Counted over all disputed events and not taken from a disputed create event. In version 1
        # one of each room was a draw, and 6 of 20,000 generated rooms went to the wrong one.
        events.room_id = min(rooms, key=lambda room: (-rooms[room], room), default=None)
        for event in [event for event in events.values() if event.room_id != events.room_id]:
            del events[event.event_id]
            self.missing.add(event.event_id)
