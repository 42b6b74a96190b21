"""Trying a rule on what is known before there is an event.

A probe stands for all events, or all states, that have something in common. It has the
attributes that are known of them; whoever asks it for another one, or asks a name what
it is spelled like, is told that this is unknown. A rule that comes to an end without
having asked such a question would have come to the same end with every event and state
that the probes stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Never

from matrix_membership.auth._rule import Applies
from matrix_membership.membership import Membership

__all__ = ["Name", "Probe", "known_memberships", "outcome_of"]


class _UnknownError(Exception):
    """A question that only a real event or state could answer."""


def _ask(*_: object) -> Never:
    raise _UnknownError


class Probe:
    """Something of which only these attributes are known."""

    def __init__(self, **known: object) -> None:
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Never:
        raise _UnknownError(name)

    # The class is what isinstance looks at, a hash what sets and dicts do.
    __class__ = property(_ask)
    __eq__ = __hash__ = __bool__ = _ask


class Name:
    """A user ID of which nothing is known but whether another one is the same.

    It is no empty text: there is an event of a user of that name.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Never:
        raise _UnknownError

    def __eq__(self, other: object) -> bool:
        if type(other) is not Name:
            raise _UnknownError
        return self is other

    def __hash__(self) -> Never:
        raise _UnknownError

    def __bool__(self) -> bool:
        return True

    __class__ = property(_ask)
    __getitem__ = __len__ = __iter__ = _ask


def known_memberships(*known: tuple[Name, Membership]) -> Callable[[object], Membership]:
    """A state's `membership_of` when only those of some users are known."""

    def membership_of(user: object) -> Membership:
        for name, membership in known:
            if user is name:
                return membership
        raise _UnknownError("membership_of")

    return membership_of


def outcome_of(applies: Applies, event: Any, state: Any) -> bool | str:
    """Whether a condition holds for all that two probes stand for.

    Returns:
        Whether it does; a text when it depends: the attribute that it asks for first,
        or nothing when it asks for something else.
    """
    try:
        return applies(event, state)
    except _UnknownError as unknown:
        return str(unknown)
    except TypeError:  # a method that a name has not
        return ""
