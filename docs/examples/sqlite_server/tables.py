"""The tables, the queries, and the one place where the database is asked."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from matrix_membership import Event
from matrix_membership.identifiers import EventID

T = TypeVar("T")
Place = tuple[str, str]

SCHEMA: Final = """
    pragma journal_mode = wal;
    pragma synchronous = normal;
    create table if not exists room (room_id text primary key, version text, newest text, depth int);
    create table if not exists event (
        room_id text, event_id text, pdu blob, signed_by text, rejected int,
        primary key (room_id, event_id)
    );
    create index if not exists rejected on event (room_id) where rejected;
    create table if not exists place (
        stream integer primary key, room_id text, type text, state_key text, event_id text,
        membership text, server text, unique (room_id, type, state_key)
    );
    create index if not exists heroes on place (room_id, stream)
        where membership in ('join', 'invite');
    create index if not exists servers on place (room_id, membership, server, state_key);
"""
PLACE: Final = "select event_id from place where room_id = ? and type = ? and state_key = ?"
# The `cross join` has SQLite begin with what is wanted, not with all rows of the room.
EVENTS: Final = """
    select event_id, pdu, signed_by from json_each(?) cross join event on event_id = value
    where room_id = ?
"""
OURS: Final = "select state_key from place where membership = 'join' and server = ? and room_id = ?"
REJECTED: Final = "select event_id from event where rejected and room_id = ?"
SERVERS: Final = "select distinct server from place where membership = 'join' and room_id = ?"
HEROES: Final = """
    select state_key, event_id from place where membership in ('join', 'invite') and room_id = ?
    order by stream limit 6
"""
STATE: Final = "select event_id from place where room_id = ? order by stream"
OTHERS: Final = "select event_id from place where membership is null and room_id = ?"
# Of a room that this server has left, the rows are out of date.
MEMBERSHIPS: Final = """
    select value, coalesce(place.membership, 'leave') from json_each(?) left join place
    on room_id = value and place.type = 'm.room.member' and state_key = ?
    where exists (select 1 from place as ours where ours.room_id = value
        and ours.membership = 'join' and ours.server = ?)
"""


class Database:
    """The tables of a server."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, check_same_thread=False)
        self.connection.executescript(SCHEMA)
        # One thread, not `asyncio.to_thread`: two transactions on a connection would mix.
        self.thread = ThreadPoolExecutor(1)

    def close(self) -> None:
        """Wait for the work at hand, and close the database."""
        self.thread.shutdown()
        self.connection.close()

    async def run(self, work: Callable[[], T]) -> T:
        """Do some work in the database's thread."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, work)

    async def rows(self, sql: str, *values: object) -> list[Any]:
        """Return the rows of a query."""
        return await self.run(lambda: self.connection.execute(sql, values).fetchall())

    async def places(self, room_id: str, wanted: Iterable[Place]) -> dict[Place, EventID]:
        """Return the event IDs of some places."""

        # One by one: SQLite's functions for JSON end a text at its first NUL, and others choose it.
        def work() -> dict[Place, EventID]:
            ask = self.connection.execute
            found = {place: ask(PLACE, (room_id, *place)).fetchone() for place in wanted}
            return {place: row[0] for place, row in found.items() if row}

        return await self.run(work)

    async def store(self, event: Event, after: str | None, *, rejected: bool = False) -> bool:
        """Store an event. Return false if `after`, which it follows, is not the newest any more.

        A create event follows the empty name. A soft-failed or rejected event follows None, and
        changes nothing.
        """
        room, key, membership = event.room_id, event.state_key, event.membership

        def work() -> bool:
            with self.connection as database:
                if after == "":
                    version = event.room_version.identifier
                    database.execute("insert into room values (?, ?, '', 0)", (room, version))
                if after is not None:
                    sql = "update room set newest = ?, depth = ? where room_id = ? and newest = ?"
                    newest = (event.event_id, event.depth, room, after)
                    if database.execute(sql, newest).rowcount == 0:
                        return False
                row = (room, event.event_id, event.pdu, " ".join(event.signed_by), rejected)
                database.execute("insert or ignore into event values (?, ?, ?, ?, ?)", row)
                if after is not None and key is not None:
                    member = (str(membership), key.partition(":")[2]) if membership else (None,) * 2
                    sql = "insert or replace into place values (null, ?, ?, ?, ?, ?, ?)"
                    database.execute(sql, (room, event.type, key, event.event_id, *member))
                return True

        return await self.run(work)
