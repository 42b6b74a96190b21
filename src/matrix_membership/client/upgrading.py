"""Upgrade a room to another version, as a client asks for it.

See `Room upgrades`__.

__ https://spec.matrix.org/v1.19/client-server-api/#room-upgrades
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Final

from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.client._drafting import (
    judged,
    not_resident,
    profile_of,
    refused_first,
    unsupported,
)
from matrix_membership.client._founding import (
    Drafted,
    Place,
    Step,
    create_content,
    drafted,
    following,
    founded,
    unsigned,
)
from matrix_membership.client._levels import carried_levels, raised_levels, replaced_levels
from matrix_membership.client._reading import fields_in, reader, required
from matrix_membership.client._sentences import members_unknown
from matrix_membership.client.actions import Send
from matrix_membership.client.creating import NewRoom
from matrix_membership.client.known import NO_SETTINGS, KnownRoom, UserSettings
from matrix_membership.errors import InvalidMessage
from matrix_membership.events import Event
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import RoomID, ServerName, UserID, is_room_id, is_user_id
from matrix_membership.membership import BAN
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.state import RoomState

__all__ = ["read_upgrade", "upgrade_room"]

_CARRIED: Final = (
    "m.room.server_acl",
    "m.room.encryption",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.guest_access",
    "m.room.history_visibility",
    "m.room.join_rules",
)


@frozen
class UpgradeRequest:
    """A client's request to upgrade a room.

    Attributes:
        user: the user who makes the request.
        room: the ID of the room to upgrade.
        new_version: the room version wanted.
        additional_creators: the creators that the new room has besides the user, from version
            12 on.

    .. versionadded:: 0.1.0
    """

    user: UserID
    room: RoomID
    new_version: str
    additional_creators: tuple[UserID, ...] = ()


@frozen
class UpgradedRoom:
    """A room that replaces another one, and the events by which the old room says so.

    Complete and store the events of the new room first, then those of the old one, in their
    order: each refers to the one before it.

    Attributes:
        new_room: the new room.
        closing: the last events of the old room: the tombstone; the canonical alias without the
            aliases that move; the power levels by which fewer users may write and invite. The
            last two only if they change something, and if the user may send them.
        left_out: why the new room goes without an event of the old one, by type and state key.
        via: the server through which others join the new room, beside its ID.

    .. versionadded:: 0.1.0
    """

    new_room: NewRoom
    closing: tuple[Send, ...]
    left_out: Mapping[Place, MatrixError]
    via: ServerName

    def answer(self) -> dict[str, JsonValue]:
        """Return the body of the answer, to be given once all is sent."""
        return {"replacement_room": self.new_room.room_id}


@reader
def read_upgrade(user: UserID, room_id: str, *, body: bytes) -> UpgradeRequest | MatrixError:
    """Read a request to upgrade a room.

    >>> print(read_upgrade("@ana:a.example", "!r:a.example", body=b"{}"))
    400 M_MISSING_PARAM: new_version: expected a room version, got nothing

    .. versionadded:: 0.1.0
    """
    fields = fields_in(body, must=True)
    version = required(fields, "new_version", "a room version")
    if not isinstance(version, str):
        raise InvalidMessage("new_version", "a room version", version)
    others = fields.get("additional_creators")
    others = () if others is None else others
    if not isinstance(others, tuple) or not all(map(is_user_id, others)):
        raise InvalidMessage("additional_creators", "a list of user IDs", others)
    if not is_room_id(room_id):
        raise InvalidMessage("roomId", "a room ID", room_id)
    return UpgradeRequest(user, room_id, version, tuple(dict.fromkeys(others)))


def upgrade_room(
    request: UpgradeRequest,
    room: KnownRoom,
    *,
    room_id: RoomID,
    at: int,
    aliases: Container[str] = (),
    room_versions: Mapping[str, RoomVersion] = KNOWN,
    settings: UserSettings = NO_SETTINGS,
) -> UpgradedRoom | MatrixError:
    """Upgrade a room: draft the events of its replacement and of its end.

    Each is judged by the rules of its room.

    The new room has the old one's power levels, without those of the creators of version 12, who
    have none; its bans; and the state events that the specification recommends. Levels that only
    older versions read become integers, and a join rule that the new version lacks becomes
    `invite`. Anybody may upgrade to an older version, too.

    Args:
        request: the request.
        room: the room; the user must be a member.
        room_id: a new room ID of this server, for the new room. From version 12 on it is not read.
        at: the time now, in milliseconds since 1970.
        aliases: the aliases that this server has given to the old room.
        room_versions: the room versions that this server speaks.
        settings: the records of the user who makes the request.

    Returns:
        The upgrade; or the error: `M_UNSUPPORTED_ROOM_VERSION`; `M_FORBIDDEN` if the user may
        not send the tombstone; `M_INVALID_ROOM_STATE` if the rules of the new version reject what
        the new room cannot go without. Cost: linear in the state of the old room.

    Raises:
        IncompleteState: the state is over a look-up function, so that nobody can tell the bans.
        InvalidEvent: `room_id` is not a room ID, up to version 11.

    .. versionadded:: 0.1.0
    """
    refusal = refused_first(settings)
    if refusal is not None:
        return refusal
    if not isinstance(room, ResidentRoom):
        return not_resident(room)
    version = room_versions.get(request.new_version)
    if version is None:
        return unsupported(request.new_version)
    # Bans that are not known would be lost with the old room.
    if room.state.is_partial:
        return members_unknown()
    return _upgraded(
        request, room, version, room_id=room_id, at=at, aliases=aliases, settings=settings
    )


def _upgraded(
    request: UpgradeRequest,
    room: ResidentRoom,
    version: RoomVersion,
    *,
    room_id: RoomID,
    at: int,
    aliases: Container[str],
    settings: UserSettings,
) -> UpgradedRoom | MatrixError:
    user, server = request.user, room.server_name
    hashed = version.room_id_is_create_event
    # First, because a user who may not send it gets no room.
    told = {"body": "This room has been replaced", "replacement_room": room_id}
    tombstone = drafted(judged(room, "m.room.tombstone", "", user, told, at=at), server)
    if isinstance(tombstone, MatrixError):
        return tombstone
    # A room ID that is a hash covers the create event, which then cannot name the tombstone.
    create = _create(request, room, version, None if hashed else tombstone.event)
    steps = _steps(request, room.state, version, aliases, settings)
    made = founded(user, version, create, steps, room_id=room_id, at=at)
    if isinstance(made, MatrixError):
        return made
    new_id = RoomID(made.room.room_id)
    template = tombstone.send.template.with_content(replacement_room=new_id)
    closing = _closing(room, user, unsigned(template, server), aliases, at)
    return UpgradedRoom(
        new_room=NewRoom(new_id, version, made.sends),
        closing=(evolve(tombstone.send, template=template), *closing),
        left_out=made.left_out,
        via=server,
    )


def _create(
    request: UpgradeRequest, room: ResidentRoom, version: RoomVersion, tombstone: Event | None
) -> dict[str, JsonValue]:
    """Return the content of the new room's create event."""
    event, predecessor = room.state.create_event, {"room_id": room.room_id}
    old = JsonObject() if event is None else event.content
    content: dict[str, JsonValue] = {"type": old["type"]} if "type" in old else {}
    if not room.state.create.federate:
        content["m.federate"] = False
    if tombstone is not None:
        predecessor["event_id"] = tombstone.event_id
    others = [creator for creator in request.additional_creators if creator != request.user]
    if version.privileged_creators and others:
        content["additional_creators"] = others
    return create_content(request.user, version, {**content, "predecessor": predecessor})


def _closing(
    room: ResidentRoom, user: UserID, tombstone: Event, aliases: Container[str], at: int
) -> Iterator[Send]:
    """Yield the changes of the old room that the user may make after its tombstone."""
    state, room = room.state, following(room, tombstone)
    for kind, content in (
        ("m.room.canonical_alias", _split_aliases(state, aliases)[1]),
        ("m.room.power_levels", replaced_levels(state)),
    ):
        event = state.get(kind)
        if content == (JsonObject() if event is None else event.content):
            continue
        made = drafted(judged(room, kind, "", user, content, at=at), room.server_name)
        if isinstance(made, Drafted):
            yield made.send
            room = following(room, made.event)


def _steps(
    request: UpgradeRequest,
    state: RoomState,
    version: RoomVersion,
    aliases: Container[str],
    settings: UserSettings,
) -> Iterator[Step]:
    """Yield the events of the new room after its create event."""
    user = request.user
    yield Step("m.room.member", user, {**profile_of(settings), "membership": "join"})
    # Before the power levels, by which the user could be too low to ban somebody.
    for banned, event in state.members.items():
        if event.membership is BAN:
            reason = event.content.get("reason")
            told = {"reason": reason} if isinstance(reason, str) else {}
            yield Step("m.room.member", banned, {**told, "membership": "ban"}, optional=True)
    levels = carried_levels(state, version, user, request.additional_creators)
    carried = list(_carried(state, version))
    moved, _ = _split_aliases(state, aliases)
    if moved:
        carried.append(Step("m.room.canonical_alias", "", moved, optional=True))
    types = {"m.room.power_levels", *(step.event_type for step in carried)}
    raised = None if version.privileged_creators else raised_levels(levels, user, types)
    yield Step("m.room.power_levels", "", levels if raised is None else raised)
    yield from carried
    if raised is not None:
        yield Step("m.room.power_levels", "", levels)


def _carried(state: RoomState, version: RoomVersion) -> Iterator[Step]:
    for kind in _CARRIED:
        event = state.get(kind)
        if event is not None:
            content = event.content
            # A rule that the new version does not know lets nobody in, not even by invite.
            if kind == "m.room.join_rules" and _loses_join_rule(state, version):
                content = JsonObject(join_rule="invite")
            yield Step(kind, "", content, optional=True)
    create = state.create_event
    if create is not None and create.content.get("type") == "m.space":
        for event in state.events_but_members:
            # Empty content took the child away.
            if event.type == "m.space.child" and event.content:
                yield Step(event.type, str(event.state_key), event.content, optional=True)


def _loses_join_rule(state: RoomState, version: RoomVersion) -> bool:
    rule = state.join_rule
    return rule in state.room_version.join_rules and rule not in version.join_rules


def _split_aliases(
    state: RoomState, aliases: Container[str]
) -> tuple[dict[str, JsonValue], dict[str, JsonValue]]:
    """Return the canonical aliases that move to the new room, and those that stay."""
    event = state.get("m.room.canonical_alias")
    told = JsonObject() if event is None else event.content
    others = told.get("alt_aliases")
    listed = others if isinstance(others, tuple) else ()
    moved: dict[str, JsonValue] = {}
    stays = dict(told)
    if _moves(told.get("alias"), aliases):
        moved["alias"] = stays.pop("alias")
    if any(_moves(other, aliases) for other in listed):
        moved["alt_aliases"] = [other for other in listed if _moves(other, aliases)]
        stays["alt_aliases"] = [other for other in listed if not _moves(other, aliases)]
    return moved, stays


def _moves(alias: JsonValue, aliases: Container[str]) -> bool:
    return isinstance(alias, str) and alias in aliases
