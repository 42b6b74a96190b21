"""The example homeservers and an identity server: users are invited by address over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from homeserver.answers import listening
from homeserver.server import Homeserver
from matrix_membership import Event, Signer
from matrix_membership.federation import MatrixError, OnBindRequest, Request
from matrix_membership.identifiers import server_of
from matrix_membership.membership import INVITE, JOIN, LEAVE
from matrix_membership.signing import sign_json
from tests.test_example_client import KNOCKING, Client, until
from tests.test_examples import two_servers

LASTING: Final = Signer.from_seed("id.example", "ed25519:0", "I" * 42 + "A")
PASSING: Final = Signer.from_seed("id.example", "ed25519:1", "E" * 42 + "A")
ADDRESS: Final = "ben@other.example"
API: Final = "/_matrix/identity/v2"
NO_ADDRESS: Final = {"medium": "email", "address": ADDRESS, "sender": "@ana:a.example"}


class IdentityServer:
    """A stand-in for an identity server: it knows whose addresses are, and which invites wait.

    Attributes:
        users: users by address.
        stored: the invites that it stored, as it was asked to.
        is_valid: what it says of its keys.
        asked: the paths of the questions that were put to it, with the client's token.
    """

    def __init__(self, name: str, session: aiohttp.ClientSession) -> None:
        self.name = name
        self.session = session
        self.users: dict[str, str] = {}
        self.stored: list[dict[str, Any]] = []
        self.is_valid: Any = True
        self.asked: list[tuple[str, str]] = []

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self.remember])
        for method, path, respond in (
            ("GET", "/hash_details", self.hash_details),
            ("POST", "/lookup", self.look_up),
            ("POST", "/store-invite", self.store),
            ("GET", "/pubkey/isvalid", self.validity),
            ("GET", "/pubkey/ephemeral/isvalid", self.validity),
        ):
            application.router.add_route(method, API + path, respond)
        return application

    @web.middleware
    async def remember(self, request: web.Request, handler: Any) -> web.StreamResponse:
        token = request.headers.get("Authorization", "")
        self.asked.append((request.path.removeprefix(API), token))
        response: web.StreamResponse = await handler(request)
        return response

    async def hash_details(self, _: web.Request) -> web.Response:
        return web.json_response({"lookup_pepper": "salt", "algorithms": ["sha256"]})

    async def look_up(self, request: web.Request) -> web.Response:
        wanted = (await request.json())["addresses"]
        known = {hashed(address): user for address, user in self.users.items()}
        return web.json_response(
            {"mappings": {name: known[name] for name in wanted if name in known}}
        )

    async def store(self, request: web.Request) -> web.Response:
        self.stored.append(await request.json())
        keys = ((LASTING, "pubkey"), (PASSING, "pubkey/ephemeral"))
        return web.json_response(
            {
                "token": f"token{len(self.stored) - 1}",
                "display_name": "b...@o...",
                "public_keys": [
                    {
                        "public_key": key.verify_key,
                        "key_validity_url": f"http://{self.name}{API}/{path}/isvalid",
                    }
                    for key, path in keys
                ],
            }
        )

    async def validity(self, request: web.Request) -> web.Response:
        assert request.query["public_key"] in (LASTING.verify_key, PASSING.verify_key)
        return web.json_response({"valid": self.is_valid})

    def word(self, index: int, user: str) -> dict[str, Any]:
        """What it signs when an address is bound for which an invite waits."""
        signed = {"mxid": user, "token": f"token{index}", "sender": self.stored[index]["sender"]}
        return sign_json(signed, LASTING)

    async def bind(self, user: str, method: str = "PUT") -> int:
        """An address becomes that of a user; gives the status that their server answers."""
        self.users[ADDRESS] = user
        who = {"medium": "email", "address": ADDRESS, "mxid": user}
        invites = [
            {**who, **waiting, "mxid": user, "signed": self.word(index, user)}
            for index, waiting in enumerate(self.stored)
        ]
        url = f"http://{server_of(user)}{OnBindRequest.PATH}"
        body = {**who, "invites": invites}
        async with self.session.request(method, url, json=body) as response:
            return response.status


def hashed(address: str) -> str:
    """The name of an address in a lookup."""
    digest = sha256(f"{address} email salt".encode()).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


Scenario = Callable[[Client, Client, IdentityServer], Awaitable[None]]


def played(scenario: Scenario) -> None:
    """Play a scenario between Ana, Ben of another server, and an identity server that both trust."""

    async def run() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        async with two_servers() as servers, aiohttp.ClientSession() as session:
            name = f"127.0.0.1:{listener.getsockname()[1]}"
            identity = IdentityServer(name, session)
            for server in servers:
                server.identity_servers = frozenset({name})
            async with listening(identity.application(), listener):
                ana, ben = (
                    Client(session, server, user)
                    for server, user in zip(servers, ("ana", "ben"), strict=True)
                )
                await scenario(ana, ben, identity)

    asyncio.run(run())


async def invite(ana: Client, room_id: str, identity: IdentityServer) -> tuple[int, Any]:
    """What comes of it when Ana invites Ben's address."""
    return await ana.act(
        room_id,
        "invite",
        id_server=identity.name,
        id_access_token="secret",
        medium="email",
        address="Ben@Other.example",
    )


def stored(user: Client, room_id: str) -> Event | None:
    """The first invite by address, as a user's server sees the room."""
    return user.server.rooms[room_id].state.get("m.room.third_party_invite", "token0")


async def refused(server: Homeserver) -> MatrixError:
    """What the server says no to."""
    await until(lambda: bool(server.refusals))
    return server.refusals[-1]


@pytest.mark.parametrize("version", ["1", "6", "11", "12"])
def test_a_user_is_invited_by_address_and_joins(version: str) -> None:
    async def scenario(ana: Client, ben: Client, identity: IdentityServer) -> None:
        room_id = await ana.room(room_version=version, name="Garden")
        assert await invite(ana, room_id, identity) == (200, {})
        assert stored(ana, room_id) is not None
        assert await identity.bind(ben.user_id) == 200
        held = ben.server.held
        await until(lambda: (room_id, ben.user_id) in held)
        assert await ben.post(f"join/{quote(room_id)}") == (200, {"room_id": room_id})
        await until(lambda: ana.membership(room_id, ben.user_id) is JOIN)

    played(scenario)


@pytest.mark.parametrize("version", ["1", "11", "12"])
def test_an_address_is_invited_as_the_room_is_made(version: str) -> None:
    async def scenario(ana: Client, ben: Client, identity: IdentityServer) -> None:
        wanted = {
            "id_server": identity.name,
            "id_access_token": "secret",
            "medium": "email",
            "address": ADDRESS,
        }
        room_id = await ana.room(room_version=version, name="Garden", invite_3pid=[wanted])
        assert stored(ana, room_id) is not None
        assert identity.stored[0]["room_name"] == "Garden"
        assert await identity.bind(ben.user_id) == 200
        await until(lambda: (room_id, ben.user_id) in ben.server.held)
        assert await ben.post(f"join/{quote(room_id)}") == (200, {"room_id": room_id})

    played(scenario)


def test_the_identity_server_is_told_of_the_room() -> None:
    async def scenario(ana: Client, _: Client, identity: IdentityServer) -> None:
        room_id = await ana.room(name="Garden", initial_state=[KNOCKING])
        await invite(ana, room_id, identity)
        assert identity.stored == [
            {
                "medium": "email",
                "address": ADDRESS,
                "sender": ana.user_id,
                "room_id": room_id,
                "room_name": "Garden",
                "room_join_rules": "knock",
            }
        ]
        paths = ("/hash_details", "/lookup", "/store-invite")
        assert identity.asked == [(path, "Bearer secret") for path in paths]

    played(scenario)


@pytest.mark.parametrize("answer", [False, None, "true"])
def test_a_key_that_was_revoked_is_refused(answer: Any) -> None:
    async def scenario(ana: Client, ben: Client, identity: IdentityServer) -> None:
        room_id = await ana.room()
        await invite(ana, room_id, identity)
        identity.is_valid = answer
        assert await identity.bind(ben.user_id) == 200
        error = await refused(ben.server)
        assert (error.status, error.errcode) == (403, "M_FORBIDDEN")
        assert error == await refused(ana.server)
        assert identity.asked[-1] == ("/pubkey/isvalid", "")
        assert ana.membership(room_id, ben.user_id) is LEAVE
        assert ben.server.held == {}

    played(scenario)


def test_a_key_of_a_server_that_is_not_trusted_is_refused() -> None:
    async def scenario(ana: Client, ben: Client, identity: IdentityServer) -> None:
        room_id = await ana.room()
        await invite(ana, room_id, identity)
        ana.server.identity_servers = frozenset({"id.example"})
        await identity.bind(ben.user_id)
        assert (await refused(ana.server)).errcode == "M_FORBIDDEN"
        assert identity.asked[-1][0] == "/store-invite"

    played(scenario)


def test_an_address_that_is_somebodys_is_invited_at_once() -> None:
    async def scenario(ana: Client, ben: Client, identity: IdentityServer) -> None:
        room_id = await ana.room()
        identity.users[ADDRESS] = ben.user_id
        assert await invite(ana, room_id, identity) == (200, {})
        assert ana.membership(room_id, ben.user_id) is INVITE
        assert identity.stored == []

    played(scenario)


def test_the_invited_users_server_makes_the_invite_when_it_is_in_the_room() -> None:
    async def scenario(ana: Client, ben: Client, identity: IdentityServer) -> None:
        room_id = await ana.room(preset="public_chat")
        dan = Client(ben.session, ben.server, "dan")
        await dan.post(f"join/{quote(room_id)}?via={ana.server.name}")
        await invite(ana, room_id, identity)
        await until(lambda: stored(ben, room_id) is not None)
        assert await identity.bind(ben.user_id, "POST") == 200
        await until(lambda: ana.membership(room_id, ben.user_id) is INVITE)
        event = ana.server.rooms[room_id].state.get("m.room.member", ben.user_id)
        assert event is not None
        assert event.sender == ana.user_id
        assert event.signed_by == {ben.server.name}

    played(scenario)


@pytest.mark.parametrize("of_the_same_server", [False, True])
def test_a_user_joins_with_the_identity_servers_word(of_the_same_server: bool) -> None:
    async def scenario(ana: Client, ben: Client, identity: IdentityServer) -> None:
        user = Client(ana.session, ana.server, "dan") if of_the_same_server else ben
        room_id = await ana.room()
        await invite(ana, room_id, identity)
        signed = identity.word(0, user.user_id)
        path = f"join/{quote(room_id)}?via={ana.server.name}"
        assert await user.post(path, third_party_signed=signed) == (200, {"room_id": room_id})
        assert ana.membership(room_id, user.user_id) is JOIN
        assert identity.asked[-1][0] == "/pubkey/isvalid"

    played(scenario)


def test_a_user_joins_with_the_word_in_a_room_that_their_server_is_in() -> None:
    async def scenario(ana: Client, ben: Client, identity: IdentityServer) -> None:
        room_id = await ana.room()
        dan = Client(ben.session, ben.server, "dan")
        await ana.act(room_id, "invite", user_id=dan.user_id)
        await dan.post(f"join/{quote(room_id)}")
        await invite(ana, room_id, identity)
        await until(lambda: stored(ben, room_id) is not None)
        signed = identity.word(0, ben.user_id)
        path = f"join/{quote(room_id)}"
        assert await ben.post(path, third_party_signed=signed) == (200, {"room_id": room_id})
        await until(lambda: ana.membership(room_id, ben.user_id) is JOIN)

    played(scenario)


def test_a_word_that_is_not_good_lets_nobody_in() -> None:
    async def scenario(ana: Client, ben: Client, identity: IdentityServer) -> None:
        room_id = await ana.room()
        await invite(ana, room_id, identity)
        signed = identity.word(0, ben.user_id)
        identity.is_valid = False
        path = f"join/{quote(room_id)}?via={ana.server.name}"
        status, answer = await ben.post(path, third_party_signed=signed)
        assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")

    played(scenario)


class TestIdentityServer:
    def test_must_be_trusted(self) -> None:
        async def scenario(ana: Client, _: Client, identity: IdentityServer) -> None:
            room_id = await ana.room()
            ana.server.identity_servers = frozenset()
            status, answer = await invite(ana, room_id, identity)
            assert (status, answer["errcode"]) == (403, "M_SERVER_NOT_TRUSTED")
            assert identity.asked == []

        played(scenario)

    def test_is_not_asked_for_who_may_not_invite(self) -> None:
        async def scenario(ana: Client, ben: Client, identity: IdentityServer) -> None:
            room_id = await ana.room()
            for user in (ben, Client(ana.session, ana.server, "dan")):
                status, answer = await invite(user, room_id, identity)
                assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")
            assert identity.asked == []

        played(scenario)

    @pytest.mark.parametrize(
        ("asked", "status", "body"),
        [
            ("hash_details", 200, []),
            ("look_up", 400, {"errcode": "M_INVALID_PEPPER"}),
            ("store", 200, {"token": ""}),
            ("store", 500, None),
        ],
    )
    def test_may_answer_nonsense(
        self, asked: str, status: int, body: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def respond(*_: Any) -> web.Response:
            return web.json_response(body, status=status)

        async def scenario(ana: Client, _: Client, identity: IdentityServer) -> None:
            answered, told = await invite(ana, await ana.room(), identity)
            assert (answered, told["errcode"]) == (502, "M_UNKNOWN")

        monkeypatch.setattr(IdentityServer, asked, respond)
        played(scenario)


class TestEndpoints:
    @pytest.mark.parametrize("method", ["PUT", "POST"])
    @pytest.mark.parametrize(
        ("body", "errcode"),
        [
            (b"{", "M_BAD_JSON"),
            (b"{}", "M_BAD_JSON"),
            (
                json.dumps({**NO_ADDRESS, "mxid": "@cay:c.example", "invites": []}),
                "M_INVALID_PARAM",
            ),
        ],
    )
    def test_of_identity_servers_refuse(self, method: str, body: Any, errcode: str) -> None:
        async def scenario(ana: Client, _: Client, __: IdentityServer) -> None:
            url = f"http://{ana.server.name}{OnBindRequest.PATH}"
            async with ana.session.request(method, url, data=body) as response:
                assert (response.status, (await response.json())["errcode"]) == (400, errcode)

        played(scenario)

    @pytest.mark.parametrize(
        ("body", "status", "errcode"),
        [
            (b"{}", 400, "M_BAD_JSON"),
            (
                json.dumps(
                    {
                        "type": "m.room.member",
                        "room_id": "!r:a.example",
                        "sender": "@ana:a.example",
                        "state_key": "@ben:b.example",
                        "content": {},
                    }
                ).encode(),
                404,
                "M_NOT_FOUND",
            ),
        ],
    )
    def test_of_other_servers_refuse(self, body: bytes, status: int, errcode: str) -> None:
        async def scenario(ana: Client, ben: Client, _: IdentityServer) -> None:
            path = "/_matrix/federation/v1/exchange_third_party_invite/!r:a.example"
            asked = Request("PUT", path, (), body)
            answer = await ben.server.transport.ask(ana.server.name, asked)
            assert (answer.status, answer.content["errcode"]) == (status, errcode)

        played(scenario)

    def test_give_an_invite_that_is_for_another_user_to_nobody(self) -> None:
        async def scenario(ana: Client, ben: Client, identity: IdentityServer) -> None:
            room_id = await ana.room()
            await invite(ana, room_id, identity)
            word = identity.word(0, "@dan:d.example")
            identity.word = lambda *_: word  # type: ignore[method-assign]  # it lies
            assert await identity.bind(ben.user_id) == 200
            assert (await refused(ben.server)).errcode == "M_INVALID_PARAM"

        played(scenario)
