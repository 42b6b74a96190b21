"""The members of a room in their order, and their servers.

They are kept up to date, so that no question scans them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from matrix_membership.events import Event
from matrix_membership.identifiers import ServerName, server_of
from matrix_membership.membership import BAN, INVITE, JOIN, LEAVE
from matrix_membership.state._persistent_map import GONE, PersistentMap


class Roster(Mapping[str, Event]):
    """The members of a room in their order, and how many each server has.

    `servers` counts the joined members of each server, `invited` the invited ones. `told` are
    the servers of members who may have been left out. As a mapping, it holds all members.
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

    def get(self, user: str) -> Event | None:  # type: ignore[override]  # no default is wanted
        # The loop of `PersistentMap.get`, since every check asks for a member or two: 38 bytecode
        # instructions for one who is joined, and 45 through the call.
        for level in self.present.levels:
            event = level.get(user)
            if event is not None:
                if event is not GONE:
                    return event
                break
        for level in self.absent.levels:
            event = level.get(user)
            if event is not None:
                return None if event is GONE else event
        return None

    def __getitem__(self, user: str) -> Event:
        event = self.get(user)
        if event is None:
            raise KeyError(user)
        return event

    def __iter__(self) -> Iterator[str]:
        yield from self.present
        yield from self.absent

    def __len__(self) -> int:
        return len(self.present) + len(self.absent)

    def with_member(self, user: str, event: Event) -> Roster:
        present, absent = self.present, self.absent
        servers, invited = self.servers, self.invited
        # Each map is asked once: looking for a user in four levels takes 0.4 us.
        before = present.get(user)
        was_present = before is not None
        if before is None:
            before = absent.get(user)
        was, now = None if before is None else before.membership, event.membership
        # Counted, not gathered: a server leaves the room with its last joined user, and nobody
        # looks through the others for one.
        if was is not now:
            # An event keeps the server of its sender, who most often is the member.
            server = event.server if event.sender == user else server_of(user)
            if now is JOIN or was is JOIN:
                servers = _counted(servers, server, 1 if now is JOIN else -1)
            if now is INVITE or was is INVITE:
                invited = _counted(invited, server, 1 if now is INVITE else -1)
        if now in PRESENT:
            present = present.changed(user, event, not was_present)
            if before is not None and not was_present:
                absent = absent.without(user)
        else:
            absent = absent.changed(user, event, was_present or before is None)
            if was_present:
                present = present.without(user)
        return Roster(present, absent, servers, invited, self.told)


def _counted(
    counts: PersistentMap[ServerName, int], server: ServerName, more: int
) -> PersistentMap[ServerName, int]:
    before = counts.get(server) or 0
    if before + more:
        return counts.changed(server, before + more, not before)
    return counts.without(server)


PRESENT: Final = (JOIN, INVITE)
# Without KNOCK: the heroes of a room that everybody left are those who left or are banned.
ABSENT: Final = (LEAVE, BAN)
