"""The fate of an invite."""

from __future__ import annotations

import pytest

from matrix_membership import JoinRule, RoomState, RoomVersion, auth
from matrix_membership.errors import InvalidIdentifier
from matrix_membership.fate import Fate, fate_of, unknown_join_rule
from matrix_membership.identifiers import UserID
from matrix_membership.membership import BAN, INVITE, JOIN
from matrix_membership.room_versions import V6, V11
from matrix_membership.state.from_client import read_state
from tests.builders import BEN, CAY, DAN, VERSIONS, Room, a_room, decision, everywhere

SHUT_OUT = {"allow": ["*"], "deny": ["b.example"]}
UNFEDERATED = "every_event.sender_from_unfederated_server"
KNOWN_RULES = [
    pytest.param(version, rule, id=f"{version}-{rule}")
    for version in VERSIONS
    for rule in sorted(version.join_rules, key=str)
]
UNKNOWN_RULES = [
    pytest.param(version, rule, id=f"{version}-{rule}")
    for version in VERSIONS
    for rule in JoinRule
    if rule not in version.join_rules
]


def open_room(version: RoomVersion = V11) -> Room:
    """A room that other servers can join by invite."""
    return a_room(version).with_join_rule("invite")


def closed_room(version: RoomVersion = V11) -> Room:
    """A room that is closed to other servers."""
    return a_room(version, **{"m.federate": False}).with_join_rule("invite")


def stripped(*types: str) -> RoomState:
    """What stripped state of these types tells of an open room."""
    told = [event.to_stripped() for event in open_room().events if event.type in types]
    return read_state(told, room_version=V11)


class TestFate:
    @pytest.mark.parametrize(("version", "rule"), KNOWN_RULES)
    def test_is_open_where_nothing_speaks_against_it(
        self, version: RoomVersion, rule: JoinRule
    ) -> None:
        fate = fate_of(BEN, a_room(version).with_join_rule(rule).state)
        assert (fate.can_accept, fate.can_reject, fate.obstacle) == (True, True, "")
        assert (fate.permitted, fate.speaks_version) == (True, None)

    @everywhere
    def test_is_sealed_in_a_room_closed_to_other_servers(self, version: RoomVersion) -> None:
        told = f"this room is closed to other servers: {BEN} can never join it"
        rejected = decision(UNFEDERATED, version)
        assert fate_of(BEN, closed_room(version).state) == Fate(
            UserID(BEN), rejected, rejected, permitted=True, speaks_version=None, obstacle=told
        )

    def test_is_open_there_for_users_of_its_own_server(self) -> None:
        assert fate_of(DAN, closed_room().state).can_accept is True

    @pytest.mark.parametrize(("version", "rule"), UNKNOWN_RULES)
    def test_is_to_reject_where_the_join_rule_is_unknown(
        self, version: RoomVersion, rule: JoinRule
    ) -> None:
        fate = fate_of(BEN, a_room(version).with_join_rule(rule).state)
        assert (fate.can_accept, fate.can_reject) == (False, True)
        assert fate.obstacle == (
            f"the join rule of this room, '{rule}', lets nobody in: "
            f"room version {version} does not know it"
        )

    def test_names_a_join_rule_that_is_not_text(self) -> None:
        room = a_room(V11).with_content("m.room.join_rules", {"join_rule": 7})
        assert "the join rule of this room, 7, lets nobody in" in fate_of(BEN, room.state).obstacle

    def test_is_sealed_for_a_server_that_the_acl_shuts_out(self) -> None:
        room = open_room().with_content("m.room.server_acl", SHUT_OUT)
        fate = fate_of(BEN, room.state)
        assert (fate.permitted, fate.can_accept, fate.can_reject) == (False, False, False)
        assert fate.obstacle == "the server ACL of this room shuts out b.example"
        assert fate_of(CAY, room.state).can_accept is True

    def test_is_sealed_without_a_create_event(self) -> None:
        fate = fate_of(BEN, RoomState.of(V11, []))
        assert (fate.can_accept, fate.can_reject) == (False, False)
        assert fate.obstacle == str(decision("auth_events.no_create_event", V11))

    def test_tells_the_decisions_of_the_rules(self) -> None:
        room = open_room().with_member(BEN, INVITE)
        fate = fate_of(BEN, room.state)
        assert fate.joining == auth.check(room.join(BEN), room.state)
        assert fate.leaving == auth.check(room.leave(BEN), room.state)

    @pytest.mark.parametrize("membership", [INVITE, JOIN, BAN])
    def test_supposes_the_invite(self, membership: str) -> None:
        state = open_room().with_member(BEN, membership).state
        assert fate_of(BEN, state).can_accept is True

    def test_needs_look_ups_only(self) -> None:
        state = RoomState.over(V11, closed_room().state.get)
        assert fate_of(BEN, state) == fate_of(BEN, closed_room().state)

    def test_is_known_though_the_members_are_not(self) -> None:
        room = Room(V11, open_room().events, partial=True)
        assert fate_of(BEN, room.state).can_accept is True

    def test_is_asked_about_a_user(self) -> None:
        with pytest.raises(InvalidIdentifier):
            fate_of("ben", open_room().state)


class TestRoomVersion:
    def test_is_spoken_by_a_server_in_the_room(self) -> None:
        state = open_room().with_member("@eve:b.example", JOIN).state
        assert fate_of(BEN, state, their_versions=()).speaks_version is True

    def test_is_spoken_if_the_server_named_it(self) -> None:
        fate = fate_of(BEN, open_room().state, their_versions=("10", "11"))
        assert (fate.speaks_version, fate.can_accept) == (True, True)

    def test_that_the_server_did_not_name_is_an_obstacle(self) -> None:
        fate = fate_of(BEN, open_room(V6).state, their_versions=("10", "11"))
        assert (fate.speaks_version, fate.can_accept, fate.can_reject) == (False, False, False)
        assert fate.obstacle == "b.example does not support room version 6"

    def test_is_one_of_a_list(self) -> None:
        with pytest.raises(TypeError):
            fate_of(BEN, open_room(V6).state, their_versions="16")


class TestStrippedState:
    def test_leaves_the_fate_open(self) -> None:
        fate = fate_of(BEN, stripped("m.room.create"))
        assert (fate.joining.undecided, fate.permitted, fate.can_accept) == (True, None, None)
        assert (fate.can_reject, fate.obstacle) == (None, "")
        assert fate.leaving == decision("leave.of_oneself_from_invite_join_or_knock", V11)

    def test_leaves_it_open_without_the_access_control_list(self) -> None:
        fate = fate_of(BEN, stripped("m.room.create", "m.room.join_rules"))
        assert fate.joining == decision("join.invited_to_invite_or_knock_room", V11)
        assert fate.can_accept is None

    def test_seals_it_if_the_room_is_closed(self) -> None:
        told = [event.to_stripped() for event in closed_room().events]
        assert fate_of(BEN, read_state(told)).can_accept is False

    def test_with_a_malformed_event_leaves_it_open(self) -> None:
        told = [event.to_client_event() for event in open_room().events]
        malformed = {**told[-1], "content": []}
        state = read_state([*told[:-1], malformed])
        assert state.passed_over
        assert fate_of(BEN, state).can_accept is None

    def test_that_has_no_create_event_leaves_it_open(self) -> None:
        assert fate_of(BEN, stripped("m.room.join_rules")).can_accept is None


class TestUnknownJoinRule:
    @pytest.mark.parametrize(("version", "rule"), KNOWN_RULES)
    def test_is_silent_on_those_of_the_version(self, version: RoomVersion, rule: JoinRule) -> None:
        assert unknown_join_rule(a_room(version).with_join_rule(rule).state) is None

    @everywhere
    def test_is_silent_without_join_rules(self, version: RoomVersion) -> None:
        assert unknown_join_rule(a_room(version).state) is None
