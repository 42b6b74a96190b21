"""Hold the server together: its rooms, its keys, and the events that it sends."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any, Final

from homeserver.answers import Answer
from homeserver.keys import MOST_ASKED, Keys
from homeserver.outbox import Outbox
from homeserver.policing import Policing
from homeserver.rooms import Room
from homeserver.transport import Transport
from homeserver.users import Users
from matrix_membership import (
    KNOWN,
    Event,
    KeyRing,
    Membership,
    RoomState,
    RoomVersion,
    Signer,
    client,
)
from matrix_membership.server import (
    MatrixError,
    OutOfBand,
    ResidentRoom,
    RoomID,
    ServerName,
    UserID,
    freeze,
    server_of,
)

MOST_TASKS: Final = 200
"""Background tasks at the same time."""

MOST_REFUSALS: Final = 100


class Homeserver:
    """A homeserver without its HTTP endpoints, which are in `endpoints`.

    Attributes:
        transport: sends requests to other servers.
        signer: its key.
        name: its name.
        rooms: the rooms that it is in or was in.
        aliases: room IDs by alias.
        held: invites and knocks of its users in rooms that it is not in, by room and user.
        keys: the keys of other servers.
        outbox: the events that other servers have not taken yet.
        policing: signs events as a policy server, and asks the policy servers of rooms.
        users: the settings of its own users.
        room_versions: the room versions that it speaks.
        identity_servers: the identity servers that it trusts.
        omits_members: whether it leaves members out of an answer if the request allows it.
        refusals: the newest errors that it answered, for its log.
    """

    def __init__(self, transport: Transport, *, room_versions: Iterable[str] = KNOWN) -> None:
        self.transport = transport
        self.signer: Signer = transport.signer
        self.name: ServerName = transport.signer.server_name
        self.rooms: dict[str, Room] = {}
        self.refusals: deque[MatrixError] = deque(maxlen=MOST_REFUSALS)
        self.aliases: dict[str, str] = {}
        self.held: dict[tuple[str, str], OutOfBand] = {}
        self.keys = Keys(transport, self.now)
        self.outbox = Outbox(transport, self.now, self.refusals.append)
        self.policing = Policing(transport, self.snapshot)
        self.users = Users(self.name, self.state_of)
        self.room_versions = {name: KNOWN[name] for name in room_versions}
        self.identity_servers: frozenset[str] = frozenset()
        self.omits_members = True
        self._tasks: set[asyncio.Task[None]] = set()

    @staticmethod
    def now() -> int:
        """Return the time, in milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def refuse(self, error: MatrixError) -> Answer:
        """Answer with an error, and remember it."""
        self.refusals.append(error)
        return Answer.refusing(error)

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background.

        Answering a request must not wait for the asking server, which may be waiting for us. If too many
        tasks run already, the work is dropped; a server with a database would store it and do it later.
        """
        if len(self._tasks) >= MOST_TASKS:
            work.close()
            self.refusals.append(MatrixError.of("M_LIMIT_EXCEEDED", "too much is under way"))
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Finish the background tasks, and close the connections."""
        await asyncio.gather(*self._tasks)
        await self.outbox.close()
        await self.transport.close()

    # ------------------------------------------------------------------ rooms

    def create_room(
        self,
        creator: str,
        version: str | RoomVersion = "12",
        *,
        join_rule: str = "public",
        allow: Iterable[str] = (),
        name: str | None = None,
        levels: Mapping[str, Any] | None = None,
    ) -> Room:
        """Make a room; a user of ours is its creator.

        Args:
            creator: that user.
            version: the room version.
            join_rule: the join rule.
            allow: for a restricted room, the rooms whose members may join.
            name: the room's name; None makes no name event.
            levels: power levels that replace those of a new room.
        """
        version = KNOWN[version] if isinstance(version, str) else version
        rules: dict[str, Any] = {"join_rule": join_rule}
        if allow:
            rules["allow"] = [{"type": "m.room_membership", "room_id": found} for found in allow]
        request = client.CreateRequest(
            UserID(creator),
            room_version=version.identifier,
            name=name,
            initial_state=(("m.room.join_rules", "", freeze(rules)),),
            levels=freeze(levels or {}),
        )
        new = self.found(request, {version.identifier: version})
        assert isinstance(new, client.NewRoom), new
        return self.rooms[new.room_id]

    def found(
        self,
        request: client.CreateRequest,
        room_versions: Mapping[str, RoomVersion] | None = None,
    ) -> client.NewRoom | MatrixError:
        """Make a room that a user of ours asks for, without its invites; return it or the error."""
        spoken = self.room_versions if room_versions is None else room_versions
        make = partial(
            client.create_room,
            request,
            aliases=self.aliases,
            room_versions=spoken,
            settings=self.users.settings(request),
        )
        new: client.NewRoom | MatrixError = self._new(make, lambda made: made)
        if isinstance(new, client.NewRoom):
            self.keep(new)
        return new

    def upgraded(self, request: client.UpgradeRequest) -> client.UpgradedRoom | MatrixError:
        """Draft the replacement of a room for a user of ours; return it or the error."""
        make = partial(
            client.upgrade_room,
            request,
            self.snapshot(request.room),
            aliases=self.aliases_of(request.room),
            room_versions=self.room_versions,
            settings=self.users.settings(request),
        )
        made: client.UpgradedRoom | MatrixError = self._new(make, lambda made: made.new_room)
        return made

    def aliases_of(self, room_id: str) -> list[str]:
        """Return the aliases of a room."""
        return [alias for alias, named in self.aliases.items() if named == room_id]

    def move_aliases(self, room_id: str, new_id: str) -> None:
        """Give the aliases of a room to another one."""
        self.aliases.update(dict.fromkeys(self.aliases_of(room_id), new_id))

    def _new(self, make: Callable[..., Any], room_of: Callable[[Any], client.NewRoom]) -> Any:
        """Make a room whose ID is new: in version 12 it depends on the time alone."""
        at = self.now()
        while True:
            made = make(room_id=RoomID(f"!{secrets.token_hex(9)}:{self.name}"), at=at)
            if isinstance(made, MatrixError) or room_of(made).room_id not in self.rooms:
                return made
            at += 1

    def keep(self, new: client.NewRoom) -> None:
        """Sign the events of a new room, and store it."""
        room = Room(new.room_version)
        for event in new.complete(self.signer):
            room.store(event)
        self.rooms[new.room_id] = room
        if new.alias is not None:
            self.aliases[new.alias] = new.room_id

    def send(
        self,
        room: Room,
        sender: str,
        event_type: str,
        content: Any,
        *,
        state_key: str | None = None,
    ) -> Event:
        """Put an event of a user of ours into a room; `tell` sends it to other servers.

        Raises:
            Rejected: the rules reject it.
        """
        return room.make(
            self.signer, sender, event_type, content, state_key=state_key, at=self.now()
        )

    def takes_part_in(self, room_id: Any) -> bool:
        """Return whether a user of ours is joined to a room."""
        room = self.rooms.get(room_id) if isinstance(room_id, str) else None
        return room is not None and self.name in room.state.servers_in_room

    def state_of(self, room_id: str) -> RoomState | None:
        """Return the current state of a room; None if we are not in it."""
        return self.rooms[room_id].state if self.takes_part_in(room_id) else None

    def membership(self, user: UserID, room_id: RoomID) -> Membership | None:
        """Return a user's membership in a room; None if we cannot tell."""
        if not self.takes_part_in(room_id):
            return None
        found = self.rooms[room_id].state.membership_of(user)
        return None if found is Membership.UNKNOWN else found

    def snapshot(self, room_id: str) -> ResidentRoom | None:
        """Return a room at this moment; None if we are not in it."""
        if not self.takes_part_in(room_id):
            return None
        return self.rooms[room_id].snapshot(self.name, self.membership)

    def publish(self, event: Event) -> None:
        """Keep an event of ours that was judged, and send it to the servers that it concerns.

        Where the room has a policy server, `policing.sign` comes first.
        """
        room = self.rooms[event.room_id]
        concerned = set(room.state.servers_in_room)
        if event.membership is not None:
            concerned.add(server_of(event.state_key or ""))
        room.store(event)
        self.outbox.put(concerned - {self.name}, event)

    # ------------------------------------------------------------------ asking others

    async def keys_for(
        self, needs: Mapping[ServerName, Iterable[str]], *, most: int = MOST_ASKED
    ) -> KeyRing:
        """Return the needed keys that can be fetched; see `keys.Keys.get`."""
        return await self.keys.get(needs, most=most)

    async def tell(self, servers: Iterable[str], *events: Event) -> None:
        """Send events to other servers; wait until each has taken them, or failed to once."""
        others = sorted(set(servers) - {self.name})
        self.outbox.put(others, *events)
        await self.outbox.tried(others)
