"""This server's knowledge beside a request: the room, and its own users."""

from __future__ import annotations

from typing import Final

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonObject
from matrix_membership.federation.invites.policy import InvitePolicy
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.out_of_band import OutOfBand

__all__ = ["UserSettings"]

KnownRoom = ResidentRoom | OutOfBand | None
"""A room that this server is in, one that it holds an invite to or a knock on, or neither."""


@frozen
class UserSettings:
    """This server's records of its own users in a request.

    Attributes:
        suspended: whether the requesting user is suspended. Such a user may leave
            rooms, reject invites, retract knocks and forget rooms, and list members, but
            change no other membership.
        locked: whether the requesting user is locked. Such a user may do nothing, and gets 401
            `M_USER_LOCKED`.
        invites: whose invites the invited user takes, when that user is of this server.
        profile: the `displayname` and `avatar_url` of the target user, when that user
            is of this server.
        guest: whether the requesting user is a guest, who joins only rooms that let
            guests in. Ask `visibility.guests_can_join` yourself of a room that this server
            has just joined.

    .. versionadded:: 0.1.0
    """

    suspended: bool = False
    locked: bool = False
    invites: InvitePolicy = InvitePolicy()
    profile: JsonObject = JsonObject()
    guest: bool = False


NO_SETTINGS: Final = UserSettings()
