"""Answer createRoom, as far as the example needs it."""

from __future__ import annotations

from typing import Final

import attrs

from homeserver.answers import Answer
from homeserver.rooms import Rejected
from homeserver.server import Homeserver
from matrix_membership import InvalidEvent, InvalidJson
from matrix_membership.server import JsonObject, JsonValue, MatrixError, UserID, decode

__all__ = ["create_room"]

MOST_ROOMS: Final = 1000
"""Rooms that the server is in or was in: all are in memory."""

LONGEST_TEXT: Final = 255


@attrs.frozen
class Wanted:
    """The room that a user asks for."""

    version: str
    join_rule: str
    name: str | None
    alias: str | None

    @classmethod
    def read(cls, body: bytes, server: Homeserver) -> Wanted | MatrixError:
        """Read `room_version`, `join_rule`, `name` and `room_alias_name`."""
        try:
            content = decode(body or b"{}", strict=False)
        except InvalidJson as error:
            return MatrixError.of("M_NOT_JSON", str(error))
        if not isinstance(content, JsonObject):
            return MatrixError.of("M_BAD_JSON", "expected an object")
        version = content.get("room_version", "12")
        if version not in tuple(server.room_versions):
            return MatrixError.of("M_UNSUPPORTED_ROOM_VERSION", "room_version")
        texts = [content.get(name) for name in ("join_rule", "name", "room_alias_name")]
        if not all(text is None or _is_short(text) for text in texts):
            return MatrixError.of("M_BAD_JSON", f"expected texts of 1 to {LONGEST_TEXT} characters")
        join_rule, name, localpart = texts
        alias = None if localpart is None else f"#{localpart}:{server.name}"
        return cls(version, join_rule or "invite", name, alias)


def create_room(server: Homeserver, user: UserID, body: bytes) -> Answer:
    """Make a room, and give it an alias."""
    wanted = Wanted.read(body, server)
    if isinstance(wanted, MatrixError):
        return Answer.refusing(wanted)
    if wanted.alias in server.aliases:
        return Answer.refusing(MatrixError.of("M_ROOM_IN_USE", f"{wanted.alias} is taken"))
    if len(server.rooms) >= MOST_ROOMS:
        return Answer.refusing(MatrixError("M_RESOURCE_LIMIT_EXCEEDED", "too many rooms", 403))
    try:
        room = server.create_room(
            user, wanted.version, join_rule=wanted.join_rule, name=wanted.name
        )
    except (InvalidEvent, Rejected) as error:
        return Answer.refusing(MatrixError.of("M_INVALID_ROOM_STATE", str(error)))
    if wanted.alias is not None:
        server.aliases[wanted.alias] = room.room_id
    return Answer.of({"room_id": room.room_id})


def _is_short(text: JsonValue) -> bool:
    return isinstance(text, str) and 0 < len(text) <= LONGEST_TEXT
