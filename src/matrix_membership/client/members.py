"""List joined members, and set a membership by the endpoint for state events.

See `joined_members`__ and `Setting state`__.

__ https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidjoined_members
__ https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze
from matrix_membership.client._drafting import locked, not_resident
from matrix_membership.client._sentences import members_unknown
from matrix_membership.client.actions import Action, Answer
from matrix_membership.client.entering import join, knock
from matrix_membership.client.inviting import invite
from matrix_membership.client.known import NO_SETTINGS, KnownRoom, UserSettings
from matrix_membership.client.leaving import ban, kick, leave, unban
from matrix_membership.client.requests import ClientRequest
from matrix_membership.events import Event
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.membership import BAN, JOIN, UNKNOWN, Membership

__all__ = ["joined_members", "set_membership"]

# The member event and the answer spell the first key differently.
_PROFILE_KEYS: Final = (("displayname", "display_name"), ("avatar_url", "avatar_url"))


def joined_members(
    request: ClientRequest, room: KnownRoom, *, settings: UserSettings = NO_SETTINGS
) -> Answer | MatrixError:
    """Answer a joined member who asks for the joined members of a room.

    Any other user gets a 403. While the members are not all known, the answer is 503
    `M_UNKNOWN`: a list that is too short would pass for the whole. Cost: linear in the members.

    Raises:
        IncompleteState: the room's state is over a look-up, which cannot list members.

    .. versionadded:: 0.1.0
    """
    if not isinstance(room, ResidentRoom):
        return locked(settings) or not_resident(room)
    state = room.state
    refusal = locked(settings)
    if refusal is not None:
        return refusal
    membership = state.membership_of(request.user)
    if membership not in (JOIN, UNKNOWN):
        return MatrixError.of("M_FORBIDDEN", "you are not in this room")
    if membership is UNKNOWN or state.is_partial:
        return members_unknown()
    members = state.members
    joined = {user: _profile(members[user]) for user in state.joined_members()}
    return Answer(freeze({"joined": joined}))


def _profile(event: Event) -> dict[str, JsonValue]:
    content = event.content
    # Only text: any member can write another type there, and clients show what comes.
    return {told: content[key] for key, told in _PROFILE_KEYS if isinstance(content.get(key), str)}


def set_membership(
    request: ClientRequest,
    room: KnownRoom,
    *,
    at: int,
    settings: UserSettings = NO_SETTINGS,
    memberships: Mapping[str, Membership | str | None] | None = None,
) -> Action:
    """Set a membership through the endpoint for state events.

    This does what the endpoint of that membership does, with the same arguments, and the answer
    holds the event ID. The server must be in the room.

    .. versionadded:: 0.1.0
    """
    if not isinstance(room, ResidentRoom):
        return locked(settings) or not_resident(room)
    wanted = request.content["membership"]
    content = {key: value for key, value in request.content.items() if key != "membership"}
    request = evolve(request, content=JsonObject(content))
    if wanted == "join":
        return join(request, room, at=at, settings=settings, memberships=memberships)
    if wanted == "leave" and request.user == request.target:
        return leave(request, room, at=at, settings=settings)
    if wanted == "leave":
        # One event, two endpoints: only the membership before tells an unban from a kick.
        lifts = room.state.membership_of(request.target) is BAN
        return (unban if lifts else kick)(request, room, at=at, settings=settings)
    return _BY_MEMBERSHIP[wanted](request, room, at=at, settings=settings)


_BY_MEMBERSHIP: Final = MappingProxyType({"knock": knock, "invite": invite, "ban": ban})
