"""What would help, and who could do it."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.auth import Remedy
from matrix_membership.auth.explaining._changes import Repair
from matrix_membership.identifiers import UserID
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK
from matrix_membership.room_versions import KNOWN, V1, V6, V7, V9, V10, V11, V12
from tests.builders import (
    ANA,
    BEN,
    CAY,
    DAN,
    Room,
    a_levelled_room,
    a_room,
    decision,
    everywhere,
    having,
    signed_invite,
    since,
)

ALLOW = ({"type": "m.room_membership", "room_id": "!s:a.example"},)


def remedies(room: Room, event: Event) -> tuple[Remedy, ...]:
    """What would help the event in this room."""
    return auth.explain(event, room.state).remedies


def told(room: Room, event: Event) -> list[tuple[str, ...]]:
    """The sentences of the changes, one tuple for each remedy."""
    return [tuple(change.sentence for change in remedy.changes) for remedy in remedies(room, event)]


def makers(room: Room, event: Event) -> list[list[str]]:
    """The makers of the changes of the first remedy."""
    return [list(change.makers) for change in remedies(room, event)[0].changes]


class TestJoin:
    @everywhere
    def test_needs_an_invite_or_a_public_room(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("invite")
        assert told(room, room.join(BEN)) == [
            (f"invite {BEN}",),
            ("set the join rule to public",),
        ]

    @everywhere
    def test_of_a_banned_user_needs_an_unban_first(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("invite").with_member(BEN, BAN)
        assert told(room, room.join(BEN)) == [
            (f"unban {BEN}", f"invite {BEN}"),
            (f"unban {BEN}", "set the join rule to public"),
        ]

    def test_of_a_user_who_knocked_needs_an_invite(self) -> None:
        room = a_room(V10).with_join_rule("knock").with_member(BEN, KNOCK)
        assert (f"invite {BEN}",) in told(room, room.join(BEN))

    def test_carries_the_invite_as_an_event(self) -> None:
        room = a_room(V10)
        (remedy, _) = remedies(room, room.join(BEN))
        assert remedy.changes == (
            Repair(
                sentence=f"invite {BEN}",
                makers=(UserID(ANA),),
                type="m.room.member",
                state_key=BEN,
                content=room.invite(ANA, BEN).content,
            ),
        )

    def test_says_by_which_rule_it_would_then_be_allowed(self) -> None:
        room = a_room(V10)
        (remedy, _) = remedies(room, room.join(BEN))
        assert remedy.decision == decision("join.invited_to_invite_or_knock_room", V10)

    @everywhere
    def test_of_another_user_is_sent_by_that_user(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public")
        (remedy,) = remedies(room, room.member(ANA, BEN, JOIN))
        assert (remedy.event.sender, remedy.changes[0].makers) == (BEN, (BEN,))

    def test_keeps_what_else_the_join_rules_say(self) -> None:
        room = a_room(V7).with_content("m.room.join_rules", {"join_rule": "knock", "x": 1})
        content = remedies(room, room.join(BEN))[1].changes[0].content
        assert content == {"join_rule": "public", "x": 1}

    def test_lacks_help_where_nobody_can_give_it(self) -> None:
        room = a_levelled_room(V10, users={ANA: 0}, invite=50)
        assert told(room, room.join(BEN)) == []

    def test_may_be_helped_by_any_joined_member(self) -> None:
        room = a_levelled_room(V10, users={ANA: 0}, state_default=50).with_member(CAY, JOIN)
        (remedy,) = remedies(room, room.join(BEN))
        assert remedy.changes[0].anyone_joined
        assert str(remedy.changes[0]) == f"invite {BEN} (by {ANA} or any joined member)"


class TestRestrictedJoin:
    @since("8")
    def test_needs_a_member_who_authorises(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("restricted", allow=ALLOW)
        found = remedies(room, room.join(BEN))
        (change,) = next(entry for entry in found if entry.event.authorised_via).changes
        assert (change.makers, change.servers) == ((ANA,), ("a.example",))

    @since("8")
    def test_then_names_that_member(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("restricted", allow=ALLOW)
        event = next(e.event for e in remedies(room, room.join(BEN)) if e.event.authorised_via)
        assert event.authorised_via == ANA
        assert sorted(event.signed_by) == ["a.example", "b.example"]

    @pytest.mark.parametrize(
        ("count", "named"),
        [
            (1, "!r0:x.y"),
            (3, "!r0:x.y or !r1:x.y or !r2:x.y"),
            (4, "!r0:x.y or !r1:x.y or !r2:x.y or another room"),
        ],
    )
    def test_begins_with_a_join_of_the_rooms_allowed(self, count: int, named: str) -> None:
        rooms = [f"!r{number}:x.y" for number in range(count)]
        allow = [{"type": "m.room_membership", "room_id": room} for room in rooms]
        room = a_room(V10).with_join_rule("restricted", allow=allow)
        sentences = [sentence for (sentence,) in told(room, room.join(BEN))]
        assert sentences[-1].startswith(f"join {named}; the join names a member who may invite")

    def test_takes_a_plain_member_where_the_default_level_suffices(self) -> None:
        room = a_room(V10).with_join_rule("restricted", allow=ALLOW)
        room = room.with_levels({ANA: -1}, invite=0).with_member(CAY, JOIN)
        found = [remedy.event.authorised_via for remedy in remedies(room, room.join(BEN))]
        assert CAY in found

    def test_finds_no_authoriser_below_the_invite_level(self) -> None:
        room = a_levelled_room(V10, invite=51).with_join_rule("restricted", allow=ALLOW)
        assert told(room, room.join(BEN)) == [("set the join rule to public",)]

    @having("member.unsigned_by_the_authoriser")
    def test_needs_the_signature_it_owes(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("restricted", allow=ALLOW)
        event = room.join(BEN, join_authorised_via_users_server=ANA)
        assert ("a.example signs the event",) in told(room, event)

    @having("member.unsigned_by_the_authoriser")
    def test_may_leave_out_whom_nobody_asked_for(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public")
        event = room.join(BEN, join_authorised_via_users_server="ana")
        assert told(room, event) == [("the event leaves out join_authorised_via_users_server",)]

    @having("member.unsigned_by_the_authoriser")
    def test_needs_no_signature_that_it_has(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("invite")
        event = room.join(BEN, join_authorised_via_users_server=CAY, signed_by=["c.example"])
        assert told(room, event) == [(f"invite {BEN}",), ("set the join rule to public",)]


class TestKnock:
    @since("7")
    def test_needs_the_join_rule(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("invite")
        assert told(room, room.knock(BEN)) == [("set the join rule to knock",)]

    @since("10")
    def test_keeps_a_restricted_room_restricted(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("restricted", allow=ALLOW)
        assert told(room, room.knock(BEN)) == [("set the join rule to knock_restricted",)]

    @pytest.mark.parametrize("version", [V1, V6], ids=str)
    def test_lacks_help_where_no_version_knows_it(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("invite")
        assert told(room, room.knock(BEN)) == []

    @pytest.mark.parametrize("version", [V9], ids=str)
    def test_lacks_help_where_knock_restricted_is_unknown(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("restricted", allow=ALLOW)
        assert told(room, room.knock(BEN)) == []

    def test_of_a_joined_user_lacks_help(self) -> None:
        room = a_room(V10).with_join_rule("knock")
        assert told(room, room.knock(ANA)) == []


class TestInvite:
    @everywhere
    def test_of_a_banned_user_needs_an_unban(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(BEN, BAN)
        assert told(room, room.invite(ANA, BEN)) == [(f"unban {BEN}",)]

    @everywhere
    def test_by_an_outsider_is_sent_by_a_member(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public")
        assert told(room, room.invite(CAY, BEN)) == [("somebody else sends it",), (f"{CAY} joins",)]

    def test_by_an_outsider_to_a_private_room_needs_two_changes(self) -> None:
        room = a_levelled_room(V10, invite=50)
        event = room.invite(CAY, BEN)
        assert told(room, event)[1] == (
            f"invite {CAY}",
            f"{CAY} joins",
            f"raise the power level of {CAY} to 50",
        )
        assert [change.makers for change in remedies(room, event)[1].changes] == [
            (ANA,),
            (CAY,),
            (ANA,),
        ]

    def test_by_a_banned_sender_needs_more_than_three_changes(self) -> None:
        room = a_levelled_room(V10, invite=50).with_member(CAY, BAN)
        assert told(room, room.invite(CAY, BEN)) == [("somebody else sends it",)]

    @everywhere
    def test_through_a_third_party_is_sent_by_who_stored_it(self, version: RoomVersion) -> None:
        room = a_room(version).with_levels({ANA: 100}).with_member(CAY, JOIN)
        room = room.with_member(DAN, JOIN).with_third_party_invite(sender=CAY)
        event = room.invite(DAN, BEN, third_party_invite=signed_invite())
        assert makers(room, event) == [[CAY]]

    def test_through_an_unknown_token_lacks_help(self) -> None:
        room = a_room(V10)
        event = room.invite(ANA, BEN, third_party_invite=signed_invite())
        assert told(room, event) == []


class TestKick:
    @everywhere
    def test_below_the_kick_level_needs_power(self, version: RoomVersion) -> None:
        room = a_levelled_room(version).with_member(BEN, JOIN).with_member(CAY, JOIN)
        assert told(room, room.kick(BEN, CAY)) == [
            ("somebody else sends it",),
            (f"raise the power level of {BEN} to 50",),
        ]

    def test_of_an_equal_needs_more_than_that(self) -> None:
        room = a_levelled_room(V10, users={ANA: 100, BEN: 50, CAY: 50})
        room = room.with_member(BEN, JOIN).with_member(CAY, JOIN)
        assert told(room, room.kick(BEN, CAY)) == [
            ("somebody else sends it",),
            (f"lower the power level of {CAY} to 49",),
            (f"raise the power level of {BEN} to 51",),
        ]

    def test_is_not_told_to_the_one_who_is_to_go(self) -> None:
        room = a_levelled_room(V10, users={BEN: 0, CAY: 0, ANA: 0})
        room = room.with_member(BEN, JOIN).with_member(CAY, JOIN)
        assert told(room, room.kick(BEN, CAY)) == []

    def test_that_would_unban_is_measured_by_the_ban_level_too(self) -> None:
        room = a_levelled_room(V10, users={ANA: 100, BEN: 50}, ban=60, kick=50)
        room = room.with_member(BEN, JOIN).with_member(CAY, BAN)
        assert told(room, room.kick(BEN, CAY)) == [
            ("somebody else sends it",),
            (f"raise the power level of {BEN} to 60",),
            ("lower the level of ban to 50",),
        ]

    def test_of_a_creator_of_version_12_lacks_help(self) -> None:
        room = a_room(V12).with_levels({BEN: 100}).with_member(BEN, JOIN)
        assert told(room, room.kick(BEN, ANA)) == []

    def test_by_a_creator_of_version_12_is_not_about_levels(self) -> None:
        room = a_room(V12, additional_creators=[BEN]).with_member(BEN, JOIN)
        assert told(room, room.kick(BEN, ANA)) == []


class TestOtherEvents:
    @everywhere
    def test_of_an_outsider_need_the_outsider_to_join(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public")
        assert told(room, room.message(BEN)) == [("somebody else sends it",), (f"{BEN} joins",)]

    @pytest.mark.parametrize("version", [V1, V11], ids=str)
    @pytest.mark.parametrize(("level", "anyone"), [(0, True), (1, False)])
    def test_may_be_sent_by_anyone_of_enough_power(
        self, version: RoomVersion, level: int, anyone: bool
    ) -> None:
        room = a_levelled_room(version, events_default=level).with_member(CAY, JOIN)
        remedy = remedies(room, room.message(BEN))[0]
        assert (remedy.event.sender, remedy.event.event_id) == (ANA, "")
        assert remedy.changes[0] == Repair(
            "somebody else sends it", (UserID(ANA),), anyone_joined=anyone
        )

    def test_name_ten_who_could_send_them(self) -> None:
        users = {f"@u{number}:a.example": 60 for number in range(12)}
        room = a_levelled_room(V11, users=users)
        for user in users:
            room = room.with_member(user, JOIN)
        assert len(remedies(room, room.message(BEN))[0].changes[0].makers) == 10

    def test_of_a_banned_user_need_an_unban_first(self) -> None:
        room = a_room(V11).with_join_rule("public").with_member(BEN, BAN)
        assert told(room, room.message(BEN))[1:] == [(f"unban {BEN}", f"{BEN} joins")]

    def test_may_need_two_levels(self) -> None:
        room = a_levelled_room(V11, users={ANA: 100, BEN: 10}).with_member(BEN, JOIN)
        room = room.with_member(CAY, BAN)
        assert ("lower the level of ban and kick to 10",) in told(room, room.kick(BEN, CAY))

    def test_may_need_somebody_of_the_highest_level_to_step_down(self) -> None:
        room = a_levelled_room(V11, users={BEN: 2**53 - 1}).with_member(BEN, JOIN)
        assert (f"lower the power level of {BEN} to 49",) in told(room, room.kick(ANA, BEN))

    def test_that_name_an_authoriser_may_leave_it_out(self) -> None:
        room = a_room(V11).with_join_rule("public")
        event = room.join(BEN, join_authorised_via_users_server=ANA)
        found = remedies(room, event)
        assert [remedy.event.event_id for remedy in found] == [event.event_id, ""]
        signs, leaves_out = (remedy.changes[0] for remedy in found)
        assert signs.servers == ("a.example",)
        assert leaves_out.content == {"membership": "join"}
        client_event = Event.from_client_event(event.to_client_event(), V11)
        assert remedies(room, client_event)[-1].event.event_id == ""

    def test_that_need_power_may_need_less(self) -> None:
        room = a_levelled_room(V10, users={ANA: 100}, events={"x": 70}).with_member(BEN, JOIN)
        assert told(room, room.event("x", BEN, {})) == [
            ("somebody else sends it",),
            (f"raise the power level of {BEN} to 70",),
            ("lower the level of events.x to 0",),
        ]

    def test_keep_the_levels_of_others(self) -> None:
        room = a_levelled_room(V10, users={ANA: 100}, events={"x": 70, "y": 1})
        room = room.with_member(BEN, JOIN)
        found = remedies(room, room.event("x", BEN, {}))[-1].changes[0].content
        assert found == {"users": {ANA: 100}, "events": {"x": 0, "y": 1}}

    @since("1", "11")
    def test_get_first_power_levels_that_keep_the_creator(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(BEN, JOIN)
        found = remedies(room, room.event("x", BEN, {}, ""))[1].changes[0].content
        assert found == {"users": {ANA: 100, BEN: 50}}

    def test_get_first_power_levels_without_the_creators_of_version_12(self) -> None:
        room = a_room(V12).with_member(BEN, JOIN)
        found = remedies(room, room.event("x", BEN, {}, ""))[1].changes[0].content
        assert found == {"users": {BEN: 50}}

    @pytest.mark.parametrize("version", [V1], ids=str)
    def test_that_redact_need_the_redact_level(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={ANA: 100}).with_member(BEN, JOIN)
        event = room.event("m.room.redaction", BEN, {}, redacts="$x:c.example")
        assert (f"raise the power level of {BEN} to 50",) in told(room, event)

    def test_that_store_an_invite_need_the_invite_level(self) -> None:
        room = a_levelled_room(V10, users={ANA: 100}, invite=60, state_default=0)
        room = room.with_member(BEN, JOIN)
        event = room.event("m.room.third_party_invite", BEN, {}, "tok")
        assert (f"raise the power level of {BEN} to 60",) in told(room, event)

    def test_about_another_user_are_sent_by_that_user(self) -> None:
        room = a_levelled_room(V10, state_default=0).with_member(BEN, JOIN)
        assert makers(room, room.event("x", ANA, {}, BEN)) == [[BEN]]

    def test_from_outside_an_unfederated_room_are_sent_from_inside(self) -> None:
        room = a_room(V11, **{"m.federate": False}).with_member(DAN, JOIN)
        assert makers(room, room.message(BEN)) == [[ANA]]


class TestPowerLevels:
    def change(self, room: Room, **content: Any) -> list[tuple[str, ...]]:
        """What would help Ben to change the levels."""
        return told(room, room.event("m.room.power_levels", BEN, content, ""))

    @everywhere
    def test_above_the_own_level_need_just_enough(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={ANA: 100, BEN: 50}).with_member(BEN, JOIN)
        assert self.change(room, users={ANA: 100, BEN: 50}, ban=77) == [
            ("somebody else sends it",),
            (f"raise the power level of {BEN} to 77",),
        ]

    @everywhere
    def test_of_an_equal_need_one_more(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={ANA: 100, BEN: 50, CAY: 50}).with_member(BEN, JOIN)
        assert self.change(room, users={ANA: 100, BEN: 50}) == [
            ("somebody else sends it",),
            (f"raise the power level of {BEN} to 51",),
        ]

    def test_need_no_more_than_the_level_of_their_type(self) -> None:
        room = a_levelled_room(V10, users={ANA: 100}).with_member(BEN, JOIN)
        change = self.change(room, users={ANA: 100}, events={"x": 5})
        assert (f"raise the power level of {BEN} to 50",) in change

    def test_cannot_need_more_than_any_level_can_be(self) -> None:
        room = a_room(V12).with_levels({BEN: 50, CAY: 2**53 - 1}, state_default=50)
        room = room.with_member(BEN, JOIN).with_member(CAY, JOIN)
        assert told(room, room.kick(BEN, CAY)) == [
            ("somebody else sends it",),
            (f"lower the power level of {CAY} to 49",),
        ]

    def test_of_the_most_powerful_need_one_more(self) -> None:
        room = a_room(V12).with_levels({BEN: 50, CAY: 100}).with_member(BEN, JOIN)
        assert (f"raise the power level of {BEN} to 101",) in self.change(room, users={BEN: 50})

    @since("10")
    def test_that_no_version_reads_lack_help(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={ANA: 100, BEN: 50}).with_member(BEN, JOIN)
        assert self.change(room, ban="50") == []


class TestWhereNothingCanHelp:
    def test_a_create_event_gets_no_remedy(self) -> None:
        room = a_room(V11)
        event = room.event("m.room.create", BEN, {}, "")
        assert remedies(room, event) == ()

    def test_a_room_without_create_event_gets_no_remedy(self) -> None:
        room = Room(V11)
        assert remedies(room, room.message(BEN)) == ()

    def test_an_undecided_event_gets_no_remedy(self) -> None:
        state = RoomState.of(V11, a_room(V11).events, partial=True)
        assert auth.explain(a_room(V11).message(BEN), state).remedies == ()


class TestInAPartialState:
    def test_help_whatever_those_left_out_are(self) -> None:
        room = a_levelled_room(V10, users={ANA: 100, BEN: 55}, ban=60, kick=50)
        room = room.with_join_rule("public").with_member(BEN, BAN)
        state = RoomState.of(V10, room.events, partial=True)
        found = auth.explain(room.kick(BEN, CAY), state).remedies
        sentences = [[change.sentence for change in remedy.changes] for remedy in found]
        assert ["somebody else sends it"] in sentences
        assert [f"unban {BEN}", f"{BEN} joins"] not in sentences


class TestOverALookUp:
    @pytest.mark.parametrize("version", KNOWN.values(), ids=str)
    def test_nobody_is_sought_among_the_members(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={ANA: 0}).with_member(CAY, JOIN)
        state = RoomState.over(version, room.state.get)
        (remedy,) = auth.explain(room.join(BEN), state).remedies
        assert remedy.changes[0].makers == (ANA,)


class TestPage:
    def test_names_at_most_three_makers(self) -> None:
        users = {f"@u{number}:a.example": 60 for number in range(12)}
        room = a_levelled_room(V10, users={ANA: 50, **users}, invite=50)
        for user in users:
            room = room.with_member(user, JOIN)
        change = remedies(room, room.join(BEN))[0].changes[0]
        assert len(change.makers) == 10
        assert str(change) == (
            f"invite {BEN} (by @u0:a.example or @u10:a.example or @u11:a.example or others)"
        )

    @pytest.mark.parametrize(("makers", "more"), [(3, ""), (4, " or others")])
    def test_says_when_there_are_others(self, makers: int, more: str) -> None:
        users = tuple(UserID(f"@u{number}:a.example") for number in range(makers))
        change = Repair("do it", users)
        assert str(change) == f"do it (by {' or '.join(users[:3])}{more})"
        assert (change.type, change.state_key, change.content) == ("", "", {})

    def test_puts_changes_in_order(self) -> None:
        room = a_room(V10).with_join_rule("invite").with_member(BEN, BAN)
        remedy = remedies(room, room.join(BEN))[0]
        assert str(remedy) == remedy.sentence
        assert remedy.sentence.startswith(f"unban {BEN} (by {ANA}); then invite {BEN} (by {ANA}): ")

    def test_as_json_keeps_the_event_to_send(self) -> None:
        room = a_room(V10).with_member(BEN, INVITE).with_member(CAY, BAN)
        told_of = remedies(room, room.join(CAY))[0].to_dict()
        assert told_of["decision"] == {
            "rule": "join.invited_to_invite_or_knock_room",
            "number": "4.3.4",
        }
        assert [change["content"] for change in told_of["changes"]] == [
            {"membership": "leave"},
            {"membership": "invite"},
        ]


class TestSearch:
    def test_ends_where_levels_are_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        room = a_levelled_room(V11, users={ANA: 100, BEN: 50}).with_member(BEN, JOIN)
        content = {"users": {ANA: 100, BEN: 50}, "ban": 60}
        event = room.event("m.room.power_levels", BEN, content, "")
        assert told(room, event)
        monkeypatch.setattr("matrix_membership.auth.explaining._remedies.MOST_LEVELS_COMPARED", 3)
        assert told(room, event) == []

    def test_tries_the_most_powerful_who_are_joined(self) -> None:
        users = {f"@u{number}:u.example": 100 + number for number in range(40)}
        room = a_levelled_room(V11, users={ANA: 100, **users}).with_member("@u3:u.example", JOIN)
        event = room.event("m.room.topic", CAY, {}, "")
        assert makers(room, event) == [["@u3:u.example", ANA]]
