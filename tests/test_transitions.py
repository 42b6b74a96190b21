"""The table of transitions names moves, the rules allow them: where the two disagree."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Final

import pytest

from matrix_membership import Event, RoomVersion
from matrix_membership.membership import (
    BAN,
    INVITE,
    JOIN,
    KNOCK,
    LEAVE,
    MEMBERSHIPS,
    TRANSITIONS,
    UNKNOWN,
    UNRECOGNISED,
    Membership,
    Transition,
    transition,
)
from tests.builders import ANA, BEN, Room, a_room, everywhere, signed_invite, since

SELF: Final = True
OTHER: Final = False
Move = tuple[Membership, Membership, bool]

ALL: Final = tuple(MEMBERSHIPS.values())
MOVES: Final[frozenset[Move]] = frozenset(product(ALL, ALL, (SELF, OTHER)))
RULES: Final = ("public", "invite", "knock", "restricted", "knock_restricted")
VOUCHED: Final = {"signed_by": ["a.example"], "join_authorised_via_users_server": ANA}

# Named UNEXPECTED, and allowed.
BY_JOIN_RULE: Final = {
    (KNOCK, JOIN, SELF),  # the join rule is public by now, or somebody vouches
}
BY_A_THIRD_PARTY: Final = {
    (JOIN, INVITE, SELF),  # these invites ask for no membership but that the user is not banned
    (JOIN, INVITE, OTHER),
}
BY_THE_FIRST_JOIN: Final = {
    (BAN, JOIN, SELF),  # right after the create event the creator joins, whatever they are
    (BAN, JOIN, OTHER),
    (KNOCK, JOIN, SELF),
    (KNOCK, JOIN, OTHER),
}

# Named otherwise, and never allowed.
NEVER: Final = {
    (LEAVE, LEAVE, SELF),  # there is nothing to leave
    (BAN, LEAVE, SELF),
    (LEAVE, BAN, SELF),  # nobody has more power than they have themselves
    (INVITE, BAN, SELF),
    (JOIN, BAN, SELF),
    (BAN, BAN, SELF),
    (KNOCK, BAN, SELF),
    (LEAVE, KNOCK, OTHER),  # one knocks for oneself
    (KNOCK, KNOCK, OTHER),
}
NEVER_BEFORE_KNOCKING: Final = {
    (LEAVE, KNOCK, SELF),
    (KNOCK, KNOCK, SELF),
    (KNOCK, LEAVE, SELF),
}
NEVER_BUT_BY_A_THIRD_PARTY: Final = {
    (LEAVE, INVITE, SELF),
    (INVITE, INVITE, SELF),
    (KNOCK, INVITE, SELF),
}
NEVER_BUT_BY_THE_FIRST_JOIN: Final = {
    (LEAVE, JOIN, OTHER),
    (INVITE, JOIN, OTHER),
    (JOIN, JOIN, OTHER),
}


def people(by_self: bool) -> Iterator[tuple[str, str]]:
    """Senders and users: the mighty Ana, and Ben who has no power."""
    yield (ANA, BEN)[by_self], BEN
    if by_self:
        yield ANA, ANA


def ordinary(version: RoomVersion, move: Move) -> Iterator[tuple[Room, Event]]:
    before, after, by_self = move
    for rule, (sender, user) in product(RULES, people(by_self)):
        room = a_room(version).with_join_rule(rule).with_member(user, before)
        yield room, room.member(sender, user, after)
        yield room, room.member(sender, user, after, **VOUCHED)


def by_a_third_party(version: RoomVersion, move: Move) -> Iterator[tuple[Room, Event]]:
    before, after, by_self = move
    sender = BEN if by_self else ANA
    room = a_room(version).with_third_party_invite(sender=sender).with_member(BEN, before)
    yield room, room.member(sender, BEN, after, third_party_invite=signed_invite())


def first_join(version: RoomVersion, move: Move) -> Iterator[tuple[Room, Event]]:
    before, after, by_self = move
    room = a_room(version).with_member(ANA, before)
    previous = [room.events[0].event_id]
    sender, content = (ANA if by_self else BEN), {"membership": str(after)}
    yield room, room.event("m.room.member", sender, content, ANA, prev_events=previous)


@cache
def allowed_ordinarily(version: RoomVersion) -> frozenset[Move]:
    """The moves that some join rule and power allow."""
    return frozenset(
        move
        for move in MOVES
        if any(room.check(event).allowed for room, event in ordinary(version, move))
    )


def allowed_as(situation: str, version: RoomVersion) -> frozenset[Move]:
    """The moves that the situation allows by its own rule."""
    rules = {
        "a third party": (by_a_third_party, "invite.third_party_signed_by_its_key"),
        "the first join": (first_join, "join.first_join_of_the_creator"),
    }
    tried, rule = rules[situation]
    return frozenset(
        move
        for move in MOVES
        if any(room.check(event).rule == rule for room, event in tried(version, move))
    )


def named(moves: frozenset[Move], *, unexpected: bool) -> set[Move]:
    """Those moves that the table calls so, or otherwise."""
    return {
        (before, after, by_self)
        for before, after, by_self in moves
        if (transition(before, after, by_self=by_self) is Transition.UNEXPECTED) is unexpected
    }


class TestAllowedButUnexpected:
    @everywhere
    def test_is_a_join_after_a_knock(self, version: RoomVersion) -> None:
        assert named(allowed_ordinarily(version), unexpected=True) == BY_JOIN_RULE

    @everywhere
    def test_is_an_invite_of_a_member_by_a_third_party(self, version: RoomVersion) -> None:
        moves = allowed_as("a third party", version)
        assert named(moves, unexpected=True) == BY_A_THIRD_PARTY

    @everywhere
    def test_is_the_creators_first_join(self, version: RoomVersion) -> None:
        moves = allowed_as("the first join", version)
        assert named(moves, unexpected=True) == BY_THE_FIRST_JOIN


class TestNamedButNotAllowed:
    def never(self, version: RoomVersion) -> set[Move]:
        return named(MOVES - allowed_ordinarily(version), unexpected=False)

    @since("7")
    def test_is_what_asks_for_power_over_oneself_or_for_others(self, version: RoomVersion) -> None:
        exceptional = NEVER_BUT_BY_A_THIRD_PARTY | NEVER_BUT_BY_THE_FIRST_JOIN
        assert self.never(version) == NEVER | exceptional

    @since("1", "6")
    def test_is_knocking_too_before_version_7(self, version: RoomVersion) -> None:
        exceptional = NEVER_BUT_BY_A_THIRD_PARTY | NEVER_BUT_BY_THE_FIRST_JOIN
        assert self.never(version) == NEVER | NEVER_BEFORE_KNOCKING | exceptional

    @everywhere
    def test_is_less_with_a_third_party(self, version: RoomVersion) -> None:
        assert allowed_as("a third party", version) & self.never(version) == (
            NEVER_BUT_BY_A_THIRD_PARTY
        )

    @everywhere
    def test_is_less_with_the_first_join(self, version: RoomVersion) -> None:
        assert allowed_as("the first join", version) & self.never(version) == (
            NEVER_BUT_BY_THE_FIRST_JOIN
        )


class TestTable:
    def test_has_every_cell(self) -> None:
        cells = {before: tuple(row) for before, row in TRANSITIONS.items()}
        assert cells == dict.fromkeys((INVITE, JOIN, LEAVE, BAN, KNOCK), ALL)

    def test_uses_every_name(self) -> None:
        cells = {name for row in TRANSITIONS.values() for cell in row.values() for name in cell}
        assert cells == set(Transition)

    @pytest.mark.parametrize("odd", [UNKNOWN, UNRECOGNISED])
    @pytest.mark.parametrize("by_self", [SELF, OTHER])
    def test_expects_no_other_membership(self, odd: Membership, by_self: bool) -> None:
        moves = [(odd, JOIN), (JOIN, odd), (odd, odd)]
        names = {transition(before, after, by_self=by_self) for before, after in moves}
        assert names == {Transition.UNEXPECTED}

    @pytest.mark.parametrize(
        ("before", "after", "by_user", "by_other"),
        [
            (INVITE, LEAVE, "invite rejected", "invite withdrawn"),
            (JOIN, LEAVE, "left", "kicked"),
            (JOIN, JOIN, "profile changed", "profile changed"),
            (JOIN, BAN, "kicked and banned", "kicked and banned"),
            (BAN, LEAVE, "unbanned", "unbanned"),
            (KNOCK, INVITE, "knock accepted", "knock accepted"),
            (KNOCK, LEAVE, "knock retracted", "knock denied"),
        ],
    )
    def test_tells_the_user_from_others(
        self, before: Membership, after: Membership, by_user: str, by_other: str
    ) -> None:
        names = [str(transition(before, after, by_self=by_self)) for by_self in (SELF, OTHER)]
        assert names == [by_user, by_other]
