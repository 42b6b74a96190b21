"""Plans: the events of a change, their effects, and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import RoomState, RoomVersion, auth, may
from matrix_membership.advice import plans
from matrix_membership.advice.pages import page_of
from matrix_membership.advice.plans import Plan
from matrix_membership.canonical_json import thaw
from matrix_membership.errors import InvalidIdentifier, InvalidMessage
from matrix_membership.identifiers import server_of
from matrix_membership.membership import INVITE, JOIN, KNOCK, LEAVE
from matrix_membership.receipt.server_acl import permits
from matrix_membership.room_versions import V7, V9, V10, V11, V12
from tests.builders import ANA, BEN, CAY, DAN, Room, a_levelled_room, a_room, everywhere, since

EVE = "@eve:e.example"
SPACE = "!space:a.example"


def owned(version: RoomVersion, **levels: Any) -> Room:
    """A public room that Ana, who is not its creator, owns; Ben is a member, Cay is invited."""
    room = a_levelled_room(version, users={ANA: 100}, **levels).with_member(BEN, JOIN)
    return room.with_member(CAY, INVITE).with_join_rule("public")


def planned(version: RoomVersion) -> list[Plan]:
    """A plan of each kind."""
    state = owned(version).state
    return [
        plans.hand_over(state, BEN),
        plans.close(state, withdraw=True),
        plans.open_to(state, [SPACE]),
        plans.lock_out(state, ["b.example"]),
    ]


class TestEveryPlan:
    @everywhere
    def test_is_admitted_by_the_rules(self, version: RoomVersion) -> None:
        for plan in planned(version):
            state = owned(version).state
            for event in plan.events:
                assert auth.check(event, state).allowed
                state = state.with_event(event)
            assert plan.found.state == state
            assert bool(plan) is not plan.title.startswith("Open") or version.restricted_joins

    @everywhere
    def test_is_an_objection_without_power(self, version: RoomVersion) -> None:
        state = owned(version).state
        refused = [
            plans.hand_over(state, CAY, by=BEN, keep=-1),
            plans.close(state, by=BEN),
            plans.open_to(state, [SPACE], by=BEN),
            plans.lock_out(state, ["c.example"], by=BEN),
        ]
        assert [bool(plan) for plan in refused] == [False] * 4
        assert all(plan.objection for plan in refused)

    def test_tells_the_numbers_of_an_objection(self) -> None:
        plan = plans.close(owned(V11).state, by=BEN)
        assert f"({BEN} has 0, m.room.join_rules needs 50)" in plan.objection
        assert str(plan).startswith(f"Close the room\n\nno: {plan.objection}\n\nSend, as {BEN}\n")

    @pytest.mark.parametrize("events", [[], owned(V11).with_member(ANA, LEAVE).events])
    def test_of_a_room_that_nobody_can_change_is_refused(self, events: Any) -> None:
        plan = plans.close(RoomState.of(V11, events))
        assert (bool(plan.objection), bool(plan.danger)) == (True, True)

    def test_is_json(self) -> None:
        told = plans.hand_over(owned(V11).state, BEN).to_dict()
        assert told["events"] == [
            {
                "type": "m.room.power_levels",
                "state_key": "",
                "content": {"users": {ANA: 0, BEN: 100}},
            }
        ]

    def test_is_by_one_whom_servers_listen_to(self) -> None:
        acl = {"allow": ["*"], "deny": ["a.example"]}
        room = owned(V11).with_levels({ANA: 100, BEN: 50}).with_content("m.room.server_acl", acl)
        assert plans.close(room.state).sender == BEN

    def test_is_never_about_json(self) -> None:
        with pytest.raises(TypeError, match="expected a RoomState"):
            plans.close([])  # type: ignore[arg-type]  # a mistake of callers without a type checker


class TestPartialState:
    """Nothing is said of members whom the state leaves out."""

    def in_part(self, **levels: Any) -> RoomState:
        events = [e for e in owned(V11, **levels).events if e.state_key not in (BEN, CAY)]
        return RoomState.of(V11, events, partial=True)

    def test_does_not_tell_whether_the_new_owner_is_joined(self) -> None:
        plan = plans.hand_over(self.in_part(), BEN, by=ANA)
        assert plan.notes == (
            f"{BEN} has the power only while they are joined, and the state does not tell",
        )
        assert plan.danger == (
            "nobody may be left who may change the power levels: the state leaves members out"
        )

    def test_may_hide_open_invites(self) -> None:
        plan = plans.close(self.in_part(), withdraw=True)
        assert plan.notes[0] == "others may be invited or knock: the state leaves members out"

    def test_may_hide_members_of_a_server(self) -> None:
        hidden = "others may be members there: the state leaves members out"
        assert plans.lock_out(self.in_part(), ["b.example"]).notes[0] == hidden
        events = [e for e in owned(V11).events if e.state_key != CAY]
        notes = plans.lock_out(RoomState.of(V11, events, partial=True), ["b.example"]).notes
        assert notes[0].startswith("still members")
        assert notes[1] == hidden


class TestHandOver:
    @everywhere
    def test_never_leaves_the_old_owner_above_the_new(self, version: RoomVersion) -> None:
        for keep in (None, 50, 100):
            after = plans.hand_over(owned(version).state, BEN, keep=keep).found.state
            assert after.power_level_of(BEN) == 100
            assert after.power_level_of(ANA) == (keep or 0)
        refused = plans.hand_over(owned(version).state, BEN, keep=101)
        assert not refused
        assert refused.found.state.power_level_of(BEN) == 0

    @since("1", "11")
    def test_works_without_power_levels(self, version: RoomVersion) -> None:
        plan = plans.hand_over(a_room(version).with_member(BEN, JOIN).state, BEN)
        after = plan.found.state
        assert (after.power_level_of(BEN), after.power_level_of(ANA)) == (100, 0)

    def test_by_a_creator_with_infinite_power_says_what_stays(self) -> None:
        room = a_room(V12).with_member(BEN, JOIN).with_levels(events={"m.room.tombstone": 150})
        plan = plans.hand_over(room.state, BEN)
        assert plan
        assert plan.found.state.power_level_of(BEN) == 150
        assert any(f"stay above {BEN}: {ANA};" in note for note in plan.notes)

    def test_between_creators_is_none(self) -> None:
        room = a_room(V12, additional_creators=[BEN]).with_member(BEN, JOIN)
        plan = plans.hand_over(room.state, BEN)
        assert plan.objection == f"{BEN} is a creator too: both have infinite power for ever"

    def test_to_a_creator_takes_only_from_the_owner(self) -> None:
        room = a_room(V12, additional_creators=[BEN]).with_member(BEN, JOIN).with_member(CAY, JOIN)
        plan = plans.hand_over(room.with_levels({CAY: 100}).state, BEN, by=CAY)
        assert plan.to_dict()["events"] == [
            {"type": "m.room.power_levels", "state_key": "", "content": {"users": {CAY: 0}}}
        ]
        assert plan

    def test_to_oneself_is_an_objection(self) -> None:
        assert plans.hand_over(owned(V11).state, ANA).objection == f"{ANA} has the room already"

    def test_to_nobody_who_is_joined_is_dangerous(self) -> None:
        plan = plans.hand_over(owned(V11).state, DAN)
        assert plan.danger == "nobody would be left who may change the power levels"
        assert plan.notes == (
            f"{DAN} is not joined, and has the power only once they are: invite them first",
        )
        assert "nobody-can-change-levels" in {finding.kind for finding in plan.added}
        assert "It would hurt\n  hurts: " in str(plan)

    def test_names_others_of_the_same_power(self) -> None:
        room = owned(V11).with_levels({ANA: 100, CAY: 100, DAN: 99})
        plan = plans.hand_over(room.state, BEN)
        assert plan.notes == (f"others have as much power as the new owner: {CAY}",)

    def test_of_power_that_the_other_has_is_nothing(self) -> None:
        room = a_room(V12).with_member(BEN, JOIN).with_levels({BEN: 100})
        plan = plans.hand_over(room.state, BEN)
        assert (plan.events, bool(plan)) == ((), True)
        assert f"Send, as {ANA}\n  nothing" in str(plan)

    @everywhere
    def test_never_lets_the_old_owner_keep_more(self, version: RoomVersion) -> None:
        for room in (owned(version), a_room(version)):
            for keep in (99, 100, 101, 2**53):
                plan = plans.hand_over(room.state, BEN, by=ANA, keep=keep)
                after = plan.found.state
                assert (
                    not plan
                    or after.power_level_of(ANA) <= after.power_level_of(BEN)
                    or (ANA in after.create.privileged)
                )

    def test_reads_users(self) -> None:
        for by in ("ana", None):
            with pytest.raises(InvalidIdentifier):
                plans.hand_over(owned(V11).state, "ben", by=by)


class TestClose:
    @everywhere
    @pytest.mark.parametrize("rule", ["public", "knock", "restricted", "invite", None])
    def test_lets_nobody_new_in(self, version: RoomVersion, rule: str | None) -> None:
        room = owned(version).with_member(EVE, KNOCK)
        if rule is not None:
            room = room.with_join_rule(
                rule, allow=[{"type": "m.room_membership", "room_id": SPACE}]
            )
        room = room.with_third_party_invite(sender=ANA)
        plan = plans.close(room.state, withdraw=True)
        after = plan.found.state
        assert plan
        for user in ("@fay:e.example", CAY, EVE):
            asked = may(user, after)
            assert not asked.join()
            assert not asked.join(authorised_via=ANA)
            assert not asked.knock()
        assert not may(BEN, after).invite("@fay:e.example")
        assert [e.content for e in after.events if e.type == "m.room.third_party_invite"] == [{}]

    def test_names_those_who_can_still_come(self) -> None:
        room = owned(V11).with_member(DAN, KNOCK).with_third_party_invite(sender=ANA)
        plan = plans.close(room.state)
        assert plan.notes[:2] == (
            f"still invited, or knocking: {CAY}, {DAN}",
            "still invited by address: 1",
        )
        assert may(CAY, plan.found.state).join()

    def test_cannot_withdraw_the_invite_of_a_creator_with_infinite_power(self) -> None:
        room = owned(V12).with_member(DAN, INVITE)
        plan = plans.close(room.state, withdraw=True)
        assert plan
        assert plan.notes[0] == f"still invited, or knocking: {DAN}"

    def test_keeps_what_is_closed(self) -> None:
        room = owned(V11, invite=50).with_join_rule("invite")
        plan = plans.close(room.state)
        assert (plan.events, bool(plan)) == ((), True)

    def test_raises_the_invite_level_as_far_as_it_may(self) -> None:
        room = owned(V11, ban=200)
        plan = plans.close(room.state)
        assert plan.found.state.power_levels.invite == 100

    @everywhere
    @pytest.mark.parametrize(("level", "closes"), [(99, True), (100, False), (101, False)])
    def test_is_an_objection_where_every_member_has_the_power_to_invite(
        self, version: RoomVersion, level: int, closes: bool
    ) -> None:
        state = owned(version, users_default=level).state
        plan = plans.close(state, by=ANA)
        assert bool(plan) is closes
        assert bool(may(BEN, plan.found.state).invite("@fay:e.example")) is not closes

    def test_sets_no_level_that_an_event_cannot_hold(self) -> None:
        levels = {"users_default": 2**53 - 1}
        room = a_room(V12).with_content("m.room.power_levels", levels)
        plan = plans.close(room.with_join_rule("invite").state)
        assert not plan
        assert plan.found.state.power_levels.invite == 2**53 - 1

    def test_says_who_can_still_read(self) -> None:
        content = {"history_visibility": "world_readable"}
        notes = plans.close(
            owned(V11).with_content("m.room.history_visibility", content).state
        ).notes
        assert any("world_readable" in note for note in notes)

    def test_says_what_it_mends(self) -> None:
        allow = [{"type": "m.room_membership", "room_id": "nowhere"}]
        room = owned(V11).with_join_rule("restricted", allow=allow)
        plan = plans.close(room.state)
        assert "no-conditions" in {finding.kind for finding in plan.removed}
        assert "It would mend\n  hurts: " in str(plan)


class TestOpenTo:
    @since("8")
    def test_lets_members_of_the_rooms_in(self, version: RoomVersion) -> None:
        plan = plans.open_to(owned(version).state, [SPACE])
        answer = may(DAN, plan.found.state).join(memberships={SPACE: "join"})
        assert answer
        assert not may(DAN, plan.found.state).join(memberships={SPACE: "leave"})

    def test_needs_a_version_that_has_it(self) -> None:
        plan = plans.open_to(owned(V7).state, [SPACE])
        expected = "room version 7 has no restricted rooms: upgrade the room to 8 or newer"
        assert (plan.objection, plan.events) == (expected, ())

    @pytest.mark.parametrize(
        ("version", "rule", "expected"),
        [
            (V9, "knock", "restricted"),
            (V10, "knock", "knock_restricted"),
            (V10, "knock_restricted", "knock_restricted"),
            (V10, "invite", "restricted"),
        ],
    )
    def test_keeps_knocking(self, version: RoomVersion, rule: str, expected: str) -> None:
        plan = plans.open_to(owned(version).with_join_rule(rule).state, [SPACE])
        assert str(plan.found.state.join_rule) == expected

    @pytest.mark.parametrize("allow", [[{"type": "org.example.other"}], 7])
    def test_keeps_other_conditions(self, allow: Any) -> None:
        room = owned(V11).with_join_rule("restricted", allow=allow)
        (event,) = plans.open_to(room.state, [SPACE]).events
        mine = {"type": "m.room_membership", "room_id": SPACE}
        assert [*event.content["allow"]] == [*(allow if isinstance(allow, list) else []), mine]

    def test_to_a_room_that_is_named_already_is_nothing(self) -> None:
        room = owned(V11)
        state = plans.open_to(room.state, [SPACE]).found.state
        assert plans.open_to(state, [SPACE]).events == ()

    def test_says_who_can_let_them_in_and_whom_it_shuts_out(self) -> None:
        assert plans.open_to(owned(V11).state, [SPACE]).notes == (
            f"the room is not in {SPACE} by that: add it there as m.space.child",
            "servers that can let them in: a.example, b.example",
            "anybody may join now: this shuts out all but the members of these rooms",
        )
        shut = owned(V11, invite=150).with_join_rule("invite")
        plan = plans.open_to(shut.state, [SPACE])
        assert plan.notes[1:] == (
            "nobody can let them in: no joined member reaches the invite level",
        )
        assert "nobody-can-authorise" in {finding.kind for finding in plan.added}

    def test_does_not_say_who_can_let_them_in_without_the_members(self) -> None:
        shut = owned(V11, invite=150).with_join_rule("invite")
        state = RoomState.of(V11, shut.events, partial=True)
        assert len(plans.open_to(state, [SPACE], by=ANA).notes) == 1

    def test_says_whom_a_closed_room_keeps_out(self) -> None:
        room = a_room(V11, **{"m.federate": False}).with_join_rule("invite")
        note = "the room is closed to other servers: only users of a.example can join"
        assert note in plans.open_to(room.state, [SPACE]).notes

    def test_refuses_one_text_for_a_list(self) -> None:
        with pytest.raises(TypeError):
            plans.open_to(owned(V11).state, SPACE)

    def test_reads_rooms(self) -> None:
        with pytest.raises(InvalidIdentifier):
            plans.open_to(owned(V11).state, ["#a:a.example"])


class TestLockOut:
    def test_refuses_one_text_for_a_list(self) -> None:
        with pytest.raises(TypeError):
            plans.lock_out(owned(V11).state, "b.example")

    @everywhere
    @pytest.mark.parametrize(
        "server", ["a.example", "*.example", "*", "A.EXAMPLE", "a.example:8448", "?.example"]
    )
    def test_never_excludes_ones_own_server(self, version: RoomVersion, server: str) -> None:
        plan = plans.lock_out(owned(version).state, ["x.org", server])
        assert not plan
        assert permits(plan.found.state, server_of(plan.sender))
        expected = (
            "the list would ban a.example, the sender's own server: nobody there could mend it"
        )
        assert plan.objection == expected

    def test_never_sends_a_list_that_permits_nobody(self) -> None:
        room = owned(V11).with_content("m.room.server_acl", {"deny": []})
        assert plans.lock_out(room.state, ["b.example"], by=ANA).events == ()

    @everywhere
    def test_bans_servers(self, version: RoomVersion) -> None:
        plan = plans.lock_out(owned(version).state, ["B.example:8448", "*.evil.example"])
        after = plan.found.state
        assert [permits(after, s) for s in ("b.example", "x.evil.example", "c.example")] == [
            False,
            False,
            True,
        ]
        assert [difference.members for difference in plan.found.differences] == [(BEN,)]
        assert plan.notes[0].startswith(
            f"still members, though nobody takes what they send: {BEN};"
        )

    @pytest.mark.parametrize("deny", [["x.org", 7], "x.org"])
    def test_keeps_the_list(self, deny: Any) -> None:
        content = {"allow": ["*.example"], "deny": deny, "allow_ip_literals": False, "odd": 1}
        room = owned(V11).with_content("m.room.server_acl", content)
        plan = plans.lock_out(room.state, ["c.example"])
        (event,) = plan.events
        kept = deny if isinstance(deny, list) else []
        assert thaw(event.content) == {**content, "deny": [*kept, "c.example"]}
        assert plan.notes == ("no member is on a server that this locks out",)
        assert plans.lock_out(plan.found.state, ["c.example"]).events == ()

    @pytest.mark.parametrize(
        ("server", "pattern"),
        [("[2001:db8::1]:8448", "[2001:db8::1]"), ("[::1]", "[::1]"), ("1.2.3.4", "1.2.3.4")],
    )
    def test_takes_addresses(self, server: str, pattern: str) -> None:
        (event,) = plans.lock_out(owned(V11).state, [server]).events
        assert event.content["deny"] == (pattern,)

    @pytest.mark.parametrize("server", ["https://b.example", "@ben:b.example", ""])
    def test_refuses_what_no_list_can_match(self, server: str) -> None:
        with pytest.raises(InvalidMessage) as raised:
            plans.lock_out(owned(V11).state, [server])
        assert raised.value.got == server

    def test_of_all_who_are_in_charge_is_dangerous(self) -> None:
        room = owned(V11).with_levels({BEN: 100, ANA: 50}, events={"m.room.power_levels": 100})
        plan = plans.lock_out(room.state, ["b.example"], by=ANA)
        assert (plan.objection, bool(plan.danger)) == ("", True)


HOSTILE = "@<script>alert(1)</script>\u202e" + "x" * 60 + ":b.example"


class TestPage:
    def test_shows_what_to_send_and_what_it_does(self) -> None:
        page = page_of(plans.hand_over(owned(V11).state, BEN))
        assert "somebody stays in charge" in page
        assert "<h2>Who can do more or less</h2>" in page
        assert "&quot;@ben:b.example&quot;: 100" in page
        assert f"<h2>Send, as <bdi>{ANA}</bdi></h2>" in page

    def test_shows_why_not(self) -> None:
        page = page_of(plans.hand_over(owned(V11).state, HOSTILE))
        assert '<strong class="no">No</strong>: nobody would be left' in page
        assert "It would hurt" in page
        assert "<script" not in page
        assert "\u202e" not in page

    def test_shows_what_is_withdrawn(self) -> None:
        assert f"<p><bdi>m.room.member</bdi> <bdi>{CAY}</bdi></p>" in page_of(
            plans.close(owned(V11).state, withdraw=True)
        )

    def test_of_nothing_says_so(self) -> None:
        page = page_of(plans.open_to(owned(V7).state, [SPACE]))
        assert "<p>Nothing.</p>" in page
        assert "Who can do more or less" not in page
