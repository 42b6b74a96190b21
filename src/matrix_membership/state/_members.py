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
    """The members of a room in their order, and how many each server has.

    `servers` counts the joined members of each server, `invited` the invited ones. `told` are
    the servers of members who may have been left out.
    """

    # Two maps, since in an old room most members have left. A partial answer and the heroes would
    # walk over all of them to find five who are there.
    __slots__ = ("absent", "invited", "present", "servers", "told")

    def __init__(
        self,
        present: PersistentMap[str, Event],
        absent: PersistentMap[str, Event],
        servers: PersistentMap[ServerName, int],
        invited: PersistentMap[ServerName, int],
        told: frozenset[ServerName],
    ) -> None:
        self.present = present
        self.absent = absent
        self.servers = servers
        self.invited = invited
        self.told = told

    @classmethod
    def of(cls, members: Mapping[str, Event], told: frozenset[ServerName] = frozenset()) -> Roster:
        present: dict[str, Event] = {}
        absent: dict[str, Event] = {}
        servers: dict[ServerName, int] = {}
        invited: dict[ServerName, int] = {}
        for user, event in members.items():
            if event.membership not in PRESENT:
                absent[user] = event
                continue
            present[user] = event
            counted, server = servers if event.membership is JOIN else invited, server_of(user)
            counted[server] = counted.get(server, 0) + 1
        return cls(
            PersistentMap.owning(present),
            PersistentMap.owning(absent),
            PersistentMap.owning(servers),
            PersistentMap.owning(invited),
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
        was, now = None if before is None else before.membership, event.membership
        servers, invited = self.servers, self.invited
        # Counted, not gathered: a server leaves the room with its last joined user, and nobody
        # looks through the others for one.
        if was is not now:
            server = server_of(user)
            servers = _counted(servers, server, (now is JOIN) - (was is JOIN))
            invited = _counted(invited, server, (now is INVITE) - (was is INVITE))
        if now in PRESENT:
            present = self.present.with_item(user, event)
            return Roster(present, self.absent.without(user), servers, invited, self.told)
        absent = self.absent.with_item(user, event)
        return Roster(self.present.without(user), absent, servers, invited, self.told)


def _counted(
    counts: PersistentMap[ServerName, int], server: ServerName, more: int
) -> PersistentMap[ServerName, int]:
    if not more:
        return counts
    count = (counts.get(server) or 0) + more
    return counts.with_item(server, count) if count else counts.without(server)


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
