"""User, room, event and server names: their grammar, and the server part.

The grammar is the one that `the appendices`__ ask for in federation: historical user
names are accepted, with any localpart, an empty one too. A name has at most 255 bytes of
UTF-8. Names are compared case-sensitively.

__ https://spec.matrix.org/v1.19/appendices/#common-identifier-format
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NewType, TypeGuard, TypeVar

from matrix_membership.errors import InvalidIdentifier, shown

__all__ = ["EventID", "RoomID", "ServerName", "UserID", "server_of"]

UserID = NewType("UserID", str)
"""A user ID, such as `@ana:a.example`."""
RoomID = NewType("RoomID", str)
"""A room ID, such as `!abc:a.example`; in version 12 without a server name."""
EventID = NewType("EventID", str)
"""An event ID, such as `$abc`; in versions 1 and 2 with a server name."""
ServerName = NewType("ServerName", str)
"""A server name, such as `a.example` or `a.example:8448`."""

MAX_BYTES: Final = 255
"""Bytes that an identifier may have, its sigil and server name included."""

# Names first, which are more frequent. Nothing is tried a second time: no part could end earlier.
_SERVER = r"(?:[A-Za-z0-9.\-]{1,255}+|\[[0-9A-Fa-f:.]{2,45}+\])(?::[0-9]{1,5}+)?+"
# All but a colon, a null character and surrogates. A class of ASCII characters comes first, since it
# takes 2 ns for each, and the class of what is excluded 4.
_LOCALPART = r"[\x01-9;-~]*+[^:\x00\ud800-\udfff]*+"
PLAIN: Final = r"[ !#-\[\]-~]"
"""The pattern of an ASCII character that JSON text writes as it is."""
_PLAIN_LOCALPART = r"[ !#-9;-\[\]-~]*+"  # the characters of both


def _user(localpart: str) -> str:
    return rf"@{localpart}:{_SERVER}"


def _room(localpart: str) -> str:
    return rf"!(?:(?!:){localpart}:{_SERVER}|[A-Za-z0-9_\-]{{43}})"


_matches_server = re.compile(_SERVER).fullmatch
_USER = _user(_LOCALPART)
_matches_user = re.compile(_USER).fullmatch
_matches_users = re.compile(rf"{_USER}(?:\x00{_USER})*+").fullmatch
_matches_room = re.compile(_room(_LOCALPART)).fullmatch
_matches_event = re.compile(rf"\$(?!:){_LOCALPART}:{_SERVER}").fullmatch
EVENT_HASH: Final = r"\$[A-Za-z0-9_\-+/]{43}"
"""The pattern of an event ID that is a hash."""
_matches_event_hash = re.compile(EVENT_HASH).fullmatch
_matches_event_hashes = re.compile(f"{EVENT_HASH}(?:,{EVENT_HASH})*").fullmatch
_WITH_COMMA: Final = len("$,") + 43

PLAIN_USER_ID: Final = _user(_PLAIN_LOCALPART)
"""The pattern of a user ID of such characters, of any length."""
PLAIN_ROOM_ID: Final = _room(_PLAIN_LOCALPART)
"""The same of a room ID."""

# A character has at most four bytes: below this length no bytes have to be counted.
SURELY_SHORT: Final = MAX_BYTES // 4
"""So many characters are within the limit, which counts bytes."""


def is_server_name(value: object) -> TypeGuard[ServerName]:
    """Tell whether the value is a server name: a host and perhaps a port.

    >>> is_server_name("[2001:db8::1]:8448"), is_server_name("a_b")
    (True, False)

    .. versionadded:: 0.1.0
    """
    return (
        isinstance(value, str)
        and (len(value) <= SURELY_SHORT or _fits(value))
        and _matches_server(value) is not None
    )


def is_user_id(value: object) -> TypeGuard[UserID]:
    """Tell whether the value is a user ID, by the historical grammar.

    >>> is_user_id("@:a.example"), is_user_id("@ana"), is_user_id(None)
    (True, False, False)

    .. versionadded:: 0.1.0
    """
    return (
        isinstance(value, str)
        and (len(value) <= SURELY_SHORT or _fits(value))
        and _matches_user(value) is not None
    )


def are_user_ids(values: Collection[object]) -> bool:
    """Tell whether all values are user IDs, by the historical grammar.

    >>> are_user_ids(["@:a.example", "@ana:a.example"]), are_user_ids(["@ana:a.example", None])
    (True, False)
    """
    try:
        listed = "\0".join(values)  # type: ignore[arg-type]  # other values raise
    except TypeError:
        return False
    # One match for all, since power levels name hundreds. No user ID holds a null character, so
    # a match with as many of them as there are gaps has as many user IDs as there are values.
    if (
        values
        and max(map(len, values)) <= SURELY_SHORT  # type: ignore[arg-type]  # all are text by now
        and listed.count("\0") == len(values) - 1
        and _matches_users(listed)
    ):
        return True
    return all(map(is_user_id, values))


def is_room_id(value: object) -> TypeGuard[RoomID]:
    """Tell whether the value is a room ID of any room version.

    >>> is_room_id("!r:a.example"), is_room_id("!" + "A" * 43), is_room_id("!r")
    (True, True, False)

    .. versionadded:: 0.1.0
    """
    return (
        isinstance(value, str)
        and (len(value) <= SURELY_SHORT or _fits(value))
        and _matches_room(value) is not None
    )


def is_event_id(value: object) -> TypeGuard[EventID]:
    """Tell whether the value is an event ID of any room version.

    >>> is_event_id("$1:a.example"), is_event_id("$" + "A" * 43), is_event_id("1")
    (True, True, False)
    """
    return (
        isinstance(value, str)
        and (len(value) <= SURELY_SHORT or _fits(value))
        and (_matches_event_hash(value) is not None or _matches_event(value) is not None)
    )


def are_event_ids(values: Sequence[object]) -> bool:
    """Tell whether all values are event IDs of any room version.

    >>> are_event_ids(["$1:a.example", "$" + "A" * 43]), are_event_ids([None])
    (True, False)
    """
    try:
        listed = ",".join(values)  # type: ignore[arg-type]  # other values raise
    except TypeError:
        return False
    # One match for all hashes, since they are checked for every PDU. A hash holds no comma,
    # so a match of the right length has as many hashes as there are values.
    if len(listed) == len(values) * _WITH_COMMA - 1 and _matches_event_hashes(listed):
        return True
    return all(map(is_event_id, values))


def read_server_name(value: object) -> ServerName:
    """Read a server name.

    Raises:
        InvalidIdentifier: it breaks the grammar.

    >>> read_server_name("a.example:8448")
    'a.example:8448'
    """
    if is_server_name(value):
        return value
    raise InvalidIdentifier("server name", "a host name or address and perhaps a port", value)


def read_user_id(value: object) -> UserID:
    """Read a user ID.

    Raises:
        InvalidIdentifier: it breaks the grammar.

    >>> read_user_id("@ana:a.example")
    '@ana:a.example'
    """
    if is_user_id(value):
        return value
    raise InvalidIdentifier("user ID", "@localpart:server of at most 255 bytes", value)


def read_room_id(value: object) -> RoomID:
    """Read a room ID.

    Raises:
        InvalidIdentifier: it breaks the grammar of every room version.

    >>> read_room_id("!r:a.example")
    '!r:a.example'
    """
    if is_room_id(value):
        return value
    raise InvalidIdentifier("room ID", "!opaque:server, or ! and 43 characters of base64", value)


def read_event_id(value: object) -> EventID:
    """Read an event ID.

    Raises:
        InvalidIdentifier: it breaks the grammar of every room version.

    >>> read_event_id("$1:a.example")
    '$1:a.example'
    """
    if is_event_id(value):
        return value
    raise InvalidIdentifier("event ID", "$opaque:server, or $ and 43 characters of base64", value)


def server_of(identifier: str) -> ServerName:
    """Return the server part of a user, room or event ID: all after its first colon.

    Returns:
        The server name; empty for an identifier that has none, such as a room
        ID of room version 12.

    >>> server_of("@ana:[::1]:8448")
    '[::1]:8448'

    .. versionadded:: 0.1.0
    """
    # Calling the NewType would cost a function call for each PDU.
    return identifier.partition(":")[2]  # type: ignore[return-value]  # see above


_Text = TypeVar("_Text", bound=str)


def several(names: Iterable[_Text], where: str) -> Iterable[_Text]:
    """Return several names as they came; refuse a single text.

    Text is iterable too, and each of its letters is a server name.

    Args:
        names: the names.
        where: the parameter, for the error.

    Raises:
        TypeError: it is one text, or bytes.
    """
    if isinstance(names, (str, bytes)):
        raise TypeError(f"{where}: expected several texts, such as a list, got {shown(names)}")
    return names


def listed(names: Iterable[_Text]) -> tuple[_Text, ...]:
    """Return several names as a tuple; refuse a single text, as `several` does."""
    return tuple(several(names, "names"))


def _fits(value: str) -> bool:
    return len(value) <= MAX_BYTES and len(value.encode("utf-8", "replace")) <= MAX_BYTES
