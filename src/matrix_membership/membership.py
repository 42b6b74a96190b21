"""Memberships, join rules, and the names of the moves between memberships.

`transition` only names moves. The rules (`matrix_membership.auth`) decide which moves are
allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import Word
from matrix_membership.errors import InvalidMessage

__all__ = ["JoinRule", "Membership", "Transition", "transition"]


class Membership(Word):
    """The membership of a user in a room.

    `UNKNOWN` is the membership of a user whom a partial state leaves out.
    `UNRECOGNISED` stands for any other value in an event.

    .. versionadded:: 0.1.0
    """

    INVITE = "invite"
    JOIN = "join"
    LEAVE = "leave"
    BAN = "ban"
    KNOCK = "knock"
    UNKNOWN = "unknown"
    UNRECOGNISED = "unrecognised"


class JoinRule(Word):
    """The rule by which users may join a room.

    `UNRECOGNISED` stands for any other value in an event.

    .. versionadded:: 0.1.0
    """

    PUBLIC = "public"
    INVITE = "invite"
    KNOCK = "knock"
    RESTRICTED = "restricted"
    KNOCK_RESTRICTED = "knock_restricted"
    PRIVATE = "private"
    UNRECOGNISED = "unrecognised"


# An attribute of an enum class costs 215 ns to read, a module's name 55.
INVITE: Final = Membership.INVITE
JOIN: Final = Membership.JOIN
LEAVE: Final = Membership.LEAVE
BAN: Final = Membership.BAN
KNOCK: Final = Membership.KNOCK
UNKNOWN: Final = Membership.UNKNOWN
UNRECOGNISED: Final = Membership.UNRECOGNISED

# Without `UNKNOWN` and `UNRECOGNISED`: an event that says "unknown" must not read as a user whom a
# partial state leaves out.
MEMBERSHIPS: Final[Mapping[str, Membership]] = MappingProxyType(
    {value.value: value for value in (INVITE, JOIN, LEAVE, BAN, KNOCK)}
)
"""The five memberships of the protocol, by the text that events carry."""

JOIN_RULES: Final[Mapping[str, JoinRule]] = MappingProxyType(
    {value.value: value for value in JoinRule if value is not JoinRule.UNRECOGNISED}
)
"""The join rules of the protocol, by the text that events carry."""


class Transition(Word):
    """The change that a member event made for a user, in one word.

    .. versionadded:: 0.1.0
    """

    INVITED = "invited"
    JOINED = "joined"
    KNOCKED = "knocked"
    BANNED = "banned"
    LEFT = "left"
    KICKED = "kicked"
    KICKED_AND_BANNED = "kicked and banned"
    UNBANNED = "unbanned"
    INVITE_REJECTED = "invite rejected"
    INVITE_WITHDRAWN = "invite withdrawn"
    KNOCK_ACCEPTED = "knock accepted"
    KNOCK_RETRACTED = "knock retracted"
    KNOCK_DENIED = "knock denied"
    PROFILE_CHANGED = "profile changed"
    UNCHANGED = "unchanged"
    UNEXPECTED = "unexpected"


_T = Transition
# Unexpected is not rejected. The rules allow a knock on a public room, and a third-party invite of
# a joined user, though the table says that neither happens.
_NEVER = (_T.UNEXPECTED, _T.UNEXPECTED)
_SAME = (_T.UNCHANGED, _T.UNCHANGED)
_BAN = (_T.BANNED, _T.BANNED)
_IN = (_T.INVITED, _T.INVITED)
_GO = (_T.JOINED, _T.JOINED)
_ASK = (_T.KNOCKED, _T.KNOCKED)


def _row(
    **cells: tuple[Transition, Transition],
) -> Mapping[Membership, tuple[Transition, Transition]]:
    return MappingProxyType({MEMBERSHIPS[name]: cell for name, cell in cells.items()})


TRANSITIONS: Final[Mapping[Membership, Mapping[Membership, tuple[Transition, Transition]]]] = (
    MappingProxyType(
        {
            INVITE: _row(
                invite=_SAME,
                join=_GO,
                leave=(_T.INVITE_REJECTED, _T.INVITE_WITHDRAWN),
                ban=_BAN,
                knock=_NEVER,
            ),
            JOIN: _row(
                invite=_NEVER,
                join=(_T.PROFILE_CHANGED, _T.PROFILE_CHANGED),
                leave=(_T.LEFT, _T.KICKED),
                ban=(_T.KICKED_AND_BANNED, _T.KICKED_AND_BANNED),
                knock=_NEVER,
            ),
            LEAVE: _row(invite=_IN, join=_GO, leave=_SAME, ban=_BAN, knock=_ASK),
            BAN: _row(
                invite=_NEVER,
                join=_NEVER,
                leave=(_T.UNBANNED, _T.UNBANNED),
                ban=_SAME,
                knock=_NEVER,
            ),
            KNOCK: _row(
                invite=(_T.KNOCK_ACCEPTED, _T.KNOCK_ACCEPTED),
                join=_NEVER,
                leave=(_T.KNOCK_RETRACTED, _T.KNOCK_DENIED),
                ban=_BAN,
                knock=_SAME,
            ),
        }
    )
)
"""From (row), to (key), then by the user themselves and by somebody else.

The table of `m.room.member`__. A user who was never seen starts from leave.

__ https://spec.matrix.org/v1.19/client-server-api/#mroommember
"""


_EMPTY_ROW: Final = _row()


def transition(before: Membership, after: Membership, *, by_self: bool) -> Transition:
    """Name the move from one membership to another.

    Args:
        before: the membership before the event; leave for a user never seen.
        after: the membership that the event gives.
        by_self: whether the sender is the user whose membership it is.

    Returns:
        The name; `UNEXPECTED` where the specification's table says that the move
        never happens, or where either side is not one of the five memberships.

    Raises:
        TypeError: either side is text.

    >>> transition(JOIN, LEAVE, by_self=False)
    <Transition.KICKED: 'kicked'>

    .. versionadded:: 0.1.0
    """
    cell = TRANSITIONS.get(before, _EMPTY_ROW).get(after)
    # The types are checked only here: text finds no cell, and what finds one needs no check.
    if cell is None:
        for membership in (before, after):
            if not isinstance(membership, Membership):
                raise TypeError(f"expected a membership, such as JOIN, got {membership!r}")
        return Transition.UNEXPECTED
    by_user, by_other = cell
    return by_user if by_self else by_other


def read_membership(told: object, where: str) -> Membership | None:
    """Read a membership that a caller tells, perhaps as text; None if it is unknown.

    Raises:
        InvalidMessage: it is something else.
    """
    if told is None or isinstance(told, Membership):
        return told
    found = MEMBERSHIPS.get(told) if isinstance(told, str) else None
    if found is None:
        raise InvalidMessage(where, "a membership, as text or not", told)
    return found
