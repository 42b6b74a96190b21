"""The places of the state that a check may read."""

from __future__ import annotations

import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.auth import rulebook
from matrix_membership.room_versions import V11, V12
from tests.builders import ANA, BEN, CAY, a_room, everywhere, signed_invite, since

Places = set[tuple[str, str]]
CREATE, LEVELS, RULES = (
    ("m.room.create", ""),
    ("m.room.power_levels", ""),
    ("m.room.join_rules", ""),
)


def of(*users: str) -> Places:
    """The places of members."""
    return {("m.room.member", user) for user in users}


class TestNeededState:
    @everywhere
    def test_names_the_create_event(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert auth.needed_state(room.message(ANA)) == {CREATE, LEVELS} | of(ANA)
        assert auth.needed_state(room.events[0]) == frozenset()

    @everywhere
    def test_of_a_membership(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert auth.needed_state(room.join(BEN)) == {CREATE, RULES} | of(BEN)
        assert auth.needed_state(room.leave(BEN)) == {CREATE} | of(BEN)
        for event in (room.invite(ANA, BEN), room.kick(ANA, BEN), room.ban(ANA, BEN)):
            assert auth.needed_state(event) == {CREATE, LEVELS} | of(ANA, BEN)
        assert auth.needed_state(room.knock(BEN)) == {CREATE, RULES} | of(BEN)

    @since("8")
    def test_of_a_join_that_names_an_authoriser(self, version: RoomVersion) -> None:
        join = a_room(version).join(BEN, join_authorised_via_users_server=CAY)
        assert auth.needed_state(join) == {CREATE, RULES, LEVELS} | of(BEN, CAY)

    @everywhere
    @pytest.mark.parametrize("signed", [True, False])
    def test_of_a_third_party_invite(self, version: RoomVersion, signed: bool) -> None:
        content = signed_invite() if signed else {}
        invite = a_room(version).invite(ANA, BEN, third_party_invite=content)
        token = {("m.room.third_party_invite", "tok" if signed else "")}
        assert auth.needed_state(invite) == {CREATE, LEVELS} | token | of(ANA, BEN)

    @everywhere
    def test_of_a_malformed_membership(self, version: RoomVersion) -> None:
        room = a_room(version)
        for content in ({}, {"membership": 5}):
            event = room.event("m.room.member", ANA, content, "nobody")
            assert auth.needed_state(event) == {CREATE} | of(ANA)


class TestOfAnAmendedRulebook:
    def test_has_the_places_of_its_selection(self) -> None:
        def with_name(event: Event) -> frozenset[tuple[str, str]]:
            return frozenset({("m.room.name", "")})

        mine = V12.evolve(identifier="mine", rules=rulebook(V12).select(with_name))
        message = a_room(mine).message(ANA)
        expected = {CREATE, LEVELS, ("m.room.name", "")} | of(ANA)
        assert auth.needed_state(message) == expected


class TestCheck:
    def test_of_a_create_event_looks_nothing_up(self) -> None:
        def no_look_up(event_type: str, state_key: str) -> Event | None:
            raise AssertionError(event_type)

        create = a_room(V11).events[0]
        assert auth.check(create, RoomState.over(V11, no_look_up)) == auth.check(
            create, RoomState.of(V11, [])
        )
