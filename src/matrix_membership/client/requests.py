"""Reading a client's request strictly, from its path, query and body.

Each reader returns a request, or the error to answer, which names the wrong field. The
caller must have authenticated the user. Each costs time linear in the body and query.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze
from matrix_membership.client._reading import fields_in, reader, required
from matrix_membership.errors import InvalidMessage
from matrix_membership.federation.messages import MatrixError
from matrix_membership.identifiers import (
    RoomID,
    ServerName,
    UserID,
    is_room_id,
    is_server_name,
    is_user_id,
    read_room_id,
    several,
)
from matrix_membership.membership import MEMBERSHIPS

__all__ = [
    "AddressRequest",
    "ClientRequest",
    "read_forget",
    "read_invite",
    "read_join",
    "read_joined_members",
    "read_knock",
    "read_leave",
    "read_membership",
    "read_target",
]

Query = Iterable[tuple[str, str]]

_ADDRESS_FIELDS: Final = ("id_server", "id_access_token", "medium", "address")
# Only the server writes these: a client could name any authorising user, or a forged invite.
_NEVER_A_CLIENTS: Final = frozenset({"join_authorised_via_users_server", "third_party_invite"})


@frozen
class ClientRequest:
    """A client's request about a room.

    Attributes:
        user: the user who makes the request.
        room: the room ID, or an alias where the endpoint takes one.
        target: the user whose membership is to change.
        via: servers to ask, in the client's order.
        content: keys that the client wants in the event, such as `reason`.
        third_party_signed: the object by which an identity server says that an invite
            by address is for this user; None when the client sent none.
        is_state: whether it came through the endpoint for state events, which answers
            with an event ID.

    .. versionadded:: 0.1.0
    """

    user: UserID
    room: str
    target: UserID
    via: tuple[ServerName, ...] = ()
    content: JsonObject = JsonObject()
    third_party_signed: JsonObject | None = None
    is_state: bool = False

    @property
    def is_by_alias(self) -> bool:
        """True if the room is named by an alias, which must be resolved first."""
        return self.room.startswith("#")

    def with_room(self, room_id: RoomID, servers: Iterable[str] = ()) -> ClientRequest:
        """Return the same request with its alias resolved.

        The servers that the directory names come after the client's own. Other entries than server
        names are left out.

        Raises:
            InvalidIdentifier: `room_id` is not a room ID. A directory that answers with an alias
                would otherwise be asked for ever.
        """
        found = (*self.via, *filter(is_server_name, several(servers, "servers")))
        return evolve(self, room=read_room_id(room_id), via=tuple(dict.fromkeys(found)))

    def after_exchange(self) -> ClientRequest:
        """Return the request to ask again with after an exchange, whatever came of it.

        It lacks what the identity server signed: a server that makes no invite of that would
        otherwise be asked for ever.
        """
        return evolve(self, third_party_signed=None)


@frozen
class AddressRequest:
    """An invite by address: the client does not know the user ID.

    Attributes:
        user: the user who makes the request.
        room: the room ID.
        id_server: the identity server to ask.
        id_access_token: the client's access token for the identity server.
        medium: the kind of address, such as `email`.
        address: the address.
        reason: the reason, if the client gives one.

    .. versionadded:: 0.1.0
    """

    user: UserID
    room: RoomID
    id_server: ServerName
    id_access_token: str
    medium: str
    address: str
    reason: str | None = None

    def for_user(self, target: UserID) -> ClientRequest:
        """Return the plain invite of the user whose address it is."""
        content = {} if self.reason is None else {"reason": self.reason}
        return ClientRequest(self.user, self.room, target, content=freeze(content))


@reader
def read_join(
    user: UserID, room: str, *, query: Query = (), body: bytes = b""
) -> ClientRequest | MatrixError:
    """Read a join, by room ID or alias.

    Args:
        user: the user who makes the request.
        room: the room ID or alias in the path.
        query: the decoded names and values of the query: those of `via`, or without
            any, those of the older `server_name`.
        body: the body; it may be empty.

    >>> read_join("@ben:b.example", "#talk:a.example", query=[("via", "a.example")]).via
    ('a.example',)
    >>> print(read_join("@ben:b.example", "!r:a.example", body=b'{"reason": 7}'))
    400 M_INVALID_PARAM: reason: expected text, got 7

    .. versionadded:: 0.1.0
    """
    fields = fields_in(body)
    signed = fields.get("third_party_signed")
    if signed is not None:
        _check_signed(signed)
    return ClientRequest(
        user=user,
        room=_room_or_alias(room),
        target=user,
        via=_via(query),
        content=_reason(fields),
        third_party_signed=signed,
    )


@reader
def read_knock(
    user: UserID, room: str, *, query: Query = (), body: bytes = b""
) -> ClientRequest | MatrixError:
    """Read a knock, by room ID or alias. The arguments are those of `read_join`.

    .. versionadded:: 0.1.0
    """
    reason = _reason(fields_in(body))
    return ClientRequest(user, _room_or_alias(room), user, _via(query), reason)


@reader
def read_leave(user: UserID, room_id: str, *, body: bytes = b"") -> ClientRequest | MatrixError:
    """Read a leave: leaving, rejecting an invite, or retracting a knock.

    .. versionadded:: 0.1.0
    """
    return ClientRequest(user, _room(room_id), user, content=_reason(fields_in(body)))


def read_forget(user: UserID, room_id: str, *, body: bytes = b"") -> ClientRequest | MatrixError:
    """Read a request to forget a room.

    .. versionadded:: 0.1.0
    """
    return read_leave(user, room_id, body=body)


def read_joined_members(user: UserID, room_id: str) -> ClientRequest | MatrixError:
    """Read a request for the joined members of a room.

    .. versionadded:: 0.1.0
    """
    return read_leave(user, room_id)


@reader
def read_target(user: UserID, room_id: str, *, body: bytes) -> ClientRequest | MatrixError:
    """Read a kick, a ban, an unban, or an invite by user ID.

    >>> print(read_target("@ana:a.example", "!r:a.example", body=b"{}"))
    400 M_MISSING_PARAM: user_id: expected a user ID, got nothing

    .. versionadded:: 0.1.0
    """
    fields = fields_in(body, must=True)
    target = required(fields, "user_id", "a user ID")
    if not is_user_id(target):
        raise InvalidMessage("user_id", "a user ID", target)
    return ClientRequest(user, _room(room_id), target, content=_reason(fields))


@reader
def read_invite(
    user: UserID, room_id: str, *, body: bytes
) -> ClientRequest | AddressRequest | MatrixError:
    """Read an invite. Its fields tell whether it is by user ID or by address.

    .. versionadded:: 0.1.0
    """
    fields = fields_in(body, must=True)
    # With none of the fields it is an invite by user ID, so that the error names what most clients
    # mean.
    if "user_id" in fields or not any(name in fields for name in _ADDRESS_FIELDS):
        return read_target(user, room_id, body=body)
    return address_in(fields, user, _room(room_id))


def address_in(fields: Mapping[str, JsonValue], user: UserID, room: RoomID) -> AddressRequest:
    """Read the fields of an invite by address."""
    texts = {name: required(fields, name, "text") for name in _ADDRESS_FIELDS}
    for name, text in texts.items():
        if not isinstance(text, str) or not text:
            raise InvalidMessage(name, "text", text)
    if not is_server_name(texts["id_server"]):
        raise InvalidMessage("id_server", "a server name", texts["id_server"])
    return AddressRequest(user=user, room=room, reason=_reason(fields).get("reason"), **texts)


@reader
def read_membership(
    user: UserID, room_id: str, state_key: str, *, body: bytes
) -> ClientRequest | MatrixError:
    """Read a membership that is set through the endpoint for state events.

    The keys of the content that only a server can set are left out.

    .. versionadded:: 0.1.0
    """
    fields = fields_in(body, must=True)
    if not is_user_id(state_key):
        raise InvalidMessage("state_key", "a user ID", state_key)
    membership = required(fields, "membership", "a membership")
    if not isinstance(membership, str) or membership not in MEMBERSHIPS:
        raise InvalidMessage("membership", f"one of {', '.join(MEMBERSHIPS)}", membership)
    _reason(fields)
    content = {key: value for key, value in fields.items() if key not in _NEVER_A_CLIENTS}
    return ClientRequest(
        user=user,
        room=_room(room_id),
        target=state_key,
        content=freeze(content),
        is_state=True,
    )


# ---------------------------------------------------------------------- fields


def _reason(fields: Mapping[str, JsonValue]) -> JsonObject:
    reason = fields.get("reason")
    if reason is None:
        return JsonObject()
    if not isinstance(reason, str):
        raise InvalidMessage("reason", "text", reason)
    return JsonObject(reason=reason)


def _room(room_id: str) -> RoomID:
    if not is_room_id(room_id):
        raise InvalidMessage("roomId", "a room ID", room_id)
    return room_id


def _room_or_alias(room: str) -> str:
    name, colon, server = room.partition(":")
    if name.startswith("#") and colon and is_server_name(server):
        return room
    if not is_room_id(room):
        raise InvalidMessage("roomIdOrAlias", "a room ID or an alias", room)
    return room


def _via(query: Query) -> tuple[ServerName, ...]:
    named: dict[str, list[ServerName]] = {"via": [], "server_name": []}
    for name, value in query:
        if name in named:
            if not is_server_name(value):
                raise InvalidMessage(name, "a server name", value)
            named[name].append(value)
    # `server_name` is the older name of the parameter. A client that sends both means the same
    # servers.
    return tuple(dict.fromkeys(named["via"] or named["server_name"]))


def _check_signed(signed: JsonValue) -> None:
    if not isinstance(signed, Mapping):
        raise InvalidMessage("third_party_signed", "an object", signed)
    for name, good, expected in (
        ("sender", is_user_id, "a user ID"),
        ("mxid", is_user_id, "a user ID"),
        ("token", lambda value: isinstance(value, str), "text"),
        ("signatures", lambda value: isinstance(value, Mapping), "an object"),
    ):
        value = required(signed, name, expected)
        if not good(value):
            raise InvalidMessage(f"third_party_signed.{name}", expected, value)
