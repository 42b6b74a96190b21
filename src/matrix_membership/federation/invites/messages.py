"""The messages of invites, between homeservers and from identity servers.

Messages are read strictly from parsed JSON and written back to it: a reader (`from_json`)
raises `InvalidMessage` for a body of another form. The events inside are kept as received,
because signing an event must not change it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonObject, JsonValue, encode, thaw
from matrix_membership.errors import InvalidMessage
from matrix_membership.events.contents import unpadded_base64
from matrix_membership.federation._shapes import (
    can_be_written,
    frozen_of,
    list_of,
    object_of,
    room_id_of,
    text_of,
    unpaired,
    user_id_of,
)
from matrix_membership.federation.messages import Request, path_of
from matrix_membership.identifiers import RoomID, ServerName, UserID, server_of
from matrix_membership.room_versions import KNOWN
from matrix_membership.signing import KeysToFetch, signatures_by

__all__ = [
    "ExchangeRequest",
    "InviteRequest",
    "InviteResponse",
    "OnBindRequest",
    "PendingInvite",
    "StoredInvite",
]

MOST_SERVERS_OF_ROOM_STATE: Final = 32
"""The most servers that an invite, or the answer to a knock, can make us ask for keys.

The list that describes the room has about eight events, but a server can send any
number. Each server asked is an outgoing request, so without a limit one invite could
make us flood others.
"""

MOST_BOUND: Final = 100
"""The most invites in one `OnBindRequest`; each costs a signature and a verification."""


@frozen
class InviteRequest:
    """A request that asks the invited user's server to sign an invite.

    Attributes:
        endpoint: the version of the endpoint: `v2` or `v1`.
        room_id: the room in the path.
        event_id: the event ID in the path.
        origin: the authenticated sending server.
        event: the invite, as received.
        invite_room_state: the events that describe the room, as received.
        room_version: the room version; None at the v1 endpoint, which does not name it.

    .. versionadded:: 0.1.0
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
        """Read the parsed body of a request. The other arguments are the attributes."""
        body = object_of(body, "invite")
        version = None
        if endpoint == "v1":
            event = body
            unsigned = body.get("unsigned")
            state = unsigned.get("invite_room_state") if isinstance(unsigned, Mapping) else None
        else:
            event = object_of(body.get("event"), "invite.event")
            version = text_of(body.get("room_version"), "invite.room_version")
            state = body.get("invite_room_state")
        return cls(
            endpoint,
            room_id,
            event_id,
            origin,
            frozen_of(event, "invite.event"),
            list_of(state, "invite.invite_room_state"),
            version,
        )

    @property
    def request(self) -> Request:
        """The request to send."""
        path = path_of(self.endpoint, "invite", self.room_id, self.event_id)
        return Request("PUT", path, (), encode(self.to_json(), strict=False))

    def to_json(self) -> dict[str, JsonValue]:
        """Return the body of the request."""
        event, state = thaw(self.event), thaw(self.invite_room_state)
        if self.endpoint == "v1":
            unsigned = event.get("unsigned")
            kept = unsigned if isinstance(unsigned, Mapping) else {}
            return {**event, "unsigned": {**kept, "invite_room_state": state}}
        return {"room_version": self.room_version, "event": event, "invite_room_state": state}

    @property
    def needs(self) -> dict[ServerName, frozenset[str]]:
        """The keys to fetch: for each server that must have signed, the key IDs it used.

        At most 32 servers. `KeyRing.missing` drops known keys.
        """
        # Without a name it is version 1 or 2, whose event IDs both name a server.
        version = KNOWN.get(self.room_version or "1")
        return key_needs_of(
            (self.event, *self.invite_room_state),
            event_id_in_pdu=version is not None and version.event_id_in_pdu,
        )


@frozen
class InviteResponse:
    """The answer to an invite: the event with one more signature.

    Attributes:
        event: the event, as received.
        endpoint: the version of the endpoint: v1 answers a pair of status and object.

    .. versionadded:: 0.1.0
    """

    event: JsonObject
    endpoint: str = "v2"

    @classmethod
    def from_json(cls, body: JsonValue) -> InviteResponse:
        """Read the answer. A pair of status and object is an answer of v1."""
        answer = unpaired(body)
        endpoint = "v2" if answer is body else "v1"
        event = object_of(answer, "invite answer").get("event")
        return cls(frozen_of(event, "invite answer.event"), endpoint)

    def to_json(self) -> JsonValue:
        """Return the body of the answer."""
        body = {"event": thaw(self.event)}
        return [200, body] if self.endpoint == "v1" else body


@frozen
class StoredInvite:
    """An identity server's answer when it has stored an invite: `store-invite`__.

    Attributes:
        token: the token that the later invite must present.
        public_keys: the keys, each with the URL to check its validity, as received.
        display_name: a name for the invited user that does not reveal the address.

    __ https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2store-invite

    .. versionadded:: 0.1.0
    """

    token: str
    public_keys: tuple[JsonObject, ...]
    display_name: str

    @classmethod
    def from_json(cls, body: JsonValue) -> StoredInvite:
        """Read the answer.

        Raises:
            InvalidMessage: the body has another form, or no usable key.
        """
        body = object_of(body, "stored invite")
        token = text_of(body.get("token"), "stored invite.token")
        if _matches_token(token) is None:
            raise InvalidMessage("stored invite.token", "1 to 255 of [0-9a-zA-Z.=_-]", token)
        where = "stored invite.public_keys"
        keys = []
        for index, entry in enumerate(list_of(body.get("public_keys"), where)):
            keys.append(frozen_of(entry, f"{where}[{index}]"))
            text_of(keys[-1].get("public_key"), f"{where}[{index}].public_key")
        # Without a usable key the invite could never be redeemed. The client hears of it now.
        if not any(public_key_of(key) for key in keys):
            raise InvalidMessage(where, "an Ed25519 key in base64", body.get("public_keys"))
        name = text_of(body.get("display_name"), "stored invite.display_name")
        return cls(token, tuple(keys), name)


_matches_token = re.compile(r"[0-9A-Za-z.=_\-]{1,255}").fullmatch
_KEY_BYTES: Final = 32


@frozen
class PendingInvite:
    """An invite that waited for a third-party identifier to be bound.

    Attributes:
        medium: the kind of the identifier, such as `email`.
        address: the identifier.
        mxid: the user whom it is now bound to.
        room_id: the room.
        sender: the user who invited.
        signed: the token and user ID, signed by the identity server, as received.

    .. versionadded:: 0.1.0
    """

    medium: str
    address: str
    mxid: UserID
    room_id: RoomID
    sender: UserID
    signed: JsonObject

    @classmethod
    def from_json(cls, body: JsonValue) -> PendingInvite:
        """Read one of the `invites` of a request."""
        body = object_of(body, "pending invite")
        signed = frozen_of(body.get("signed"), "pending invite.signed")
        if not can_be_written(signed):  # it is sent on in an exchange
            raise InvalidMessage("pending invite.signed", "JSON values", signed)
        return cls(
            text_of(body.get("medium"), "pending invite.medium"),
            text_of(body.get("address"), "pending invite.address"),
            user_id_of(body.get("mxid"), "pending invite.mxid"),
            room_id_of(body.get("room_id"), "pending invite.room_id"),
            user_id_of(body.get("sender"), "pending invite.sender"),
            signed,
        )


@frozen
class OnBindRequest:
    """An identity server's report that a third-party identifier was bound to a user.

    Identity servers report once, so a malformed invite must not spoil the others.

    Attributes:
        medium: the kind of the identifier, such as `email`.
        address: the identifier.
        mxid: the user whom it is now bound to.
        invites: the invites that waited for it.
        malformed: the malformed entries of `invites`, as received.
        PATH: the path at which identity servers report.
        METHODS: the methods there: the specification has PUT, and POST in its description.

    .. versionadded:: 0.1.0
    """

    PATH: ClassVar[str] = path_of("v1", "3pid", "onbind")
    METHODS: ClassVar[tuple[str, ...]] = ("PUT", "POST")

    medium: str
    address: str
    mxid: UserID
    invites: tuple[PendingInvite, ...]
    malformed: tuple[JsonValue, ...] = ()

    @classmethod
    def from_json(cls, body: JsonValue) -> OnBindRequest:
        """Read the body of a request.

        Raises:
            InvalidMessage: the body has another form, or more than 100 invites.
        """
        # Frozen as a whole, so that the depth limit counts from the top of the body.
        body = frozen_of(body, "onbind")
        invites, malformed = [], []
        entries = list_of(body.get("invites"), "onbind.invites")
        if len(entries) > MOST_BOUND:
            raise InvalidMessage("onbind.invites", f"at most {MOST_BOUND} invites", len(entries))
        for entry in entries:
            try:
                invites.append(PendingInvite.from_json(entry))
            except InvalidMessage:
                malformed.append(entry)
        return cls(
            text_of(body.get("medium"), "onbind.medium"),
            text_of(body.get("address"), "onbind.address"),
            user_id_of(body.get("mxid"), "onbind.mxid"),
            tuple(invites),
            tuple(malformed),
        )


@frozen
class ExchangeRequest:
    """A request to the sender's server to make an invite of a third-party invite.

    Attributes:
        room_id: the room in the path.
        origin: the authenticated sending server.
        event: the fields of the invite, as received.

    .. versionadded:: 0.1.0
    """

    room_id: str
    origin: str
    event: JsonObject

    @classmethod
    def from_json(cls, body: JsonValue, *, room_id: str, origin: str) -> ExchangeRequest:
        """Read the parsed body of a request. The other arguments are the attributes."""
        body = object_of(body, "exchange")
        object_of(body.get("content"), "exchange.content")
        for field in ("type", "room_id", "sender", "state_key"):
            text_of(body.get(field), f"exchange.{field}")
        return cls(room_id, origin, frozen_of(body, "exchange"))

    @property
    def request(self) -> Request:
        """The request to send."""
        path = path_of("v1", "exchange_third_party_invite", self.room_id)
        return Request("PUT", path, (), encode(self.event, strict=False))

    @property
    def destination(self) -> ServerName:
        """The server to send the request to: the sender's."""
        return server_of(self.event["sender"])

    def to_json(self) -> dict[str, JsonValue]:
        """Return the body of the request."""
        return dict(thaw(self.event))


def key_ids_of(pdu: Mapping[str, JsonValue], server: str) -> frozenset[str]:
    """Return the key IDs of a server's signatures on an event.

    .. versionadded:: 0.1.0
    """
    return frozenset(signatures_by(pdu, server))


def key_needs_of(
    pdus: Iterable[JsonValue], *, event_id_in_pdu: bool
) -> dict[ServerName, frozenset[str]]:
    """Return the keys that verify PDUs: key IDs by the server that must have signed.

    `event_id_in_pdu` says whether event IDs name a server, which then must sign too. The servers
    are those of the first PDUs, at most `MOST_SERVERS_OF_ROOM_STATE`.
    """
    needs = KeysToFetch(MOST_SERVERS_OF_ROOM_STATE)
    for pdu in pdus:
        if isinstance(pdu, Mapping):
            for name in ("sender", "event_id") if event_id_in_pdu else ("sender",):
                server = server_of(str(pdu.get(name, "")))
                # Sorted, because a bound cuts off the rest: which keys are asked for must not
                # depend on the order of a set.
                for key_id in sorted(map(str, key_ids_of(pdu, server))):
                    needs.add(server, key_id)
    return needs.given()


def public_key_of(entry: Mapping[str, JsonValue]) -> bytes | None:
    """Return the Ed25519 key of an entry of `public_keys`; None without a valid one."""
    key = unpadded_base64(entry.get("public_key"))
    return key if key is not None and len(key) == _KEY_BYTES else None
