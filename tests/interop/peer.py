"""The example homeserver beside Synapse: over TLS, in a thread of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any, Self, TypeVar

from aiohttp import web

from homeserver import joining
from homeserver.answers import Answer, listening
from homeserver.endpoints import Endpoints
from homeserver.rooms import Room
from homeserver.server import Homeserver
from homeserver.transport import Transport
from matrix_membership import Event, Signer
from matrix_membership.federation import Joined, MatrixError, Refused, Request
from matrix_membership.membership import Membership
from tests.interop.configuration import LOOPBACK
from tests.interop.synapse import Certificate

__all__ = ["Peer"]

T = TypeVar("T")

TIMEOUT = 60.0
"""Seconds that anything the peer is told to do may take."""


class SelectiveTransport(Transport):
    """Finds other servers, but not all of their endpoints, and none while it is cut off.

    Attributes:
        missed: Parts of the paths that it does not find.
        cut_off: Whether no request gets through, in either direction.
    """

    missed: tuple[str, ...] = ()
    cut_off: bool = False

    async def ask(self, destination: str, request: Request, **options: Any) -> Answer:
        if self.cut_off:
            return Answer.unreachable(destination, "cut off")
        if any(part in request.path for part in self.missed):
            return Answer.refusing(MatrixError.of("M_UNRECOGNIZED", "no"))
        return await super().ask(destination, request, **options)


class Peer:
    """An example homeserver that a test talks to from its own thread.

    Args:
        certificate: What it shows to other servers, whose certificates it does not check.

    Attributes:
        server: The homeserver; what changes it belongs into `run` or `call`.
        name: Its name.
        heard: Method and path of every request that came, in order.
        refused: The codes of the errors that it answered, in order.
        lacks: Beginnings of paths that it does not know.
        transport: How it asks other servers.
        twist: Changes what it answers, given the path and the parsed body.
    """

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate
        self._listener = socket.create_server((LOOPBACK, 0))
        self.name = f"{LOOPBACK}:{self._listener.getsockname()[1]}"
        seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        signer = Signer.from_seed(self.name, "ed25519:peer", seed)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.transport = SelectiveTransport(signer, context=context)
        self.server = Homeserver(self.transport)
        self.heard: list[str] = []
        self.refused: list[str] = []
        self.lacks: tuple[str, ...] = ()
        self.twist: Callable[[str, Any], Any] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Does something in the peer's thread, and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT)

    def call(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Calls something in the peer's thread, and waits for it."""

        async def called() -> T:
            return function(*arguments, **options)

        return self.run(called())

    def user(self, localpart: str) -> str:
        """Returns the id of a user of this server."""
        return f"@{localpart}:{self.name}"

    def create_room(self, version: str, *, members: int = 0, **options: Any) -> Room:
        """Makes a room in which `@ana` and as many others are; see `Homeserver.create_room`."""
        room = self.call(self.server.create_room, self.user("ana"), version, **options)
        for number in range(members):
            name = self.user(f"member{number}")
            self.send(room, name, "m.room.member", {"membership": "join"}, state_key=name)
        return room

    def send(self, room: Room, sender: str, event_type: str, content: Any, **options: Any) -> Event:
        """Sends an event, to the other servers in the room too."""
        sent = self.call(self.server.send, room, sender, event_type, content, **options)
        self.run(self.server.tell(room.state.servers_in_room, sent))
        return sent

    def join(
        self, localpart: str, room_id: str, via: Iterable[str], **options: Any
    ) -> Joined | Refused:
        """Joins a room; see `joining.join`."""
        work = joining.join(self.server, self.user(localpart), room_id, via, **options)
        return self.run(work)

    def ask(self, ask: Callable[..., Any], request: Any) -> tuple[int, Any]:
        """What a client's request to this server comes to: status and body; see `doing`."""
        assert not isinstance(request, MatrixError), request
        answer = self.run(self.endpoints.doing.carry_out(ask, request))
        return answer.status, answer.content

    def membership(self, room_id: str, user: str) -> Membership:
        """What a user is to a room, as this server knows it."""
        room = self.server.rooms.get(room_id)
        if room is not None and self.server.takes_part_in(room_id):
            return room.state.membership_of(user)
        return self.server.held[room_id, user].membership

    def complete(self, room: Room) -> bool:
        """Fetches what a join left out; see `joining.complete`."""
        return self.run(joining.complete(self.server, room))

    async def _start(self) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._certificate.certificate, self._certificate.key)
        self.endpoints = Endpoints(self.server)
        application = self.endpoints.application()
        application.middlewares.append(self._middleware)
        runner = await self._stack.enter_async_context(
            listening(application, self._listener, context)
        )
        self._stack.push_async_callback(_hang_up, runner)
        self._stack.push_async_callback(self.server.close)

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.transport.cut_off:
            return web.json_response({"errcode": "M_UNKNOWN", "error": "cut off"}, status=503)
        self.heard.append(f"{request.method} {request.path}")
        if request.path.startswith(self.lacks):
            return web.json_response({"errcode": "M_UNRECOGNIZED", "error": "no"}, status=404)
        answer: web.StreamResponse = await handler(request)
        if isinstance(answer, web.Response) and answer.status >= HTTPStatus.BAD_REQUEST:
            self.refused.append(json.loads(answer.text or "{}")["errcode"])
        if self.twist is not None and isinstance(answer, web.Response) and answer.status == 200:
            body = json.loads(answer.text or "{}")
            return web.json_response(self.twist(request.path, body))
        return answer


async def _hang_up(runner: web.AppRunner) -> None:
    # Synapse keeps its connections open, and a polite end of TLS would wait for it.
    for connection in runner.server.connections if runner.server else ():
        if connection.transport is not None:
            connection.transport.abort()
    for _ in range(10):  # a transport closes in a later turn of the loop
        await asyncio.sleep(0)
