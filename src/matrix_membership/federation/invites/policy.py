"""Invite policies: from which users, servers and rooms to accept invites."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field

from matrix_membership._attrs import Word, frozen
from matrix_membership._globs import Globs
from matrix_membership.canonical_json import JsonValue
from matrix_membership.identifiers import is_user_id, listed, server_of
from matrix_membership.receipt.policy_list import PolicyList, spellings

__all__ = ["InvitePolicy", "InviteVerdict"]


class InviteVerdict(Word):
    """The treatment of an invite: show it, hide it from the user, or refuse it.

    .. versionadded:: 0.1.0
    """

    ALLOW = "allow"
    IGNORE = "ignore"
    BLOCK = "block"


@frozen
class InvitePolicy:
    """Patterns for the sender, the sender's server, and the room of an invite.

    A pattern that starts with `@` is compared with the sender's user ID, and one that
    starts with `!` with the room ID. Any other is compared with the sender's server,
    with and without its port. `*` matches any text, `?` one character. Upper and lower
    case of ASCII letters match each other, so that another spelling cannot pass a block.

    Attributes:
        block: invites to refuse. It comes before the others.
        ignore: invites to accept and hide. It comes before `allow`.
        allow: invites to show.
        default: the verdict on all other invites.
        lists: policy lists. An invite is refused if one recommends a ban of the user, of
            the user's server, or of the room, whatever `allow` says.

    .. versionadded:: 0.1.0
    """

    block: tuple[str, ...] = field(default=(), converter=listed)
    ignore: tuple[str, ...] = field(default=(), converter=listed)
    allow: tuple[str, ...] = field(default=(), converter=listed)
    default: InviteVerdict = InviteVerdict.ALLOW
    lists: PolicyList = PolicyList()

    @classmethod
    def from_account_data(cls, content: JsonValue, ignored: JsonValue = None) -> InvitePolicy:
        """Read the content of a user's `m.invite_permission_config`__; None without one.

        The policy blocks all invites if `default_action` is `block`, and else allows all.
        `ignored` is the content of the user's `m.ignored_user_list`__: the policy ignores the
        invites of these users.

        >>> InvitePolicy.from_account_data({"default_action": "block"}).default
        <InviteVerdict.BLOCK: 'block'>

        __ https://spec.matrix.org/v1.19/client-server-api/#minvite_permission_config
        __ https://spec.matrix.org/v1.19/client-server-api/#mignored_user_list
        """
        action = content.get("default_action") if isinstance(content, Mapping) else None
        users = ignored.get("ignored_users") if isinstance(ignored, Mapping) else None
        named = filter(is_user_id, users) if isinstance(users, Mapping) else ()
        return cls(
            # Old user IDs may have a star, which must not stand for any text.
            ignore=tuple([user.replace("*", "?") for user in named]),
            default=InviteVerdict.BLOCK if action == "block" else InviteVerdict.ALLOW,
        )

    def verdict(self, sender: str, room_id: str) -> InviteVerdict:
        """Return what to do with an invite. Cost: linear in the number of patterns.

        >>> policy = InvitePolicy(block=("*.bad.example",), allow=("@ana:*",))
        >>> policy.verdict("@ana:x.bad.example:8448", "!r:a.example")
        <InviteVerdict.BLOCK: 'block'>
        """
        if any(rule.bans for name in (sender, room_id) for rule in self.lists.about(name)):
            return InviteVerdict.BLOCK
        # The strictest first: a broad pattern that allows must not undo a narrow one that blocks.
        for patterns, verdict in (
            (self.block, InviteVerdict.BLOCK),
            (self.ignore, InviteVerdict.IGNORE),
            (self.allow, InviteVerdict.ALLOW),
        ):
            if _matches(patterns, sender, room_id):
                return verdict
        return self.default


def _matches(patterns: tuple[str, ...], sender: str, room_id: str) -> bool:
    kinds: dict[str, list[str]] = {"@": [], "!": [], "": []}
    for pattern in patterns:
        kinds[pattern[:1] if pattern[:1] in kinds else ""].append(pattern)
    servers = Globs(kinds[""])
    return (
        Globs(kinds["@"]).match(sender)
        or Globs(kinds["!"]).match(room_id)
        or any(map(servers.match, spellings(server_of(sender))))
    )
