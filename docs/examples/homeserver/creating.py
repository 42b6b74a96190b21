"""Answer createRoom and upgrade: make rooms for users."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Final

from aiohttp import web

from homeserver.answers import Answer
from homeserver.doing import Doing
from homeserver.server import Homeserver
from matrix_membership import client
from matrix_membership.server import MatrixError, UserID

__all__ = ["Creating"]

MOST_ROOMS: Final = 1000
"""Rooms that the server is in or was in: all are in memory."""

MOST_INVITES: Final = 100
"""Invites in one request: each may ask another server."""


class Creating:
    """Makes the rooms that the users of one server ask for."""

    def __init__(self, server: Homeserver, doing: Doing) -> None:
        self.server = server
        self.doing = doing
        self.endpoints = (
            ("POST", "/createRoom", self.create),
            ("POST", "/rooms/{room}/upgrade", self.upgrade),
        )

    async def create(self, user: UserID, _: object, body: bytes) -> Answer:
        """Make a room, give it its alias, and send its invites."""
        request = client.read_create_room(user, body=body)
        if isinstance(request, MatrixError):
            return Answer.refusing(request)
        if len(request.invited) + len(request.addresses) > MOST_INVITES:
            return Answer.refusing(
                MatrixError("M_RESOURCE_LIMIT_EXCEEDED", f"more than {MOST_INVITES} invites", 403)
            )
        new = self.too_many() or self.server.found(request)
        if isinstance(new, MatrixError):
            return Answer.refusing(new)
        for invite in new.invites:
            answer = await self.doing.carry_out(
                partial(client.invite, is_direct=new.is_direct), invite
            )
            if answer.status != HTTPStatus.OK:
                return self.refusing_invite(answer)
        return Answer.of(new.answer())

    async def upgrade(self, user: UserID, asked: web.Request, body: bytes) -> Answer:
        """Make the replacement of a room, move the aliases, and close the old room."""
        request = client.read_upgrade(user, asked.match_info["room"], body=body)
        if isinstance(request, MatrixError):
            return Answer.refusing(request)
        upgraded = await self.replace(request)
        if isinstance(upgraded, MatrixError):
            return Answer.refusing(upgraded)
        return Answer.of(upgraded.answer())

    async def replace(self, request: client.UpgradeRequest) -> client.UpgradedRoom | MatrixError:
        """Replace a room, for a user of ours; return both rooms or the error."""
        server = self.server
        upgraded = self.too_many() or server.upgraded(request)
        if isinstance(upgraded, MatrixError):
            return upgraded
        closing = []
        # Before anything is stored: the room's policy server may refuse the tombstone.
        for send in upgraded.closing:
            event = send.template.complete(server.signer)
            signed = await server.policing.sign(event, server.rooms[request.room].state)
            if isinstance(signed, MatrixError):
                return signed
            closing.append(signed)
        server.keep(upgraded.new_room)
        server.move_aliases(request.room, upgraded.new_room.room_id)
        for event in closing:
            server.publish(event)
        return upgraded

    def too_many(self) -> MatrixError | None:
        """Return the error if the server has too many rooms already."""
        if len(self.server.rooms) < MOST_ROOMS:
            return None
        return MatrixError("M_RESOURCE_LIMIT_EXCEEDED", "too many rooms", 403)

    def refusing_invite(self, answer: Answer) -> Answer:
        """Return the error for a room, which stays, of an invite that was refused."""
        error = MatrixError.from_json(answer.content, status=answer.status)
        if error.errcode == "M_INCOMPATIBLE_ROOM_VERSION":
            error = MatrixError("M_UNSUPPORTED_ROOM_VERSION", error.error, error.status)
        return Answer.refusing(error)
