"""Restricted rooms."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import V7, V8, V9, V10, V11, V12, JoinRule, RoomState, RoomVersion, auth
from matrix_membership.errors import IncompleteState
from matrix_membership.identifiers import RoomID, ServerName, UserID
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, UNKNOWN, Membership
from matrix_membership.restricted import (
    Forbidden,
    Granted,
    NotNeeded,
    UnableToAuthorise,
    UnableToGrant,
    authorise,
    authorisers,
    is_restricted,
    needed,
    rooms_to_check,
    servers_that_can_authorise,
)
from tests.builders import ANA, BEN, CAY, DAN, VERSIONS, Room, a_levelled_room, a_room

SPACE, CLUB = RoomID("!space:s.example"), RoomID("!club:s.example")
A, C = ServerName("a.example"), ServerName("c.example")
EVE = "@eve:a.example"
HAVING = [version for version in VERSIONS if version.restricted_joins]
EVERY_VERSION = pytest.mark.parametrize("version", HAVING, ids=str)


def condition(room: str) -> dict[str, Any]:
    return {"type": "m.room_membership", "room_id": room}


def restricted(
    room: Room, *, rule: JoinRule = JoinRule.RESTRICTED, allow: Any = (SPACE, CLUB)
) -> Room:
    """The room, open to the members of others."""
    if isinstance(allow, tuple):
        allow = [condition(name) for name in allow]
    return room.with_join_rule(rule, allow=allow)


def asked(
    room: Room, memberships: dict[str, Membership | None], server: str = A, **more: Any
) -> Any:
    return authorise(BEN, room.state, memberships, server, **more)


class TestIsRestricted:
    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_from_version_8_on(self, version: RoomVersion) -> None:
        assert is_restricted(restricted(a_room(version)).state) is (version in HAVING)

    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_and_to_knock_at_from_version_10_on(self, version: RoomVersion) -> None:
        room = restricted(a_room(version), rule=JoinRule.KNOCK_RESTRICTED)
        assert is_restricted(room.state) is (int(version.identifier) >= 10)

    @pytest.mark.parametrize("rule", ["public", "invite", "knock", "private", "other"])
    def test_by_no_other_rule(self, rule: str) -> None:
        assert not is_restricted(a_room(V11).with_join_rule(rule).state)


class TestRoomsToCheck:
    @EVERY_VERSION
    def test_are_those_of_the_conditions(self, version: RoomVersion) -> None:
        assert rooms_to_check(restricted(a_room(version)).state) == (SPACE, CLUB)

    @pytest.mark.parametrize(
        "allow",
        [
            None,
            {},
            "x",
            [],
            [SPACE],
            [{"type": "m.room_membership"}],
            [{"type": "other", "room_id": SPACE}],
            [{"type": "m.room_membership", "room_id": 5}],
        ],
    )
    def test_are_none_when_no_condition_can_be_read(self, allow: Any) -> None:
        assert rooms_to_check(restricted(a_room(V11), allow=allow).state) == ()

    def test_are_none_when_the_room_is_not_restricted(self) -> None:
        assert rooms_to_check(restricted(a_room(V7)).state) == ()


class TestAuthorise:
    @EVERY_VERSION
    @pytest.mark.parametrize("membership", [JOIN, INVITE])
    def test_is_not_needed_by_who_is_in(self, version: RoomVersion, membership: Membership) -> None:
        room = restricted(a_room(version)).with_member(BEN, membership)
        assert asked(room, {}) == NotNeeded()

    def test_is_not_needed_where_the_room_is_not_restricted(self) -> None:
        room = restricted(a_room(V9), rule=JoinRule.KNOCK_RESTRICTED).with_member(BEN, BAN)
        assert asked(room, {SPACE: JOIN}) == NotNeeded()

    @EVERY_VERSION
    @pytest.mark.parametrize("membership", [LEAVE, KNOCK])
    def test_is_granted_to_a_member_of_one_of_the_rooms(
        self, version: RoomVersion, membership: Membership
    ) -> None:
        room = restricted(a_room(version)).with_member(BEN, membership)
        assert asked(room, {SPACE: LEAVE, CLUB: JOIN}) == Granted(UserID(ANA))

    def test_is_granted_though_another_room_is_out_of_sight(self) -> None:
        room = restricted(a_room(V11))
        assert asked(room, {SPACE: None, CLUB: JOIN}) == Granted(UserID(ANA))

    @EVERY_VERSION
    def test_is_such_that_the_rules_agree(self, version: RoomVersion) -> None:
        room = restricted(a_room(version))
        granted = asked(room, {SPACE: JOIN})
        via = {"join_authorised_via_users_server": granted.authorised_via}
        assert auth.check(room.join(BEN, signed_by=[A], **via), room.state)
        assert not auth.check(room.join(BEN), room.state)

    @pytest.mark.parametrize("membership", [INVITE, LEAVE, BAN, KNOCK])
    def test_is_forbidden_to_who_is_in_none_of_the_rooms(self, membership: Membership) -> None:
        room = restricted(a_room(V11))
        expected = Forbidden("the user is in none of the rooms whose members may join")
        assert asked(room, {SPACE: membership, CLUB: LEAVE}) == expected

    def test_is_forbidden_where_no_condition_can_be_read(self) -> None:
        expected = Forbidden("the user is in none of the rooms whose members may join")
        assert asked(restricted(a_room(V11), allow=[]), {SPACE: JOIN}) == expected

    def test_is_forbidden_to_who_is_banned(self) -> None:
        room = restricted(a_room(V11)).with_member(BEN, BAN)
        assert asked(room, {SPACE: JOIN}) == Forbidden("the user is banned")

    @pytest.mark.parametrize("unseen", [{}, {SPACE: None}, {SPACE: UNKNOWN}])
    def test_is_unable_to_tell_when_it_cannot_look_into_a_room(
        self, unseen: dict[str, Membership | None]
    ) -> None:
        room = restricted(a_room(V11))
        assert asked(room, {**unseen, CLUB: LEAVE}) == UnableToAuthorise((SPACE,))

    def test_is_unable_to_tell_when_members_were_left_out(self) -> None:
        room = restricted(a_room(V11))
        state = RoomState.of(V11, room.events, partial=True)
        own = UnableToAuthorise((RoomID(room.room_id),))
        assert authorise(BEN, state, {SPACE: JOIN}, A) == own

    def test_is_unable_to_tell_when_even_the_create_event_was_left_out(self) -> None:
        state = RoomState.of(V11, restricted(a_room(V11)).events[1:], partial=True)
        assert authorise(BEN, state, {SPACE: JOIN}, A) == UnableToAuthorise(())

    @EVERY_VERSION
    def test_is_unable_to_grant_when_nobody_here_may_invite(self, version: RoomVersion) -> None:
        room = restricted(a_levelled_room(version, invite=50)).with_member(CAY, JOIN)
        assert asked(room, {SPACE: JOIN}, C) == UnableToGrant((A,))

    def test_is_unable_to_grant_when_nobody_may_invite(self) -> None:
        room = restricted(a_levelled_room(V11, invite=51))
        assert asked(room, {SPACE: JOIN}) == UnableToGrant(())

    @pytest.mark.parametrize(
        ("failure", "errcode", "status"),
        [
            (Forbidden("x"), "M_FORBIDDEN", 403),
            (UnableToAuthorise(()), "M_UNABLE_TO_AUTHORISE_JOIN", 400),
            (UnableToGrant(()), "M_UNABLE_TO_GRANT_JOIN", 400),
        ],
    )
    def test_has_failures_to_answer(
        self,
        failure: Forbidden | UnableToAuthorise | UnableToGrant,
        errcode: str,
        status: int,
    ) -> None:
        assert (failure.errcode, failure.status) == (errcode, status)


def found(room: Room, server: str = A, **more: Any) -> list[str]:
    return list(authorisers(room.state, server, **more))


class TestAuthorisers:
    def test_come_by_power_then_by_name(self) -> None:
        users = {EVE: 100, CAY: 90, DAN: 50}
        room = a_levelled_room(V11, users=users, invite=50, users_default=0)
        for user in (CAY, DAN, EVE):
            room = room.with_member(user, JOIN)
        assert found(room) == [EVE, ANA, DAN]

    @pytest.mark.parametrize("membership", [LEAVE, INVITE, BAN, KNOCK])
    def test_are_joined(self, membership: Membership) -> None:
        users = {EVE: 100}
        room = a_levelled_room(V11, users=users, invite=50).with_member(EVE, membership)
        assert found(room) == [ANA]

    def test_have_the_invite_level(self) -> None:
        room = a_levelled_room(V11, users={EVE: 49}, invite=50).with_member(EVE, JOIN)
        assert found(room) == [ANA]

    def test_are_all_members_when_the_default_suffices(self) -> None:
        room = a_levelled_room(V11, users={DAN: -1}, invite=20, users_default=20)
        room = room.with_member(EVE, JOIN).with_member(CAY, JOIN).with_member(DAN, JOIN)
        assert found(room) == [ANA, EVE]

    @EVERY_VERSION
    def test_are_all_members_without_power_levels(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(EVE, JOIN).with_member(CAY, JOIN)
        assert found(room) == [ANA, EVE]
        assert found(room, C) == [CAY]

    def test_are_not_creators_by_name_when_there_are_power_levels(self) -> None:
        room = a_levelled_room(V11, invite=50).with_member(DAN, JOIN)
        assert found(room) == [ANA]

    def test_are_creators_first_in_version_12(self) -> None:
        room = a_levelled_room(V12, invite=50).with_member(DAN, JOIN)
        assert found(room) == [DAN, ANA]

    def test_are_additional_creators_too_in_version_12(self) -> None:
        room = a_room(V12, additional_creators=[EVE]).with_levels({ANA: 5}, invite=50)
        assert found(room.with_member(EVE, JOIN)) == [ANA, EVE]

    def test_are_creators_once_when_the_default_suffices(self) -> None:
        room = a_room(V12).with_levels({}, invite=0, users_default=0).with_member(EVE, JOIN)
        assert found(room) == [ANA, EVE]

    @pytest.mark.parametrize(("version", "able"), [(V8, [ANA]), (V9, [ANA]), (V10, [])], ids=str)
    def test_may_have_a_level_in_text_in_versions_8_and_9(
        self, version: RoomVersion, able: list[str]
    ) -> None:
        room = a_levelled_room(version, users={ANA: " +60 "}, invite=60)
        assert found(room) == able

    @pytest.mark.parametrize(("version", "able"), [(V9, []), (V10, [ANA])], ids=str)
    def test_may_face_an_invite_level_in_text(self, version: RoomVersion, able: list[str]) -> None:
        """In version 10 it is none, and the default counts."""
        assert found(a_levelled_room(version, invite="51")) == able

    def test_are_looked_for_among_local_users_if_these_are_at_hand(self) -> None:
        room = a_room(V11).with_member(EVE, JOIN).with_levels({}, invite=0)
        state = RoomState.over(V11, room.state.get)
        listed = [CAY, EVE, DAN]
        assert list(authorisers(state, A, local_users=listed)) == [EVE]

    def test_cannot_be_looked_for_over_a_look_up(self) -> None:
        state = RoomState.over(V11, a_room(V11).with_levels({}, invite=0).state.get)
        with pytest.raises(IncompleteState) as caught:
            list(authorisers(state, A))
        assert caught.value == IncompleteState("the joined members", "all members")


class TestServersThatCanAuthorise:
    def test_come_by_the_power_of_their_users(self) -> None:
        users = {CAY: 100, BEN: 99}
        room = a_levelled_room(V11, users=users, invite=50)
        room = room.with_member(CAY, JOIN).with_member(EVE, JOIN)
        assert servers_that_can_authorise(room.state) == (C, A)

    def test_are_all_in_the_room_when_the_default_suffices(self) -> None:
        room = a_levelled_room(V11, users={CAY: 60}, users_default=50, invite=50)
        room = room.with_member(CAY, JOIN).with_member(BEN, JOIN)
        assert servers_that_can_authorise(room.state) == (C, A, ServerName("b.example"))

    def test_are_as_many_as_the_state_can_tell(self) -> None:
        room = restricted(a_levelled_room(V11, invite=0))
        state = RoomState.over(V11, room.state.get)
        assert servers_that_can_authorise(state) == (A,)
        asked_there = authorise(BEN, state, {SPACE: JOIN}, C, local_users=[])
        assert asked_there == UnableToGrant((A,))


class Loading:
    """A host that loads what is needed, in rounds, and notes what it loaded."""

    def __init__(self, room: Room, *, partial: bool = False, **more: Any) -> None:
        self.ids = {(event.type, event.state_key or ""): event.event_id for event in room.events}
        self.by_id = {event.event_id: event for event in room.events}
        self.loaded: set[tuple[str, str]] = set()
        self.rounds = 0
        state, places = None, needed(BEN, None, A, **more)
        while places:
            self.rounds += 1
            self.loaded |= places
            version = room.version
            state = RoomState.of_ids(
                self.ids, self.by_id, needed=self.loaded, room_version=version, partial=partial
            )
            places = needed(BEN, state, A, **more)
            assert places.isdisjoint(self.loaded)
        assert state is not None
        self.state = state


@EVERY_VERSION
class TestNeeded:
    def test_is_enough_for_the_same_answer(self, version: RoomVersion) -> None:
        base = restricted(a_levelled_room(version, users={DAN: 60, EVE: 10}, invite=50))
        rooms = [base.with_member(DAN, JOIN), base.with_member(BEN, "ban"), base]
        rooms += [base.with_member(BEN, INVITE), base.with_join_rule("public")]
        for room in rooms:
            host = Loading(room)
            cases: list[dict[str, Membership | str | None]]
            cases = [{SPACE: JOIN}, {SPACE: LEAVE, CLUB: LEAVE}, {}]
            for known in cases:
                ours = authorise(BEN, host.state, known, A, local_users=())
                assert ours == authorise(BEN, room.state, known, A, local_users=())
            assert host.rounds <= 2

    def test_of_a_room_that_anybody_may_invite_to_is_one_local_user(
        self, version: RoomVersion
    ) -> None:
        room = restricted(a_levelled_room(version, users={ANA: 50, DAN: -1}, invite=0))
        room = room.with_member(ANA, LEAVE).with_member(EVE, JOIN)
        users = ["@gone:a.example", EVE, "@more:a.example", CAY]
        host = Loading(room, local_users=users)
        assert ("m.room.member", EVE) in host.loaded
        assert ("m.room.member", "@more:a.example") not in host.loaded
        answer = authorise(BEN, host.state, {SPACE: JOIN}, A, local_users=users)
        assert answer == Granted(UserID(EVE))

    def test_ends_where_a_partial_state_left_out_the_user(self, version: RoomVersion) -> None:
        room = restricted(a_levelled_room(version, invite=50))
        answer = authorise(BEN, Loading(room, partial=True).state, {SPACE: JOIN}, A, local_users=())
        assert answer == UnableToAuthorise((RoomID(room.room_id),))

    def test_ends_where_a_partial_state_left_out_those_who_may(self, version: RoomVersion) -> None:
        room = restricted(a_levelled_room(version, users={DAN: 60, ANA: -1}, invite=0))
        users = ["@gone:a.example", EVE]
        host = Loading(room.with_member(BEN, LEAVE), partial=True, local_users=users)
        answer = authorise(BEN, host.state, {SPACE: JOIN}, A, local_users=users)
        assert isinstance(answer, UnableToGrant)

    def test_ends_where_nobody_can_authorise(self, version: RoomVersion) -> None:
        room = restricted(a_levelled_room(version, users={ANA: 50}, invite=0))
        room = room.with_member(ANA, LEAVE)
        host = Loading(room, local_users=["@gone:a.example"])
        answer = authorise(BEN, host.state, {SPACE: JOIN}, A, local_users=["@gone:a.example"])
        assert isinstance(answer, UnableToGrant)
