"""Create a room, as a client asks for it.

See `Creation`__.

__ https://spec.matrix.org/v1.19/client-server-api/#creation
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.client._drafting import profile_of, refused_first, sent, unsupported
from matrix_membership.client._founding import Step, create_content, founded, invalid
from matrix_membership.client._levels import first_levels, with_tombstone
from matrix_membership.client._reading import fields_in, reader, required
from matrix_membership.client.actions import Action, Send
from matrix_membership.client.inviting import invite
from matrix_membership.client.known import NO_SETTINGS, UserSettings
from matrix_membership.client.requests import AddressRequest, ClientRequest, address_in
from matrix_membership.errors import InvalidMessage
from matrix_membership.events import Event, Signs
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import MAX_BYTES, RoomID, UserID, is_user_id, server_of
from matrix_membership.membership import INVITE
from matrix_membership.room_versions import KNOWN, V12, RoomVersion

__all__ = ["create_room", "read_create_room"]

_PRESETS: Final[Mapping[str, Mapping[str, JsonValue]]] = MappingProxyType(
    {
        name: JsonObject(
            {
                "m.room.join_rules": {"join_rule": join_rule},
                "m.room.history_visibility": {"history_visibility": "shared"},
                "m.room.guest_access": {"guest_access": guest_access},
            }
        )
        for name, join_rule, guest_access in (
            ("private_chat", "invite", "can_join"),
            ("trusted_private_chat", "invite", "can_join"),
            ("public_chat", "public", "forbidden"),
        )
    }
)
_TRUSTED: Final = "trusted_private_chat"
_BY_VISIBILITY: Final = MappingProxyType({"private": "private_chat", "public": "public_chat"})


@frozen
class CreateRequest:
    """A client's request to create a room.

    Attributes:
        user: the user who makes the request.
        preset: the preset, by the visibility if the client names none.
        room_version: the room version; None for the server's default.
        published: whether the room is to be listed in the room directory.
        alias: the room's alias; None without one. Look it up before the room is made.
        name: the room's name.
        topic: the room's topic.
        invited: the users to invite.
        addresses: the invites by address, without their room.
        creation_content: further keys of the create event.
        initial_state: further state events: type, state key and content.
        levels: keys that replace those of the power levels.
        is_direct: whether the room is a direct chat.

    .. versionadded:: 0.1.0
    """

    user: UserID
    preset: str = "private_chat"
    room_version: str | None = None
    published: bool = False
    alias: str | None = None
    name: str | None = None
    topic: str | None = None
    invited: tuple[UserID, ...] = ()
    addresses: tuple[AddressRequest, ...] = ()
    creation_content: JsonObject = JsonObject()
    initial_state: tuple[tuple[str, str, JsonObject], ...] = ()
    levels: JsonObject = JsonObject()
    is_direct: bool = False


@frozen
class NewRoom:
    """The events with which a room begins, to be completed and stored in this order.

    Attributes:
        room_id: the ID of the room.
        room_version: its version.
        sends: its first events: all but the invites.
        invites: the invites, which the rules allow. Give each to `invite` once the room is
            stored, one after the other, with the room as it is then.
        is_direct: whether the room is a direct chat: pass it to `invite`.
        alias: the alias to keep for the room; None without one.
        published: whether the room is to be listed in this server's room directory.

    .. versionadded:: 0.1.0
    """

    room_id: RoomID
    room_version: RoomVersion
    sends: tuple[Send, ...]
    invites: tuple[ClientRequest | AddressRequest, ...] = ()
    is_direct: bool = False
    alias: str | None = None
    published: bool = False

    def complete(self, signer: Signs) -> tuple[Event, ...]:
        """Hash and sign all events of `sends`, in their order.

        Raises:
            InvalidEvent: the signature makes an event too large.
        """
        return tuple(send.template.complete(signer) for send in self.sends)

    def answer(self) -> dict[str, JsonValue]:
        """Return the body of the answer, to be given once the room is stored."""
        return {"room_id": self.room_id}


@reader
def read_create_room(user: UserID, *, body: bytes) -> CreateRequest | MatrixError:
    """Read a request to create a room. A field that is null counts as missing.

    >>> read_create_room("@ana:a.example", body=b'{"visibility": "public"}').preset
    'public_chat'
    >>> print(read_create_room("@ana:a.example", body=b'{"preset": "secret"}'))
    400 M_INVALID_PARAM: preset: expected a preset, got 'secret'

    .. versionadded:: 0.1.0
    """
    fields = fields_in(body, must=True)
    told = {name: _told(fields, name) for name in _FIELDS}
    visibility, localpart = told["visibility"], told["room_alias_name"]
    alias = None if localpart is None else f"#{localpart}:{server_of(user)}"
    if alias is not None and len(alias.encode()) > MAX_BYTES:
        raise InvalidMessage("room_alias_name", f"an alias of at most {MAX_BYTES} bytes", alias)
    return CreateRequest(
        user=user,
        preset=told["preset"] or _BY_VISIBILITY[visibility],
        room_version=told["room_version"],
        published=visibility == "public",
        alias=alias,
        name=told["name"],
        topic=told["topic"],
        # Once each: a user who is named twice would be invited twice.
        invited=tuple(dict.fromkeys(told["invite"])),
        addresses=tuple(address_in(entry, user, RoomID("")) for entry in told["invite_3pid"]),
        creation_content=told["creation_content"],
        initial_state=tuple(map(_state_in, told["initial_state"])),
        levels=told["power_level_content_override"],
        is_direct=told["is_direct"],
    )


def create_room(
    request: CreateRequest,
    *,
    room_id: RoomID,
    at: int,
    aliases: Container[str] = (),
    room_versions: Mapping[str, RoomVersion] = KNOWN,
    default_version: RoomVersion = V12,
    settings: UserSettings = NO_SETTINGS,
) -> NewRoom | MatrixError:
    """Create a room: draft its events in the specification's order, and judge each.

    Args:
        request: the request.
        room_id: a new room ID of this server. From version 12 on it is not read: the room has the
            ID of its create event, so two rooms that are alike need different times.
        at: the time now, in milliseconds since 1970.
        aliases: the aliases that this server has given to rooms.
        room_versions: the room versions that this server speaks.
        default_version: the version of a room whose client names none.
        settings: the records of the user who makes the request.

    Returns:
        The room to store; or the error: `M_UNSUPPORTED_ROOM_VERSION`, `M_ROOM_IN_USE` for an
        alias that is taken, `M_INVALID_ROOM_STATE` if the rules reject an event or an invite.
        Cost: linear in the request.

    Raises:
        InvalidEvent: `room_id` is not a room ID, up to version 11.

    >>> request = read_create_room("@ana:a.example", body=b'{"name": "Talk"}')
    >>> room = create_room(request, room_id="!r:a.example", at=0)
    >>> [send.template.get("type") for send in room.sends][-2:]
    ['m.room.guest_access', 'm.room.name']

    .. versionadded:: 0.1.0
    """
    refusal = refused_first(settings)
    if refusal is not None:
        return refusal
    version = default_version
    if request.room_version is not None:
        if request.room_version not in room_versions:
            return unsupported(request.room_version)
        version = room_versions[request.room_version]
    if request.alias is not None and request.alias in aliases:
        return MatrixError.of("M_ROOM_IN_USE", f"{request.alias} is taken")
    create = create_content(request.user, version, _creation_content(request, version))
    steps = _steps(request, version, settings)
    made = founded(request.user, version, create, steps, room_id=room_id, at=at)
    if isinstance(made, MatrixError):
        return made
    invites = _invites(request, RoomID(made.room.room_id))
    for asked in invites:
        refused = _refused(asked, made.room, at)
        if refused is not None:
            return invalid("invite", refused)
    return NewRoom(
        room_id=RoomID(made.room.room_id),
        room_version=version,
        sends=made.sends,
        invites=invites,
        is_direct=request.is_direct,
        alias=request.alias,
        published=request.published,
    )


def _creation_content(request: CreateRequest, version: RoomVersion) -> Mapping[str, JsonValue]:
    content = request.creation_content
    listed = content.get("additional_creators", ())
    shared = version.privileged_creators and request.preset == _TRUSTED and request.invited
    # A list that is malformed is left to the rules, which reject the event.
    if not shared or not isinstance(listed, tuple):
        return content
    others = [user for user in (*listed, *request.invited) if user != request.user]
    return {**content, "additional_creators": tuple(dict.fromkeys(others))}


def _steps(request: CreateRequest, version: RoomVersion, settings: UserSettings) -> Iterator[Step]:
    """Yield the events after the create event, in the order of the specification."""
    user, trusted = request.user, request.preset == _TRUSTED
    # The last of several for one place counts: they are the state that the room begins with.
    given = {(kind, key): content for kind, key, content in request.initial_state}
    yield Step("m.room.member", user, {**profile_of(settings), "membership": "join"})
    admins = (user, *(request.invited if trusted else ()))
    private = request.preset != "public_chat"
    first = first_levels(version, admins, request.levels, all_invite=private)
    levels: Mapping[str, JsonValue] = given.pop(("m.room.power_levels", ""), first)
    yield Step("m.room.power_levels", "", with_tombstone(levels, version))
    if request.alias is not None:
        yield Step("m.room.canonical_alias", "", {"alias": request.alias})
    for kind, content in _PRESETS[request.preset].items():
        # Not sent only to be replaced: in between, the room would be open to anybody.
        if (kind, "") not in given:
            yield Step(kind, "", content)
    named = dict(_named(request))
    for (kind, key), content in given.items():
        if key or kind not in named:
            yield Step(kind, key, content)
    yield from (Step(kind, "", content) for kind, content in named.items())


def _named(request: CreateRequest) -> Iterator[tuple[str, Mapping[str, JsonValue]]]:
    if request.name is not None:
        yield "m.room.name", {"name": request.name}
    if request.topic is not None:
        # Text without a mimetype is plain.
        block = {"m.text": [{"body": request.topic}]}
        yield "m.room.topic", {"topic": request.topic, "m.topic": block}


def _invites(request: CreateRequest, room_id: RoomID) -> tuple[ClientRequest | AddressRequest, ...]:
    users = [ClientRequest(request.user, room_id, user) for user in request.invited]
    return (*users, *(evolve(entry, room=room_id) for entry in request.addresses))


def _refused(
    asked: ClientRequest | AddressRequest, room: ResidentRoom, at: int
) -> MatrixError | None:
    """Return the error if the rules reject an invite; None otherwise."""
    outcome: Action
    if isinstance(asked, ClientRequest):
        # `invite` would also read the access control list, which the client gives: for 1,000
        # invites and a list of 4,000 patterns that took 27 s.
        outcome = sent(asked, room, INVITE, at=at)
    else:
        outcome = invite(asked, room, at=at)
    return outcome if isinstance(outcome, MatrixError) else None


# ---------------------------------------------------------------------- fields


def _is_text(value: JsonValue) -> bool:
    return isinstance(value, str)


def _is_object(value: JsonValue) -> bool:
    return isinstance(value, JsonObject)


def _are_objects(value: JsonValue) -> bool:
    return isinstance(value, tuple) and all(map(_is_object, value))


def _are_users(value: JsonValue) -> bool:
    return isinstance(value, tuple) and all(map(is_user_id, value))


def _is_localpart(value: JsonValue) -> bool:
    return isinstance(value, str) and value != "" and not set(value) & {":", "\0"}


_NOTHING: Final = JsonObject()
# For each field: its values, the text for an error, and the default.
_FIELDS: Final[Mapping[str, tuple[Callable[[JsonValue], bool], str, JsonValue]]] = MappingProxyType(
    {
        "visibility": (
            lambda value: value in tuple(_BY_VISIBILITY),
            "public or private",
            "private",
        ),
        "preset": (lambda value: value in tuple(_PRESETS), "a preset", None),
        "room_version": (_is_text, "text", None),
        "room_alias_name": (_is_localpart, "a localpart of an alias", None),
        "name": (_is_text, "text", None),
        "topic": (_is_text, "text", None),
        "invite": (_are_users, "a list of user IDs", ()),
        "invite_3pid": (_are_objects, "a list of objects", ()),
        "creation_content": (_is_object, "an object", _NOTHING),
        "initial_state": (_are_objects, "a list of objects", ()),
        "power_level_content_override": (_is_object, "an object", _NOTHING),
        "is_direct": (lambda value: isinstance(value, bool), "true or false", False),
    }
)


def _told(fields: Mapping[str, JsonValue], name: str) -> JsonValue:
    good, expected, default = _FIELDS[name]
    value = fields.get(name)
    if value is None:
        return default
    if not good(value):
        raise InvalidMessage(name, expected, value)
    return value


def _state_in(entry: JsonObject) -> tuple[str, str, JsonObject]:
    """Return the type, the state key and the content of an entry of `initial_state`."""
    kind, content = (required(entry, name, name) for name in ("type", "content"))
    key = entry.get("state_key", "")
    texts = isinstance(kind, str) and isinstance(key, str)
    if not texts or not isinstance(content, JsonObject):
        raise InvalidMessage("initial_state", "events with a type, a state key and content", entry)
    if kind == "m.room.member" and content.get("membership") == "invite":
        # The invited user's server has to sign it first.
        raise InvalidMessage("initial_state", "invites in `invite`", entry)
    return kind, key, content
