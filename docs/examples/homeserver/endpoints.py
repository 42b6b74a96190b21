"""Route all requests, and answer those of servers that join, knock or leave."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from homeserver.answers import Answer, serving
from homeserver.asked import LARGEST_BODY, Asked, Authenticated, authenticated
from homeserver.binding import Binding
from homeserver.by_address import ByAddress
from homeserver.client_endpoints import ClientEndpoints
from homeserver.doing import Doing
from homeserver.history import History
from homeserver.inviting import Inviting
from homeserver.server import Homeserver
from homeserver.transactions import LARGEST_TRANSACTION, Transactions
from matrix_membership.server import (
    JOINING,
    KNOCKING,
    LEAVING,
    Accepted,
    Handshake,
    JsonObject,
    MakeRequest,
    MatrixError,
    OnBindRequest,
    SendJoinResponse,
    SendRequest,
    key_ids_of,
    resident,
    sign_json,
)

FEDERATION: Final = "/_matrix/federation"
DAY: Final = 24 * 60 * 60 * 1000


class Endpoints:
    """The endpoints of one server, for other servers and for its users."""

    def __init__(self, server: Homeserver) -> None:
        self.server = server
        self.history = History(server)
        self.inviting = Inviting(server)
        self.transactions = Transactions(server, self.inviting)
        self.by_address = ByAddress(server, self.inviting)
        self.binding = Binding(server, self.by_address)
        self.doing = Doing(server, self.inviting, self.by_address, self.binding)
        self.client = ClientEndpoints(server, self.doing)

    def application(self) -> web.Application:
        """Build the application for aiohttp."""
        application = web.Application()
        route = application.router.add_route
        # Serving keys must not wait: other servers fetch them before they answer us.
        route("GET", "/_matrix/key/v2/server", serving(self.key))
        for handshake in (JOINING, KNOCKING, LEAVING):
            make = f"/v1/{handshake.make}/{{room_id}}/{{user_id}}"
            self.add(application, "GET", make, self.make(handshake))
            for version in handshake.send_versions:
                send = f"/{version}/{handshake.send}/{{room_id}}/{{event_id}}"
                self.add(application, "PUT", send, self.send(handshake, version))
        for method, path, respond in (
            ("GET", "/v1/query/profile", self.profile),
            ("GET", "/v1/query/directory", self.directory),
            *self.inviting.endpoints,
            *self.by_address.endpoints,
            *self.history.endpoints,
        ):
            self.add(application, method, path, respond)
        policing = self.server.policing
        route("GET", policing.KEY_PATH, serving(self.policy_key))
        sign = authenticated(self.server, self.sign, most_bytes=LARGEST_BODY)
        route("POST", policing.SIGN_PATH, serving(sign))
        transaction = "/v1/send/{transaction}"
        take = self.transactions.respond
        self.add(application, "PUT", transaction, take, most_bytes=LARGEST_TRANSACTION)
        for method in OnBindRequest.METHODS:
            route(method, OnBindRequest.PATH, serving(self.binding.on_bind))
        self.client.add_to(application.router)
        route("*", "/{anything:.*}", serving(self.unknown))
        return application

    def add(
        self,
        application: web.Application,
        method: str,
        path: str,
        respond: Authenticated,
        *,
        most_bytes: int = LARGEST_BODY,
    ) -> None:
        """Add an endpoint for other servers."""
        checked = authenticated(self.server, respond, most_bytes=most_bytes)
        application.router.add_route(method, FEDERATION + path, serving(checked))

    async def key(self, _: web.Request) -> Answer:
        """Answer with this server's key."""
        signer = self.server.signer
        document = {
            "server_name": self.server.name,
            "valid_until_ts": self.server.now() + DAY,
            "verify_keys": {signer.key_id: {"key": signer.verify_key}},
            "old_verify_keys": {},
        }
        return Answer.of(sign_json(document, signer))

    async def unknown(self, request: web.Request) -> Answer:
        """Refuse a request to an unknown endpoint."""
        sentence = f"{request.method} {request.path} is not answered here"
        return Answer.refusing(MatrixError.of("M_UNRECOGNIZED", sentence))

    # ------------------------------------------------------------------ handshakes

    def make(self, handshake: Handshake) -> Authenticated:
        """Answer make_join, make_knock, make_leave with a template for the other server to sign."""

        async def respond(asked: Asked) -> Answer:
            request = MakeRequest(
                asked.path["room_id"],
                asked.path["user_id"],
                asked.origin,
                tuple(asked.all("ver")) or ("1",),
            )
            room = self.server.snapshot(request.room_id)
            answer = resident.answer_make(handshake, request, room, at=self.server.now())
            if isinstance(answer, MatrixError):
                return self.server.refuse(answer)
            return Answer.of(answer.to_json())

        return respond

    def send(self, handshake: Handshake, version: str) -> Authenticated:
        """Take the signed event of send_join, send_knock, send_leave."""

        async def respond(asked: Asked) -> Answer:
            omits = self.server.omits_members and asked.first("omit_members") == "true"
            request = SendRequest(
                asked.path["room_id"], asked.path["event_id"], asked.body, asked.origin, omits
            )
            # Only the asking server's signature counts, so other servers in `signatures` cause no request.
            pdu = asked.content if isinstance(asked.content, JsonObject) else {}
            keys = await self.server.keys_for({asked.origin: key_ids_of(pdu, asked.origin)})
            room = self.server.snapshot(request.room_id)
            answer = resident.answer_send(handshake, request, room, self.server.signer, keys=keys)
            if isinstance(answer, MatrixError):
                return self.server.refuse(answer)
            # No await since the snapshot, so it is still the newest state.
            if not answer.repeated:
                self.server.rooms[request.room_id].store(answer.event)
                if answer.policy_server is None:
                    self.server.outbox.put(answer.send_to, answer.event)
                else:
                    self.server.in_background(self.pass_on(answer))
            return _sent(answer, paired=version == "v1" and len(handshake.send_versions) > 1)

        return respond

    async def pass_on(self, accepted: Accepted) -> None:
        """Have the room's policy server sign an event of another server, then send it on."""
        room = self.server.rooms[accepted.event.room_id]
        signed = await self.server.policing.sign(accepted.event, accepted.state)
        if isinstance(signed, MatrixError):
            self.server.refusals.append(signed)
            return
        room.replace(signed)
        self.server.outbox.put(accepted.send_to, signed)

    # ------------------------------------------------------------------ policies

    async def policy_key(self, _: web.Request) -> Answer:
        """Answer with the key that rooms name which use this policy server."""
        return Answer.of(self.server.policing.document)

    async def sign(self, asked: Asked) -> Answer:
        """Sign an event as the policy server of its room, or refuse it."""
        answer = self.server.policing.answer(asked.content, asked.origin)
        return Answer.refusing(answer) if isinstance(answer, MatrixError) else Answer.of(answer)

    # ------------------------------------------------------------------ queries

    async def profile(self, asked: Asked) -> Answer:
        """Answer with a user's profile: the display name is the local part of the user ID."""
        name = asked.first("user_id").partition(":")[0].removeprefix("@")
        return Answer.of({"displayname": name})

    async def directory(self, asked: Asked) -> Answer:
        """Answer with the room ID of an alias."""
        room_id = self.server.aliases.get(asked.first("room_alias"))
        if room_id is None:
            return Answer.refusing(
                MatrixError.of("M_NOT_FOUND", "this server does not have the alias")
            )
        return Answer.of({"room_id": room_id, "servers": [self.server.name]})


def _sent(accepted: Accepted, *, paired: bool) -> Answer:
    """Make the answer to send_*; a v1 endpoint that has a v2 answers with a list of two."""
    response = accepted.response
    if isinstance(response, SendJoinResponse) and not paired:
        return Answer(200, response.to_bytes())
    return Answer.of([200, response.to_json()] if paired else response.to_json())
