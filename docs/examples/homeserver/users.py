"""Keep the data of the server's own users: settings, account data, and rooms that they forgot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from homeserver.answers import Answer
from homeserver.bounded import Bounded
from matrix_membership import InvalidJson, RoomState, client
from matrix_membership.server import (
    InvitePolicy,
    JsonObject,
    MatrixError,
    PolicyList,
    ServerName,
    UserID,
    decode,
    server_of,
)

__all__ = ["Users"]

KEPT_TYPES: Final = ("m.ignored_user_list", "m.invite_permission_config")
"""The account data that is kept."""

MOST_KEPT: Final = 1000
MOST_FORGOTTEN: Final = 10_000
MOST_HIDDEN: Final = 1000


class Users:
    """The records of one server's users.

    Args:
        server_name: the server.
        state_of: returns the current state of a room by its ID; None if the server is not in it.

    Attributes:
        suspended: the suspended users.
        locked: the locked users.
        policy_rooms: the rooms with the policy lists that the server applies to invites.
        forces_forgetting: whether users forget a room that they leave.
        hidden: invites by ignored users, by room and user. A `/sync` would leave them out.
    """

    def __init__(
        self, server_name: ServerName, state_of: Callable[[str], RoomState | None]
    ) -> None:
        self.server_name = server_name
        self.state_of = state_of
        self.suspended: set[str] = set()
        self.locked: set[str] = set()
        self.policy_rooms: tuple[str, ...] = ()
        self.forces_forgetting = False
        self.account_data: Bounded[tuple[str, str], Any] = Bounded(MOST_KEPT)
        self.hidden: Bounded[tuple[str, str], None] = Bounded(MOST_HIDDEN)
        self._forgotten: Bounded[tuple[str, str], str] = Bounded(MOST_FORGOTTEN)
        self.endpoints = (
            ("PUT", "/user/{user}/account_data/{type}", self.put),
            ("GET", "/user/{user}/account_data/{type}", self.get),
            ("GET", "/capabilities", self.capabilities),
        )

    # ------------------------------------------------------------------ invites

    @property
    def server_policy(self) -> InvitePolicy:
        """The server's policy for invites: refuse users and servers that its policy lists ban."""
        states = map(self.state_of, self.policy_rooms)
        return InvitePolicy(lists=PolicyList.of(*[state for state in states if state is not None]))

    def policy_of(self, user: str) -> InvitePolicy:
        """Return a user's own policy for invites."""
        ignored, config = (self.account_data.get((user, kind)) for kind in KEPT_TYPES)
        return InvitePolicy.from_account_data(config, ignored)

    def mark(self, room_id: str, user: str, *, shown: bool) -> None:
        """Remember whether an invite is shown to its user."""
        if shown:
            self.hidden.pop((room_id, user), None)
        else:
            self.hidden[room_id, user] = None

    def settings(self, request: Any) -> client.UserSettings:
        """Return the records of the users in a request."""
        user, target = request.user, str(getattr(request, "target", None) or "")
        invites = InvitePolicy()
        if target and server_of(target) == self.server_name:
            own = self.policy_of(target)
            lists = self.server_policy.lists
            invites = InvitePolicy(ignore=own.ignore, default=own.default, lists=lists)
        return client.UserSettings(
            suspended=user in self.suspended, locked=user in self.locked, invites=invites
        )

    def may_not_send(self, user: str, event_type: str, *, own: bool) -> MatrixError | None:
        """Return the error for a locked user, and for a suspended one who does more than they may.

        Args:
            user: the user.
            event_type: the type of the event.
            own: whether it is a redaction of the user's own event, which suspended users may send.
        """
        if user in self.locked:
            return MatrixError.of("M_USER_LOCKED", "your account is locked", soft_logout=True)
        if user in self.suspended and not (event_type == "m.room.redaction" and own):
            return MatrixError.of("M_USER_SUSPENDED", "your account is suspended")
        return None

    # ------------------------------------------------------------------ forgetting

    def forget(self, user: str, room_id: str, state: RoomState) -> None:
        """Forget a room for a user, until they get another membership in it."""
        event = state.get("m.room.member", user)
        if event is not None:
            self._forgotten[room_id, user] = event.event_id

    def has_forgotten(self, user: str, room_id: str, state: RoomState) -> bool:
        """Return whether a user forgot a room, or was made to."""
        event = state.get("m.room.member", user)
        if event is None:
            return False
        forced = (
            client.Forget.forced_by(event, self.server_name) if self.forces_forgetting else None
        )
        return forced is not None or self._forgotten.get((room_id, user)) == event.event_id

    # ------------------------------------------------------------------ endpoints

    async def put(self, user: UserID, request: web.Request, body: bytes) -> Answer:
        """Keep a user's account data."""
        kind = request.match_info["type"]
        if request.match_info["user"] != user:
            return Answer.refusing(MatrixError.of("M_FORBIDDEN", "that is another user"))
        if kind not in KEPT_TYPES:
            return Answer.refusing(MatrixError.of("M_BAD_JSON", f"{kind} is not kept here"))
        try:
            content = decode(body, strict=False)
        except InvalidJson as error:
            return Answer.refusing(MatrixError.of("M_NOT_JSON", str(error)))
        if not isinstance(content, JsonObject):
            return Answer.refusing(MatrixError.of("M_BAD_JSON", "expected an object"))
        self.account_data[user, kind] = content
        return Answer.of({})

    async def get(self, user: UserID, request: web.Request, _: bytes) -> Answer:
        """Answer with a user's account data."""
        found = self.account_data.get((user, request.match_info["type"]))
        if found is None or request.match_info["user"] != user:
            return Answer.refusing(MatrixError.of("M_NOT_FOUND", "there is none"))
        return Answer.of(found)

    async def capabilities(self, *_: object) -> Answer:
        """Answer with what this server does."""
        forced = {"m.forget_forced_upon_leave": {"enabled": self.forces_forgetting}}
        return Answer.of({"capabilities": forced})
