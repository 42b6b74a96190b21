"""Every rule tried, the facts read with their origins, and the page made of them."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.auth import Explanation
from matrix_membership.auth._rule import Section
from matrix_membership.auth.every_event import otherwise
from matrix_membership.auth.explaining import TriedRule, try_rules
from matrix_membership.auth.explaining._facts import Fact, Origin
from matrix_membership.auth.explaining.levels import Needed, needed_levels
from matrix_membership.auth.join import while_banned
from matrix_membership.errors import IncompleteState
from matrix_membership.identifiers import EventID
from matrix_membership.membership import BAN, INVITE, JOIN
from matrix_membership.room_versions import V1, V8, V10, V11, V12
from tests.builders import (
    ANA,
    BEN,
    CAY,
    DAN,
    Room,
    a_levelled_room,
    a_room,
    decision,
    event_id,
    everywhere,
    signed_invite,
    since,
)
from tests.golden import explanations


def explained(room: Room, event: Event) -> Explanation:
    """The explanation of an event in a room."""
    return auth.explain(event, room.state)


def fact(room: Room, event: Event, name: str) -> tuple[Any, Origin, str, str | None]:
    """All that a fact of this name says."""
    found = {entry.name: entry for entry in explained(room, event).facts}[name]
    return found.value, found.origin, found.place, found.event_id


def needed(kind: str) -> Needed:
    """The level that messages of a type need in a room without power levels."""
    return Needed(kind, 0, ("events", kind), "events_default")


class TestSteps:
    @everywhere
    def test_start_with_federation(self, version: RoomVersion) -> None:
        room = a_room(version)
        first = explained(room, room.message(BEN)).steps[0]
        assert (first.name, first.fired) == ("every_event.sender_from_unfederated_server", False)

    def test_name_the_condition_of_a_group(self) -> None:
        room = a_room(V11).with_join_rule("restricted")
        text = "the join rule is restricted or knock_restricted"
        step = TriedRule("4.3.5", "", text, "", fired=True, read=(("m.room.join_rules", ""),))
        assert step in explained(room, room.join(BEN)).steps

    def test_pass_over_a_group_whose_condition_fails(self) -> None:
        room = a_room(V11).with_join_rule("invite")
        numbers = [step.number for step in explained(room, room.join(BEN)).steps]
        assert numbers[-3:] == ["4.3.5", "4.3.6", "4.3.7"]

    def test_say_what_was_read(self) -> None:
        room = a_room(V11)
        step = explained(room, room.message(BEN)).steps[1]
        assert (step.name, step.read) == (
            "every_event.sender_not_joined",
            (("m.room.member", BEN),),
        )

    @pytest.mark.parametrize("kind", ["m.room.power_levels x", "m.room.member join", "x"])
    def test_enter_no_group_for_a_type_that_only_starts_like_its_own(self, kind: str) -> None:
        room = a_room(V11)
        steps = explained(room, room.event(kind, ANA, {}, None)).steps
        assert {step.name.partition(".")[0] for step in steps} == {"every_event"}

    @everywhere
    def test_of_a_create_event_are_those_on_create_events(self, version: RoomVersion) -> None:
        room = a_room(version)
        steps = explained(room, room.event("m.room.create", ANA, {}, "")).steps
        assert [step.name for step in steps] == ["create.has_prev_events"]

    def test_without_a_create_event_are_those_on_auth_events(self) -> None:
        room = Room(V11)
        steps = explained(room, room.message(ANA)).steps
        assert [step.number for step in steps] == ["2.1", "2.2", "2.3", "2.4"]

    def test_go_on_after_a_group_that_decides_nothing(self) -> None:
        silent = Section(rules=(while_banned,), numbers=while_banned.numbers)
        room = a_room(V11)
        tried = try_rules((silent, otherwise), room.join(ANA), lambda _: room.state)
        assert [(step.number, step.fired) for step in tried] == [("4.3.3", False), ("10", True)]

    def test_end_where_nothing_decides(self) -> None:
        room = a_room(V11)
        tried = try_rules((while_banned,), room.join(ANA), lambda _: room.state)
        assert [step.fired for step in tried] == [False]


class TestDecision:
    @everywhere
    def test_is_true_when_allowed(self, version: RoomVersion) -> None:
        room = a_room(version)
        explanation = explained(room, room.message(ANA))
        assert explanation.decision == decision("every_event.otherwise", version)
        assert explanation

    def test_is_false_when_rejected(self) -> None:
        room = a_room(V11)
        assert not explained(room, room.message(BEN))

    def test_hangs_on_a_member_whom_a_partial_state_leaves_out(self) -> None:
        room = a_room(V11)
        state = RoomState.of(V11, room.events, partial=True)
        explanation = auth.explain(room.message(BEN), state)
        assert explanation.decision.undecided
        assert explanation.steps[-1].name == explanation.decision.rule
        assert explanation.facts == (
            Fact(f"membership of {BEN}", "unknown", Origin.UNKNOWN, "the state leaves members out"),
        )

    def test_is_tried_as_if_those_left_out_were_invited(self) -> None:
        state = RoomState.of(V11, a_room(V11).events, partial=True)
        explanation = auth.explain(a_room(V11).join(BEN), state)
        assert explanation.decision.undecided
        assert explanation.steps[-1].name == "join.invited_to_invite_or_knock_room"

    @everywhere
    def test_asks_for_a_create_event(self, version: RoomVersion) -> None:
        explanation = auth.explain(a_room(version).message(ANA), RoomState.of(version, []))
        number = "2" if version.room_id_is_create_event else "2.4"
        assert explanation.decision.number == explanation.steps[-1].number == number
        assert explanation.remedies == ()

    def test_of_a_create_event_has_no_remedy(self) -> None:
        room = a_room(V11)
        explanation = explained(room, room.event("m.room.create", ANA, {}, ""))
        assert (explanation.decision.number, explanation.remedies) == ("1.1", ())

    def test_stands_when_those_left_out_make_no_difference(self) -> None:
        room = a_room(V11).with_join_rule("public").with_member(BEN, BAN)
        state = RoomState.of(V11, room.events, partial=True)
        explanation = auth.explain(room.join(BEN), state)
        assert explanation.decision == decision("join.while_banned", V11)


class TestMembership:
    def test_of_a_stranger_is_leave_by_default(self) -> None:
        room = a_room(V11)
        found = fact(room, room.message(BEN), f"membership of {BEN}")
        assert found == ("leave", Origin.DEFAULT, "never seen in the room", None)

    def test_of_a_member_is_the_state_event(self) -> None:
        room = a_room(V11)
        found = fact(room, room.message(ANA), f"membership of {ANA}")
        assert found == ("join", Origin.STATE, "m.room.member", event_id(1, V11))


class TestPowerLevel:
    def test_of_a_listed_user_is_explicit(self) -> None:
        room = a_levelled_room(V11)
        found = fact(room, room.message(ANA), f"power level of {ANA}")
        assert found == (50, Origin.STATE, "m.room.power_levels: users", event_id(2, V11))

    def test_of_others_is_users_default(self) -> None:
        room = a_levelled_room(V11, users_default=7).with_member(BEN, JOIN)
        found = fact(room, room.message(BEN), f"power level of {BEN}")
        assert found == (7, Origin.STATE, "m.room.power_levels: users_default", event_id(2, V11))

    def test_of_others_is_zero_without_users_default(self) -> None:
        room = a_levelled_room(V11).with_member(BEN, JOIN)
        found = fact(room, room.message(BEN), f"power level of {BEN}")
        assert found == (0, Origin.DEFAULT, "m.room.power_levels without users_default", None)

    @since("1", "11")
    def test_of_the_creator_is_100_without_power_levels(self, version: RoomVersion) -> None:
        room = a_room(version)
        found = fact(room, room.message(ANA), f"power level of {ANA}")
        place = "the creator of a room without m.room.power_levels"
        assert found == (100, Origin.CREATOR, place, event_id(0, version))

    def test_of_a_creator_of_version_12_has_no_end(self) -> None:
        room = a_room(V12).with_levels()
        found = fact(room, room.message(ANA), f"power level of {ANA}")
        assert found == ("infinite", Origin.CREATOR, "m.room.create", event_id(0, V12))

    def test_of_others_is_zero_without_power_levels(self) -> None:
        room = a_room(V11).with_member(BEN, JOIN)
        found = fact(room, room.message(BEN), f"power level of {BEN}")
        assert found == (0, Origin.DEFAULT, "the room has no m.room.power_levels", None)


class TestNeededLevel:
    @pytest.mark.parametrize(
        ("membership", "name", "level"),
        [("leave", "kick level", 51), ("ban", "ban level", 52), ("invite", "invite level", 53)],
    )
    def test_is_the_one_of_the_membership(self, membership: str, name: str, level: int) -> None:
        room = a_levelled_room(V11, kick=51, ban=52, invite=53)
        found = fact(room, room.member(ANA, BEN, membership), name)
        assert found == (
            level,
            Origin.STATE,
            f"m.room.power_levels: {name.partition(' ')[0]}",
            event_id(2, V11),
        )

    def test_of_a_ban_comes_with_the_level_of_both(self) -> None:
        room = a_levelled_room(V11, users={BEN: 50})
        found = {entry.name: entry.value for entry in explained(room, room.ban(ANA, BEN)).facts}
        assert found[f"power level of {ANA}"] == found[f"power level of {BEN}"] == 50

    def test_of_an_unban_is_of_both_kinds(self) -> None:
        room = a_levelled_room(V11).with_member(BEN, BAN)
        names = [entry.name for entry in explained(room, room.kick(ANA, BEN)).facts]
        assert names[-2:] == ["ban level", "kick level"]

    def test_of_the_authorising_user_is_the_invite_level(self) -> None:
        room = a_levelled_room(V8, invite=60).with_join_rule("restricted")
        event = room.join(BEN, signed_by=["a.example"], join_authorised_via_users_server=ANA)
        assert fact(room, event, "invite level")[0] == 60

    def test_of_a_listed_type_is_explicit(self) -> None:
        room = a_levelled_room(V11, events={"x": 3})
        found = fact(room, room.event("x", ANA, {}), "level needed for x")
        assert found == (3, Origin.STATE, "m.room.power_levels: events", event_id(2, V11))

    @pytest.mark.parametrize(
        ("key", "field", "level"), [(None, "events_default", 0), ("", "state_default", 50)]
    )
    def test_of_other_types_is_a_default(self, key: str | None, field: str, level: int) -> None:
        room = a_levelled_room(V11)
        found = fact(room, room.event("x", ANA, {}, key), "level needed for x")
        assert found == (level, Origin.DEFAULT, f"m.room.power_levels without {field}", None)

    def test_of_a_redaction_is_of_both_kinds_in_version_1(self) -> None:
        room = a_levelled_room(V1)
        event = room.event("m.room.redaction", ANA, {}, redacts="$x:c.example")
        assert fact(room, event, "redact level")[0] == 50

    def test_of_a_stored_invite_is_the_invite_level(self) -> None:
        room = a_levelled_room(V11, invite=9)
        event = room.event("m.room.third_party_invite", ANA, {}, "tok")
        assert fact(room, event, "invite level")[0] == 9


class TestJoinRule:
    def test_is_invite_without_an_event(self) -> None:
        room = a_room(V11)
        found = fact(room, room.join(BEN), "join rule")
        assert found == ("invite", Origin.DEFAULT, "the room has no m.room.join_rules", None)

    def test_is_invite_where_the_event_has_none(self) -> None:
        room = a_room(V11).with_content("m.room.join_rules", {})
        found = fact(room, room.join(BEN), "join rule")
        assert found == ("invite", Origin.DEFAULT, "m.room.join_rules without join_rule", None)

    def test_names_the_rooms_whose_members_may_join(self) -> None:
        allow = [{"type": "m.room_membership", "room_id": "!s:a.example"}]
        room = a_room(V11).with_join_rule("restricted", allow=allow)
        explanation = explained(room, room.join(BEN))
        assert explanation.rooms == ("!s:a.example",)
        assert explanation.servers == ("a.example",)
        found = fact(room, room.join(BEN), "rooms whose members may join")
        assert found[:2] == (("!s:a.example",), Origin.STATE)

    def test_of_no_room_is_told_for_other_memberships(self) -> None:
        allow = [{"type": "m.room_membership", "room_id": "!s:a.example"}]
        room = a_room(V11).with_join_rule("restricted", allow=allow)
        assert explained(room, room.knock(BEN)).rooms == ()


class TestOtherFacts:
    def test_tell_that_the_room_is_not_federated(self) -> None:
        room = a_room(V11, **{"m.federate": False})
        found = fact(room, room.message(BEN), "federation")
        assert found == ("off", Origin.STATE, "m.room.create: m.federate", event_id(0, V11))

    def test_tell_who_stored_an_invite(self) -> None:
        room = a_room(V11).with_third_party_invite()
        event = room.invite(ANA, BEN, third_party_invite=signed_invite())
        found = fact(room, event, "third-party invite tok")
        place = "m.room.third_party_invite"
        assert found == (f"sent by {ANA}", Origin.STATE, place, event_id(2, V11))

    def test_tell_that_nobody_stored_it(self) -> None:
        room = a_room(V11)
        event = room.invite(ANA, BEN, third_party_invite=signed_invite())
        found = fact(room, event, "third-party invite tok")
        assert found == ("none", Origin.DEFAULT, "the room has no such invite", None)

    def test_have_no_event_id_where_the_event_has_none(self) -> None:
        create = {"type": "m.room.create", "state_key": "", "sender": ANA, "content": {}}
        state = RoomState.of(V12, [Event.from_client_event(create, V12)])
        member = {"type": "m.room.member", "state_key": ANA, "sender": ANA}
        state = state.with_event(
            Event.from_client_event({**member, "content": {"membership": "join"}}, V12)
        )
        message = {"type": "x", "sender": ANA, "content": {}}
        explanation = auth.explain(Event.from_client_event(message, V12), state)
        assert {entry.event_id for entry in explanation.facts} == {None}


class TestRooms:
    def test_are_none_of_a_room_without_a_create_event(self) -> None:
        found = auth.explain(a_room(V10).join(BEN), RoomState.of(V10, []))
        assert (found.rooms, found.servers) == ((), ())
        assert found.decision.number == "2.4"


class TestChangeOfPowerLevels:
    @staticmethod
    def told(content: dict[str, Any], **before: Any) -> list[str]:
        room = a_room(V10).with_levels({ANA: 100, **before.pop("users", {})}, **before)
        event = room.event("m.room.power_levels", ANA, {"users": {ANA: 100}, **content}, "")
        found = auth.explain(event, room.state).facts
        return [str(fact) for fact in found if fact.name.startswith("change")]

    def test_tells_each_level_before_and_after(self) -> None:
        content = {"ban": 60, "events": {"a": 1, "b": 2}, "notifications": {"room": 7}}
        assert self.told(content, ban=70, kick=5, events={"b": 3, "c": 4}, users={BEN: 9}) == [
            "change of ban: 70 to 60 (event: m.room.power_levels: ban)",
            "change of kick: 5 to 50 by default (event: m.room.power_levels: kick)",
            "change of b: 3 to 2 (event: m.room.power_levels: events)",
            "change of c: 4 to none (event: m.room.power_levels: events)",
            "change of a: none to 1 (event: m.room.power_levels: events)",
            "change of room: none to 7 (event: m.room.power_levels: notifications)",
            f"change of {BEN}: 9 to none (event: m.room.power_levels: users)",
        ]

    def test_is_what_the_event_itself_says(self) -> None:
        room = a_levelled_room(V10, ban=60)
        event = room.event("m.room.power_levels", ANA, {"ban": 55}, "")
        found = auth.explain(event, room.state).facts
        said = {fact.event_id for fact in found if fact.origin is Origin.EVENT}
        assert said == {event.event_id}
        assert event.event_id

    def test_tells_a_default_that_is_written_down(self) -> None:
        assert self.told({"ban": 50}) == [
            "change of ban: 50 by default to 50 (event: m.room.power_levels: ban)"
        ]

    def test_is_none_of_the_first_ones_or_of_another_event(self) -> None:
        room = a_room(V10)
        for event, state in (
            (room.event("m.room.power_levels", ANA, {"ban": 60}, ""), room.state),
            (room.ban(ANA, BEN), a_levelled_room(V10, ban=60).state),
        ):
            found = auth.explain(event, state).facts
            assert [fact for fact in found if fact.name.startswith("change")] == []


class TestPage:
    def test_of_every_case_is_as_written(self) -> None:
        """When it should differ: `python -m tests.golden`, and review the difference."""
        written = explanations.FILE.read_text("utf-8")
        assert explanations.text().splitlines() == written.splitlines()

    def test_tells_all(self) -> None:
        allow = [{"type": "m.room_membership", "room_id": "!s:a.example"}]
        room = a_room(V10).with_join_rule("restricted", allow=allow).with_member(BEN, BAN)
        page = str(explained(room, room.join(BEN)))
        headings = [line for line in page.splitlines() if line and line[0].isupper()]
        assert headings == [
            "Rules tried",
            "Facts",
            "State events read",
            "Rooms whose members may join",
            "Servers that can authorise the join",
            "What would help",
        ]

    def test_shows_events_without_an_id(self) -> None:
        create = {"type": "m.room.create", "sender": ANA, "content": {}, "state_key": ""}
        state = RoomState.of(V11, [Event.from_client_event(create, V11)])
        page = str(auth.explain(a_room(V11).message(ANA), state))
        assert f"  m.room.create by {ANA}" in page.splitlines()

    def test_names_no_servers_where_the_levels_cannot_be_told(self) -> None:
        allow = [{"type": "m.room_membership", "room_id": "!s:a.example"}]
        room = a_room(V11).with_join_rule("restricted", allow=allow)

        def get(kind: str, key: str) -> Event | None:
            if kind == "m.room.power_levels":
                raise IncompleteState("levels", "more")
            return room.state.get(kind, key)

        explanation = auth.explain(room.join(BEN), RoomState.over(V11, get))
        assert (explanation.rooms, explanation.servers) == (("!s:a.example",), ())

    def test_of_an_allowed_event_tells_of_no_help(self) -> None:
        room = a_room(V10)
        assert "help" not in str(explained(room, room.message(ANA)))

    def test_says_that_nothing_helps(self) -> None:
        room = a_room(V10)
        page = str(explained(room, room.event("m.room.create", ANA, {}, "")))
        assert page.endswith("What would help\n  no small change of the room or of the event")

    def test_says_that_more_must_be_known(self) -> None:
        room = a_room(V10)
        state = RoomState.of(V10, room.events, partial=True)
        page = str(auth.explain(room.message(BEN), state))
        assert page.endswith(f"a state that tells m.room.member {BEN}")

    def test_names_the_user_of_a_member_event(self) -> None:
        room = a_room(V10).with_member(BEN, INVITE)
        page = str(explained(room, room.join(BEN)))
        assert f"  m.room.member '{BEN}' by {BEN} {event_id(2, V10)}" in page.splitlines()

    def test_shows_a_fact_in_one_line(self) -> None:
        shown = Fact("rooms", ("!a:b", "!c:d"), Origin.STATE, "there", EventID("$e"))
        assert str(shown) == "rooms: !a:b, !c:d (state: there)"

    def test_shows_that_a_list_is_empty(self) -> None:
        assert str(Fact("rooms", (), Origin.STATE, "there")) == "rooms: - (state: there)"


class TestMeasures:
    @pytest.mark.parametrize("version", [V1, V11], ids=str)
    def test_are_the_levels_that_an_event_needs(self, version: RoomVersion) -> None:
        room = a_room(version)
        redact = (Needed("redact", 50, ("redact",), "redact"),)
        invite = Needed("invite", 0, ("invite",), "invite")
        for event, expected in (
            (room.message(ANA), (needed("m.room.message"),)),
            (
                room.event("m.room.redaction", ANA, {}, redacts="$x:a.example"),
                (needed("m.room.redaction"), *(redact if version is V1 else ())),
            ),
            (room.event("m.room.third_party_invite", ANA, {}, "t"), (invite,)),
            (room.invite(ANA, BEN), (invite,)),
            (room.join(BEN), ()),
            (
                room.join(BEN, join_authorised_via_users_server=ANA),
                () if version is V1 else (invite,),
            ),
        ):
            assert tuple(needed_levels(event, room.state)) == expected


class TestJson:
    def test_of_a_fact_has_lists(self) -> None:
        fact = Fact("rooms", ("!a:b", "!c:d"), Origin.UNKNOWN, "there")
        assert fact.to_dict() == {
            "name": "rooms",
            "value": ["!a:b", "!c:d"],
            "origin": "unknown",
            "place": "there",
            "event_id": None,
        }

    def test_names_what_was_judged(self) -> None:
        room = a_room(V10)
        event = room.message(BEN)
        assert explained(room, event).to_dict()["event"] == {
            "event_id": event.event_id,
            "type": "m.room.message",
            "state_key": None,
            "sender": BEN,
        }

    def test_holds_every_part(self) -> None:
        room = a_room(V10).with_member(DAN, INVITE).with_member(CAY, JOIN)
        made = explained(room, room.invite(CAY, DAN)).to_dict()
        assert (made["allowed"], made["rule"], made["number"], made["room_version"]) == (
            True,
            "invite.sender_may_invite",
            "4.4.4",
            "10",
        )
        assert [entry["number"] for entry in made["steps"]][-1] == "4.4.4"
        assert made["facts"][0]["name"] == f"membership of {CAY}"
        assert made["evidence"][0]["type"] == "m.room.create"
