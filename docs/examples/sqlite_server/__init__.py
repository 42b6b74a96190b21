"""A server of one's own: rooms in SQLite, answered with asyncio.

An answer loads the events that it needs, and no other. To use another database, rewrite `tables`.
A room has one newest event here, and an event that does not follow it is not taken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from matrix_membership import (
    Event,
    IncompleteState,
    InvalidEvent,
    KeyRing,
    RoomState,
    RoomVersion,
    Signer,
    restricted,
)
from matrix_membership.federation import AwaitingEvents, in_batches
from matrix_membership.identifiers import EventID, ServerName
from matrix_membership.receipt import Disposition, Receipt, needed_places, receive
from matrix_membership.room_versions import KNOWN
from matrix_membership.server import (
    JOINING,
    Accepted,
    Handshake,
    MakeRequest,
    MakeResponse,
    MatrixError,
    ReadPdu,
    ResidentRoom,
    SendRequest,
    read_pdu,
    resident,
)
from matrix_membership.state import Storage
from sqlite_server import tables
from sqlite_server.tables import Database, Place

T = TypeVar("T")


@dataclass
class Room:
    """A room that this server is in, with the events that were loaded for one request."""

    database: Database
    server_name: ServerName
    ours: list[str]
    room_id: str
    version: RoomVersion
    newest: EventID
    depth: int
    events: dict[EventID, Event] = field(default_factory=dict)

    async def rows(self, sql: str, *values: object) -> list[Any]:
        """Return the rows of a query about this room."""
        return await self.database.rows(sql, *values, self.room_id)

    async def load(self, wanted: Iterable[EventID]) -> list[Event]:
        """Load the events that are not at hand yet, and return all that are stored."""
        ids = list(wanted)
        missing = json.dumps([entry for entry in ids if entry not in self.events])
        for event_id, pdu, signed_by in await self.rows(tables.EVENTS, missing):
            event = Event.from_pdu(pdu, self.version, event_id=event_id)
            self.events[event_id] = event.with_signers(signed_by.split())
        return [self.events[entry] for entry in ids if entry in self.events]

    async def state_for(self, event: Event, *, authorise: bool = False) -> RoomState:
        """Load what is needed to judge an event, or also to authorise a restricted join."""
        ids: dict[Place, EventID] = {}
        known: set[Place] = set()
        servers, needed = await self.servers(), needed_places(event)
        while True:
            known |= needed
            ids |= await self.database.places(self.room_id, needed)
            await self.load(ids.values())
            state = RoomState.of_ids(
                ids, self.events, needed=known, room_version=self.version, servers=servers
            )
            user, ours = event.sender, self.ours
            needed = frozenset()
            if authorise:
                needed = restricted.needed(user, state, self.server_name, local_users=ours)
            if not needed:
                return state

    async def state_to_send(self, known: RoomState, *, omit_members: bool) -> RoomState:
        """Load the state that an answer shows."""
        ids = await self.rows(tables.OTHERS if omit_members else tables.STATE)
        events = await self.load(event_id for (event_id,) in ids)
        if not omit_members:
            return RoomState.of(self.version, events)
        others = {(event.type, event.state_key): event for event in events}

        def get(kind: str, key: str) -> Event | None:
            return known.get(kind, key) if kind == "m.room.member" else others.get((kind, key))

        servers = await self.servers()
        storage = Storage(get, others.values, no_members, lambda: servers)
        return RoomState.over(self.version, storage)

    async def servers(self) -> list[str]:
        """Return the servers in the room."""
        return [server for (server,) in await self.rows(tables.SERVERS)]

    async def answer(self, make: Callable[[ResidentRoom], T], state: RoomState, joining: str) -> T:
        """Make an answer, and load the events that it asks for."""
        allowed = json.dumps(restricted.rooms_to_check(state) if joining else ())
        found = await self.database.rows(tables.MEMBERSHIPS, allowed, joining, self.server_name)
        memberships = dict(found)
        room = ResidentRoom(
            server_name=self.server_name,
            state=state,
            prev_events=(self.newest,),
            depth=self.depth,
            get_event=self.events.get,
            rejected=frozenset(event_id for (event_id,) in await self.rows(tables.REJECTED)),
            memberships=lambda _, room_id: memberships.get(room_id),
            local_users=self.ours,
            state_after=lambda _: None,
            heroes=await self.rows(tables.HEROES),
        )
        step = in_batches(make, room)
        while isinstance(step, AwaitingEvents):
            step = step.given(await self.load(step.needs))
        return step


@dataclass
class Server:
    """A server that is in many rooms, and loads the part of one that a request needs."""

    database: Database
    signer: Signer

    async def room(self, room_id: str) -> Room | None:
        """Return a room; None if no user of this server is in it."""
        name = self.signer.server_name
        ours = [user for (user,) in await self.database.rows(tables.OURS, name, room_id)]
        sql = "select version, newest, depth from room where room_id = ?"
        for version, newest, depth in await self.database.rows(sql, room_id) if ours else ():
            return Room(self.database, name, ours, room_id, KNOWN[version], newest, depth)
        return None

    async def make(
        self, handshake: Handshake, request: MakeRequest, *, at: int
    ) -> MakeResponse | MatrixError:
        """Answer make_join, make_knock or make_leave."""
        room, user = await self.room(request.room_id), request.user_id
        if room is None:
            return resident.answer_make(handshake, request, None, at=at)
        joining = handshake is JOINING
        member = member_event(handshake, user, room.version)
        state = await room.state_for(member, authorise=joining)
        return await room.answer(
            lambda room: resident.answer_make(handshake, request, room, at=at),
            state,
            user if joining else "",
        )

    async def send(
        self, handshake: Handshake, request: SendRequest, keys: KeyRing
    ) -> Accepted | MatrixError:
        """Answer send_join, send_knock or send_leave."""

        def answer(room: ResidentRoom | None) -> Accepted | MatrixError:
            return resident.answer_send(handshake, request, room, self.signer, keys=keys)

        while (room := await self.room(request.room_id)) is not None:
            try:
                event = read_pdu(request.pdu, room.version).event
            except InvalidEvent:  # the answer says why
                event = member_event(handshake, "", room.version)
            joining = handshake is JOINING
            needed = await room.state_for(event, authorise=joining)
            omit = request.omit_members or not joining
            state = await room.state_to_send(needed, omit_members=omit)
            answered = await room.answer(answer, state, event.sender if joining else "")
            if isinstance(answered, MatrixError) or answered.repeated:
                return answered
            # If another event came in the meantime, it is judged again.
            if await self.database.store(answered.event, room.newest):
                return answered
        return answer(None)

    async def receive(self, read: ReadPdu, keys: KeyRing) -> Receipt | None:
        """Judge an event of a transaction, and store it.

        Returns:
            The receipt; None for an event that is known, or does not follow the newest one.
        """
        event = read.event
        while (room := await self.room(event.room_id)) is not None:
            if await room.load([event.event_id]) or read.prev_events != (room.newest,):
                break
            state = await room.state_for(event)
            await room.load(read.auth_events)
            rejected = frozenset(event_id for (event_id,) in await room.rows(tables.REJECTED))
            receipt = receive(
                read,
                room.version,
                keys=keys,
                auth_events=room.events.get,
                state_before=state,
                current_state=state,
                rejected=rejected,
            )
            kept, fate = receipt.event, receipt.disposition
            if kept is None or receipt.provisional:
                return receipt
            after = room.newest if receipt else None
            if await self.database.store(kept, after, rejected=fate is Disposition.REJECTED):
                return receipt
        return None


def no_members(_: object) -> NoReturn:
    """Refuse a question that no answer with omitted members should ask."""
    raise IncompleteState("the room", "all members")


def member_event(handshake: Handshake, user: str, version: RoomVersion) -> Event:
    """Return the event that a user asks for, as far as it is known beforehand."""
    content = {"membership": str(handshake.membership)}
    fields = {"type": "m.room.member", "sender": user, "state_key": user, "content": content}
    return Event.accepted(fields, version)
