"""What the server answers when others join, knock, leave, invite, or send events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from homeserver.by_address import ByAddress
from homeserver.client_endpoints import ClientEndpoints
from homeserver.history import History
from homeserver.inviting import Inviting
from homeserver.server import Homeserver
from homeserver.transport import Answer, serving
from homeserver.x_matrix import Authorization
from matrix_membership import InvalidEvent, InvalidJson, KeyRing, RoomVersion
from matrix_membership.acl import permits
from matrix_membership.canonical_json import decode
from matrix_membership.events import read_pdu
from matrix_membership.federation import (
    JOINING,
    KNOCKING,
    LEAVING,
    Accepted,
    Handshake,
    MakeRequest,
    MatrixError,
    SendJoinResponse,
    SendRequest,
    resident,
)
from matrix_membership.federation.invite_messages import ON_BIND_METHODS, ON_BIND_PATH
from matrix_membership.identifiers import ServerName
from matrix_membership.receipt import Disposition
from matrix_membership.signing import sign_json

DAY: Final = 24 * 60 * 60 * 1000
LARGEST_BODY: Final = 64 * 1024 * 1024

Authenticated = Callable[[web.Request, str, Any], Awaitable[Answer]]
"""What answers a request, given who sent it and its parsed body."""


class Endpoints:
    """The endpoints of one server: those for other servers, and those for its users."""

    def __init__(self, server: Homeserver) -> None:
        self.server = server
        self.history = History(server)
        self.inviting = Inviting(server)
        self.by_address = ByAddress(server, self.inviting)
        self.client = ClientEndpoints(server, self.inviting, self.by_address)

    def application(self) -> web.Application:
        """The application, for aiohttp to run."""
        application = web.Application(client_max_size=LARGEST_BODY)
        route = application.router.add_route
        # This one asks nobody and waits for nothing: others need it to answer us.
        route("GET", "/_matrix/key/v2/server", serving(self.key))
        federation = "/_matrix/federation"
        for handshake in (JOINING, KNOCKING, LEAVING):
            make = f"{federation}/v1/{handshake.make}/{{room_id}}/{{user_id}}"
            route("GET", make, serving(self.authenticated(self.make(handshake))))
            for version in handshake.send_versions:
                send = f"{federation}/{version}/{handshake.send}/{{room_id}}/{{event_id}}"
                respond = self.send(handshake, version)
                route("PUT", send, serving(self.authenticated(respond)))
        for method, path, responder in (
            ("PUT", "/v1/send/{transaction}", self.transaction),
            ("GET", "/v1/query/profile", self.profile),
            ("GET", "/v1/query/directory", self.directory),
            *self.inviting.endpoints,
            *self.by_address.endpoints,
            *self.history.endpoints,
        ):
            route(method, federation + path, serving(self.authenticated(responder)))
        for method in ON_BIND_METHODS:
            route(method, ON_BIND_PATH, serving(self.by_address.on_bind))
        self.client.add_to(application.router)
        route("*", "/{anything:.*}", serving(self.unknown))
        return application

    def authenticated(self, respond: Authenticated) -> Callable[[web.Request], Any]:
        """Find out who asks before anything is answered."""

        async def checked(request: web.Request) -> Answer:
            body = await request.read()
            try:
                content = decode(body, strict=False) if body else None
            except InvalidJson as problem:
                return Answer.refusing(MatrixError.of("M_NOT_JSON", str(problem)))
            claim = Authorization.parse(request.headers.get("Authorization", ""))
            if claim is None:
                error = MatrixError.of("M_UNAUTHORIZED", "there is no X-Matrix header")
                return Answer.refusing(error)
            keys = await self.server.keys_for({ServerName(claim.origin): [claim.key_id]})
            asked = (self.server.name, request.method, request.raw_path, content)
            if not claim.proves(keys, *asked, at=self.server.now()):
                error = MatrixError.of("M_UNAUTHORIZED", f"this was not signed by {claim.origin}")
                return Answer.refusing(error)
            return await respond(request, claim.origin, content)

        return checked

    def refuse(self, error: MatrixError) -> Answer:
        """Say no, and remember why."""
        self.server.refusals.append(error)
        return Answer.refusing(error)

    async def key(self, _: web.Request) -> Answer:
        """With which key this server signs."""
        signer = self.server.signer
        document = {
            "server_name": self.server.name,
            "valid_until_ts": self.server.now() + DAY,
            "verify_keys": {signer.key_id: {"key": signer.verify_key}},
            "old_verify_keys": {},
        }
        return Answer.of(sign_json(document, signer))

    async def unknown(self, request: web.Request) -> Answer:
        """Whatever else is asked."""
        sentence = f"{request.method} {request.path} is not answered here"
        return Answer.refusing(MatrixError.of("M_UNRECOGNIZED", sentence))

    async def keys_of_signers(self, pdu: Any) -> KeyRing:
        """The keys with which an event was signed, as far as they can be had."""
        signatures = pdu.get("signatures") if isinstance(pdu, dict) else None
        signed = signatures.items() if isinstance(signatures, dict) else ()
        return await self.server.keys_for(
            {ServerName(server): key_ids for server, key_ids in signed if isinstance(key_ids, dict)}
        )

    # ------------------------------------------------------------------ handshakes

    def make(self, handshake: Handshake) -> Authenticated:
        """make_join, make_knock, make_leave: an event for the other server to sign."""

        async def respond(request: web.Request, origin: str, _: Any) -> Answer:
            asked = MakeRequest(
                request.match_info["room_id"],
                request.match_info["user_id"],
                origin,
                tuple(request.query.getall("ver", ["1"])),
            )
            answer = resident.answer_make(
                handshake, asked, self.server.snapshot(asked.room_id), at=self.server.now()
            )
            if isinstance(answer, MatrixError):
                return self.refuse(answer)
            return Answer.of(answer.to_json())

        return respond

    def send(self, handshake: Handshake, version: str) -> Authenticated:
        """send_join, send_knock, send_leave: the event, signed."""

        async def respond(request: web.Request, origin: str, content: Any) -> Answer:
            omits = self.server.omits_members and request.query.get("omit_members") == "true"
            asked = SendRequest(
                request.match_info["room_id"],
                request.match_info["event_id"],
                await request.read(),
                origin,
                omits,
            )
            keys = await self.keys_of_signers(content)
            room = self.server.snapshot(asked.room_id)
            answer = resident.answer_send(handshake, asked, room, self.server.signer, keys=keys)
            if isinstance(answer, MatrixError):
                return self.refuse(answer)
            # Nothing is waited for between the snapshot and this, so it is still the newest.
            self.server.rooms[asked.room_id].store(answer.event)
            self.server.in_background(self.server.tell(answer.send_to, answer.event))
            return _sent(answer, paired=version == "v1" and len(handshake.send_versions) > 1)

        return respond

    # ------------------------------------------------------------------ events

    async def transaction(self, _: web.Request, origin: str, content: Any) -> Answer:
        """Events of rooms that we are in."""
        pdus = content.get("pdus") if isinstance(content, dict) else None
        results = {}
        for pdu in pdus if isinstance(pdus, list | tuple) else ():
            event_id, error = await self.take(pdu, origin)
            results[event_id] = {"error": error} if error else {}
        return Answer.of({"pdus": results})

    async def take(self, pdu: Any, origin: str) -> tuple[str, str]:
        """Take one event: gives its ID, and what is wrong with it, if something is."""
        room = self.server.rooms.get(str(pdu.get("room_id"))) if isinstance(pdu, dict) else None
        if room is None and isinstance(pdu, dict) and await self.inviting.take(pdu):
            return "", ""
        if room is None or not permits(room.state, origin):
            return "", "the event is of no room in which the two servers meet"
        version: RoomVersion = room.version
        try:
            read = read_pdu(pdu, version)
        except InvalidEvent as error:
            return "", str(error)
        keys = await self.keys_of_signers(pdu)
        event_id = read.event.event_id
        if event_id in room.events or event_id in room.rejected:
            return event_id, ""
        receipt = room.take(read, keys)
        refused = receipt.disposition in (Disposition.DROPPED, Disposition.REJECTED)
        return event_id, str(receipt) if refused else ""

    # ------------------------------------------------------------------ queries

    async def profile(self, request: web.Request, _: str, __: Any) -> Answer:
        """A user's profile: all are called by what stands before their server."""
        name = request.query.get("user_id", "").partition(":")[0].removeprefix("@")
        return Answer.of({"displayname": name})

    async def directory(self, request: web.Request, _: str, __: Any) -> Answer:
        """A room's ID by its alias."""
        room_id = self.server.aliases.get(request.query.get("room_alias", ""))
        if room_id is None:
            return Answer.refusing(MatrixError.of("M_NOT_FOUND", "there is no such alias"))
        return Answer.of({"room_id": room_id, "servers": [self.server.name]})


def _sent(accepted: Accepted, *, paired: bool) -> Answer:
    """The answer to send_*; the v1 endpoints with a successor answer a pair."""
    response = accepted.response
    if isinstance(response, SendJoinResponse) and not paired:
        return Answer(200, response.to_bytes())
    return Answer.of([200, response.to_json()] if paired else response.to_json())
