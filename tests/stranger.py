"""A server that says whatever a test wants, to attack an example homeserver from outside."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiohttp import web

from homeserver.answers import Answer, listening
from homeserver.rooms import Room
from homeserver.server import Homeserver
from homeserver.transport import Transport
from matrix_membership import KNOWN, Event, EventTemplate, RoomVersion, Signer, auth, client
from matrix_membership.canonical_json import encode, freeze
from matrix_membership.federation import (
    JOINING,
    Accepted,
    MakeRequest,
    Request,
    ResidentRoom,
    SendRequest,
    resident,
)
from matrix_membership.federation.messages import path_of
from matrix_membership.hashing import reference_hash
from matrix_membership.identifiers import RoomID, UserID
from matrix_membership.signing import sign, sign_json
from tests.test_examples import two_servers

__all__ = [
    "FEDERATION",
    "VERSIONS",
    "Stranger",
    "attacked",
    "forged",
    "raw",
    "references",
    "stranger",
]

VERSIONS: Final = ("1", "6", "10", "11", "12")
"""A version of every kind."""

FEDERATION: Final = "/_matrix/federation/v1"
KEY_PATH: Final = "/_matrix/key/v2/server"
LATER: Final = 2**52
"""A time that does not come."""


class Stranger:
    """A server that says what a test wants.

    Attributes:
        signer: its key.
        document: what it publishes of its keys; None for none.
        answers: what else it answers, by the beginning of the path: content, bytes, or a function
            of the path's parts and the body. What is not here is not found.
        asked: the paths that it was asked for, in order.
    """

    def __init__(self, name: str, seed: str = "M" * 42 + "A") -> None:
        self.signer = Signer.from_seed(name, "ed25519:1", seed)
        self.document: Any = published(self.signer)
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.transport = Transport(self.signer, scheme="http")
        self._number = 0

    @property
    def name(self) -> str:
        """Its name."""
        return self.signer.server_name

    @property
    def mal(self) -> str:
        """A user of it."""
        return f"@mal:{self.name}"

    async def respond(self, request: web.Request) -> web.Response:
        """Answer whatever is asked."""
        self.asked.append(request.path)
        said = self.document if request.path == KEY_PATH else self._said(request.path)
        if callable(said):
            said = said(request.path.split("/"), await request.read())
        if isinstance(said, Awaitable):
            said = await said
        if isinstance(said, web.Response):
            return said
        if said is None:
            return web.json_response({"errcode": "M_NOT_FOUND", "error": "no"}, status=404)
        body = said if isinstance(said, bytes) else encode(said, strict=False)
        return web.Response(body=body, content_type="application/json")

    def _said(self, path: str) -> Any:
        return next((said for start, said in self.answers.items() if path.startswith(start)), None)

    def room(self, version: str) -> Room:
        """A public room of its own."""
        room = Room(KNOWN[version])
        users = {} if room.version.privileged_creators else {self.mal: 100}
        levels = ("m.room.power_levels", "", freeze({"users": users}))
        wanted = client.CreateRequest(
            UserID(self.mal), "public_chat", room_version=version, initial_state=(levels,)
        )
        name = RoomID(f"!{secrets.token_hex(9)}:{self.signer.server_name}")
        new = client.create_room(wanted, room_id=name, at=1)
        assert isinstance(new, client.NewRoom), new
        for event in new.complete(self.signer):
            room.store(event)
        return room

    def lets_in(self, guest: Homeserver, room: Room, tamper: Callable[[Any], Any]) -> None:
        """Let users of a server into its room, with an answer that is tampered with."""

        def snapshot() -> ResidentRoom:
            return room.snapshot(self.signer.server_name, lambda *_: None)

        def make(parts: list[str], _: bytes) -> Any:
            asked = MakeRequest(room.room_id, parts[-1], guest.name, (room.version.identifier,))
            return resident.answer_make(JOINING, asked, snapshot(), at=2).to_json()

        def send(parts: list[str], body: bytes) -> Any:
            asked = SendRequest(room.room_id, parts[-1], body, guest.name, omit_members=False)
            keys = guest.signer.key_ring
            accepted = resident.answer_send(JOINING, asked, snapshot(), self.signer, keys=keys)
            assert isinstance(accepted, Accepted), accepted
            room.store(accepted.event)
            return tamper(accepted.response.to_json())

        self.answers |= {
            f"{FEDERATION}/make_join/": make,
            "/_matrix/federation/v2/send_join/": send,
        }

    async def ask(
        self, server: Homeserver, method: str, path: str, content: Any = None, **query: str
    ) -> Answer:
        """Put a signed question; the path begins behind `/_matrix/federation/v1`."""
        body = None if content is None else encode(content, strict=False)
        asked = Request(method, f"{FEDERATION}/{path}", tuple(query.items()), body)
        return await self.transport.ask(server.name, asked)

    async def send(self, server: Homeserver, *pdus: Any, **fields: Any) -> Answer:
        """Send a transaction."""
        self._number += 1
        return await self.ask(server, "PUT", f"send/{self._number}", {"pdus": pdus, **fields})

    async def member(
        self, server: Homeserver, room: Room, action: str, user: str, membership: str
    ) -> Answer:
        """Join, knock or leave with an event of its own, whatever make_* would say."""
        event = Event.from_pdu(forged(room, self.signer, user, membership), room.version)
        path = path_of("v1", f"send_{action}", room.room_id, event.event_id)
        body = encode(event.to_pdu(), strict=False)
        return await self.transport.ask(server.name, Request("PUT", path, (), body))

    async def state(self, server: Homeserver, room: Room) -> Answer:
        """Ask for the state of a room."""
        path = path_of("v1", "state", room.room_id)
        newest = (("event_id", room.prev_events[0]),)
        return await self.transport.ask(server.name, Request("GET", path, newest))


def published(signer: Signer, *, until: int = LATER, **more: Any) -> dict[str, Any]:
    """A key document."""
    document = {
        "server_name": signer.server_name,
        "valid_until_ts": until,
        "verify_keys": {signer.key_id: {"key": signer.verify_key}},
        "old_verify_keys": {},
        **more,
    }
    return sign_json(document, signer)


@asynccontextmanager
async def stranger() -> AsyncIterator[Stranger]:
    """A stranger that can be reached."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Stranger(f"127.0.0.1:{listener.getsockname()[1]}")
    application = web.Application()
    application.router.add_route("*", "/{anything:.*}", server.respond)
    async with listening(application, listener):
        try:
            yield server
        finally:
            await server.transport.close()


def attacked(scenario: Callable[[Homeserver, Stranger], Awaitable[Any]]) -> Any:
    """What comes of a scenario between a homeserver and a stranger."""

    async def run() -> Any:
        async with two_servers() as (host, _), stranger() as mal:
            return await scenario(host, mal)

    return asyncio.run(run())


async def raw(
    server: Homeserver,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    """What comes of a request that nobody signed: its status and its body."""
    async with aiohttp.ClientSession() as session:
        url = f"http://{server.name}{path}"
        asked = session.request(method, url, data=body or None, headers=headers or {})
        async with asked as response:
            return response.status, await response.read()


def forged(
    room: Room,
    signer: Signer,
    user: str,
    membership: str = "invite",
    *,
    sender: str | None = None,
    event_type: str = "m.room.member",
    content: Mapping[str, Any] | None = None,
    state_key: str | None = None,
    spoilt: bool = False,
    signs: bool = True,
    **fields: Any,
) -> dict[str, Any]:
    """A PDU such as a server can write that knows a room better than it should.

    Args:
        room: the room.
        signer: the server that writes it.
        user: the target user.
        membership: the membership, if the content is not given.
        sender: the sender; else the user.
        event_type: its type.
        content: its content.
        state_key: its state key; else the user.
        spoilt: whether its content hash is wrong.
        signs: whether the server signs it.
        fields: what else differs.
    """
    version: RoomVersion = room.version
    said: dict[str, Any] = {
        "type": event_type,
        "room_id": room.room_id,
        "sender": sender or user,
        "state_key": user if state_key is None else state_key,
        "content": {"membership": membership} if content is None else content,
        "origin_server_ts": 1,
        "depth": room.depth + 1,
        "prev_events": references(room, room.prev_events),
        **fields,
    }
    draft = Event.from_client_event(said, version)
    found = [room.state.get(*place) for place in sorted(auth.select_auth_events(draft))]
    said.setdefault("auth_events", references(room, [entry.event_id for entry in found if entry]))
    event_id = f"${abs(hash(str(said)))}:{signer.server_name}"
    pdu = EventTemplate.of(said, version).complete(signer, event_id=event_id).to_pdu()
    pdu = {**pdu, "signatures": {}, **({"hashes": {"sha256": "AAAA"}} if spoilt else {})}
    return sign(Event.from_pdu(pdu, version), signer).to_pdu() if signs else pdu


def references(room: Room, event_ids: Any) -> list[Any]:
    """Events as others refer to them."""
    if not room.version.event_id_in_pdu:
        return list(event_ids)
    return [
        [found, {"sha256": reference_hash(room.events[found].document, room.version)}]
        for found in event_ids
    ]
