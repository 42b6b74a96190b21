"""Server access control lists: which servers may speak to a room.

They are separate from the authorisation rules. A server applies them to other servers'
requests: to whole requests at some endpoints (`ServerAcl.protects`), to each event of a
transaction, and to the EDUs of a room (`ServerAcl.EDUS`). The server that asks counts, not the
server of an event's sender. See `Server access control lists`__.

__ https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from attrs import field

from matrix_membership._attrs import frozen
from matrix_membership._globs import Globs
from matrix_membership.canonical_json import JsonValue
from matrix_membership.identifiers import MAX_BYTES, listed
from matrix_membership.state import RoomState

__all__ = ["ServerAcl", "permits"]

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
"""The endpoints where a server that is not permitted gets 403 `M_FORBIDDEN`.

Each is the path before the room ID. `/send` is absent: there each event is tested by itself.
"""


@frozen
class ServerAcl:
    """The access control list of a room.

    Attributes:
        allow: patterns for the servers that may speak. With an empty list no server may.
        deny: patterns for those of them that may not.
        allow_ip_literals: servers whose name is an IP address may speak at all.
        EDUS: the EDUs to ignore in what they say about a room, from a server that may not speak.

    .. versionadded:: 0.1.0
    """

    EDUS: ClassVar[frozenset[str]] = frozenset({"m.receipt", "m.typing"})

    allow: tuple[str, ...] = field(default=(), converter=listed)
    deny: tuple[str, ...] = field(default=(), converter=listed)
    allow_ip_literals: bool = True
    _allowed: Globs = field(init=False, repr=False, eq=False)
    _denied: Globs = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_allowed", Globs(self.allow))
        object.__setattr__(self, "_denied", Globs(self.deny))

    def __reduce__(self) -> tuple[object, ...]:
        return (ServerAcl, (self.allow, self.deny, self.allow_ip_literals))

    @property
    def odd_patterns(self) -> int:
        """The number of patterns that each server is compared with one by one.

        They have a question mark, or a star after their first character.
        """
        return len(self._allowed.others) + len(self._denied.others)

    @classmethod
    def from_content(cls, content: Mapping[str, JsonValue]) -> ServerAcl:
        """Read the content of an `m.room.server_acl` event.

        A value that is not a list counts as empty; non-string entries are ignored; only the
        literal `false` forbids IP literals.

        >>> ServerAcl.from_content({"allow": ["*"], "deny": "evil.example"})
        ServerAcl(allow=('*',), deny=(), allow_ip_literals=True)
        """
        return cls(
            allow=_patterns(content.get("allow")),
            deny=_patterns(content.get("deny")),
            # The text names `false` alone. Anything else leaves the default, so a typing error does
            # not shut servers out.
            allow_ip_literals=content.get("allow_ip_literals") is not False,
        )

    @classmethod
    def of(cls, state: RoomState) -> ServerAcl | None:
        """Return the list of a room, or None when its state has none.

        Cost: linear in the size of the event. It holds for as long as that event
        stays in the state.
        """
        event = state.get("m.room.server_acl")
        return None if event is None else cls.from_content(event.content)

    @staticmethod
    def protects(path: str) -> bool:
        """Tell whether a request is refused as a whole when its server may not speak.

        The path may lack the part after the endpoint.

        >>> ServerAcl.protects("/_matrix/federation/v1/state_ids/!r:a.example")
        True
        >>> ServerAcl.protects("/_matrix/federation/v1/send/1")
        False
        """
        # Split at most five times: the path is a stranger's, and may be long.
        return "/".join(path.split("/", 5)[:5]) in ACL_ENDPOINTS

    def allows(self, server: str) -> bool:
        """Tell whether a server may speak to the room.

        Its port is ignored, and letters match in either case. A name of more than 255 characters,
        which breaks the grammar, may not. Cost: constant, and linear in the size of the patterns
        of `odd_patterns`.

        >>> acl = ServerAcl(allow=("*",), deny=("*.evil.example",))
        >>> acl.allows("a.example:8448"), acl.allows("X.EVIL.example")
        (True, False)
        """
        # No server has such a name, and comparing it would cost its length for each pattern.
        if len(server) > MAX_BYTES:
            return False
        host = _without_port(server)
        # The order is that of the text: IP literals, then `deny`, then `allow`, and otherwise no.
        if not self.allow_ip_literals and _is_ip_literal(host):
            return False
        # Nothing else is made equal: `evil.example.` with a dot at its end is another name, see the
        # threat model.
        return not self._denied.match(host) and self._allowed.match(host)


def permits(state: RoomState, server: str) -> bool:
    """Tell whether a server may speak to a room: any may to one without a list.

    Cost: that of `ServerAcl.of`; keep the list if you ask often.

    >>> from matrix_membership.room_versions import V11
    >>> permits(RoomState.of(V11, []), "a.example")
    True

    .. versionadded:: 0.1.0
    """
    acl = ServerAcl.of(state)
    return acl is None or acl.allows(server)


def _patterns(value: JsonValue) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        return ()
    return tuple([item for item in value if isinstance(item, str)])


# Numbers over 255 match too. No other host has a name of four numbers.
_is_ipv4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}").fullmatch


def _without_port(server: str) -> str:
    # An IPv6 address has colons of its own.
    if server.startswith("["):
        return server.partition("]")[0] + "]"
    return server.partition(":")[0]


def _is_ip_literal(host: str) -> bool:
    return host.startswith("[") or _is_ipv4(host) is not None
