"""The entries of the engine: no create event, partial states, versions of one's own, the list."""

from __future__ import annotations

from itertools import product
from typing import Any

import attrs
import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership._attrs import evolve
from matrix_membership.auth import Decision
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from matrix_membership.room_versions import KNOWN, V1, V5, V6, V8, V9, V10, V11, V12
from tests.builders import (
    ANA,
    BEN,
    CAY,
    VERSIONS,
    Room,
    a_levelled_room,
    a_room,
    decision,
    everywhere,
    signed_invite,
    since,
)
from tests.rule_cases import CASES

VIA = "join_authorised_via_users_server"


def no_room(version: RoomVersion) -> Decision:
    """What is said where there is no create event."""
    absent = "auth_events.no_create_event"
    if version.room_id_is_create_event:
        absent = "auth_events.room_id_of_no_accepted_create_event"
    return decision(absent, version)


class TestStateWithoutCreateEvent:
    @everywhere
    def test_rejects_by_the_rule_that_asks_for_one(self, version: RoomVersion) -> None:
        room = Room(version).with_member(ANA, JOIN).with_join_rule("public").with_levels({ANA: 100})
        events = [room.message(ANA), room.join(BEN), room.invite(ANA, BEN), room.leave(ANA)]
        assert {room.check(event) for event in events} == {no_room(version)}

    @everywhere
    def test_rejects_in_partial_states_too(self, version: RoomVersion) -> None:
        room = Room(version, partial=True)
        assert room.check(room.message(ANA)) == no_room(version)

    @everywhere
    def test_allows_the_create_event_itself(self, version: RoomVersion) -> None:
        content = {"room_version": version.identifier, "creator": ANA}
        event = Room(version).event("m.room.create", ANA, content, "", prev_events=[])
        assert Room(version).check(event) == decision("create.otherwise", version)


def in_part(room: Room) -> Room:
    return attrs.evolve(room, partial=True)


def undecided(rule: str, version: RoomVersion, *missing: str) -> Decision:
    return evolve(decision(rule, version), allowed=False, undecided=True, missing=missing)


def member(user: str) -> str:
    return f"m.room.member {user}"


class TestPartialState:
    @everywhere
    def test_decides_what_hangs_on_nobody(self, version: RoomVersion) -> None:
        room = in_part(a_room(version))
        assert room.check(room.message(ANA)) == decision("every_event.otherwise", version)

    @everywhere
    def test_is_undecided_on_who_may_have_been_left_out(self, version: RoomVersion) -> None:
        room = in_part(a_room(version))
        given = room.check(room.message(BEN))
        assert given == undecided("every_event.sender_not_joined", version, member(BEN))

    @everywhere
    def test_is_undecided_on_a_target(self, version: RoomVersion) -> None:
        room = in_part(a_room(version))
        given = room.check(room.invite(ANA, BEN))
        assert given == undecided("invite.sender_may_invite", version, member(BEN))

    @since("8")
    def test_is_undecided_on_the_authorising_user(self, version: RoomVersion) -> None:
        room = in_part(a_room(version).with_join_rule("restricted").with_member(BEN, LEAVE))
        given = room.check(room.join(BEN, signed_by=["c.example"], **{VIA: CAY}))
        assert given == undecided("join.authoriser_may_not_invite", version, member(CAY))

    @everywhere
    def test_is_undecided_on_a_stored_invite_of_a_third_party(self, version: RoomVersion) -> None:
        """Its state key is a token, and no user who could have been left out."""
        room = in_part(a_room(version))
        event = room.event("m.room.third_party_invite", BEN, {}, "tok")
        missing = member(BEN)
        assert room.check(event) == undecided("every_event.sender_not_joined", version, missing)

    @everywhere
    def test_is_undecided_on_the_ban_of_a_third_partys_user(self, version: RoomVersion) -> None:
        room = in_part(a_room(version).with_third_party_invite())
        given = room.check(room.invite(ANA, BEN, third_party_invite=signed_invite()))
        rule = "invite.third_party_signed_by_its_key"
        assert given == undecided(rule, version, member(BEN))

    @everywhere
    def test_takes_a_token_for_no_user_even_if_it_looks_like_one(
        self, version: RoomVersion
    ) -> None:
        room = in_part(a_room(version).with_third_party_invite(token=BEN))
        given = room.check(room.invite(ANA, BEN, third_party_invite=signed_invite(token=BEN)))
        rule = "invite.third_party_signed_by_its_key"
        assert given == undecided(rule, version, member(BEN))

    @everywhere
    def test_names_those_alone_whose_membership_matters(self, version: RoomVersion) -> None:
        room = in_part(a_room(version))
        given = room.check(room.ban(BEN, CAY))
        assert given == undecided("ban.sender_not_joined", version, member(BEN))

    @everywhere
    def test_decides_what_is_so_for_every_membership(self, version: RoomVersion) -> None:
        room = in_part(a_room(version))
        assert room.check(room.ban(ANA, BEN)) == decision("ban.sender_may_ban", version)

    @everywhere
    @pytest.mark.parametrize("key", ["", "ben", "@ben"])
    def test_decides_on_state_keys_that_are_no_users(self, version: RoomVersion, key: str) -> None:
        room = in_part(a_room(version))
        given = room.check(room.member(BEN, key, JOIN))
        assert given == decision("member.no_state_key_or_membership", version)

    @everywhere
    def test_is_never_an_allow_when_undecided(self, version: RoomVersion) -> None:
        room = in_part(a_room(version).with_join_rule("public"))
        given = room.check(room.join(BEN))
        assert not given
        assert given.undecided
        assert str(given).startswith(f"undecided at rule {given.number} of room version {version}")

    @everywhere
    def test_reads_a_look_up_as_it_reads_events(self, version: RoomVersion) -> None:
        room = a_room(version)
        state = RoomState.over(version, room.state.get, partial=True)
        event = room.message(BEN)
        assert auth.check(event, state) == in_part(room).check(event)

    @everywhere
    def test_agrees_with_every_whole_state_when_decided(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public")
        events = [room.join(BEN), room.knock(BEN), room.ban(BEN, CAY), room.kick(ANA, BEN)]
        for event, membership in product(events, (LEAVE, INVITE, JOIN, BAN, KNOCK)):
            partial = in_part(room).check(event)
            whole = room.with_member(BEN, membership).with_member(CAY, LEAVE).check(event)
            assert partial.undecided or partial == whole


MINE = "org.example.x"


class TestVersionOfOnesOwn:
    @pytest.mark.parametrize("name", sorted(CASES))
    @pytest.mark.parametrize("version", [V1, V5, V6, V9, V10, V11, V12], ids=str)
    def test_judges_as_the_one_it_comes_from(self, version: RoomVersion, name: str) -> None:
        mine = version.evolve(identifier=MINE)
        theirs = CASES[name](version).decide()
        assert CASES[name](mine).decide() == evolve(theirs, room_version=mine)

    def test_says_its_own_name(self) -> None:
        room = a_room(V11.evolve(identifier=MINE))
        given = str(room.check(room.message(BEN)))
        assert given == f"rejected by rule 5 of room version {MINE}: the sender is not joined"

    def test_follows_the_list_that_it_names(self) -> None:
        mine = V11.evolve(identifier=MINE, auth_rules=8)
        room = a_room(mine).with_join_rule("knock_restricted")
        expected = evolve(decision("knock.join_rule_is_not_knock", V8), room_version=mine)
        assert room.check(room.knock(BEN)) == expected

    def test_judges_as_fast_as_a_built_in_one(self) -> None:
        mine = V11.evolve(identifier=MINE)
        room = a_room(mine)
        state = room.state
        assert not room.check(room.message(BEN))
        auth.check(room.message(ANA), state)
        assert state.prepared[0] is mine  # nothing is compiled or looked up again
        again = V11.evolve(identifier=MINE)
        copied = a_room(again).state
        auth.check(a_room(again).message(ANA), copied)
        assert copied.prepared[0] is again

    def test_has_a_list_of_its_own_name(self) -> None:
        mine = V11.evolve(identifier=MINE)
        rules = auth.rules_of(mine)
        assert rules.numbered == auth.rules_of(V11).numbered
        assert rules.room_version is mine


class TestRuleList:
    def test_prints_number_verdict_name_and_fact(self) -> None:
        lines = str(auth.rules_of(V12)).splitlines()
        assert lines[0].split(maxsplit=3) == [
            "1.1",
            "reject",
            "create.has_prev_events",
            "The create event has previous events.",
        ]
        assert lines[-1].split(maxsplit=3) == [
            "11",
            "allow",
            "every_event.otherwise",
            "Nothing speaks against this event.",
        ]

    def test_knows_numbers_by_name(self) -> None:
        numbers = [auth.rules_of(version).number_of("join.while_banned") for version in VERSIONS]
        assert numbers == ["5.2.3"] * 5 + ["4.2.3"] * 2 + ["4.3.3"] * 4 + ["5.3.3"] * (
            len(VERSIONS) - 11
        )

    def test_has_no_number_for_a_rule_of_other_versions(self) -> None:
        assert auth.rules_of(V6).number_of("knock.otherwise") is None

    @everywhere
    def test_holds_rules_that_can_be_called(self, version: RoomVersion) -> None:
        case = CASES["every_event.otherwise"](version)
        rules = {rule.name: rule for _, rule in auth.rules_of(version).numbered}
        assert rules["every_event.otherwise"](case.event, case.against)
        assert not rules["every_event.sender_not_joined"](case.event, case.against)


class TestDecision:
    @everywhere
    def test_is_true_when_it_allows(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.message(ANA))
        assert not room.check(room.message(BEN))

    def test_says_what_why_and_by_which_rule(self) -> None:
        room = a_room(V12).with_join_rule("public").with_member(BEN, BAN)
        given = str(room.check(room.join(BEN)))
        assert given == "rejected by rule 5.3.3 of room version 12: the sender is banned"

    def test_says_what_it_allows_by(self) -> None:
        room = a_room(V10).with_join_rule("public")
        given = str(room.check(room.join(BEN)))
        assert given == "allowed by rule 4.3.6 of room version 10: the join rule is public"

    def test_says_all_of_its_text_but_the_full_stop(self) -> None:
        given = Decision(allowed=True, rule="x", number="1", room_version=V12, text="It is X.")
        assert str(given) == "allowed by rule 1 of room version 12: it is X"
        assert given.undecided is False

    @everywhere
    def test_links_the_list_of_its_version(self, version: RoomVersion) -> None:
        page = f"rooms/v{version.identifier}/#authorisation-rules"
        assert decision("join.otherwise", version).url == f"https://spec.matrix.org/v1.19/{page}"

    def test_links_the_list_that_a_version_of_ones_own_follows(self) -> None:
        room = a_room(V9.evolve(identifier=MINE))
        given = room.check(room.message(ANA))
        assert given.url == "https://spec.matrix.org/v1.19/rooms/v9/#authorisation-rules"

    @everywhere
    def test_links_the_rule_in_the_documentation(self, version: RoomVersion) -> None:
        given = decision("join.otherwise", version)
        page = f"reference/rules.html#v{version.identifier}-{given.number}"
        assert given.docs_url == page

    @everywhere
    def test_is_the_same_object_each_time(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert room.check(room.message(ANA)) is room.check(room.message(ANA))


ODD: list[Any] = [None, True, 7, "x", [], {}, {"signed": {"signatures": [1]}}, [None]]
KEYS = [
    "membership",
    VIA,
    "third_party_invite",
    "join_rule",
    "users",
    "events",
    "ban",
    "creator",
    "public_keys",
    "aliases",
    "room_version",
    "additional_creators",
]
KINDS = [
    "m.room.member",
    "m.room.join_rules",
    "m.room.power_levels",
    "m.room.create",
    "m.room.third_party_invite",
    "m.room.aliases",
    "m.room.redaction",
]


class TestTotality:
    @everywhere
    @pytest.mark.parametrize("kind", KINDS)
    def test_nothing_in_an_event_raises(self, version: RoomVersion, kind: str) -> None:
        room = a_levelled_room(version).with_third_party_invite()
        for key, value, state_key in product(KEYS, ODD, ("", ANA, None)):
            content = {"membership": "invite", key: value}
            event = room.event(kind, ANA, content, state_key, redacts=value)
            assert isinstance(room.check(event), Decision)
            assert isinstance(auth.check_auth_events(event, [event]), Decision)

    @everywhere
    def test_nothing_in_a_state_raises(self, version: RoomVersion) -> None:
        room = a_room(version)
        events = [room.join(BEN), room.invite(ANA, BEN), room.kick(ANA, BEN), room.message(ANA)]
        for kind, key, value in product(KINDS, KEYS, ODD):
            held = room.with_content(kind, {key: value}, BEN if kind == "m.room.member" else "")
            decisions = [held.check(event) for event in events]
            assert all(isinstance(given, Decision) for given in decisions)

    @everywhere
    def test_an_event_in_client_format_is_judged_too(self, version: RoomVersion) -> None:
        fields = {"type": "m.room.message", "sender": ANA, "content": {}}
        event = Event.from_client_event(fields, version)
        given = auth.check(event, a_room(version).state)
        assert given == decision("every_event.otherwise", version)


def test_every_known_version_has_rules() -> None:
    assert [auth.rules_of(version).room_version for version in KNOWN.values()] == list(VERSIONS)


@pytest.mark.parametrize("membership", [INVITE, JOIN, BAN, KNOCK, LEAVE])
def test_the_state_is_left_as_it_was(membership: Any) -> None:
    room = a_room(V10).with_join_rule("restricted").with_member(BEN, membership)
    state = room.state
    before = {(event.type, event.state_key): event for event in state.events}
    auth.check(room.join(BEN), state)
    assert {(event.type, event.state_key): event for event in state.events} == before
    assert state == room.state
