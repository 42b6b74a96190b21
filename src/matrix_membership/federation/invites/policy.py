"""Whom a user, or a whole server, takes invites from: data that the caller gives."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from fnmatch import fnmatchcase

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.identifiers import server_of

__all__ = ["InvitePolicy", "InviteVerdict"]


class InviteVerdict(Enum):
    """What becomes of an invite: shown, kept from the user's sight, or refused."""

    ALLOW = "allow"
    IGNORE = "ignore"
    BLOCK = "block"

    def __str__(self) -> str:
        return self._value_


@frozen
class InvitePolicy:
    """Patterns for inviting users, their servers, and rooms.

    A pattern that starts with `@` is compared with the ID of the user who invites, one
    that starts with `!` with the room ID, any other with that user's server, with and
    without its port. `*` stands for any text, `?` for one character; letters match in
    either case, so that nobody slips by under another spelling.

    Attributes:
        block: whose invites are refused. It goes before all else.
        ignore: whose invites are taken and not shown. It goes before `allow`.
        allow: whose invites are shown.
        default: what becomes of all others.
    """

    block: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    default: InviteVerdict = InviteVerdict.ALLOW

    @classmethod
    def from_account_data(cls, content: JsonValue) -> InvitePolicy:
        """Read the content of a user's `m.invite_permission_config`__.

        Args:
            content: the content; None for a user who has none. Whatever it does not
                say clearly means that invites are welcome.

        >>> InvitePolicy.from_account_data({"default_action": "block"}).default
        <InviteVerdict.BLOCK: 'block'>

        __ https://spec.matrix.org/v1.19/client-server-api/#minvite_permission_config
        """
        action = content.get("default_action") if isinstance(content, Mapping) else None
        return cls(default=InviteVerdict.BLOCK if action == "block" else InviteVerdict.ALLOW)

    def verdict(self, sender: str, room_id: str) -> InviteVerdict:
        """What becomes of an invite.

        Args:
            sender: the user who invites.
            room_id: the room.

        >>> policy = InvitePolicy(block=("*.bad.example",), allow=("@ana:*",))
        >>> policy.verdict("@ana:x.bad.example:8448", "!r:a.example")
        <InviteVerdict.BLOCK: 'block'>
        """
        for patterns, verdict in (
            (self.block, InviteVerdict.BLOCK),
            (self.ignore, InviteVerdict.IGNORE),
            (self.allow, InviteVerdict.ALLOW),
        ):
            if any(_matches(pattern, sender, room_id) for pattern in patterns):
                return verdict
        return self.default


def _matches(pattern: str, sender: str, room_id: str) -> bool:
    if pattern.startswith("@"):
        candidates = [sender]
    elif pattern.startswith("!"):
        candidates = [room_id]
    else:
        server = server_of(sender)
        host, colon, port = server.rpartition(":")
        # Of an IPv6 address without a port, what follows the last colon is no port.
        candidates = [server, host] if colon and port.isdigit() else [server]
    # fnmatch also reads [sets], which globs of Matrix have not.
    literal = pattern.lower().replace("[", "[[]")
    return any(fnmatchcase(candidate.lower(), literal) for candidate in candidates)
