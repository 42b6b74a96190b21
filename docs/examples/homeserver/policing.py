"""Be the policy server of rooms, and ask the policy servers of others.

A room names a policy server in its state. That server signs the events that it recommends; the others
soft-fail an event without its signature. So every event of ours is signed before it is kept and sent.

Anybody can send an event without the signature, and have us ask for it. So one transaction causes few such
requests.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable
from typing import Final

from homeserver.rooms import Room
from homeserver.transport import Transport
from matrix_membership import Event, KeyRing, RoomState, Signer
from matrix_membership.server import (
    JsonObject,
    JsonValue,
    MatrixError,
    PolicyServer,
    ReadPdu,
    RemoteProtocolError,
    ResidentRoom,
    ServerName,
    answer_sign,
    read_pdu,
    verify,
)

__all__ = ["MOST_ASKED_FOR", "Policing"]

MOST_ASKED_FOR: Final = 5
"""Signatures to ask for because of one transaction."""


def refuses_nothing(_: Event) -> None:
    """Sign every event."""


class Policing:
    """The policy server of one server, and its way to others.

    Args:
        transport: sends the requests.
        snapshot: returns a room at this moment by its ID; None if the server is not in it.

    Attributes:
        signer: the key for policies. Rooms name it in their state. It is not the key for requests and
            events, so that a room can revoke the one without the other.
        refuses: the policy: why an event is refused, or None to sign it.
        KEY_PATH: where others find its key document.
        SIGN_PATH: where others ask for its signature.
    """

    KEY_PATH: Final = "/.well-known/matrix/policy_server"
    SIGN_PATH: Final = "/_matrix/policy/v1/sign"

    def __init__(
        self, transport: Transport, snapshot: Callable[[str], ResidentRoom | None]
    ) -> None:
        self.transport = transport
        self.name: ServerName = transport.signer.server_name
        self.snapshot = snapshot
        seed = b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        self.signer = Signer.from_seed(self.name, "ed25519:policy_server", seed)
        self.refuses: Callable[[Event], str | None] = refuses_nothing

    @property
    def document(self) -> dict[str, JsonValue]:
        """The key document, for the `public_keys` of `m.room.policy`."""
        return {"public_keys": {"ed25519": self.signer.verify_key}}

    # ------------------------------------------------------------------ the policy server

    def answer(self, pdu: JsonValue, origin: str) -> dict[str, JsonValue] | MatrixError:
        """Sign an event, or return the error."""
        fields = pdu if isinstance(pdu, JsonObject) else JsonObject()
        room_id = fields.get("room_id")
        room = self.snapshot(room_id) if isinstance(room_id, str) else None
        return answer_sign(fields, room, self.signer, origin=origin, refuses=self.refuses)

    # ------------------------------------------------------------------ the other servers

    async def sign(self, event: Event, state: RoomState) -> Event | MatrixError:
        """Return an event with the signature of the room's policy server, if it owes one."""
        policy = PolicyServer.lacking(event, state)
        if policy is None:
            return event
        answer = await self._ask(policy, event)
        if isinstance(answer, MatrixError):
            return answer
        try:
            return policy.read_answer(event, answer)
        except RemoteProtocolError as error:
            return MatrixError("M_UNKNOWN", f"{policy.server_name}: {error}", 502)

    async def _ask(self, policy: PolicyServer, event: Event) -> JsonValue | MatrixError:
        if policy.server_name == self.name:
            return self.answer(event.document, self.name)
        answer = await self.transport.ask(policy.server_name, policy.ask(event))
        return answer.read(lambda body: body)

    async def complete(self, room: Room, read: ReadPdu, keys: KeyRing) -> ReadPdu:
        """Return an event of another server, with the policy server's signature if it came without.

        It stays as it is if its own server did not sign it, or if the policy server refuses it: then it is
        soft-failed.
        """
        event = verify(read, keys)
        if event.server not in event.signed_by:
            return read
        signed = await self.sign(event, room.state)
        return read if isinstance(signed, MatrixError) else read_pdu(signed.pdu, room.version)
