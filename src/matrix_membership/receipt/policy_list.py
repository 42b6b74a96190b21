"""Moderation policy lists: rules about users, servers and rooms, kept in rooms.

Anybody can publish such rules, and a server or user that trusts them can apply them. No
authorisation rule reads them. `InvitePolicy.lists` refuses invites by them. See `Moderation
policy lists`__.

__ https://spec.matrix.org/v1.19/client-server-api/#moderation-policy-lists
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import field

from matrix_membership._attrs import as_tuple, frozen
from matrix_membership._globs import Globs
from matrix_membership.canonical_json import JsonObject
from matrix_membership.identifiers import server_of
from matrix_membership.state import RoomState

__all__ = ["PolicyList"]

_TYPE: Final = "m.policy.rule."
_KINDS: Final = ("user", "server", "room")
_BAN: Final = "m.ban"


@frozen
class PolicyRule:
    """One rule of a policy list.

    Attributes:
        kind: what it is about: `user`, `server` or `room`.
        entity: the pattern for the ID of a user, the name of a server, or the ID or an alias of
            a room. `*` matches any text, `?` one character.
        recommendation: what to do, such as `m.ban`.
        reason: the reason, for people; empty without one.
    """

    kind: str
    entity: str
    recommendation: str
    reason: str = ""

    @property
    def bans(self) -> bool:
        """True if it recommends a ban: `m.ban`."""
        return self.recommendation == _BAN


@frozen
class PolicyList:
    """The rules of one or more policy rooms.

    Attributes:
        rules: the rules, those of the first room first.

    .. versionadded:: 0.1.0
    """

    rules: tuple[PolicyRule, ...] = field(default=(), converter=as_tuple)
    _patterns: JsonObject = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        entities: dict[str, list[str]] = {kind: [] for kind in _KINDS}
        for rule in self.rules:
            entities[rule.kind].append(rule.entity)
        globs = {kind: Globs(patterns) for kind, patterns in entities.items()}
        object.__setattr__(self, "_patterns", JsonObject(globs))

    def __reduce__(self) -> tuple[object, ...]:
        return (PolicyList, (self.rules,))

    @classmethod
    def of(cls, *rooms: RoomState) -> PolicyList:
        """Read the rules in the states of policy rooms.

        An event without an entity or a recommendation is not a rule: so a rule is taken back.
        Cost: linear in the states without their members.

        Raises:
            IncompleteState: a state is over a look-up, which cannot list its events.

        >>> from matrix_membership.room_versions import V11
        >>> PolicyList.of(RoomState.of(V11, []))
        PolicyList(rules=())
        """
        return cls(tuple(rule for room in rooms for rule in _rules_of(room)))

    def about(self, entity: str) -> tuple[PolicyRule, ...]:
        """Return the rules that match a user, a server, or a room.

        Rules about users and about servers match a user ID; rules about rooms match a room ID or
        an alias; rules about servers match any other text, with and without its port. Upper and
        lower case of ASCII letters match each other. Cost: linear in the size of the rules.

        >>> rule = PolicyRule("server", "*.evil.example", "m.ban", "spam")
        >>> [found.reason for found in PolicyList((rule,)).about("@ana:x.evil.example:8448")]
        ['spam']
        """
        named = _named_by(entity)
        # Almost all entities match no rule. Those cost a look-up for each length of a pattern.
        if not any(self._patterns[kind].match(name) for kind, name in named):
            return ()
        return tuple(rule for rule in self.rules if _matches(rule, named))


def _rules_of(room: RoomState) -> Iterator[PolicyRule]:
    for event in room.events_but_members:
        kind = event.type.removeprefix(_TYPE)
        if kind == event.type or kind not in _KINDS:
            continue
        content = event.content
        entity, recommendation = content.get("entity"), content.get("recommendation")
        if isinstance(entity, str) and isinstance(recommendation, str):
            reason = content.get("reason")
            yield PolicyRule(
                kind, entity, recommendation, reason if isinstance(reason, str) else ""
            )


def _named_by(entity: str) -> tuple[tuple[str, str], ...]:
    """Return the kinds of rules that an entity may match, with its name for each."""
    if entity.startswith(("!", "#")):
        return (("room", entity),)
    user = (("user", entity),) if entity.startswith("@") else ()
    server = server_of(entity) if user else entity
    return (*user, *(("server", name) for name in spellings(server)))


def _matches(rule: PolicyRule, named: tuple[tuple[str, str], ...]) -> bool:
    pattern = Globs((rule.entity,))
    return any(kind == rule.kind and pattern.match(name) for kind, name in named)


def spellings(server: str) -> tuple[str, ...]:
    """Return a server name, and without its port if it has one."""
    host, colon, port = server.rpartition(":")
    # An IPv6 literal without a port also holds colons, but ends in a bracket.
    return (server, host) if colon and port.isdigit() else (server,)
