"""Policy servers: the additional signature that an event of a room may need.

A room names a policy server and its key in its state. That server signs the events
that it recommends. A server asks for the signature before it sends an event; other
servers soft-fail an event without it. No authorisation rule reads it. See `Policy servers`__.

__ https://spec.matrix.org/v1.19/server-server-api/#policy-servers
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from matrix_membership._attrs import frozen
from matrix_membership._request import Request
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import IncompleteState, InvalidEvent, RemoteProtocolError
from matrix_membership.events import Event
from matrix_membership.events.contents import unpadded_base64
from matrix_membership.hashing import signed_bytes
from matrix_membership.identifiers import ServerName
from matrix_membership.signing import SEED_BYTES, PublishedKey, signatures_by, with_signatures
from matrix_membership.state import RoomState

__all__ = ["PolicyServer"]

POLICY_KEY_ID: Final = "ed25519:policy_server"
"""The ID of a policy server's key, always."""

POLICY_TYPE: Final = "m.room.policy"
"""The type of the event that names it."""


@frozen
class PolicyServer:
    """The policy server that a room uses.

    Attributes:
        server_name: the server.
        public_key: its key, in base64, as the state gives it.
        in_room: whether it has a joined user; without one the room does not use it. None
            when the state cannot tell: then it counts as being in the room.

    .. versionadded:: 0.1.0
    """

    server_name: ServerName
    public_key: str
    in_room: bool | None

    @classmethod
    def of(cls, state: RoomState) -> PolicyServer | None:
        """Return the policy server of a room, or None for a room that does not use one.

        >>> from matrix_membership.room_versions import V11
        >>> PolicyServer.of(RoomState.of(V11, [])) is None
        True
        """
        event = state.get(POLICY_TYPE)
        if event is None:
            return None
        content = event.content
        server, keys = content.get("via"), content.get("public_keys")
        key = keys.get("ed25519") if isinstance(keys, Mapping) else None
        if not isinstance(server, str) or not isinstance(key, str):
            return None
        in_room = _is_in_room(server, state)
        # A room must not force a server to serve it, so one without a joined user does not count.
        # While nobody can tell it counts, or everything would pass.
        return None if in_room is False else cls(ServerName(server), key, in_room)

    @classmethod
    def lacking(
        cls, event: Event, state: RoomState, *, covered: bytes | None = None
    ) -> PolicyServer | None:
        """Return the policy server whose signature an event lacks, or None.

        A server in the room asks it for the signature before it sends the event to other
        servers: `ask`, then `read_answer`. An event that came without it is soft-failed.
        `covered` are the bytes that its signatures cover, when they are at hand.

        Raises:
            InvalidEvent: the event came in client format, which is not all of it.
        """
        policy = cls.of(state)
        if policy is None or not policy.must_sign(event):
            return None
        return None if policy.has_signed(event, covered=covered) else policy

    def must_sign(self, event: Event) -> bool:
        """Tell whether an event needs its signature: all but the one naming it."""
        # Otherwise a policy server that signs nothing could never be replaced.
        return event.type != POLICY_TYPE or event.state_key != ""

    def has_signed(self, event: Event, *, covered: bytes | None = None) -> bool:
        """Tell whether an event carries its good signature; the rest is as for `lacking`."""
        pdu = event.to_pdu()
        raw = unpadded_base64(self.public_key)
        signature = signatures_by(pdu, self.server_name).get(POLICY_KEY_ID)
        if raw is None or len(raw) != SEED_BYTES or signature is None:
            return False
        if covered is None:
            covered = signed_bytes(pdu, event.room_version)
        # The room's state gives the key, not the server's key document: its owner cannot change it
        # without the room.
        return PublishedKey(raw).verifies(covered, signature)

    def ask(self, event: Event) -> Request:
        """Return the request to send to this server: `Asking for its signature`__.

        The event is hashed and signed by its own server.

        Raises:
            InvalidEvent: the event came in client format, which lacks fields of the PDU.

        __ https://spec.matrix.org/v1.19/server-server-api/#asking-for-a-policy-server-signature-on-an-event
        """
        if not event.pdu:
            raise InvalidEvent("event", "one read from a PDU", repr(event))
        return Request("POST", "/_matrix/policy/v1/sign", (), event.pdu)

    def read_answer(self, event: Event, answer: JsonValue) -> Event:
        """Return the event to send, with this server's signature.

        Its ID and verified signers stay. `answer` is the parsed answer of status 200 to `ask`. If the policy server answers an
        error, pass that on to the client and do not send the event. Cost: one signature check.

        Raises:
            RemoteProtocolError: the answer lacks a good signature by the key in the room's
                state. Do not send the event.
        """
        signature = signatures_by({"signatures": answer}, self.server_name).get(POLICY_KEY_ID)
        # Base64 alone gets into the event: half a surrogate pair would break its encoding.
        if isinstance(signature, str) and unpadded_base64(signature) is not None:
            signed = with_signatures(event, self.server_name, {POLICY_KEY_ID: signature})
            # Checked before the event is sent: the other servers would soft-fail it, and its sender
            # would never hear of it.
            if self.has_signed(signed):
                return signed.with_signers(event.signed_by)
        raise RemoteProtocolError(f"a signature of {self.server_name} by {POLICY_KEY_ID}", answer)


def _is_in_room(server: str, state: RoomState) -> bool | None:
    try:
        return server in state.servers_in_room
    except IncompleteState:
        return None
