"""A test's room as the server a.example knows it, and requests of its clients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from matrix_membership.client import (
    AddressRequest,
    ClientRequest,
    Send,
    read_forget,
    read_invite,
    read_join,
    read_knock,
    read_leave,
    read_membership,
    read_target,
)
from matrix_membership.federation import MatrixError, ResidentRoom
from matrix_membership.identifiers import ServerName, UserID
from matrix_membership.membership import Membership
from matrix_membership.out_of_band import OutOfBand
from tests.builders import ANA, BEN, Room

HERE = ServerName("a.example")
ALLOW = ({"type": "m.room_membership", "room_id": "!s:a.example"},)


def resident(room: Room, server: str = HERE) -> ResidentRoom:
    """The room as one of its servers knows it."""
    events = {event.event_id: event for event in room.events}
    return ResidentRoom(ServerName(server), room.state, tuple(events)[-1:], 7, events.get)


def invited(room: Room, user: str = BEN, sender: str = ANA) -> OutOfBand:
    """An invite that a server outside holds."""
    event = room.invite(sender, user)
    return OutOfBand.invited(event.with_signers({event.server, user.partition(":")[2]}), at=0)


def body(**fields: Any) -> bytes:
    """A request's body."""
    return json.dumps(fields).encode()


_Request = TypeVar("_Request")


def asks(request: _Request | MatrixError) -> _Request:
    """A request that could be read."""
    assert not isinstance(request, MatrixError), request
    return request


def joins(user: str, room: str, *, via: tuple[str, ...] = (), **fields: Any) -> ClientRequest:
    """A user asks to join."""
    query = [("via", server) for server in via]
    return asks(read_join(UserID(user), room, query=query, body=body(**fields)))


def knocks(user: str, room: str, *, via: tuple[str, ...] = (), **fields: Any) -> ClientRequest:
    """A user asks to knock."""
    query = [("via", server) for server in via]
    return asks(read_knock(UserID(user), room, query=query, body=body(**fields)))


def leaves(user: str, room: str, **fields: Any) -> ClientRequest:
    """A user asks to leave."""
    return asks(read_leave(UserID(user), room, body=body(**fields)))


def forgets(user: str, room: str) -> ClientRequest:
    """A user asks to forget."""
    return asks(read_forget(UserID(user), room))


def about(user: str, room: str, target: str, **fields: Any) -> ClientRequest:
    """A user asks to kick, ban, unban or invite another one."""
    return asks(read_target(UserID(user), room, body=body(user_id=target, **fields)))


def invites_address(user: str, room: str, **fields: Any) -> AddressRequest:
    """A user asks to invite somebody by address."""
    told = {
        "id_server": "id.example",
        "id_access_token": "secret",
        "medium": "email",
        "address": "ben@b.example",
        **fields,
    }
    request = asks(read_invite(UserID(user), room, body=body(**told)))
    assert isinstance(request, AddressRequest)
    return request


def sets(
    user: str, room: str, target: str, membership: str | Membership, **fields: Any
) -> ClientRequest:
    """A user sets a membership through the endpoint for state events."""
    told = body(membership=str(membership), **fields)
    return asks(read_membership(UserID(user), room, target, body=told))


def content_of(outcome: object) -> Mapping[str, Any]:
    """The content of the event that is to be sent."""
    assert isinstance(outcome, Send), outcome
    return outcome.template.content


def refusal(outcome: object) -> tuple[int, str, str]:
    """Status, code and sentence of an error."""
    assert isinstance(outcome, MatrixError), outcome
    return outcome.status, outcome.errcode, outcome.error
