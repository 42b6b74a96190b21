"""The members of a room in their order, and their servers.

They are kept up to date, so that no question scans them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from matrix_membership.events import Event
from matrix_membership.identifiers import ServerName, server_of
from matrix_membership.membership import BAN, INVITE, JOIN, LEAVE
from matrix_membership.state._persistent_map import PersistentMap


class Roster:
    """The members of a room in their order, and how many are joined per server.

    `told` are the servers of members who may have been left out.
    """

    # Two maps, since in an old room most members have left: a partial answer and the heroes would
    # walk over all of them to find five who are there.
    __slots__ = ("absent", "present", "servers", "told")

    def __init__(
        self,
        present: PersistentMap[str, Event],
        absent: PersistentMap[str, Event],
        servers: PersistentMap[ServerName, int],
        told: frozenset[ServerName],
    ) -> None:
        self.present = present
        self.absent = absent
        self.servers = servers
        self.told = told

    @classmethod
    def of(cls, members: Mapping[str, Event], told: frozenset[ServerName] = frozenset()) -> Roster:
        present: dict[str, Event] = {}
        absent: dict[str, Event] = {}
        servers: dict[ServerName, int] = {}
        for user, event in members.items():
            (present if event.membership in PRESENT else absent)[user] = event
            if event.membership is JOIN:
                server = server_of(user)
                servers[server] = servers.get(server, 0) + 1
        return cls(
            PersistentMap.owning(present),
            PersistentMap.owning(absent),
            PersistentMap.owning(servers),
            told,
        )

    @property
    def servers_in_room(self) -> frozenset[ServerName]:
        """The servers of joined members, and those of members who may have been left out.

        A server that was told stays when a member of it leaves: others may be joined. The
        members of any other server all came later, so it goes with the last of them.
        """
        return self.told.union(self.servers)

    def get(self, user: str) -> Event | None:
        return self.present.get(user) or self.absent.get(user)

    def with_member(self, user: str, event: Event) -> Roster:
        before = self.get(user)
        # Counted, not gathered: a server leaves the room with its last joined user, and nobody
        # looks through the others for one.
        joins = (event.membership is JOIN) - (before is not None and before.membership is JOIN)
        servers = self.servers
        if joins:
            server = server_of(user)
            count = (servers.get(server) or 0) + joins
            servers = servers.with_item(server, count) if count else servers.without(server)
        if event.membership in PRESENT:
            present = self.present.with_item(user, event)
            return Roster(present, self.absent.without(user), servers, self.told)
        absent = self.absent.with_item(user, event)
        return Roster(self.present.without(user), absent, servers, self.told)


PRESENT: Final = (JOIN, INVITE)
# Without KNOCK: the heroes of a room that everybody left are those who left or are banned.
ABSENT: Final = (LEAVE, BAN)


class Members(Mapping[str, Event]):
    """All members of a roster as one mapping."""

    __slots__ = ("_roster",)

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def __getitem__(self, user: str) -> Event:
        event = self._roster.get(user)
        if event is None:
            raise KeyError(user)
        return event

    def __iter__(self) -> Iterator[str]:
        yield from self._roster.present
        yield from self._roster.absent

    def __len__(self) -> int:
        return len(self._roster.present) + len(self._roster.absent)
