"""Serve a part of the client-server API: membership, history, summaries.

The example has no passwords: the access token is the user's name.

    curl -X POST -H 'Authorization: Bearer ben' http://127.0.0.1:8008/_matrix/client/v3/join/%23talk:127.0.0.1:8009
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from homeserver.answers import Answer, serving
from homeserver.asked import LARGEST_EVENT, read_body
from homeserver.bounded import Bounded
from homeserver.creating import Creating
from homeserver.doing import Ask, Doing
from homeserver.sending import Sending
from homeserver.server import Homeserver
from homeserver.showing import Showing
from homeserver.summaries import Summaries
from matrix_membership import client
from matrix_membership.client import TokenBucket
from matrix_membership.server import MatrixError, UserID, is_user_id

CLIENT: Final = "/_matrix/client/v3"
OfUser = Callable[[UserID, web.Request, bytes], Awaitable[Answer]]
"""A function that answers a request of a user."""

LIMIT: Final = 20
"""Requests that a user may make a second."""

MOST_USERS: Final = 1000
"""Users whose requests are counted; the ones who have not asked for longest are forgotten."""


class ClientEndpoints:
    """The client-server endpoints of one server."""

    def __init__(self, server: Homeserver, doing: Doing) -> None:
        self.server = server
        self.doing = doing
        self.showing = Showing(server)
        self.sending = Sending(server)
        self.summaries = Summaries(server, doing.resolve)
        self.creating = Creating(server, doing)
        self.buckets: Bounded[UserID, TokenBucket] = Bounded(MOST_USERS)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the endpoints to an application's router."""
        room = CLIENT + "/rooms/{room}"
        for method, path, read, ask in (
            ("POST", CLIENT + "/join/{room}", client.read_join, client.join),
            ("POST", room + "/join", client.read_join, client.join),
            ("POST", CLIENT + "/knock/{room}", client.read_knock, client.knock),
            ("POST", room + "/invite", client.read_invite, client.invite),
            ("POST", room + "/leave", client.read_leave, client.leave),
            ("POST", room + "/kick", client.read_target, client.kick),
            ("POST", room + "/ban", client.read_target, client.ban),
            ("POST", room + "/unban", client.read_target, client.unban),
            ("POST", room + "/forget", client.read_forget, client.forget),
            ("GET", room + "/joined_members", client.read_joined_members, client.joined_members),
            ("PUT", room + "/state/m.room.member/{key}", client.read_membership, client.set_membership),
        ):  # fmt: skip # a table, read by rows
            router.add_route(method, path, serving(self.endpoint(read, ask)))
        for method, path, respond in (
            *self.creating.endpoints,
            *self.showing.endpoints,
            *self.sending.endpoints,
            *self.server.users.endpoints,
        ):
            router.add_route(method, CLIENT + path, serving(self.of_user(respond)))
        for method, path, respond in self.summaries.endpoints:
            router.add_route(method, path, serving(self.of_user(respond)))

    def endpoint(self, read: Callable[..., Any], ask: Ask) -> Callable[[web.Request], Any]:
        """Make an endpoint: read the request, ask the library, do what it says."""

        async def respond(request: web.Request) -> Answer:
            user, body = await self.who_says_what(request)
            if isinstance(user, MatrixError):
                return Answer.refusing(user)
            options: dict[str, Any] = {}
            if read in (client.read_join, client.read_knock):
                options["query"] = list(request.query.items())
            if read is not client.read_joined_members:
                options["body"] = body
            path = [request.match_info["room"]]
            if "key" in request.match_info:
                path.append(request.match_info["key"])
            asked = read(user, *path, **options)
            if isinstance(asked, MatrixError):
                return Answer.refusing(asked)
            return await self.doing.carry_out(ask, asked)

        return respond

    def of_user(self, respond: OfUser) -> Callable[[web.Request], Any]:
        """Make an endpoint that needs the user and the body."""

        async def responding(request: web.Request) -> Answer:
            user, body = await self.who_says_what(request)
            if isinstance(user, MatrixError):
                return Answer.refusing(user)
            return await respond(user, request, body)

        return responding

    async def who_says_what(self, request: web.Request) -> tuple[UserID | MatrixError, bytes]:
        """Return the user and the body; read the body only if the user may ask now."""
        user = self.user(request)
        if isinstance(user, MatrixError):
            return user, b""
        body = await read_body(request, LARGEST_EVENT)
        return (body, b"") if isinstance(body, MatrixError) else (user, body)

    def user(self, request: web.Request) -> UserID | MatrixError:
        """Return the user who asks, or an error if they may not ask now."""
        name = request.headers.get("Authorization", "").removeprefix("Bearer ")
        user = f"@{name}:{self.server.name}"
        if not name or not is_user_id(user):
            return MatrixError("M_MISSING_TOKEN", "the token is a user's name", 401)
        now = self.server.now()
        bucket = self.buckets.get(user) or TokenBucket.full(per_second=LIMIT, burst=LIMIT, at=now)
        after = bucket.take(at=now)
        if isinstance(after, MatrixError):
            return after
        self.buckets[user] = after
        return user
