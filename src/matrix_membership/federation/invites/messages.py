"""The messages of invites: the event to countersign, and what identity servers say.

A message is read strictly from parsed JSON and written back to it. Events inside are
kept as they came: whoever signs one must not change it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonObject, JsonValue, encode, freeze, thaw
from matrix_membership.errors import InvalidJson, InvalidMessage
from matrix_membership.events.contents import unpadded_base64
from matrix_membership.federation._needs import Needs
from matrix_membership.federation.messages import Request, path_of
from matrix_membership.identifiers import (
    RoomID,
    ServerName,
    UserID,
    is_room_id,
    is_user_id,
    server_of,
)
from matrix_membership.room_versions import KNOWN

__all__ = [
    "MOST_BOUND",
    "MOST_SERVERS_OF_ROOM_STATE",
    "ON_BIND_METHODS",
    "ON_BIND_PATH",
    "ExchangeRequest",
    "InviteRequest",
    "InviteResponse",
    "OnBindRequest",
    "PendingInvite",
    "StoredInvite",
]

MOST_SERVERS_OF_ROOM_STATE: Final = 32
"""How many servers an invite, or the answer to a knock, can make its receiver ask for keys.

They tell of a room in some eight events; a server can put any number there.
"""

ON_BIND_PATH: Final = path_of("v1", "3pid", "onbind")
"""Where identity servers say that a third-party identifier was bound."""

MOST_BOUND: Final = 100
"""How many invites one `OnBindRequest` may bring: each costs a signature and its check."""

ON_BIND_METHODS: Final = ("PUT", "POST")
"""How they say it: the endpoint is specified with PUT, its description says POST."""


@frozen
class InviteRequest:
    """An invite on its way to the invited user's server.

    Attributes:
        endpoint: the version of the endpoint: `v2` or `v1`.
        room_id: the room in the path.
        event_id: the event ID in the path.
        origin: the server that sends it, as its authentication proved.
        event: the invite, as it came.
        invite_room_state: what the request tells of the room, as it came.
        room_version: the room's version; None at the v1 endpoint, which does not say.
    """

    endpoint: str
    room_id: str
    event_id: str
    origin: str
    event: JsonObject
    invite_room_state: tuple[JsonValue, ...] = ()
    room_version: str | None = None

    @classmethod
    def from_json(
        cls,
        body: JsonValue,
        *,
        room_id: str,
        event_id: str,
        origin: str,
        endpoint: str = "v2",
    ) -> InviteRequest:
        """Read the body of a request.

        Args:
            body: the parsed body.
            room_id: the room in the path.
            event_id: the event ID in the path.
            origin: the server that sends it, as its authentication proved.
            endpoint: the version of the endpoint: `v2` or `v1`.

        Raises:
            InvalidMessage: it is not of that form.
        """
        body = _object(body, "invite")
        version = None
        if endpoint == "v1":
            event = body
            unsigned = body.get("unsigned")
            state = unsigned.get("invite_room_state") if isinstance(unsigned, Mapping) else None
        else:
            event = _object(body.get("event"), "invite.event")
            version = _text(body.get("room_version"), "invite.room_version")
            state = body.get("invite_room_state")
        return cls(
            endpoint,
            room_id,
            event_id,
            origin,
            _frozen(event, "invite.event"),
            _list(state, "invite.invite_room_state"),
            version,
        )

    @property
    def request(self) -> Request:
        """The request to send."""
        path = path_of(self.endpoint, "invite", self.room_id, self.event_id)
        return Request("PUT", path, (), encode(self.to_json(), strict=False))

    def to_json(self) -> dict[str, JsonValue]:
        """The body of the request."""
        event, state = thaw(self.event), thaw(self.invite_room_state)
        if self.endpoint == "v1":
            unsigned = event.get("unsigned")
            kept = unsigned if isinstance(unsigned, Mapping) else {}
            return {**event, "unsigned": {**kept, "invite_room_state": state}}
        return {"room_version": self.room_version, "event": event, "invite_room_state": state}

    @property
    def needs(self) -> dict[ServerName, frozenset[str]]:
        """The keys to fetch: for each server that must have signed, key IDs that it used.

        At most `MOST_SERVERS_OF_ROOM_STATE` servers; `KeyRing.missing` leaves out what is at hand.
        """
        # The v1 endpoint does not name the version, and carries 1 and 2 only.
        version = KNOWN.get(self.room_version or "1")
        return key_needs_of(
            (self.event, *self.invite_room_state),
            event_id_in_pdu=version is not None and version.event_id_in_pdu,
        )


@frozen
class InviteResponse:
    """The answer to an invite: the event with one more signature.

    Attributes:
        event: the event, as it came.
        endpoint: the version of the endpoint: v1 wraps its answer.
    """

    event: JsonObject
    endpoint: str = "v2"

    @classmethod
    def from_json(cls, body: JsonValue) -> InviteResponse:
        """Read the answer; of v1, a pair of status and object.

        Raises:
            InvalidMessage: it is not of that form.
        """
        endpoint = "v2"
        if isinstance(body, (list, tuple)) and len(body) == 2 and body[0] == 200:  # noqa: PLR2004 - a pair
            endpoint, body = "v1", body[1]
        event = _object(_object(body, "invite answer").get("event"), "invite answer.event")
        return cls(_frozen(event, "invite answer.event"), endpoint)

    def to_json(self) -> JsonValue:
        """The body of the answer."""
        body = {"event": thaw(self.event)}
        return [200, body] if self.endpoint == "v1" else body


@frozen
class StoredInvite:
    """What an identity server answers when it stored an invite: `store-invite`__.

    Attributes:
        token: what the invited user will have to present.
        public_keys: the keys, each with the URL that tells of its validity, as they came.
        display_name: a name for the invited user that does not give the address away.

    __ https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2store-invite
    """

    token: str
    public_keys: tuple[JsonObject, ...]
    display_name: str

    @classmethod
    def from_json(cls, body: JsonValue) -> StoredInvite:
        """Read the answer.

        Raises:
            InvalidMessage: it is not of that form, or has no key that could be used.
        """
        body = _object(body, "stored invite")
        token = _text(body.get("token"), "stored invite.token")
        if _matches_token(token) is None:
            raise InvalidMessage("stored invite.token", "1 to 255 of [0-9a-zA-Z.=_-]", token)
        where = "stored invite.public_keys"
        keys = []
        for index, entry in enumerate(_list(body.get("public_keys"), where)):
            key = _object(entry, f"{where}[{index}]")
            _text(key.get("public_key"), f"{where}[{index}].public_key")
            keys.append(_frozen(key, f"{where}[{index}]"))
        if not any(public_key_of(key) for key in keys):
            raise InvalidMessage(where, "an Ed25519 key in base64", body.get("public_keys"))
        name = _text(body.get("display_name"), "stored invite.display_name")
        return cls(token, tuple(keys), name)


_matches_token = re.compile(r"[0-9A-Za-z.=_\-]{1,255}").fullmatch
_KEY_BYTES: Final = 32


@frozen
class PendingInvite:
    """An invite that waited for a third-party identifier to be bound.

    Attributes:
        medium: the kind of the identifier, such as `email`.
        address: the identifier.
        mxid: the user to whom it now belongs.
        room_id: the room.
        sender: who invited.
        signed: the identity server's word on who is who, as it came.
    """

    medium: str
    address: str
    mxid: UserID
    room_id: RoomID
    sender: UserID
    signed: JsonObject

    @classmethod
    def from_json(cls, body: JsonValue) -> PendingInvite:
        """Read one of the `invites` of a request.

        Raises:
            InvalidMessage: it is not of that form.
        """
        body = _object(body, "pending invite")
        return cls(
            _text(body.get("medium"), "pending invite.medium"),
            _text(body.get("address"), "pending invite.address"),
            _user_id(body.get("mxid"), "pending invite.mxid"),
            _room_id(body.get("room_id"), "pending invite.room_id"),
            _user_id(body.get("sender"), "pending invite.sender"),
            _frozen(_object(body.get("signed"), "pending invite.signed"), "pending invite.signed"),
        )


@frozen
class OnBindRequest:
    """An identity server says that a third-party identifier was bound to a user.

    It says so once: what is malformed among the invites must not spoil the others.

    Attributes:
        medium: the kind of the identifier, such as `email`.
        address: the identifier.
        mxid: the user to whom it now belongs.
        invites: the invites that waited for it.
        malformed: entries of `invites` that are none, as they came.
    """

    medium: str
    address: str
    mxid: UserID
    invites: tuple[PendingInvite, ...]
    malformed: tuple[JsonValue, ...] = ()

    @classmethod
    def from_json(cls, body: JsonValue) -> OnBindRequest:
        """Read the body of a request.

        Raises:
            InvalidMessage: it is not of that form, or has more than `MOST_BOUND` invites.
        """
        # All of it at once: what it nests must fit into an event, no less deep.
        body = _frozen(_object(body, "onbind"), "onbind")
        invites, malformed = [], []
        entries = _list(body.get("invites"), "onbind.invites")
        if len(entries) > MOST_BOUND:
            raise InvalidMessage("onbind.invites", f"at most {MOST_BOUND} invites", len(entries))
        for entry in entries:
            try:
                invites.append(PendingInvite.from_json(entry))
            except InvalidMessage:
                malformed.append(entry)
        return cls(
            _text(body.get("medium"), "onbind.medium"),
            _text(body.get("address"), "onbind.address"),
            _user_id(body.get("mxid"), "onbind.mxid"),
            tuple(invites),
            tuple(malformed),
        )


@frozen
class ExchangeRequest:
    """A request to make an invite of a third-party invite.

    Attributes:
        room_id: the room in the path.
        origin: the server that asks, as its authentication proved.
        event: the parts of the invite, as they came.
    """

    room_id: str
    origin: str
    event: JsonObject

    @classmethod
    def from_json(cls, body: JsonValue, *, room_id: str, origin: str) -> ExchangeRequest:
        """Read the body of a request.

        Args:
            body: the parsed body.
            room_id: the room in the path.
            origin: the server that asks, as its authentication proved.

        Raises:
            InvalidMessage: it is not of that form.
        """
        body = _object(body, "exchange")
        _object(body.get("content"), "exchange.content")
        for field in ("type", "room_id", "sender", "state_key"):
            _text(body.get(field), f"exchange.{field}")
        return cls(room_id, origin, _frozen(body, "exchange"))

    @property
    def request(self) -> Request:
        """The request to send."""
        path = path_of("v1", "exchange_third_party_invite", self.room_id)
        return Request("PUT", path, (), encode(self.event, strict=False))

    @property
    def destination(self) -> ServerName:
        """Where the request must go: to the server of the user who invited."""
        return server_of(self.event["sender"])

    def to_json(self) -> dict[str, JsonValue]:
        """The body of the request."""
        return dict(thaw(self.event))


def key_ids_of(pdu: Mapping[str, JsonValue], server: str) -> frozenset[str]:
    """The IDs of the keys with which a server says to have signed an event."""
    signatures = pdu.get("signatures")
    of_server = signatures.get(server) if isinstance(signatures, Mapping) else None
    return frozenset(of_server) if isinstance(of_server, Mapping) else frozenset()


def key_needs_of(
    pdus: Iterable[JsonValue], *, event_id_in_pdu: bool
) -> dict[ServerName, frozenset[str]]:
    """The keys that verify PDUs: for each server that must have signed, key IDs that it used.

    Args:
        pdus: the PDUs, as they came.
        event_id_in_pdu: whether the room version has event IDs that name a server, which
            then must sign too.

    Returns:
        At most `MOST_SERVERS_OF_ROOM_STATE` servers, those of the first PDUs.
    """
    needs = Needs(MOST_SERVERS_OF_ROOM_STATE)
    for pdu in pdus:
        if isinstance(pdu, Mapping):
            for name in ("sender", "event_id") if event_id_in_pdu else ("sender",):
                server = server_of(str(pdu.get(name, "")))
                for key_id in sorted(map(str, key_ids_of(pdu, server))):
                    needs.add(server, key_id)
    return needs.given()


def public_key_of(entry: Mapping[str, JsonValue]) -> bytes | None:
    """The Ed25519 key of an entry of `public_keys`; None when it holds none."""
    key = unpadded_base64(entry.get("public_key"))
    return key if key is not None and len(key) == _KEY_BYTES else None


def _object(value: JsonValue, where: str) -> Mapping[str, JsonValue]:
    if not isinstance(value, Mapping):
        raise InvalidMessage(where, "an object", value)
    return value


def _list(value: JsonValue, where: str) -> tuple[JsonValue, ...]:
    """The entries of a list, immutable; none when it is absent."""
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise InvalidMessage(where, "a list", value)
    frozen_entries: tuple[JsonValue, ...] = _frozen(value, where)
    return frozen_entries


def _text(value: JsonValue, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidMessage(where, "text", value)
    return value


def _user_id(value: JsonValue, where: str) -> UserID:
    if not is_user_id(value):
        raise InvalidMessage(where, "a user ID", value)
    return value


def _room_id(value: JsonValue, where: str) -> RoomID:
    if not is_room_id(value):
        raise InvalidMessage(where, "a room ID", value)
    return value


def _frozen(value: JsonValue, where: str) -> JsonValue:
    try:
        return freeze(value)
    except InvalidJson as error:
        raise InvalidMessage(where, "JSON values", str(error)) from error
