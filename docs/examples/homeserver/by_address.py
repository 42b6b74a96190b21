"""Invite by address, on the sender's server, with the help of an identity server.

1. A user of ours invites an address. `ByAddress.find` looks up its user; if it has none, the identity
   server stores the invite.
2. Later the address is bound to a user, and the identity server tells their server: see `binding`.
3. That server asks us for the invite: `exchange`, which asks whether the key is still good.
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

from homeserver.answers import Answer
from homeserver.asked import Asked, Authenticated
from homeserver.inviting import Inviting
from homeserver.server import Homeserver
from matrix_membership import InvalidMessage, auth
from matrix_membership.client import AddressRequest, ClientRequest
from matrix_membership.server import (
    ExchangeRequest,
    KeyValidity,
    MatrixError,
    RemoteProtocolError,
    StoredInvite,
    UserID,
    encode,
    is_user_id,
    server_of,
    third_party,
)

__all__ = ["ByAddress"]

MOST_QUESTIONS: Final = 5
"""Keys of one invite whose validity we ask for."""

IDENTITY: Final = "/_matrix/identity/v2"
TOLD: Final = (
    ("room_name", "m.room.name", "name"),
    ("room_alias", "m.room.canonical_alias", "alias"),
    ("room_join_rules", "m.room.join_rules", "join_rule"),
    ("room_type", "m.room.create", "type"),
)
"""Fields for the identity server's mail: name, event type and key of the content."""


class ByAddress:
    """The invites by address that the users of one server send."""

    def __init__(self, server: Homeserver, inviting: Inviting) -> None:
        self.server = server
        self.inviting = inviting

    @property
    def endpoints(self) -> tuple[tuple[str, str, Authenticated], ...]:
        """Method, path and responder of the federation endpoints."""
        return (("PUT", "/v1/exchange_third_party_invite/{room_id}", self.exchange),)

    async def find(self, asked: AddressRequest) -> ClientRequest | StoredInvite | MatrixError:
        """Look up the user of an address; if it has none, have the invite stored."""
        if asked.id_server not in self.server.identity_servers:
            sentence = f"{asked.id_server} is not an identity server that is trusted here"
            return MatrixError("M_SERVER_NOT_TRUSTED", sentence, 403)
        try:
            user = await self.look_up(asked)
            if user is not None:
                return asked.for_user(user)
            return StoredInvite.from_json(await self.store(asked))
        except (InvalidMessage, RemoteProtocolError) as error:
            return MatrixError("M_UNKNOWN", f"{asked.id_server}: {error}", 502)

    async def look_up(self, asked: AddressRequest) -> UserID | None:
        """Return the user to whom the address belongs; None if it has none."""
        details = await self.identity(asked, "GET", "/hash_details")
        pepper = str(details.get("lookup_pepper"))
        hashed = sha256(f"{asked.address.casefold()} {asked.medium} {pepper}".encode()).digest()
        name = urlsafe_b64encode(hashed).decode().rstrip("=")
        wanted = {"addresses": [name], "algorithm": "sha256", "pepper": pepper}
        found = (await self.identity(asked, "POST", "/lookup", wanted)).get("mappings")
        user = found.get(name) if isinstance(found, dict) else None
        return user if is_user_id(user) else None

    async def store(self, asked: AddressRequest) -> Any:
        """Have the identity server store the invite and send a mail."""
        state = self.server.rooms[asked.room].state
        found = [(key, state.get(event_type), field) for key, event_type, field in TOLD]
        told = {key: event.content.get(field) for key, event, field in found if event is not None}
        wanted = {
            "medium": asked.medium,
            "address": asked.address.casefold(),
            "room_id": asked.room,
            "sender": asked.user,
            **{key: value for key, value in told.items() if isinstance(value, str)},
        }
        return await self.identity(asked, "POST", "/store-invite", wanted)

    async def identity(
        self, asked: AddressRequest, method: str, path: str, body: Any = None
    ) -> Any:
        """Ask the identity server with the client's access token; return its answer."""
        answer = await self.server.transport.call(
            asked.id_server,
            method,
            IDENTITY + path,
            body=None if body is None else encode(body, strict=False),
            authorization=f"Bearer {asked.id_access_token}",
        )
        content = answer.content
        if answer.status != HTTPStatus.OK or not isinstance(content, dict):
            error = MatrixError.from_json(content, status=answer.status)
            raise RemoteProtocolError("an answer", str(error))
        return content

    async def exchange(self, asked: Asked) -> Answer:
        """Answer exchange_third_party_invite: make an invite from a stored one."""
        try:
            request = ExchangeRequest.from_json(
                asked.content, room_id=asked.path["room_id"], origin=asked.origin
            )
        except InvalidMessage as error:
            return Answer.refusing(MatrixError.of("M_BAD_JSON", str(error)))
        refusal = await self.exchanged(request)
        return Answer.of({}) if refusal is None else self.server.refuse(refusal)

    async def exchanged(self, asked: ExchangeRequest) -> MatrixError | None:
        """Make the invite if the identity server's key is still good; otherwise return the error."""
        server = self.server
        room = server.snapshot(asked.room_id)
        step = third_party.answer_exchange(asked, room, server.signer, at=server.now())
        if isinstance(step, MatrixError):
            return step
        # One good answer is enough, and the room's event could name hundreds of keys.
        questions = step.needs[:MOST_QUESTIONS]
        said = await asyncio.gather(*map(self.validity, questions))
        event = step.receive(dict(zip(questions, said, strict=True)))
        if isinstance(event, MatrixError):
            return event
        room = server.snapshot(asked.room_id)  # it went on meanwhile
        if room is None:
            return MatrixError.of("M_NOT_FOUND", "this server has left the room")
        decision = auth.check(event, room.state)
        if not decision:
            return MatrixError.forbidden(decision)
        if server_of(event.state_key or "") == server.name:
            server.publish(event)
            return None
        return await self.inviting.issue(event)

    async def validity(self, question: KeyValidity) -> Any:
        """Ask an identity server whether its key is valid; None if it does not answer.

        The URL comes from the room, so it may lead anywhere: ask only trusted identity servers.
        """
        transport = self.server.transport
        for name in self.server.identity_servers:
            base = f"{transport.scheme}://{name}"
            if question.uri.startswith(base + "/"):
                answer = await transport.call(name, "GET", question.uri.removeprefix(base))
                return answer.content if answer.status == HTTPStatus.OK else None
        return None
