"""The plan of an upgrade: the new room, and the users for whom something changes."""

from __future__ import annotations

import pytest

from matrix_membership import RoomState, RoomVersion, auth, read_state
from matrix_membership.advice.pages import page_of
from matrix_membership.client.planning import plan_upgrade
from matrix_membership.errors import InvalidIdentifier, UnknownRoomVersion
from matrix_membership.membership import BAN, JOIN
from matrix_membership.room_versions import V1, V6, V10, V11, V12
from tests.builders import ANA, BEN, CAY, DAN, Room, a_levelled_room, a_room, everywhere

EVE = "@eve:e.example"


def old(version: RoomVersion) -> Room:
    """A room of three levels, with somebody banned; invite-only."""
    room = a_levelled_room(version, users={ANA: 100, BEN: 50}).with_member(BEN, JOIN)
    return room.with_member(CAY, JOIN).with_member(EVE, BAN)


class TestEveryUpgrade:
    @everywhere
    @pytest.mark.parametrize("to", [V1, V6, V10, V11, V12], ids=str)
    def test_is_admitted_by_the_rules_of_each_room(
        self, version: RoomVersion, to: RoomVersion
    ) -> None:
        plan = plan_upgrade(old(version).state, to.identifier)
        state, before = RoomState.of(to, []), old(version).state
        for step in plan.found.steps:
            if step.event.type == "m.room.tombstone":
                state = before
            assert auth.check(step.event, state) == step.decision
            assert step
            state = state.with_event(step.event)
        assert plan
        assert plan.events[-2].type == "m.room.tombstone"

    @everywhere
    @pytest.mark.parametrize("to", [V1, V6, V10, V11, V12], ids=str)
    def test_gives_power_to_nobody_but_creators(
        self, version: RoomVersion, to: RoomVersion
    ) -> None:
        state = old(version).state
        after = plan_upgrade(state, to.identifier).found.state
        creators = after.create.privileged
        for user in (ANA, BEN, CAY, EVE, DAN, "@new:e.example"):
            assert user in creators or after.power_level_of(user) <= state.power_level_of(user)
        assert creators <= {ANA}
        assert str(after.membership_of(EVE)) == "ban"


class TestPlan:
    def test_asks_the_server(self) -> None:
        plan = plan_upgrade(old(V11).state, "12", additional_creators=[BEN])
        path = "POST /_matrix/client/v3/rooms/!r:a.example/upgrade"
        body = '{"additional_creators":["@ben:b.example"],"new_version":"12"}'
        assert plan.request == f"{path} {body}"
        assert f"Send, as {ANA}\n  {plan.request}\n\nThe server would send\n  m.room" in str(plan)
        create = plan.events[0].content
        assert create["additional_creators"] == (BEN,)
        assert create["predecessor"] == {"room_id": "!r:a.example"}

    def test_tells_who_gains_and_who_loses(self) -> None:
        plan = plan_upgrade(old(V11).state, "12", additional_creators=[CAY])
        told = {each.who: each.moved for each in plan.found.differences}
        assert told == {ANA: "100 to infinite", CAY: "0 to infinite", BEN: "50"}
        lost = next(each.lost for each in plan.found.differences if each.who == BEN)
        assert lost == ("upgrade",)
        down = plan_upgrade(plan.found.state, "11", by=CAY)
        lost = next(each.lost for each in down.found.differences if each.who == ANA)
        assert "change-levels" in lost

    def test_is_for_those_who_follow(self) -> None:
        plan = plan_upgrade(old(V11).state, "12", lacking=["c.example", "x.example"])
        assert plan.notes[1] == (
            f"cannot follow by themselves: {BEN}, {CAY}: rejected by rule 5.3.7 of room version 12:"
            " no other rule allows this join"
        )
        assert plan.notes[2] == (
            "to let them follow, send this in the new room: m.room.join_rules"
            ' {"allow":[{"room_id":"!r:a.example","type":"m.room_membership"}],"join_rule":"restricted"}'
        )
        assert plan.notes[3] == f"on a server that does not speak the new version: {CAY}"

    def test_names_what_could_not_be_read(self) -> None:
        events = [event.to_client_event() for event in old(V11).events]
        odd = {"sender": ANA, "content": 7}
        ban = {**odd, "type": "m.room.member", "state_key": "@eve:e.example"}
        pins = {**odd, "type": "m.room.pinned_events", "state_key": ""}
        plan = plan_upgrade(read_state([*events, ban, pins, 7], complete=True), "12")
        assert plan.notes[1:3] == (
            "not carried over if they are banned, as their events cannot be read: @eve:e.example",
            "not carried over, as they cannot be read: m.room.pinned_events",
        )

    @pytest.mark.parametrize("named", ["lacking", "additional_creators"])
    def test_refuses_one_text_for_a_list(self, named: str) -> None:
        with pytest.raises(TypeError):
            plan_upgrade(old(V11).state, "12", **{named: CAY})

    def test_of_an_open_room_says_nothing_of_following(self) -> None:
        plan = plan_upgrade(old(V11).with_join_rule("public").state, "12")
        assert len(plan.notes) == 1

    def test_has_no_way_to_follow_where_nothing_would_let_them(self) -> None:
        acl = {"allow": ["a.example"]}
        plan = plan_upgrade(old(V11).with_content("m.room.server_acl", acl).state, "12")
        assert [note.partition(":")[0] for note in plan.notes[1:]] == [
            "cannot follow by themselves"
        ]
        older = plan_upgrade(old(V11).state, "6")
        assert [note.partition(":")[0] for note in older.notes[1:]] == [
            "cannot follow by themselves"
        ]

    def test_names_what_is_not_carried_over(self) -> None:
        allow = [{"type": "m.room_membership", "room_id": "!s:a.example"}]
        room = old(V11).with_join_rule("restricted", allow=allow)
        room = room.with_content("m.room.pinned_events", {"pinned": ["$x"]})
        room = room.with_content("org.example.empty", {})
        plan = plan_upgrade(room.state, "6")
        assert plan.notes[1:3] == (
            "the new version has no join rule restricted: it becomes invite",
            "not carried over: m.room.pinned_events",
        )

    def test_names_what_the_new_version_refuses(self) -> None:
        state = old(V1).with_content("m.room.name", {"name": 1.5}).state
        notes = plan_upgrade(state, "11").notes
        assert any(
            note.startswith("not carried over, as the new version refuses it: ") for note in notes
        )

    @pytest.mark.parametrize("version", [V6, V12], ids=str)
    def test_says_that_an_id_was_made_up(self, version: RoomVersion) -> None:
        bare = [event.to_stripped() for event in old(version).state.events]
        state = read_state(bare, complete=True)
        notes = plan_upgrade(state, "12").notes
        assert notes[-1].startswith("the state does not tell the ID of the old room")
        told = plan_upgrade(state, "12", room_id=f"!{'t' * 43}").notes
        assert len(told) == len(notes) - 1

    @pytest.mark.parametrize("version", [V1, V6, V11, V12], ids=str)
    def test_needs_no_ids(self, version: RoomVersion) -> None:
        bare = [event.to_stripped() for event in old(version).state.events]
        state = read_state(bare, complete=True)
        told = f"!{'t' * 43}" if version is V12 else "!told:a.example"
        plan = plan_upgrade(state, "12", room_id=told)
        assert plan
        assert told in plan.request


class TestRefusal:
    def test_is_that_of_the_server(self) -> None:
        plan = plan_upgrade(old(V11).state, "12", by=CAY)
        assert (plan.events, plan.request) == ((), "")
        assert plan.objection.startswith("rejected by rule 7 of room version 11: ")

    def test_of_a_partial_state_says_so(self) -> None:
        plan = plan_upgrade(Room(V11, old(V11).events, partial=True).state, "12")
        assert plan.objection
        assert not plan

    def test_of_a_room_without_create_event(self) -> None:
        assert (
            plan_upgrade(RoomState.of(V11, []), "12").objection == "the state has no create event"
        )

    def test_of_names_is_an_error(self) -> None:
        with pytest.raises(UnknownRoomVersion):
            plan_upgrade(old(V11).state, "13")
        with pytest.raises(InvalidIdentifier):
            plan_upgrade(old(V11).state, "12", additional_creators=["ben"])

    def test_leaves_nobody_in_charge(self) -> None:
        room = a_room(V11).with_levels({ANA: 50}, events={"m.room.power_levels": 100})
        plan = plan_upgrade(room.state, "10")
        assert (plan.objection, bool(plan.danger)) == ("", True)


def test_page_shows_the_request() -> None:
    page = page_of(plan_upgrade(old(V11).state, "12"))
    assert "<h2>The server would send</h2>" in page
    assert "POST /_matrix/client/v3/rooms/!r:a.example/upgrade" in page
