"""Strategies for room versions, server names, and IDs of users and rooms.

Every drawn identifier is valid; `malformed_identifiers` draws invalid ones. They
shrink to `@ana:a.example`, `!room:a.example` and `a.example`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from matrix_membership.identifiers import (
    MAX_BYTES,
    EventID,
    RoomID,
    ServerName,
    UserID,
    is_event_id,
    is_room_id,
    is_server_name,
    is_user_id,
)
from matrix_membership.room_versions import KNOWN, V1, EventIdFormat, RoomVersion

__all__ = [
    "event_ids",
    "malformed_identifiers",
    "room_ids",
    "room_versions",
    "server_names",
    "user_ids",
]

_FIRST: Final = ("11", "10", "9", "8", "7", "6", "5", "4", "3")
_LAST: Final = ("2", "1")
_NEWER: Final = tuple(name for name in KNOWN if name not in (*_FIRST, *_LAST))
_VERSIONS: Final = tuple(KNOWN[name] for name in (*_FIRST, *_NEWER, *_LAST))
"""The order of shrinking: versions with fewer special cases first."""

_HOSTS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
_BASE64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_HASH_LENGTH: Final = 43
_GRAMMATICAL: Final = "abcdefghijklmnopqrstuvwxyz0123456789._=/+-"
# A lone surrogate has no UTF-8, a colon would end the localpart, and the grammar excludes null.
_HISTORICAL: Final = st.characters(exclude_categories=["Cs"], exclude_characters=":\0")


# Built once: a strategy costs more to build than to draw from.
_SERVER_NAMES: Final = (
    st.sampled_from(("a.example", "b.example", "c.example"))
    | st.builds(
        str.__add__,
        st.text(_HOSTS, min_size=1, max_size=30)
        | st.ip_addresses(v=4).map(str)
        | st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
        st.just("") | st.integers(1, 65535).map(lambda port: f":{port}"),
    )
).map(ServerName)
_NEW_USERS: Final = st.sampled_from(("ana", "ben", "cleo")) | st.text(
    _GRAMMATICAL, min_size=1, max_size=20
)
# Rooms hold user IDs from before the grammar for new ones, and their members must not be lost.
_USERS: Final = _NEW_USERS | st.text(_HISTORICAL, max_size=30)
_OPAQUE: Final = st.text(_HISTORICAL, min_size=1, max_size=30)


def _named(
    sigil: str, localparts: SearchStrategy[str], servers: SearchStrategy[ServerName]
) -> SearchStrategy[str]:
    return st.tuples(localparts, servers).map(lambda parts: f"{sigil}{parts[0]}:{parts[1]}")


def _hashes(sigil: str, alphabet: str) -> SearchStrategy[str]:
    text = st.text(alphabet, min_size=_HASH_LENGTH, max_size=_HASH_LENGTH)
    return text.map(lambda digest: sigil + digest)


_USER_IDS: Final = _named("@", _USERS, _SERVER_NAMES).map(UserID)
_NAMED_ROOM_IDS: Final = _named("!", st.just("room") | _OPAQUE, _SERVER_NAMES).map(RoomID)
_HASHED_ROOM_IDS: Final = _hashes("!", _BASE64).map(RoomID)
_ROOM_IDS: Final = _NAMED_ROOM_IDS | _HASHED_ROOM_IDS
_EVENT_IDS: Final[Mapping[EventIdFormat, SearchStrategy[EventID]]] = MappingProxyType(
    {
        EventIdFormat.IN_PDU: _named("$", st.just("event") | _OPAQUE, _SERVER_NAMES).map(EventID),
        # Version 3 has plain base64: an ID may hold a slash, which a path must not pass on as one.
        EventIdFormat.BASE64: _hashes("$", _BASE64[:-2] + "+/").map(EventID),
        EventIdFormat.URL_SAFE_BASE64: _hashes("$", _BASE64).map(EventID),
    }
)
_ANY_EVENT_IDS: Final = st.one_of(*_EVENT_IDS.values())


def room_versions(*, at_least: RoomVersion = V1) -> SearchStrategy[RoomVersion]:
    """Draw room versions of the specification.

    Args:
        at_least: the first version to draw.

    >>> from hypothesis import find
    >>> find(room_versions(), lambda version: version.privileged_creators)
    <room version 12>

    .. versionadded:: 0.1.0
    """
    least = int(at_least.identifier)
    return st.sampled_from([v for v in _VERSIONS if int(v.identifier) >= least])


def server_names() -> SearchStrategy[ServerName]:
    """Draw server names: host names and IP addresses, some with a port.

    >>> from hypothesis import find
    >>> find(server_names(), lambda name: True)
    'a.example'

    .. versionadded:: 0.1.0
    """
    return _SERVER_NAMES


def user_ids(*, server: str | None = None, historical: bool = True) -> SearchStrategy[UserID]:
    """Draw user IDs.

    Args:
        server: the server of all of them; None for any.
        historical: whether to draw IDs of the historical grammar too, whose localpart
            may be empty or hold any characters.

    >>> from hypothesis import find
    >>> find(user_ids(), lambda user: True)
    '@ana:a.example'

    .. versionadded:: 0.1.0
    """
    if server is None and historical:
        return _USER_IDS
    servers = _SERVER_NAMES if server is None else st.just(ServerName(server))
    return _named("@", _USERS if historical else _NEW_USERS, servers).map(UserID)


def room_ids(*, room_version: RoomVersion | None = None) -> SearchStrategy[RoomID]:
    """Draw room IDs.

    Args:
        room_version: the version of the room; None for any.

    >>> from hypothesis import find
    >>> find(room_ids(room_version=KNOWN["11"]), lambda room: True)
    '!room:a.example'

    .. versionadded:: 0.1.0
    """
    if room_version is None:
        return _ROOM_IDS
    return _HASHED_ROOM_IDS if room_version.room_id_is_create_event else _NAMED_ROOM_IDS


def event_ids(*, room_version: RoomVersion | None = None) -> SearchStrategy[EventID]:
    """Draw event IDs.

    Args:
        room_version: the version of the room; None for any.

    >>> from hypothesis import find
    >>> find(event_ids(room_version=V1), lambda event: True)
    '$event:a.example'

    .. versionadded:: 0.1.0
    """
    return _ANY_EVENT_IDS if room_version is None else _EVENT_IDS[room_version.event_ids]


def malformed_identifiers(
    kind: Literal["server name", "user ID", "room ID", "event ID"],
) -> SearchStrategy[str]:
    """Draw invalid identifiers, each one fault away from a valid one.

    Args:
        kind: what they are not: a server name, or the ID of a user, room or event.

    >>> from hypothesis import find
    >>> find(malformed_identifiers("user ID"), lambda user: True)
    ''

    .. versionadded:: 0.1.0
    """
    return _MALFORMED[kind]


_FAULTS: Final[tuple[Callable[[str], str], ...]] = (
    lambda _: "",
    lambda name: name[1:],
    lambda name: name.partition(":")[0],
    lambda name: name + ":",
    lambda name: name + ":123456",
    lambda name: name + "_",
    lambda name: name + " ",
    lambda name: name[:1] + "\0" + name[1:],
    lambda name: name.replace("@", "!").replace("$", "@"),
    # Short enough in characters, and too long in bytes.
    lambda name: name[:1] + "é" * (MAX_BYTES // 2) + name[1:],
    lambda name: name + "a" * MAX_BYTES,
)


def _malformed(good: SearchStrategy[str], fits: Callable[[object], bool]) -> SearchStrategy[str]:
    """Draw identifiers with one fault, without those that are still valid."""
    broken = st.builds(lambda fault, name: fault(name), st.sampled_from(_FAULTS), good)
    return broken.filter(lambda name: not fits(name))


_MALFORMED: Final[Mapping[str, SearchStrategy[str]]] = MappingProxyType(
    {
        "server name": _malformed(server_names(), is_server_name),
        "user ID": _malformed(user_ids(), is_user_id),
        "room ID": _malformed(room_ids(), is_room_id),
        "event ID": _malformed(event_ids(), is_event_id),
    }
)
