"""Server access control lists: which servers a room lets speak to it.

They are no authorisation rule. A server applies them to what other servers ask of it:
to whole requests at the endpoints of `ACL_ENDPOINTS`, to each event of a transaction,
and to the `ACL_EDUS` of a room. Always the server that asks is looked at, not the one
of an event's sender. See `Server access control lists`__.

__ https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.state import RoomState

__all__ = ["ACL_EDUS", "ACL_ENDPOINTS", "ServerAcl", "is_protected", "permits"]

_FEDERATION: Final = "/_matrix/federation"

ACL_ENDPOINTS: Final = frozenset(
    {
        f"{_FEDERATION}/v1/backfill",
        f"{_FEDERATION}/v1/event_auth",
        f"{_FEDERATION}/v1/get_missing_events",
        f"{_FEDERATION}/v1/invite",
        f"{_FEDERATION}/v2/invite",
        f"{_FEDERATION}/v1/make_join",
        f"{_FEDERATION}/v1/make_knock",
        f"{_FEDERATION}/v1/make_leave",
        f"{_FEDERATION}/v1/send_join",
        f"{_FEDERATION}/v2/send_join",
        f"{_FEDERATION}/v1/send_knock",
        f"{_FEDERATION}/v1/send_leave",
        f"{_FEDERATION}/v2/send_leave",
        f"{_FEDERATION}/v1/state",
        f"{_FEDERATION}/v1/state_ids",
    }
)
"""Where a server that is not permitted gets 403 `M_FORBIDDEN`: the paths before the room ID.

`/send` is not among them: there each event is looked at by itself.
"""

ACL_EDUS: Final = frozenset({"m.receipt", "m.typing"})
"""The EDUs of which the part about a room is ignored when their server is not permitted there."""


def is_protected(path: str) -> bool:
    """Whether the path of a request is one of the protected endpoints.

    Args:
        path: the path, with or without what comes after the endpoint.

    >>> is_protected("/_matrix/federation/v1/state_ids/!r:a.example")
    True
    >>> is_protected("/_matrix/federation/v1/send/1")
    False
    """
    return "/".join(path.split("/", 5)[:5]) in ACL_ENDPOINTS


@frozen
class ServerAcl:
    """The access control list of a room.

    Attributes:
        allow: patterns for the servers that may speak. Empty, nobody may.
        deny: patterns for those of them that may not.
        allow_ip_literals: servers whose name is an IP address may speak at all.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    allow_ip_literals: bool = True

    @classmethod
    def from_content(cls, content: Mapping[str, JsonValue]) -> ServerAcl:
        """Read the content of an `m.room.server_acl` event.

        Args:
            content: the content. What is no list is an empty one, what is no text in
                a list is passed over, and only the literal `false` forbids IP literals.

        >>> ServerAcl.from_content({"allow": ["*"], "deny": "evil.example"})
        ServerAcl(allow=('*',), deny=(), allow_ip_literals=True)
        """
        return cls(
            allow=_patterns(content.get("allow")),
            deny=_patterns(content.get("deny")),
            allow_ip_literals=content.get("allow_ip_literals") is not False,
        )

    @classmethod
    def of(cls, state: RoomState) -> ServerAcl | None:
        """The list of a room; None when its state has none.

        Cost: linear in the size of the event. It holds for as long as that event
        stays in the state.
        """
        event = state.get("m.room.server_acl")
        return None if event is None else cls.from_content(event.content)

    def allows(self, server: str) -> bool:
        """Whether a server may speak to the room.

        Args:
            server: the name of the server that asks; its port is not looked at, and
                letters match in either case.

        Returns:
            The verdict. Cost: linear in the size of the patterns.

        >>> acl = ServerAcl(allow=("*",), deny=("*.evil.example",))
        >>> acl.allows("a.example:8448"), acl.allows("X.EVIL.example")
        (True, False)
        """
        host = _without_port(server)
        if not self.allow_ip_literals and _is_ip_literal(host):
            return False
        name = _lower(host)
        return not _any_matches(self.deny, name) and _any_matches(self.allow, name)


def permits(state: RoomState, server: str) -> bool:
    """Whether a room lets a server speak to it.

    Args:
        state: the current state of the room.
        server: the name of the server that asks.

    Returns:
        The verdict: true for a room without a list. Cost: that of `ServerAcl.of`; who
        asks often keeps the list.

    >>> from matrix_membership.room_versions import V11
    >>> permits(RoomState.of(V11, []), "a.example")
    True
    """
    acl = ServerAcl.of(state)
    return acl is None or acl.allows(server)


def _patterns(value: JsonValue) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        return ()
    return tuple([item for item in value if isinstance(item, str)])


_is_ipv4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}").fullmatch


def _without_port(server: str) -> str:
    if server.startswith("["):
        return server.partition("]")[0] + "]"
    return server.partition(":")[0]


def _is_ip_literal(host: str) -> bool:
    return host.startswith("[") or _is_ipv4(host) is not None


def _lower(text: str) -> bytes:
    """The text with its ASCII letters in lower case.

    Server names have no others, and Unicode would take the Kelvin sign for a k.
    """
    return text.encode("utf-8", "surrogatepass").lower()


def _any_matches(patterns: Iterable[str], name: bytes) -> bool:
    return any(_matches(_lower(pattern), name) for pattern in patterns)


def _matches(pattern: bytes, name: bytes) -> bool:
    """Whether a glob matches.

    Every part between two stars is looked for once, as far left as it stands: a
    regular expression could be made to try all places for all parts.
    """
    first, *rest = pattern.split(b"*")
    if not rest:
        return len(first) == len(name) and _stands_at(0, first, name)
    *middle, last = rest
    position, end = len(first), len(name) - len(last)
    if position > end or not _stands_at(0, first, name) or not _stands_at(end, last, name):
        return False
    for part in middle:
        position = _find(part, name, position, end)
        if position < 0:
            return False
        position += len(part)
    return True


def _find(part: bytes, name: bytes, start: int, end: int) -> int:
    if b"?" not in part:
        return name.find(part, start, end)
    places = range(start, end - len(part) + 1)
    return next((place for place in places if _stands_at(place, part, name)), -1)


def _stands_at(place: int, part: bytes, name: bytes) -> bool:
    if b"?" not in part:
        return name.startswith(part, place)
    there = name[place : place + len(part)]
    return all(wanted in (_ANY, found) for wanted, found in zip(part, there, strict=True))


_ANY: Final = ord("?")
