"""Effects of events on a room: the verdicts, and the users who can do more or less."""

from __future__ import annotations

import pytest

from matrix_membership import Event, RoomVersion, auth
from matrix_membership.advice.pages import page_of
from matrix_membership.advice.powers import Standings, who_can
from matrix_membership.advice.what_if import WhatIf, what_if
from matrix_membership.membership import BAN, JOIN
from matrix_membership.room_versions import V11, V12
from matrix_membership.strategies import draw_cases
from tests.builders import ANA, BEN, CAY, Room, a_levelled_room, a_room, everywhere

ROOM = a_levelled_room(V11, users={ANA: 100}).with_member(BEN, JOIN)


def levels(room: Room, users: dict[str, int], **more: int) -> Event:
    """Ana changes the power levels."""
    return room.event("m.room.power_levels", ANA, {"users": users, **more}, "")


class TestLaws:
    @everywhere
    def test_hold_for_events_of_all_kinds(self, version: RoomVersion) -> None:
        for case in draw_cases(version, 5, seed=int(version.identifier)):
            found = what_if(case.state, [case.event])
            assert found.before == who_can(case.state)
            assert found.after == who_can(found.state)
            assert found.steps[0].decision == auth.check(case.event, case.state)
            for user in (*case.state.members, *found.state.members):
                could, can = (
                    abilities(user, found.before, case),
                    abilities(user, found.after, found),
                )
                told = [each for each in found.differences if user in each.members]
                gained = {action for each in told for action in each.gained}
                lost = {action for each in told for action in each.lost}
                assert (could | gained) - lost == can
                assert (gained, lost) == (can - could, could - can)


def abilities(user: str, powers: object, told: object) -> set[str]:
    """The actions that a user may take, by the powers of a state."""
    state = told.state  # type: ignore[attr-defined]  # a case and a result both have one
    if state.membership_of(user) is not JOIN:
        return set()
    standing = Standings(state).of(user)
    ranks = powers.ranks  # type: ignore[attr-defined]  # as above
    return {action for rank in ranks if rank.standing == standing for action in rank.can}


class TestSteps:
    def test_are_judged_one_after_the_other(self) -> None:
        raised = levels(ROOM, {ANA: 100, BEN: 50})
        kick = ROOM.with_member(CAY, JOIN).kick(BEN, CAY)
        room = ROOM.with_member(CAY, JOIN)
        assert [bool(step) for step in what_if(room.state, [kick, raised, kick]).steps] == [
            False,
            True,
            True,
        ]

    def test_that_are_rejected_change_nothing(self) -> None:
        found = what_if(ROOM.state, [ROOM.ban(BEN, ANA)])
        assert not found
        assert (found.differences, found.before) == ((), found.after)
        assert "Nobody can do more or less than before." in str(found)

    def test_of_a_server_that_the_list_bans_are_refused(self) -> None:
        acl = {"allow": ["*"], "deny": ["b.example"]}
        room = ROOM.with_content("m.room.server_acl", acl)
        step = what_if(room.state, [room.leave(BEN)]).steps[0]
        assert (step.decision.allowed, bool(step)) == (True, False)
        assert str(step).endswith("no: the access control list bans b.example")

    def test_may_be_against_a_partial_state(self) -> None:
        room = Room(V11, ROOM.events, partial=True)
        assert what_if(room.state, [room.message(ANA)])

    def test_are_never_json(self) -> None:
        with pytest.raises(TypeError, match="expected an Event"):
            what_if(ROOM.state, [{}])  # type: ignore[list-item]  # a mistake of callers without a type checker


class TestDifferences:
    def found(self) -> WhatIf:
        return what_if(ROOM.state, [levels(ROOM, {ANA: 100, BEN: 50}, invite=50)])

    def test_name_who_gains_and_who_loses(self) -> None:
        first, second = self.found().differences
        assert (first.members, first.moved, first.lost) == ((BEN,), "0 to 50", ())
        assert "kick" in first.gained
        assert "send" not in first.gained
        assert str(second) == "a user who joins (0): may no longer invite"

    def test_of_one_who_can_do_the_same_show_the_level(self) -> None:
        room = ROOM.with_levels({ANA: 100})
        found = what_if(room.state, [levels(room, {ANA: 99})])
        assert str(found.differences[0]) == f"{ANA} (100 to 99): may do the same"

    def test_tell_who_comes_and_goes(self) -> None:
        found = what_if(ROOM.with_join_rule("public").state, [ROOM.join(CAY), ROOM.ban(ANA, BEN)])
        told = {each.who: each for each in found.differences}
        assert told[CAY].moved == "not joined to 0"
        assert told[BEN].moved == "0 to not joined"
        assert told[BEN].to_dict()["after"] is None
        assert f"{CAY} (not joined to 0): may now send messages, invite" in str(found)
        assert "then rejected by rule" not in str(found)

    def test_of_those_outside_are_told(self) -> None:
        rules = ROOM.event("m.room.join_rules", ANA, {"join_rule": "public"}, "")
        (pair,) = what_if(ROOM.state, [rules]).entry
        assert [answer.allowed for answer in pair] == [False, True]
        assert "then allowed by rule" in str(what_if(ROOM.state, [rules]))

    def test_with_creators_are_infinite(self) -> None:
        room = a_room(V12, additional_creators=[BEN]).with_member(BEN, JOIN)
        told = what_if(room.state, [room.leave(BEN)]).differences
        assert told[0].moved == "infinite to not joined"


class TestPage:
    def test_shows_verdicts_and_differences(self) -> None:
        rules = ROOM.event("m.room.join_rules", ANA, {"join_rule": "public"}, "")
        room = ROOM
        for number in range(7):
            room = room.with_member(f"@u{number}:b.example", JOIN)
        events = [levels(room, {ANA: 100}, invite=50), rules, room.ban(BEN, ANA)]
        page = page_of(what_if(room.state, events))
        assert '<p class="says no">2 of 3 events would take effect' in page
        assert "<bdi>@u3:b.example</bdi>, 3 more" in page
        assert "the access control list" not in page
        assert "From outside" in page

    def test_says_where_nothing_differs(self) -> None:
        page = page_of(what_if(ROOM.state, [ROOM.message(ANA)]))
        assert "<p>Nobody who is in the room.</p>" in page
        assert "From outside" not in page

    def test_names_a_user_who_may_come(self) -> None:
        room = a_levelled_room(V11).with_member(BEN, BAN)
        page = page_of(what_if(room.state, [levels(room, {ANA: 50}, invite=50)]))
        assert "a user who joins" in page
