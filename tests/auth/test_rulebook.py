"""Rulebooks: values that can be amended, and that everything honours."""

from __future__ import annotations

import copy
import pickle
from typing import Any, TypeVar

import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth, may
from matrix_membership.auth import Rulebook, Section, allows, rejects, rulebook
from matrix_membership.auth._rule import numbers_of
from matrix_membership.errors import InvalidRulebook
from matrix_membership.membership import INVITE, JOIN, LEAVE
from matrix_membership.redaction import redact
from matrix_membership.room_versions import V1, V11, V12
from tests.builders import ANA, BEN, CAY, VERSIONS, a_room

Value = TypeVar("Value")

MINE = "org.example.mine"


@rejects("4.7.2a")
def below_knock_level(event: Event, state: RoomState) -> bool:
    """The sender's power level is below 10."""
    return state.power_level_of(event.sender) < 10


@rejects()
def unnumbered(event: Event, _: RoomState) -> bool:
    """Nobody may."""
    return True


@allows("4a")
def pins_of_anybody(event: Event, _: RoomState) -> bool:
    """Anybody may pin."""
    return True


@rejects("10z")
def by_text(event: Event, _: RoomState) -> bool:
    """The sender is Ben."""
    return f"{event.sender}" == str(BEN)


@rejects("10z")
def carefully(event: Event, _: RoomState) -> bool:
    """The content has more than one."""
    try:
        return bool(event.content["number"] > 1)
    except Exception:  # noqa: BLE001 - a careful author writes that
        return False


PINS = Section(
    event_type="org.example.pin", numbers=numbers_of({"v1": "4a"}), rules=(pins_of_anybody,)
)


def pickled(value: Value) -> Value:
    copy: Value = pickle.loads(pickle.dumps(value))
    return copy


def version_of(book: Rulebook, base: RoomVersion = V11) -> RoomVersion:
    return base.evolve(identifier=MINE, rules=book)


def numbers(book: Rulebook) -> list[str]:
    return [number for number, _ in book]


@pytest.mark.parametrize("version", VERSIONS, ids=str)
class TestRulebook:
    def test_has_the_rules_of_the_version(self, version: RoomVersion) -> None:
        book = rulebook(version)
        assert [(number, rule.name) for number, rule in book] == [
            (number, rule.name) for number, rule in auth.rules_of(version)
        ]
        assert len(book) == len(auth.rules_of(version))

    def test_survives_pickling_and_copying(self, version: RoomVersion) -> None:
        book = rulebook(version)
        assert pickled(book) == book == copy.deepcopy(book)
        assert hash(pickled(book)) == hash(book)

    def test_prints_a_table(self, version: RoomVersion) -> None:
        assert str(rulebook(version)) == str(auth.rules_of(version))

    def test_accepts_its_own_numbers(self, version: RoomVersion) -> None:
        assert rulebook(version).renumber({}) == rulebook(version)

    def test_knows_its_rules(self, version: RoomVersion) -> None:
        assert "join.while_banned" in rulebook(version)
        assert "join.while_knocking" not in rulebook(version)


class TestReplace:
    def test_takes_over_the_number(self) -> None:
        book = rulebook(V11).replace("knock.of_another_user", unnumbered)
        assert numbers(book) == numbers(rulebook(V11))
        assert "knock.of_another_user" not in book
        assert "test_rulebook.unnumbered" in book

    def test_leaves_the_rulebook_as_it_was(self) -> None:
        before = list(rulebook(V11))
        rulebook(V11).replace("join.otherwise", unnumbered)
        assert list(rulebook(V11)) == before

    def test_replaces_a_section_by_number(self) -> None:
        book = rulebook(V11).replace("4.7", unnumbered)
        assert [number for number in numbers(book) if number.startswith("4.7")] == ["4.7"]

    def test_names_the_rules_that_are_there(self) -> None:
        with pytest.raises(InvalidRulebook) as caught:
            rulebook(V11).replace("ban.nobody", unnumbered)
        there = "ban.sender_not_joined, ban.sender_may_ban, ban.otherwise"
        assert caught.value == InvalidRulebook("name", f"one of {there}", "ban.nobody")

    def test_names_all_rules_of_an_unknown_chapter(self) -> None:
        with pytest.raises(InvalidRulebook) as caught:
            rulebook(V11).remove("nothing")
        assert "one of create.has_prev_events" in caught.value.expected


class TestInsert:
    def test_puts_a_rule_behind_another_one(self) -> None:
        book = rulebook(V11).insert(below_knock_level, after="knock.of_another_user")
        at = numbers(book).index("4.7.2a")
        assert numbers(book)[at - 1 : at + 2] == ["4.7.2", "4.7.2a", "4.7.3"]

    def test_puts_a_rule_in_front_of_another_one(self) -> None:
        book = rulebook(V11).insert(below_knock_level, before="knock.from_outside")
        assert book == rulebook(V11).insert(below_knock_level, after="knock.of_another_user")

    @pytest.mark.parametrize("place", [{}, {"before": "4", "after": "5"}])
    def test_needs_one_place(self, place: Any) -> None:
        with pytest.raises(TypeError, match="one of"):
            rulebook(V11).insert(below_knock_level, **place)

    def test_refuses_a_number_out_of_order(self) -> None:
        with pytest.raises(InvalidRulebook) as caught:
            rulebook(V11).insert(below_knock_level, after="knock.from_outside")
        name = "test_rulebook.below_knock_level"
        assert caught.value == InvalidRulebook(
            name, "a number after 4.7.3 of knock.from_outside", "4.7.2a"
        )

    def test_refuses_the_number_of_another_section(self) -> None:
        with pytest.raises(InvalidRulebook) as caught:
            rulebook(V11).insert(below_knock_level, after="ban.sender_may_ban")
        assert caught.value.expected == "a number in 4.6, such as 4.6.1a"

    def test_refuses_a_number_that_is_taken(self) -> None:
        with pytest.raises(InvalidRulebook) as caught:
            rulebook(V11).renumber({"knock.of_another_user": "4.7.1"})
        taken_by = "knock.join_rule_is_not_knock_or_knock_restricted"
        assert caught.value.expected == f"a number other than 4.7.1, which {taken_by} has"

    def test_refuses_a_rule_without_a_number(self) -> None:
        with pytest.raises(InvalidRulebook) as caught:
            rulebook(V11).insert(unnumbered, after="knock.from_outside")
        assert caught.value.expected == "a number such as 5.3.1 or 5.3.1a"

    @pytest.mark.parametrize("row", [lambda event, state: True, "a rule", None])
    def test_refuses_what_is_not_a_rule(self, row: Any) -> None:
        with pytest.raises(TypeError, match="made by `allows` or `rejects`"):
            rulebook(V11).insert(row, after="knock.from_outside")

    def test_refuses_a_name_that_is_taken(self) -> None:
        book = rulebook(V11).insert(below_knock_level, after="knock.of_another_user")
        with pytest.raises(InvalidRulebook) as caught:
            book.insert(below_knock_level, after="knock.of_another_user")
        assert caught.value.expected == "a name that no other rule has"


class TestRenumber:
    def test_gives_a_section_and_its_rules_new_numbers(self) -> None:
        moved = {"4.7": "4.9", "knock.of_another_user": "4.9.2", "knock.otherwise": "4.9.4"}
        moved["knock.join_rule_is_not_knock_or_knock_restricted"] = "4.9.1"
        moved |= {"knock.from_outside": "4.9.3", "member.unknown_membership": "4.10"}
        assert "4.9.3" in numbers(rulebook(V11).renumber(moved))

    def test_refuses_an_unknown_name(self) -> None:
        with pytest.raises(InvalidRulebook):
            rulebook(V11).renumber({"knock.nobody": "4.9.2"})


class TestVersionOfOnesOwn:
    mine = version_of(rulebook(V11).insert(below_knock_level, after="knock.of_another_user"))

    def test_is_judged_by_its_rules(self) -> None:
        room = a_room(self.mine).with_join_rule("knock")
        decision = room.check(room.knock(BEN))
        assert (decision.allowed, decision.number) == (False, "4.7.2a")
        assert decision.text == "The sender's power level is below 10."
        assert room.with_levels({ANA: 100, BEN: 10}).check(room.knock(BEN)).number == "4.7.3"

    @pytest.mark.parametrize("rule", [by_text, carefully])
    def test_asks_rules_that_make_text_or_catch_everything(self, rule: auth.Rule) -> None:
        """The compiler tries them without an event, and must not take that for an answer."""
        last = list(rulebook(V11))[-1][1].name
        room = a_room(version_of(rulebook(V11).replace(last, rule)))
        room = room.with_state(room.join(BEN))
        said = auth.check(room.event("m.room.message", BEN, {"number": 2}, None), room.state)
        assert said.rule == rule.name

    def test_is_explained_by_its_rules(self) -> None:
        room = a_room(self.mine).with_join_rule("knock")
        explanation = auth.explain(room.knock(BEN), room.state)
        assert explanation.steps[-1].number == "4.7.2a"
        assert explanation.decision == room.check(room.knock(BEN))

    def test_is_what_may_asks(self) -> None:
        state = a_room(self.mine).with_join_rule("knock").state
        decision = may(BEN, state).knock().decision
        assert decision is not None
        assert decision.number == "4.7.2a"

    def test_lists_its_rules(self) -> None:
        assert auth.rules_of(self.mine).number_of("test_rulebook.below_knock_level") == "4.7.2a"

    def test_survives_pickling(self) -> None:
        again = pickled(self.mine)
        assert rulebook(again) == rulebook(self.mine)
        room = a_room(again).with_join_rule("knock")
        assert room.check(room.knock(BEN)).number == "4.7.2a"

    @pytest.mark.parametrize("rules", ["11", 11, [unnumbered]])
    def test_needs_a_rulebook(self, rules: Any) -> None:
        with pytest.raises(InvalidRulebook):
            V11.evolve(identifier=MINE, rules=rules)

    def test_may_lack_the_last_rule(self) -> None:
        room = a_room(version_of(rulebook(V11).remove("every_event.otherwise")))
        decision = room.check(room.message(ANA))
        assert (decision.allowed, decision.rule) == (False, "rulebook.no_rule_fires")

    @pytest.mark.parametrize("key", [None, ""])
    def test_may_have_rules_on_any_type(self, key: str | None) -> None:
        book = rulebook(V11).insert(PINS, before="every_event.sender_not_joined")
        with_pins = version_of(book)
        room = a_room(with_pins)
        assert room.check(room.event("org.example.pin", CAY, {}, key)).number == "4a"
        assert room.check(room.event("org.example.other", CAY, {}, key)).number == "5"
        assert auth.explain(room.event("org.example.pin", CAY, {}, key), room.state)


class TestSelect:
    @staticmethod
    def nothing(_: Event) -> frozenset[tuple[str, str]]:
        return frozenset()

    def test_changes_the_auth_events(self) -> None:
        room = a_room(version_of(rulebook(V11).select(self.nothing)))
        event = room.join(BEN)
        assert auth.select_auth_events(event) == frozenset()
        listed = [room.state.create_event]
        decision = auth.check_auth_events(event, [event for event in listed if event])
        assert decision.rule == "auth_events.unexpected"

    def test_is_kept_by_amendments(self) -> None:
        book = rulebook(V11).select(self.nothing).remove("knock.otherwise")
        assert book.selection is self.nothing


class TestRedactionContent:
    acl = V1.evolve(
        identifier=MINE,
        redaction_content={"m.room.server_acl": {"allow"}, "org.example.all": ["*"]},
    )

    def test_keeps_the_keys(self) -> None:
        pdu = {"type": "m.room.server_acl", "content": {"allow": ["*"], "deny": ["b.example"]}}
        assert redact(pdu, self.acl)["content"] == {"allow": ["*"]}
        assert redact(pdu, V1)["content"] == {}

    def test_keeps_all_keys(self) -> None:
        pdu = {"type": "org.example.all", "content": {"a": 1}}
        assert redact(pdu, self.acl)["content"] == {"a": 1}

    def test_leaves_other_types_alone(self) -> None:
        pdu = {"type": "m.room.member", "content": {"membership": "join", "a": 1}}
        assert redact(pdu, self.acl) == redact(pdu, V1)

    def test_refuses_text(self) -> None:
        with pytest.raises(InvalidRulebook):
            V1.evolve(identifier=MINE, redaction_content={"m.room.server_acl": "allow"})

    def test_survives_pickling(self) -> None:
        again = pickled(self.acl)
        assert again.redaction_content == self.acl.redaction_content


class TestPickling:
    def test_refuses_a_rule_that_no_module_holds(self) -> None:
        @rejects("1")
        def inner(event: Event, _: RoomState) -> bool:
            """Never found again."""
            return True

        with pytest.raises(InvalidRulebook):
            pickle.dumps(inner)

    def test_keeps_rules_and_sections_equal(self) -> None:
        for row in rulebook(V12).state_dependent:
            again = pickled(row)
            assert again == row
            assert hash(again) == hash(row)
            assert row != "4"


def test_rules_read_what_a_probe_does_not_know() -> None:
    members = a_room(V11).with_member(BEN, INVITE).with_member(CAY, JOIN)
    book = rulebook(V11).insert(crowded, before="join.public_room")
    room = members.with_join_rule("public")
    assert room.check(room.join(CAY)).allowed
    mine = a_room(version_of(book)).with_member(CAY, JOIN).with_join_rule("public")
    assert mine.check(mine.join(BEN)).number == "4.3.5a"


@rejects("4.3.5a")
def crowded(event: Event, state: RoomState) -> bool:
    """Two users are joined."""
    joined = [member for member in state.members.values() if member.membership is JOIN]
    return len(joined) > 1


@rejects("4.3.6a")
def without_cay(event: Event, state: RoomState) -> bool:
    """Cay is not joined."""
    return state.membership_of(CAY) is not JOIN


def test_a_rule_that_reads_a_membership_left_out_is_undecided() -> None:
    book = rulebook(V11).insert(without_cay, before="join.otherwise")
    room = a_room(version_of(book)).with_member(BEN, LEAVE)
    state = RoomState.of(room.version, room.events, partial=True)
    decision = auth.check(room.join(BEN), state)
    assert decision.undecided
    assert decision.missing == (f"m.room.member {CAY}",)


def test_a_group_whose_condition_cannot_be_tried_ends_an_explanation() -> None:
    # Without the rule before it, the group of restricted rooms asks for the join rule first.
    mine = version_of(rulebook(V11).remove("join.invited_to_invite_or_knock_room"))
    room = a_room(mine)
    state = RoomState.of(mine, room.events, stripped=True)
    explanation = auth.explain(room.join(BEN), state)
    assert (explanation.steps[-1].name, explanation.steps[-1].fired) == ("", None)
    assert explanation.decision.undecided
