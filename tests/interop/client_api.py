"""What a user of a Synapse does through the client-server API, blocking."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, TypeAlias
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

__all__ = ["CallFailed", "JsonObject", "JsonValue", "SynapseUser", "call"]

JsonValue: TypeAlias = Any
"""What an answer holds; tests read it field by field, so it stays untyped."""

JsonObject: TypeAlias = dict[str, JsonValue]

Query: TypeAlias = Mapping[str, str | int | Iterable[str]]

TIMEOUT = 30.0
"""Seconds that a call may take unless it is told otherwise."""

_OPENER = build_opener(ProxyHandler({}))  # a proxy of the environment cannot reach loopback


class CallFailed(Exception):
    """A call of the client API was not answered with 200.

    Args:
        what: Method and path of the call.
        status: HTTP status of the answer.
        body: JSON of the answer.
    """

    def __init__(self, what: str, status: int, body: JsonValue) -> None:
        super().__init__(what, status, body)
        self.status = status
        self.body = body
        self.errcode: str | None = body.get("errcode") if isinstance(body, dict) else None


def call(
    method: str,
    url: str,
    body: JsonObject | None = None,
    *,
    token: str | None = None,
    timeout: float = TIMEOUT,
) -> tuple[int, JsonValue]:
    """Sends one HTTP request and reads its JSON answer, whatever the status.

    Args:
        method: HTTP method.
        url: Whole address.
        body: Sent as JSON; `None` sends no body.
        token: Access token.
        timeout: Seconds that any one wait on the socket may take.

    Returns:
        The status and the body; a body that is not JSON comes as `{}`.

    Raises:
        OSError: Nobody answered (`urllib.error.URLError` and `TimeoutError` are such).
    """
    request = Request(url, method=method)
    request.add_header("Content-Type", "application/json")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    data = None if body is None else json.dumps(body).encode()
    try:
        with _OPENER.open(request, data, timeout) as answer:
            return answer.status, _json(answer.read())
    except HTTPError as refusal:
        with refusal:
            return refusal.code, _json(refusal.read())
    except HTTPException as problem:
        raise ConnectionError(
            f"{method} {url} was not answered with HTTP: {problem!r}"
        ) from problem


def _json(body: bytes) -> JsonValue:
    try:
        return json.loads(body)
    except ValueError:
        return {}


def _path(*parts: str) -> str:
    return "/".join(quote(part, safe="") for part in parts)


@dataclass(frozen=True, slots=True)
class SynapseUser:
    """A registered user of a Synapse and what they do.

    Every method takes a time-out in seconds; all but `request` raise `CallFailed` when the answer is not 200.

    Attributes:
        base_url: Address of the client listener, without a path.
        user_id: The user.
        access_token: What the user is known by.
    """

    base_url: str
    user_id: str
    access_token: str = field(repr=False)

    def request(
        self,
        method: str,
        path: str,
        body: JsonObject | None = None,
        query: Query | None = None,
        *,
        timeout: float = TIMEOUT,
    ) -> tuple[int, JsonValue]:
        """Sends a request and returns status and body, whatever the status.

        Args:
            method: HTTP method.
            path: Quoted path below `/_matrix/client/v3/`, or a whole one, which starts with `/_`.
            body: JSON to send.
            query: Query parameters; a list repeats its parameter.
            timeout: Seconds that any one wait on the socket may take.

        Returns:
            Status and body.
        """
        whole = path if path.startswith("/_") else f"/_matrix/client/v3/{path}"
        url = self.base_url + whole + (f"?{urlencode(query, doseq=True)}" if query else "")
        return call(method, url, body, token=self.access_token, timeout=timeout)

    def _expect(
        self,
        method: str,
        path: str,
        body: JsonObject | None = None,
        query: Query | None = None,
        *,
        timeout: float,
    ) -> JsonValue:
        status, answer = self.request(method, path, body, query, timeout=timeout)
        if status != 200:
            raise CallFailed(f"{method} {path}", status, answer)
        return answer

    def create_room(
        self,
        version: str,
        *,
        preset: str = "public_chat",
        initial_state: Iterable[JsonObject] = (),
        options: JsonObject | None = None,
        timeout: float = TIMEOUT,
    ) -> str:
        """Creates a room and returns its id.

        Args:
            version: Room version.
            preset: One of the presets of the specification.
            initial_state: State events (`type`, `state_key`, `content`) set before others can join.
            options: Further fields of the request, such as `name`, `invite` or `power_level_content_override`.
            timeout: Seconds.

        Returns:
            The room id.
        """
        body = {"room_version": version, "preset": preset, "initial_state": list(initial_state)} | (
            options or {}
        )
        room_id: str = self._expect("POST", "createRoom", body, timeout=timeout)["room_id"]
        return room_id

    def join(self, room: str, via: Iterable[str] = (), *, timeout: float = TIMEOUT) -> str:
        """Joins a room, named by id or alias, through the servers named, and returns its id."""
        answer = self._expect(
            "POST", f"join/{_path(room)}", {}, {"via": list(via)}, timeout=timeout
        )
        room_id: str = answer["room_id"]
        return room_id

    def knock(self, room: str, via: Iterable[str] = (), *, timeout: float = TIMEOUT) -> str:
        """Knocks on a room, named by id or alias, through the servers named, and returns its id."""
        answer = self._expect(
            "POST", f"knock/{_path(room)}", {}, {"via": list(via)}, timeout=timeout
        )
        room_id: str = answer["room_id"]
        return room_id

    def leave(self, room_id: str, *, timeout: float = TIMEOUT) -> None:
        """Leaves a room, rejects an invite or takes back a knock."""
        self._expect("POST", f"rooms/{_path(room_id)}/leave", {}, timeout=timeout)

    def invite(self, room_id: str, user_id: str, *, timeout: float = TIMEOUT) -> None:
        """Invites a user."""
        self._act("invite", room_id, user_id, timeout)

    def kick(self, room_id: str, user_id: str, *, timeout: float = TIMEOUT) -> None:
        """Kicks a user, or withdraws their invite."""
        self._act("kick", room_id, user_id, timeout)

    def ban(self, room_id: str, user_id: str, *, timeout: float = TIMEOUT) -> None:
        """Bans a user."""
        self._act("ban", room_id, user_id, timeout)

    def unban(self, room_id: str, user_id: str, *, timeout: float = TIMEOUT) -> None:
        """Lifts the ban of a user."""
        self._act("unban", room_id, user_id, timeout)

    def _act(self, action: str, room_id: str, user_id: str, timeout: float) -> None:
        self._expect(
            "POST", f"rooms/{_path(room_id)}/{action}", {"user_id": user_id}, timeout=timeout
        )

    def send_state(
        self,
        room_id: str,
        event_type: str,
        content: JsonObject,
        state_key: str = "",
        *,
        timeout: float = TIMEOUT,
    ) -> str:
        """Sets a state event and returns its id."""
        path = f"rooms/{_path(room_id)}/state/{_path(event_type, state_key)}"
        event_id: str = self._expect("PUT", path, content, timeout=timeout)["event_id"]
        return event_id

    def send_message(self, room_id: str, text: str, *, timeout: float = TIMEOUT) -> str:
        """Sends a text message and returns its event id."""
        path = f"rooms/{_path(room_id)}/send/{_path('m.room.message', uuid.uuid4().hex)}"
        body = {"msgtype": "m.text", "body": text}
        event_id: str = self._expect("PUT", path, body, timeout=timeout)["event_id"]
        return event_id

    def joined_members(self, room_id: str, *, timeout: float = TIMEOUT) -> frozenset[str]:
        """Returns the joined users; waits while the room's state is still partial."""
        answer = self._expect("GET", f"rooms/{_path(room_id)}/joined_members", timeout=timeout)
        return frozenset(answer["joined"])

    def state(self, room_id: str, *, timeout: float = TIMEOUT) -> list[JsonObject]:
        """Returns the current state events in their client form."""
        events: list[JsonObject] = self._expect(
            "GET", f"rooms/{_path(room_id)}/state", timeout=timeout
        )
        return events

    def sync(self, since: str | None = None, *, timeout: float = TIMEOUT) -> JsonObject:
        """Returns what `/sync` has at this moment, without waiting for more."""
        query: dict[str, str | int] = {"timeout": 0}
        if since is not None:
            query["since"] = since
        answer: JsonObject = self._expect("GET", "sync", query=query, timeout=timeout)
        return answer
