"""Reviews: what is wrong with the rules of a version, before anyone implements it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import pytest

from matrix_membership import RoomState, auth
from matrix_membership.auth import allows, rejects
from matrix_membership.events import Event
from matrix_membership.membership import BAN
from matrix_membership.proposals import Remark, Review, Situation, review
from matrix_membership.room_versions import V8, V9, V11, V12
from tests.builders import ANA, BEN, CAY, a_room

pytestmark = pytest.mark.long

MINE = "org.example.mine"


@pytest.fixture(scope="module")
def reviews() -> Mapping[str, Review]:
    return {str(version): review(version) for version in (V8, V9, V11, V12)}


def texts(found: Review, kind: str) -> list[str]:
    return [remark.text for remark in found.remarks if remark.kind == kind]


LOST_AUTHORISER = (
    "allowed by 4.3.5.3 (join.authorised_by_a_member), "
    "rejected by 4.3.5.2 (join.authoriser_may_not_invite) once it is redacted"
)


class TestOfTheSpecification:
    def test_finds_the_lost_authoriser_of_version_8(self, reviews: Mapping[str, Review]) -> None:
        assert LOST_AUTHORISER in texts(reviews["8"], "lost by redaction")
        assert LOST_AUTHORISER not in texts(reviews["9"], "lost by redaction")

    def test_leaves_signatures_as_they_are(self, reviews: Mapping[str, Review]) -> None:
        for version in ("9", "11", "12"):  # version 8 loses the key that asks for one
            assert "unsigned" not in " ".join(texts(reviews[version], "lost by redaction"))

    def test_finds_each_rule_firing(self, reviews: Mapping[str, Review]) -> None:
        for found in reviews.values():
            for kind in ("never fires", "shadowed", "guesses"):
                assert texts(found, kind) == []

    def test_finds_rooms_without_power(self, reviews: Mapping[str, Review]) -> None:
        dead = [remark for remark in reviews["11"].remarks if remark.kind == "dead end"]
        assert [remark.text for remark in dead] == [
            "nobody can ever invite again",
            "nobody can ever unban again",
            "nobody can ever change power again",
        ]
        assert len(dead[0].events) == 1  # the creator gives away all power at once

    def test_finds_that_creators_keep_their_power(self, reviews: Mapping[str, Review]) -> None:
        (first, *_) = (r for r in reviews["12"].remarks if r.kind == "dead end")
        assert first.events[-2]["content"] == {"membership": "leave"}  # only when they left

    def test_finds_no_power_out_of_nothing(self, reviews: Mapping[str, Review]) -> None:
        for found in reviews.values():
            assert texts(found, "power out of nothing") == []
            assert texts(found, "banned yet joined") == []


@allows()
def unless_banned_twice(event: Event, state: RoomState) -> bool:
    """Anybody may come back."""
    return state.membership_of(event.sender) is BAN


@rejects("4.3.3a")
def banned_again(event: Event, state: RoomState) -> bool:
    """The sender is banned."""
    return state.membership_of(event.sender) is BAN


@rejects("4.3.3b")
def of_nobody(event: Event, _: RoomState) -> bool:
    """The sender has no name."""
    return not event.sender


@rejects("5.5.3a")
def kicked_without_reason(event: Event, _: RoomState) -> bool:
    """The user is kicked without a reason."""
    return "reason" not in event.content


KEPT: Final = ("membership", "join_authorised_via_users_server", "reason")


@rejects()
def settled(event: Event, _: RoomState) -> bool:
    """The power levels stay as they are."""
    return True


@rejects("5.7.2a")
def carelessly_below(event: Event, state: RoomState) -> bool:
    """The sender's power level is below 10."""
    try:
        return state.power_level_of(event.sender) < 10
    except Exception:  # noqa: BLE001 - the mistake that is looked for
        return False


@rejects("5.7.2b")
def carelessly_crowded(event: Event, state: RoomState) -> bool:
    """The room is full."""
    try:
        return len(list(state.joined_members())) > 10
    except Exception:  # noqa: BLE001 - the same
        return False


class TestOfOnesOwn:
    def test_finds_a_rule_that_another_one_forestalls(self) -> None:
        book = auth.rulebook(V11).insert(banned_again, after="join.while_banned")
        found = review(V11.evolve(identifier=MINE, rules=book))
        assert texts(found, "shadowed") == [
            "rule 4.3.3a (test_reviewing.banned_again) holds, but 4.3.3 decides before it"
        ]

    def test_finds_a_rule_that_never_fires(self) -> None:
        book = auth.rulebook(V11).insert(of_nobody, after="join.while_banned")
        found = review(V11.evolve(identifier=MINE, rules=book))
        assert texts(found, "never fires") == [
            "rule 4.3.3b (test_reviewing.of_nobody) decides no situation"
        ]

    def test_finds_that_the_banned_can_join(self) -> None:
        book = auth.rulebook(V11).replace("join.while_banned", unless_banned_twice)
        found = review(V11.evolve(identifier=MINE, rules=book))
        (text,) = texts(found, "banned yet joined")
        assert text == "@ben:b.example joins while banned"

    def test_finds_a_verdict_that_hangs_on_a_key_lost_by_redaction(self) -> None:
        book = auth.rulebook(V12).insert(kicked_without_reason, before="leave.sender_may_kick")
        mine = V12.evolve(identifier=MINE, rules=book)
        kept = mine.evolve(identifier=MINE, redaction_content={"m.room.member": KEPT})
        room = a_room(V12).with_levels({CAY: 50}).with_member(CAY, "join")
        case = Situation.of(room.member(ANA, BEN, "leave", reason="spam"), room.events)
        told = (
            "allowed by 5.5.4 (leave.sender_may_kick), rejected by 5.5.3a "
            "(test_reviewing.kicked_without_reason) once it is redacted"
        )
        assert told in texts(review(mine, [case]), "lost by redaction")
        # Without the case no kick has a reason.
        assert texts(review(mine), "shadowed")[0] == (
            "rule 5.5.4 (leave.sender_may_kick) holds, but 5.5.3a decides before it"
        )
        assert told not in texts(review(kept, [case]), "lost by redaction")

    def test_finds_states_without_a_way_back(self) -> None:
        """Where a rule that allows something is missing, nobody can do it later."""
        book = auth.rulebook(V12).remove("leave.sender_may_kick", "invite.sender_may_invite")
        book = book.replace("power_levels.otherwise", settled)
        found = review(V12.evolve(identifier=MINE, rules=book))
        dead = [remark for remark in found.remarks if remark.kind == "dead end"]
        assert [(remark.text, len(remark.events)) for remark in dead] == [
            ("nobody can ever invite again", 0),
            ("nobody can ever unban again", 1),
            ("nobody can ever change power again", 1),
        ]

    def test_finds_rules_that_answer_without_knowing(self) -> None:
        book = auth.rulebook(V12)
        for rule in (carelessly_below, carelessly_crowded):
            book = book.insert(rule, before="knock.from_outside")
        found = review(V12.evolve(identifier=MINE, rules=book))
        answers = "answers although the state does not tell"
        assert texts(found, "guesses") == [
            f"rule 5.7.2a (test_reviewing.carelessly_below) {answers} m.room.create",
            f"rule 5.7.2b (test_reviewing.carelessly_crowded) {answers} all members",
        ]

    def test_finds_power_out_of_nothing(self) -> None:
        book = auth.rulebook(V11).remove(
            "every_event.sender_below_required_power_level", "power_levels.sets_user_above_own"
        )
        found = review(V11.evolve(identifier=MINE, rules=book))
        (text,) = texts(found, "power out of nothing")
        assert ", of level 0, gives " in text


def test_review_is_told_as_text_and_json(reviews: Mapping[str, Review]) -> None:
    found = reviews["12"]
    told = json.loads(json.dumps(found.to_dict()))
    assert told["room_version"] == "12"
    assert len(told["remarks"]) == len(found.remarks)
    assert str(found).startswith(f"Room version 12: {found.rooms} small rooms searched\n\n")
    assert str(Remark("dead end", "nobody")) == "dead end: nobody"
