"""Tell users of rooms and spaces that they are not in. Ask other servers for rooms that this server does not have.

Answers of other servers are kept for a while, since one walk through a space may need many of them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

import attrs
from aiohttp import web

from homeserver.answers import Answer
from homeserver.bounded import Bounded
from homeserver.server import Homeserver
from homeserver.showing import number_of
from matrix_membership import InvalidMessage, Membership, RoomState
from matrix_membership.server import (
    JsonObject,
    MatrixError,
    Request,
    RoomID,
    ServerName,
    UserID,
    hierarchy,
    is_room_id,
    is_server_name,
    may_learn_of,
    path_of,
    read_hierarchy,
    summarise,
)

__all__ = ["Summaries"]

CLIENT: Final = "/_matrix/client/v1"

MOST_ASKED: Final = 20
"""Requests to other servers because of one request of a user."""

MOST_SERVERS: Final = 3
"""Servers to ask for one room."""

MOST_KEPT: Final = 1000
KEPT_MS: Final = 300_000
"""Rooms that other servers told of, and how long that is believed."""

MOST_ROOMS: Final = 50
MOST_DEPTH: Final = 50

NOT_FOUND: Final = MatrixError.of("M_NOT_FOUND", "the room cannot be found")

_is_token: Final = re.compile("([0-9]{1,9})-(.+)").fullmatch

Resolve = Callable[[str], Awaitable[Any]]


@attrs.frozen
class Told:
    """The answer of other servers about a room, and when it came; None if nobody tells of it."""

    document: JsonObject | None
    at: int


class Summaries:
    """The endpoints that tell of rooms.

    Args:
        server: the server.
        resolve: returns the room ID of an alias and servers in the room, or an error.
    """

    def __init__(self, server: Homeserver, resolve: Resolve) -> None:
        self.server = server
        self.resolve = resolve
        self.told: Bounded[str, Told] = Bounded(MOST_KEPT)
        self.endpoints = (
            ("GET", CLIENT + "/room_summary/{room}", self.summary),
            ("GET", CLIENT + "/rooms/{room}/hierarchy", self.hierarchy),
        )

    async def summary(self, user: UserID, request: web.Request, _: bytes) -> Answer:
        """Answer with the summary of a room."""
        room_id, via = request.match_info["room"], request.query.getall("via", [])
        if room_id.startswith("#"):
            found = await self.resolve(room_id)
            if isinstance(found, MatrixError):
                return Answer.refusing(found)
            room_id, via = found[0], [*found[1], *via]
        if not is_room_id(room_id):
            return Answer.refusing(MatrixError.of("M_INVALID_PARAM", "expected a room"))
        room = self._known(room_id)
        if room is None:
            await self._fetch(room_id, via)
            room = self._known(room_id)
        membership = self._membership_of(user)
        if room is None or may_learn_of(user, room, membership_of=membership) is None:
            return Answer.refusing(NOT_FOUND)
        told = summarise(room) if isinstance(room, RoomState) else dict(room)
        told.pop("children_state", None)
        return Answer.of({**told, "membership": str(membership(room_id) or Membership.LEAVE)})

    async def hierarchy(self, user: UserID, request: web.Request, _: bytes) -> Answer:
        """Answer with a page of the tree of a space."""
        room_id = request.match_info["room"]
        suggested = request.query.get("suggested_only") == "true"
        depth = number_of(request, "max_depth", MOST_DEPTH, MOST_DEPTH)
        kind = f"{depth}{'s' if suggested else ''}"
        token = _is_token(request.query.get("from", f"0-{kind}"))
        if token is None or token[2] != kind:
            said = "from, max_depth and suggested_only do not fit together"
            return Answer.refusing(MatrixError.of("M_INVALID_PARAM", said))
        limit = max(1, number_of(request, "limit", MOST_ROOMS, MOST_ROOMS))
        asked = 0
        while True:
            tree = hierarchy(
                user,
                room_id,
                self._known,
                membership_of=self._membership_of(user),
                suggested_only=suggested,
                max_depth=depth,
                skip=int(token[1]),
                limit=limit,
            )
            if tree is None:
                return Answer.refusing(MatrixError.of("M_FORBIDDEN", "you may not see this room"))
            needed = [name for name in tree.needs if not self._asked_for(name)]
            if not needed or asked == MOST_ASKED:
                break
            asked += 1
            await self._fetch(needed[0], tree.needs[needed[0]])
        if not tree.rooms and int(token[1]) == 0:
            return Answer.refusing(MatrixError.of("M_FORBIDDEN", "you may not see this room"))
        more = {"next_batch": f"{int(token[1]) + len(tree.rooms)}-{kind}"} if tree.more else {}
        return Answer.of({"rooms": tree.rooms, **more})

    # ------------------------------------------------------------------ rooms of this server

    def _known(self, room_id: RoomID) -> RoomState | JsonObject | None:
        server = self.server
        if server.takes_part_in(room_id):
            return server.rooms[room_id].state
        return self.told[room_id].document if self._asked_for(room_id) else None

    def _membership_of(self, user: UserID) -> Callable[[RoomID], Membership | None]:
        def membership_of(room_id: RoomID) -> Membership | None:
            held = self.server.held.get((room_id, user))
            return self.server.membership(user, room_id) or (
                None if held is None else held.membership
            )

        return membership_of

    def _asked_for(self, room_id: str) -> bool:
        told = self.told.get(room_id)
        return told is not None and self.server.now() - told.at < KEPT_MS

    async def _fetch(self, room_id: RoomID, via: Iterable[str]) -> None:
        """Ask some servers for a room, until one of them tells of it."""
        now = self.server.now()
        self.told[room_id] = Told(None, now)
        others = [name for name in via if is_server_name(name) and name != self.server.name]
        for name in dict.fromkeys(others[:MOST_SERVERS]):
            request = Request("GET", path_of("v1", "hierarchy", room_id))
            answer = await self.server.transport.ask(ServerName(name), request)
            if answer.status != HTTPStatus.OK:
                continue
            try:
                tree = read_hierarchy(answer.content, room_id)
            except InvalidMessage:
                continue
            # Its children are asked for where they are: anybody can name any room as a child, and say
            # what they like of it.
            self.told[room_id] = Told(tree.rooms[room_id], now)
            return
