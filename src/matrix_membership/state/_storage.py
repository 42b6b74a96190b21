"""Room state in the storage of a server, asked only for what a question needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from matrix_membership._attrs import constant
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.identifiers import ServerName, server_of
from matrix_membership.membership import JOIN, Membership
from matrix_membership.state._persistent_map import PersistentMap

__all__ = ["GetEvent", "Storage", "Stored", "stored_in_part"]

GetEvent = Callable[[str, str], Event | None]

_CREATE = "m.room.create"
_MEMBER = "m.room.member"


@constant
class Storage:
    """How a server looks up the state of a room in its storage, without loading its members.

    Attributes:
        get: gives the event of a type and a state key, or None.
        others: gives all events of the state but the members.
        members: gives member events in the order in which they came: takes the
            memberships that are wanted, or None for all. Only as many as needed are taken
            from it, so a database cursor fits.
        servers: gives the servers that have a joined member.
    """

    get: GetEvent
    others: Callable[[], Iterable[Event]]
    members: Callable[[tuple[Membership, ...] | None], Iterable[Event]]
    servers: Callable[[], Iterable[str]]


class Stored:
    """A storage, and the events that changed since.

    A stripped one may lack events of every type: it raises for what it lacks.
    """

    __slots__ = ("changes", "storage", "stripped")

    def __init__(
        self,
        storage: Storage,
        changes: PersistentMap[tuple[str, str], Event] | None = None,
        *,
        stripped: bool = False,
    ) -> None:
        self.storage = storage
        self.changes = PersistentMap() if changes is None else changes
        self.stripped = stripped

    def get(self, event_type: str, state_key: str) -> Event | None:
        return self.changes.get((event_type, state_key)) or self.storage.get(event_type, state_key)

    def others(self) -> Iterator[Event]:
        yield from self._unchanged(self.storage.others())
        yield from (event for event in self._changed() if event.type != _MEMBER)

    def members(self, wanted: tuple[Membership, ...] | None) -> Iterator[Event]:
        """Return the member events of these memberships: changed ones last, in their order."""
        yield from self._unchanged(self.storage.members(wanted))
        for event in self._changed():
            if event.type == _MEMBER and (wanted is None or event.membership in wanted):
                yield event

    def servers(self) -> frozenset[ServerName]:
        """Return the servers with a joined member. Cost: linear in the members after one left."""
        found = set(map(ServerName, self.storage.servers()))
        changed = [event for event in self._changed() if event.type == _MEMBER]
        found |= {_server(event) for event in changed if event.membership is JOIN}
        left = {_server(event) for event in changed if event.membership is not JOIN} & found
        # Of a stripped state, another member of the server may have been left out.
        if left and not self.stripped:
            found -= left - set(map(_server, self.members((JOIN,))))
        return frozenset(found)

    def with_event(self, event: Event) -> Stored:
        changes = self.changes.with_item(_place(event), event)
        return Stored(self.storage, changes, stripped=self.stripped)

    def _changed(self) -> Iterator[Event]:
        return (event for _, event in self.changes.items())

    def _unchanged(self, events: Iterable[Event]) -> Iterator[Event]:
        changed = self.changes.get
        return (event for event in events if changed(_place(event)) is None)


def stored_in_part(events: Iterable[Event], servers: Iterable[str] | None) -> Stored:
    """Store stripped state: a look-up of an event that it lacks raises.

    Args:
        events: some of the state events, in the order in which they came.
        servers: the servers in the room; None if they are unknown.
    """
    told: dict[tuple[str, str], Event] = {}
    for event in events:
        if event.state_key is not None and not (event.type == _CREATE and _place(event) in told):
            told[_place(event)] = event

    def get(event_type: str, state_key: str) -> Event | None:
        event = told.get((event_type, state_key))
        # The membership of a user who was left out has a value of its own: unknown.
        if event is None and event_type != _MEMBER:
            missing = f"{event_type} {state_key}".rstrip()
            raise IncompleteState("what stripped state leaves out", missing)
        return event

    def members(wanted: tuple[Membership, ...] | None) -> Iterator[Event]:
        listed = (event for event in told.values() if event.type == _MEMBER)
        return (event for event in listed if wanted is None or event.membership in wanted)

    def servers_in_room() -> Iterable[str]:
        if servers is None:
            raise IncompleteState("servers in the room", "all members")
        return servers

    def others() -> Iterator[Event]:
        return (event for event in told.values() if event.type != _MEMBER)

    return Stored(Storage(get, others, members, servers_in_room), stripped=True)


def _place(event: Event) -> tuple[str, str]:
    return event.type, event.state_key or ""


def _server(event: Event) -> ServerName:
    return server_of(event.state_key or "")
