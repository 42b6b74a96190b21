"""Switches that make verdicts those of other implementations, and both side by side."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, Final

import pytest

from matrix_membership import V2, V7, V8, V11, V12, Event, RoomState, RoomVersion, auth
from matrix_membership.conformance import SYNAPSE, Difference, class_of, compatible, shadow
from matrix_membership.room_versions import KNOWN
from tests.builders import ANA, BEN, CAY, VERSIONS, Room, a_levelled_room, a_room
from tests.generated_cases import events_of, generate

LEVELS: Final = "m.room.power_levels"


def switched(version: RoomVersion, switch: str) -> RoomVersion:
    """A version with one switch."""
    return compatible(version, switch)


class TestCompatible:
    @pytest.mark.parametrize("version", KNOWN.values(), ids=str)
    def test_keeps_the_identifier(self, version: RoomVersion) -> None:
        assert compatible(version, *SYNAPSE).identifier == version.identifier

    def test_changes_nothing_without_switches(self) -> None:
        assert auth.rulebook(compatible(V11)) == auth.rulebook(V11)

    def test_makes_equal_versions_of_equal_switches(self) -> None:
        assert compatible(V11, *SYNAPSE) == compatible(V11, *SYNAPSE)

    def test_makes_versions_that_can_be_pickled(self) -> None:
        version = compatible(V11, *SYNAPSE)
        assert pickle.loads(pickle.dumps(version)) == version

    def test_adds_switches_to_those_that_are_on(self) -> None:
        version = compatible(compatible(V11, "federate"), "authoriser-signature")
        assert version == compatible(V11, "authoriser-signature", "federate")

    def test_refuses_an_unknown_switch(self) -> None:
        with pytest.raises(LookupError, match="got 'dance'"):
            compatible(V11, "dance")

    def test_refuses_what_is_no_version(self) -> None:
        with pytest.raises(TypeError):
            compatible("11", "federate")  # type: ignore[arg-type]  # what a caller may get wrong


class TestFederate:
    @pytest.mark.parametrize(
        ("value", "allowed"), [(None, False), ("false", False), (False, False), (True, True)]
    )
    def test_closes_for_everything_but_true(self, value: Any, allowed: bool) -> None:
        version = switched(V11, "federate")
        room = a_room(version, **{"m.federate": value}).with_join_rule("public")
        assert room.check(room.join(BEN)).allowed is allowed

    def test_leaves_a_room_open_that_says_nothing(self) -> None:
        room = a_room(switched(V11, "federate")).with_join_rule("public")
        assert room.check(room.join(BEN))

    def test_looks_at_the_target_too(self) -> None:
        for version, allowed in ((V11, True), (switched(V11, "federate"), False)):
            room = a_room(version, **{"m.federate": False})
            assert room.check(room.invite(ANA, BEN)).allowed is allowed

    def test_leaves_a_stripped_state_open_that_lacks_its_create_event(self) -> None:
        room = a_room(switched(V11, "federate")).with_join_rule("public").with_member(BEN, "invite")
        state = RoomState.of(room.version, room.events[1:], stripped=True)
        assert auth.check(room.join(BEN), state).allowed

    def test_lets_the_own_server_in(self) -> None:
        room = a_room(switched(V11, "federate"), **{"m.federate": False})
        assert room.check(room.message(ANA))


class TestAuthoriserSignature:
    def test_is_asked_of_joins_only(self) -> None:
        named = {"join_authorised_via_users_server": BEN}
        for version, allowed in ((V8, False), (switched(V8, "authoriser-signature"), True)):
            room = a_room(version).with_join_rule("public").with_member(CAY, "join")
            leave = room.member(CAY, CAY, "leave", **named)
            assert room.check(leave).allowed is allowed
            assert not room.check(room.join(CAY, **named))
            assert room.check(room.join(CAY, signed_by=["b.example"], **named))

    def test_means_nothing_where_the_rule_is_unknown(self) -> None:
        assert auth.rulebook(switched(V7, "authoriser-signature")) == auth.rulebook(V7)


class TestPowerLevelAlterations:
    @pytest.mark.parametrize(
        ("before", "after", "plain", "alike"),
        [
            ({}, {"users_default": 50}, True, True),
            ({"ban": 60}, {"ban": 60}, True, True),
            ({"ban": 60}, {}, False, False),
            ({}, {"ban": 60}, False, False),
            ({"state_default": 40}, {}, False, True),  # its default is 50
            ({"ban": 60}, {"ban": 50}, False, False),
        ],
    )
    def test_compare_only_levels_that_are_there(
        self, before: Any, after: Any, plain: bool, alike: bool
    ) -> None:
        for version, allowed in (
            (V11, plain),
            (switched(V11, "power-level-alterations"), alike),
        ):
            users = {ANA: 45, BEN: 40}
            more = {"events": {LEVELS: 0}}
            room = a_levelled_room(version, users=users, **more, **before)
            event = room.event(LEVELS, ANA, {"users": users, **more, **after}, "")
            if "users_default" in after:
                event = room.event(LEVELS, ANA, {"users": users, **more, "users_default": 45}, "")
            assert room.check(event).allowed is allowed


class TestPowerLevelsStateKey:
    def test_counts_each_key_by_itself(self) -> None:
        for version, allowed in ((V11, False), (switched(V11, "power-levels-state-key"), True)):
            room = a_levelled_room(version)
            event = room.event(LEVELS, ANA, {"users": {BEN: 100}}, "x")
            assert room.check(event).allowed is allowed
            assert not room.check(room.event(LEVELS, ANA, {"users": {BEN: 100}}, ""))


class TestRedactionTarget:
    @pytest.mark.parametrize(
        ("redacts", "plain", "alike"),
        [
            (5, False, True),
            (None, False, True),
            ("$x:a.example", True, True),
            ("$x:b.example", False, False),
            ("x", False, False),
        ],
    )
    def test_may_be_no_text(self, redacts: Any, plain: bool, alike: bool) -> None:
        for version, allowed in ((V2, plain), (switched(V2, "redaction-target"), alike)):
            room = a_levelled_room(version, redact=60, events_default=0)
            event = room.event("m.room.redaction", ANA, {}, redacts=redacts)
            assert room.check(event).allowed is allowed


def labelled(room: Room, event: Event) -> str:
    """The class of a difference over an event."""
    return class_of(event, room.state, room.check(event))


class TestClassOf:
    @pytest.mark.parametrize(
        ("content", "label"),
        [
            ({"events": {"x": "60"}}, "odd-level"),
            ({"kick": "50"}, "odd-level"),
            ({"kick": True}, "odd-level"),
            ({"users": {BEN: "5"}}, "odd-level"),
            ({"users": []}, "odd-level-map"),
            ({"users": {"ben": 5}}, "odd-level-map"),
            ({"users": {BEN: 5}, "ban": 60}, "power-level-alterations"),
            ({"users": {ANA: 50}, "events": {}}, ""),
        ],
    )
    def test_of_power_levels(self, content: Any, label: str) -> None:
        room = a_levelled_room(V8)
        assert labelled(room, room.event(LEVELS, ANA, content, "")) == label

    def test_of_power_levels_of_another_key(self) -> None:
        room = a_room(V11)
        assert labelled(room, room.event(LEVELS, ANA, {}, "x")) == "power-levels-state-key"

    @pytest.mark.parametrize(
        ("content", "key", "label"),
        [
            ({}, ANA, "malformed-member"),
            ({"membership": "join"}, "ana", "malformed-member"),
            ({"membership": "join"}, None, "malformed-member"),
            ({"membership": "invite", "third_party_invite": None}, BEN, "malformed-member"),
            ({"membership": "leave"}, ANA, ""),
            (
                {"membership": "leave", "join_authorised_via_users_server": BEN},
                ANA,
                "authoriser-signature",
            ),
            (
                {"membership": "join", "join_authorised_via_users_server": 5},
                ANA,
                "malformed-member",
            ),
        ],
    )
    def test_of_members(self, content: Any, key: str | None, label: str) -> None:
        room = a_room(V11)
        assert labelled(room, room.event("m.room.member", ANA, content, key)) == label

    def test_of_another_server(self) -> None:
        room = a_room(V12, **{"m.federate": None})
        assert labelled(room, room.message(BEN)) == "federate"

    def test_of_a_room_without_a_create_event(self) -> None:
        room = Room(V11)
        assert labelled(room, room.message(BEN)) == ""

    def test_of_a_redaction(self) -> None:
        room = a_levelled_room(V2, redact=60)
        event = room.event("m.room.redaction", ANA, {}, redacts=5)
        assert labelled(room, event) == "redaction-target"


class Refused(Exception):
    """The error by which another implementation rejects."""


def refuse() -> None:
    raise Refused


class TestShadow:
    ROOM = a_room(V11)

    def compared(self, theirs: Any, event: Event) -> list[Any]:
        """What is reported; theirs returned what it returns without the shadow."""
        found: list[Any] = []
        assert shadow(lambda: theirs, lambda: (event, self.ROOM.state), found.append) == theirs
        return found

    @pytest.mark.parametrize("allowed", [None, True, 1])
    def test_takes_what_is_not_false_as_allowed(self, allowed: Any) -> None:
        assert self.compared(allowed, self.ROOM.message(ANA)) == []
        assert len(self.compared(allowed, self.ROOM.message(BEN))) == 1

    def test_takes_false_as_rejected(self) -> None:
        assert self.compared(False, self.ROOM.message(BEN)) == []
        assert len(self.compared(False, self.ROOM.message(ANA))) == 1

    def test_raises_what_they_raise(self) -> None:
        found: list[Any] = []
        event = self.ROOM.message(ANA)
        with pytest.raises(Refused) as refused:
            shadow(refuse, lambda: (event, self.ROOM.state), found.append)
        decision = self.ROOM.check(event)
        assert found == [Difference(event, self.ROOM.state, decision, refused.value, "")]

    def test_agrees_on_a_rejection(self) -> None:
        found: list[Any] = []
        with pytest.raises(Refused):
            shadow(refuse, lambda: (self.ROOM.message(BEN), self.ROOM.state), found.append)
        assert found == []

    def test_reports_what_ours_raises(self) -> None:
        found: list[Any] = []
        stumbled = KeyError("x")

        def ours() -> Any:
            raise stumbled

        assert shadow(lambda: 7, ours, found.append) == 7
        assert found == [stumbled]

    @pytest.mark.parametrize("theirs", [lambda: 7, refuse])
    def test_goes_on_where_the_report_fails(self, theirs: Callable[[], Any]) -> None:
        found: list[Any] = []

        def report(told: Any) -> None:
            found.append(told)
            raise Refused("the report")

        event = self.ROOM.message(BEN if theirs is not refuse else ANA)
        assert ended(lambda: shadow(theirs, lambda: (event, self.ROOM.state), report)) == ended(
            theirs
        )
        assert [type(told) for told in found] == [Difference, Refused]

    def test_reports_a_difference_by_a_part_of_the_state(self) -> None:
        knock = self.ROOM.knock(BEN)
        ids = {(event.type, event.state_key or ""): event.event_id for event in self.ROOM.events}
        events = {event.event_id: event for event in self.ROOM.events}
        found: list[Any] = []
        for needed in (auth.needed_state(knock), [("m.room.join_rules", "")]):
            state = RoomState.of_ids(ids, events, needed=needed, room_version=V11)
            shadow(lambda: True, lambda state=state: (knock, state), found.append)  # type: ignore[misc]  # a default
        assert [difference.label for difference in found] == ["", ""]

    def test_compares_another_check(self) -> None:
        found: list[Any] = []
        event = self.ROOM.message(ANA)
        shadow(
            lambda: True,
            lambda: (event, self.ROOM.state),
            found.append,
            judge=lambda event, _: auth.check_auth_events(event, []),
        )
        assert [difference.ours.rule for difference in found] == ["auth_events.no_create_event"]


class Waits:
    """Something that is awaited once, as a host's store is."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer

    def __await__(self) -> Generator[None, None, Any]:
        yield
        return self.answer()


def ended(ask: Callable[[], Any]) -> Any:
    """What comes of a question, asked to its end."""
    try:
        answer = ask()
        if not hasattr(answer, "__await__"):
            return answer
        steps = answer.__await__()
        while True:
            next(steps)
    except StopIteration as end:
        return end.value
    except Refused:
        return Refused


class TestShadowOfAnAsynchronousCheck:
    ROOM = a_room(V11)

    @pytest.mark.parametrize("waits", [True, False])
    @pytest.mark.parametrize(
        ("theirs", "sender", "differences"),
        [
            (lambda: None, ANA, 0),
            (lambda: 7, BEN, 1),
            (lambda: False, BEN, 0),
            (lambda: False, ANA, 1),
            (refuse, BEN, 0),
            (refuse, ANA, 1),
        ],
    )
    def test_compares_what_it_decided(
        self, theirs: Callable[[], Any], sender: str, differences: int, waits: bool
    ) -> None:
        found: list[Any] = []

        def ours() -> Any:
            told = self.ROOM.message(sender), self.ROOM.state
            return Waits(lambda: told) if waits else told

        assert ended(lambda: shadow(lambda: Waits(theirs), ours, found.append)) == ended(theirs)
        assert [type(difference) for difference in found] == [Difference] * differences

    def test_reports_what_ours_raises(self) -> None:
        found: list[Any] = []
        assert (
            ended(lambda: shadow(lambda: Waits(lambda: 7), lambda: Waits(refuse), found.append))
            == 7
        )
        assert [type(told) for told in found] == [Refused]


class TestDifference:
    @pytest.mark.parametrize("version", [V2, V11, V12], ids=str)
    def test_is_a_script(self, version: RoomVersion, capsys: pytest.CaptureFixture[str]) -> None:
        room = a_room(compatible(version, "federate"), **{"m.federate": None})
        event = room.invite(ANA, BEN)
        decision = room.check(event)
        script = str(Difference(event, room.state, decision, True, "federate"))
        exec(compile(script, "a script", "exec"), {})
        assert "# class: federate" in script
        assert "compatible(KNOWN['" in script
        assert "conformance.closed_to_a_server" in capsys.readouterr().out

    def test_stays_a_comment_where_theirs_has_lines(self) -> None:
        class Lines:
            def __repr__(self) -> str:
                return "one\ntwo"

        room = a_room(V11)
        event = room.message(BEN)
        script = str(Difference(event, room.state, room.check(event), Lines(), ""))
        assert "\n# theirs: one\n# two\n# ours: " in script

    def test_says_that_it_is_not_listed(self) -> None:
        room = a_room(V11)
        event = room.message(BEN)
        script = str(Difference(event, room.state, room.check(event), True, ""))
        assert script.startswith("# class: not listed\n# theirs: True\n# ours: rejected by rule")


def read_of(script: str) -> Any:
    """The decision that a script comes to."""
    told: dict[str, Any] = {}
    with redirect_stdout(StringIO()):
        exec(compile(script, "a script", "exec"), told)
    return auth.check(told["judged"], told["before"])


@pytest.mark.long
@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_script_comes_to_the_decision_that_was_reported(version: RoomVersion) -> None:
    for seed in range(8):
        known, event = events_of(generate(seed, version.identifier))
        held = {(entry.type, entry.state_key or ""): entry for entry in known}
        part = [entry for entry in known if entry.type != "m.room.member"]
        part += [entry for entry in known if entry.type == "m.room.member"][seed % 3 :]
        for state in (
            RoomState.of(version, known),
            RoomState.of(version, part, partial=True),
            RoomState.of(version, part, stripped=True),
            RoomState.over(version, lambda *place, held=held: held.get(place)),
        ):
            decision = auth.check(event, state)
            script = str(Difference(event, state, decision, not decision.allowed, ""))
            assert str(read_of(script)) == str(decision), seed
