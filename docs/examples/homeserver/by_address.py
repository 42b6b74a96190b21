"""Invites by address, from both sides, and the identity server between them.

1. A user of ours invites an address: `ByAddress.find` asks whose it is, and has the invite stored
   when it is nobody's.
2. The address becomes that of a user, and the identity server tells their server: `on_bind`, which
   makes invites of what waited, itself or by asking the inviting server.
3. The inviting server is asked: `exchange`, which asks whether the key is still good.
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final

from aiohttp import web

from homeserver.inviting import Inviting
from homeserver.server import Homeserver
from homeserver.transport import Answer
from matrix_membership import Event, auth
from matrix_membership.canonical_json import decode, encode
from matrix_membership.client import AddressRequest, ClientRequest
from matrix_membership.errors import InvalidJson, InvalidMessage, RemoteProtocolError
from matrix_membership.federation import (
    ExchangeRequest,
    KeyValidity,
    MatrixError,
    OnBindRequest,
    PendingInvite,
    StoredInvite,
    third_party,
)
from matrix_membership.identifiers import UserID, is_user_id, server_of

__all__ = ["ByAddress"]

IDENTITY: Final = "/_matrix/identity/v2"
TOLD: Final = (
    ("room_name", "m.room.name", "name"),
    ("room_alias", "m.room.canonical_alias", "alias"),
    ("room_join_rules", "m.room.join_rules", "join_rule"),
    ("room_type", "m.room.create", "type"),
)
"""What an identity server may say of the room in its mail: where it is found."""


class ByAddress:
    """The invites by address of one server: those that its users send, and those that they get."""

    def __init__(self, server: Homeserver, inviting: Inviting) -> None:
        self.server = server
        self.inviting = inviting

    @property
    def endpoints(self) -> tuple[tuple[str, str, Any], ...]:
        """Method, path and responder of the federation endpoints. Identity servers ask `on_bind`."""
        return (("PUT", "/v1/exchange_third_party_invite/{room_id}", self.exchange),)

    # ------------------------------------------------------------------ the inviting server

    async def find(self, asked: AddressRequest) -> ClientRequest | StoredInvite | MatrixError:
        """Ask the identity server whose address it is; when it is nobody's, have it store the invite."""
        if asked.id_server not in self.server.identity_servers:
            sentence = f"{asked.id_server} is no identity server that is trusted here"
            return MatrixError("M_SERVER_NOT_TRUSTED", sentence, 403)
        try:
            user = await self.look_up(asked)
            if user is not None:
                return asked.for_user(user)
            return StoredInvite.from_json(await self.store(asked))
        except (InvalidMessage, RemoteProtocolError) as error:
            return MatrixError("M_UNKNOWN", f"{asked.id_server}: {error}", 502)

    async def look_up(self, asked: AddressRequest) -> UserID | None:
        """Whose address it is."""
        details = await self.identity(asked, "GET", "/hash_details")
        pepper = str(details.get("lookup_pepper"))
        hashed = sha256(f"{asked.address.casefold()} {asked.medium} {pepper}".encode()).digest()
        name = urlsafe_b64encode(hashed).decode().rstrip("=")
        wanted = {"addresses": [name], "algorithm": "sha256", "pepper": pepper}
        found = (await self.identity(asked, "POST", "/lookup", wanted)).get("mappings")
        user = found.get(name) if isinstance(found, dict) else None
        return user if is_user_id(user) else None

    async def store(self, asked: AddressRequest) -> Any:
        """Have the identity server store the invite, and write to the address."""
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
        """What the identity server answers, in the client's name."""
        answer = await self.server.transport.call(
            asked.id_server,
            method,
            IDENTITY + path,
            body=None if body is None else encode(body, strict=False),
            authorization=f"Bearer {asked.id_access_token}",
        )
        content = answer.content
        if answer.status != 200 or not isinstance(content, dict):  # noqa: PLR2004 - success, in HTTP
            error = MatrixError.from_json(content, status=answer.status)
            raise RemoteProtocolError("an answer", str(error))
        return content

    async def exchange(self, request: web.Request, origin: str, content: Any) -> Answer:
        """exchange_third_party_invite: make an invite of one by address."""
        try:
            asked = ExchangeRequest.from_json(
                content, room_id=request.match_info["room_id"], origin=origin
            )
        except InvalidMessage as error:
            return Answer.refusing(MatrixError.of("M_BAD_JSON", str(error)))
        refusal = await self.exchanged(asked)
        if refusal is not None:
            self.server.refusals.append(refusal)
            return Answer.refusing(refusal)
        return Answer.of({})

    async def exchanged(self, asked: ExchangeRequest) -> MatrixError | None:
        """Make the invite, if the identity server's key is still good; or say why not."""
        server = self.server
        room = server.snapshot(asked.room_id)
        step = third_party.answer_exchange(asked, room, server.signer, at=server.now())
        if isinstance(step, MatrixError):
            return step
        said = await asyncio.gather(*map(self.validity, step.needs))
        event = step.receive(dict(zip(step.needs, said, strict=True)))
        if isinstance(event, MatrixError):
            return event
        # The room went on meanwhile.
        decision = auth.check(event, server.rooms[asked.room_id].state)
        if not decision:
            return MatrixError.forbidden(decision)
        if server_of(event.state_key or "") == server.name:
            server.publish(event)
            return None
        return await self.inviting.issue(event)

    async def validity(self, question: KeyValidity) -> Any:
        """What the identity server says of its key; None when it says nothing.

        The URL is out of the room, where it may lead anywhere: only those who are trusted are asked.
        """
        transport = self.server.transport
        for name in self.server.identity_servers:
            base = f"{transport.scheme}://{name}"
            if question.uri.startswith(base + "/"):
                answer = await transport.call(name, "GET", question.uri.removeprefix(base))
                return answer.content if answer.status == 200 else None  # noqa: PLR2004 - the same
        return None

    # ------------------------------------------------------------------ the invited user's server

    async def on_bind(self, request: web.Request) -> Answer:
        """onbind: an address is now that of a user of ours.

        Identity servers are no homeservers and sign no requests, so none of it is believed before
        the rules have looked at the signatures. The answer waits for no other server.
        """
        server = self.server
        try:
            bound = OnBindRequest.from_json(decode(await request.read(), strict=False))
        except (InvalidJson, InvalidMessage) as error:
            return Answer.refusing(MatrixError.of("M_BAD_JSON", str(error)))
        rooms = {invite.room_id: server.snapshot(invite.room_id) for invite in bound.invites}
        outcomes = third_party.bound(
            bound,
            {room_id: room for room_id, room in rooms.items() if room is not None},
            server.signer,
            at=server.now(),
        )
        if isinstance(outcomes, MatrixError):
            return Answer.refusing(outcomes)
        for outcome in outcomes:
            server.in_background(self.follow(outcome))
        return Answer.of({})

    async def follow(self, outcome: Event | ExchangeRequest | MatrixError) -> None:
        """Do what one of the pending invites comes to, and remember what went wrong.

        The identity server says it once: a server that keeps what it knows tries again later when
        the inviting server cannot be reached.
        """
        refusal: MatrixError | None
        match outcome:
            case Event():
                refusal = None
                self.server.publish(outcome)
            case ExchangeRequest():
                refusal = await self.have_exchanged(outcome)
            case MatrixError():
                refusal = outcome
        if refusal is not None:
            self.server.refusals.append(refusal)

    async def have_exchanged(self, asked: ExchangeRequest) -> MatrixError | None:
        """Have the inviting server make the invite, which may be this one."""
        if asked.destination == self.server.name:
            return await self.exchanged(asked)
        answer = await self.server.transport.ask(asked.destination, asked.request)
        if answer.status == 200:  # noqa: PLR2004 - success, in HTTP
            return None
        return MatrixError.from_json(answer.content, status=answer.status)

    async def redeem(self, pending: PendingInvite) -> MatrixError | None:
        """Make an invite of the identity server's word that a user brings with their join."""
        server = self.server
        room = server.snapshot(pending.room_id)
        if room is None or server_of(pending.sender) == server.name:
            return await self.have_exchanged(third_party.exchange(pending))
        event = third_party.redeem(pending, room, server.signer, at=server.now())
        if isinstance(event, MatrixError):
            return event
        server.publish(event)
        return None
