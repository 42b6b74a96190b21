from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import pytest

from matrix_membership import Event, RoomState
from matrix_membership._attrs import evolve
from matrix_membership.federation.history import (
    KnownHistory,
    answer_backfill,
    answer_event,
    answer_event_auth,
    answer_missing_events,
    answer_state,
)
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import EventID, ServerName
from matrix_membership.membership import BAN, INVITE, JOIN, LEAVE
from matrix_membership.room_versions import V1, V11, RoomVersion
from tests.builders import ANA, BEN, CAY, Room, a_room

AT: Final = 5
A: Final = ServerName("a.example")
FORBIDDEN: Final = MatrixError.of("M_FORBIDDEN", "b.example is not in the room")


@attrs.frozen
class Told:
    """A room's events, each with the state before it, and those whose state is not known."""

    room: Room
    steps: tuple[tuple[Event, RoomState], ...] = ()
    learnt: tuple[Event, ...] = ()
    erased: Mapping[str, RoomState | None] = {}

    def then(
        self, kind: str, content: Any, *after: Event, key: str | None = None, sender: str = ANA
    ) -> Told:
        """One more event, after the last one or those named."""
        made = attrs.evolve(self.room, made=100 + len(self.steps))
        previous = after or tuple(event for event, _ in self.steps[-1:])
        event = made.event(
            kind,
            sender,
            content,
            key,
            prev_events=[event.event_id for event in previous],
            auth_events=[
                [e.event_id, {}] if self.room.version.event_id_in_pdu else e.event_id
                for e in self.room.events[:1]
            ],
            depth=1 + max((entry.depth for entry in previous), default=0),
        )
        grown = self.room.with_state(event) if key is not None else self.room
        return attrs.evolve(self, room=grown, steps=(*self.steps, (event, self.room.state)))

    @property
    def events(self) -> list[Event]:
        return [event for event, _ in self.steps]

    def history(self, *, server: str = A, now: RoomState | None = None) -> KnownHistory:
        state = self.room.state if now is None else now
        known = {e.event_id: e for e in (*self.events, *self.room.events, *self.learnt)}
        room = ResidentRoom(ServerName(server), state, (), 7, known.get)
        before = {event.event_id: state for event, state in self.steps}
        return KnownHistory(room, before.get, self.erased)


def a_line(
    value: str = "shared", *, ben: Any = JOIN, count: int = 4, version: RoomVersion = V11
) -> Told:
    """Four messages in a room where Ben has a membership since."""
    room = a_room(version).with_content("m.room.history_visibility", {"history_visibility": value})
    told = Told(room)
    for number in range(count):
        told = told.then("m.room.message", {"body": f"{number}"})
    return attrs.evolve(told, room=told.room.with_member(BEN, ben))


def ids(events: list[Event]) -> list[str]:
    return [event.event_id for event in events]


def bodies(answer: Any, key: str = "pdus") -> list[Any]:
    assert not isinstance(answer, MatrixError), answer
    return [pdu["content"].get("body") for pdu in answer[key]]


def asked_all(told: Told, origin: str = "b.example", **more: Any) -> dict[str, Any]:
    """The answers to all endpoints but `/event`, for the newest event."""
    history, newest = told.history(**more), told.events[-1].event_id
    return {
        "state": answer_state(origin, newest, history),
        "state_ids": answer_state(origin, newest, history, ids=True),
        "event_auth": answer_event_auth(origin, newest, history),
        "backfill": answer_backfill(origin, [newest], "9", history, at=AT),
        "get_missing_events": answer_missing_events(
            origin, {"earliest_events": [], "latest_events": [newest]}, history
        ),
    }


class TestAccess:
    def test_is_for_servers_in_the_room(self) -> None:
        assert all(isinstance(answer, dict) for answer in asked_all(a_line()).values())

    @pytest.mark.parametrize("membership", [INVITE, LEAVE, BAN])
    @pytest.mark.parametrize("value", ["shared", "world_readable"])
    def test_is_refused_to_others(self, membership: Any, value: str) -> None:
        answers = asked_all(a_line(value, ben=membership))
        assert set(answers.values()) == {FORBIDDEN}

    def test_is_refused_to_servers_that_the_access_control_list_denies(self) -> None:
        told = a_line()
        denied = told.room.with_content(
            "m.room.server_acl", {"allow": ["*"], "deny": ["b.example"]}
        )
        answers = asked_all(attrs.evolve(told, room=denied))
        sentence = "the room's access control list denies b.example"
        assert set(answers.values()) == {MatrixError.of("M_FORBIDDEN", sentence)}

    def test_hides_the_list_from_servers_outside(self) -> None:
        told = a_line(ben=LEAVE)
        denied = told.room.with_content(
            "m.room.server_acl", {"allow": ["*"], "deny": ["b.example"]}
        )
        assert set(asked_all(attrs.evolve(told, room=denied)).values()) == {FORBIDDEN}

    def test_is_refused_by_a_server_whose_users_left(self) -> None:
        answers = asked_all(a_line(), server="x.example")
        assert {answer.errcode for answer in answers.values()} == {"M_NOT_FOUND"}

    def test_goes_by_the_servers_that_were_told_of_a_partial_state(self) -> None:
        told = a_line()
        members = [event for event in told.room.events if event.type != "m.room.member"]
        partial = RoomState.of(V11, members, partial=True, servers=[A, "b.example"])
        assert bodies(asked_all(told, now=partial)["backfill"]) == ["3", "2", "1", "0"]
        assert asked_all(told, "c.example", now=partial)["backfill"].errcode == "M_FORBIDDEN"

    def test_is_refused_where_nobody_knows_the_servers(self) -> None:
        told = a_line()
        over = RoomState.over(V11, told.room.state.get)
        assert set(asked_all(told, now=over).values()) == {FORBIDDEN}


class TestAnswerState:
    def test_is_the_state_before_the_event(self) -> None:
        told = a_line(ben=INVITE).then("m.room.member", {"membership": "join"}, key=BEN, sender=BEN)
        join, before = told.steps[-1]
        answer: Any = answer_state("b.example", join.event_id, told.history())
        assert {pdu["type"] for pdu in answer["pdus"]} == {event.type for event in before.events}
        assert [pdu["content"] for pdu in answer["pdus"] if pdu.get("state_key") == BEN] == [
            {"membership": "invite"}
        ]

    def test_comes_with_the_auth_chain(self) -> None:
        told = a_line(ben=INVITE).then("m.room.member", {"membership": "join"}, key=BEN, sender=BEN)
        told = told.then("m.room.message", {"body": "later"})
        answer: Any = answer_state("b.example", told.events[-1].event_id, told.history())
        assert answer["auth_chain"] == [told.room.events[0].to_pdu()]

    def test_is_told_by_ids(self) -> None:
        told = a_line()
        event, before = told.steps[-1]
        answer: Any = answer_state("b.example", event.event_id, told.history(), ids=True)
        assert sorted(answer["pdu_ids"]) == sorted(ids(list(before.events)))
        assert answer["auth_chain_ids"] == []

    def test_is_not_found_without_the_event_or_its_state(self) -> None:
        told = a_line()
        learnt = told.room.message(CAY)
        history = attrs.evolve(told, learnt=(learnt,)).history()
        for name in ("$unknown", learnt.event_id):
            error = MatrixError.of("M_NOT_FOUND", f"the state before {name} is not known here")
            assert answer_state("b.example", name, history) == error

    def test_is_not_found_while_the_state_is_partial(self) -> None:
        told = a_line()
        event, _ = told.steps[0]
        partial = RoomState.of(V11, told.room.events, partial=True)
        history = attrs.evolve(told, steps=((event, partial),)).history()
        answer = answer_state("b.example", event.event_id, history)
        assert isinstance(answer, MatrixError)
        assert answer.errcode == "M_NOT_FOUND"


class TestAnswerEventAuth:
    def test_is_the_auth_chain(self) -> None:
        told = a_line(version=V1)
        answer: Any = answer_event_auth("b.example", told.events[0].event_id, told.history())
        assert answer == {"auth_chain": [told.room.events[0].to_pdu()]}

    def test_is_not_found_without_the_event(self) -> None:
        error = MatrixError.of("M_NOT_FOUND", "$unknown is not known here")
        assert answer_event_auth("b.example", "$unknown", a_line().history()) == error


class TestAnswerEvent:
    def test_is_a_transaction_of_one(self) -> None:
        told = a_line()
        event = told.events[1]
        answer = answer_event("b.example", event.event_id, [told.history()], at=AT)
        assert answer == {"origin": A, "origin_server_ts": AT, "pdus": [event.to_pdu()]}

    def test_is_redacted_where_the_server_may_not_see_it(self) -> None:
        told = a_line("joined")
        event = told.events[1]
        answer = answer_event("b.example", event.event_id, [told.history()], at=AT)
        assert bodies(answer) == [None]
        assert isinstance(answer, dict)
        assert answer["pdus"] == [event.redacted().to_pdu()]

    def test_is_looked_for_in_all_rooms(self) -> None:
        told, other = a_line(), a_line(ben=LEAVE)
        name = told.events[0].event_id
        rooms = [other.history(), told.history()]
        assert bodies(answer_event("b.example", name, rooms, at=AT)) == ["0"]

    def test_is_not_found_in_a_room_that_the_server_may_not_ask_about(self) -> None:
        told = a_line(ben=LEAVE)
        for name in (told.events[0].event_id, "$unknown"):
            error = MatrixError.of("M_NOT_FOUND", f"{name} is not known here")
            assert answer_event("b.example", name, [told.history()], at=AT) == error


class TestAnswerBackfill:
    def test_gives_the_events_and_those_before_the_deepest_first(self) -> None:
        told = a_line()
        history, names = told.history(), ids(told.events)

        def asked(named: list[str], limit: str = "100") -> list[Any]:
            return bodies(answer_backfill("b.example", named, limit, history, at=AT))

        assert asked(names[3:]) == ["3", "2", "1", "0"]
        assert asked(names[3:], "2") == ["3", "2"]
        assert asked(names[3:], "0") == []
        assert asked([names[1], names[2]]) == ["2", "1", "0"]
        assert asked([names[2], names[2], "$unknown"], "999999999") == ["2", "1", "0"]
        assert asked([]) == []

    def test_goes_back_on_all_branches(self) -> None:
        told = a_line(count=1)
        root = told.events[0]
        left = told.then("m.room.message", {"body": "left"}, root)
        both = left.then("m.room.message", {"body": "right"}, root)
        joined = both.then("m.room.message", {"body": "end"}, *both.events[1:])
        newest = joined.events[-1].event_id
        answer = bodies(answer_backfill("b.example", [newest], "9", joined.history(), at=AT))
        assert (answer[0], set(answer[1:3]), answer[3]) == ("end", {"left", "right"}, "0")

    def test_redacts_what_the_server_may_not_see(self) -> None:
        told = a_line("joined").then("m.room.message", {"body": "with Ben"})
        newest = told.events[-1].event_id
        answer = answer_backfill("b.example", [newest], "9", told.history(), at=AT)
        assert bodies(answer) == ["with Ben", None, None, None, None]
        assert isinstance(answer, dict)
        assert answer["pdus"][1] == told.events[3].redacted().to_pdu()

    def test_redacts_the_events_of_erased_accounts(self) -> None:
        told = attrs.evolve(a_line(), erased={ANA: None})
        newest = told.events[-1].event_id
        answer = answer_backfill("b.example", [newest], "2", told.history(), at=AT)
        assert bodies(answer) == [None, None]

    def test_takes_a_limit_that_was_parsed(self) -> None:
        told = a_line()
        newest = told.events[-1].event_id
        assert bodies(answer_backfill("b.example", [newest], 2, told.history(), at=AT)) == [
            "3",
            "2",
        ]

    def test_stops_at_an_event_whose_state_is_not_known(self) -> None:
        told = a_line()
        learnt, kept = told.events[1], told.steps
        history = attrs.evolve(told, steps=(kept[0], *kept[2:]), learnt=(learnt,)).history()
        newest = told.events[-1].event_id
        assert bodies(answer_backfill("b.example", [newest], "9", history, at=AT)) == ["3", "2"]

    @pytest.mark.parametrize(
        "limit", ["", "-1", "two", "1.5", "٣", "9" * 10, "9" * 5000, " 1", None, -1, True, ["1"]]
    )
    def test_refuses_another_limit(self, limit: Any) -> None:
        error = MatrixError.of("M_INVALID_PARAM", "limit: expected a number")
        assert answer_backfill("b.example", [], limit, a_line().history(), at=AT) == error

    def test_looks_up_a_hundred_names_at_most(self) -> None:
        told = a_line()
        asked: list[str] = []
        known = told.history()

        def get_event(event_id: EventID) -> Event | None:
            asked.append(event_id)
            return known.room.get_event(event_id)

        history = evolve(known, room=evolve(known.room, get_event=get_event))
        named = (f"$unknown{number}" for number in range(10_000))
        answer: Any = answer_backfill("b.example", named, "9", history, at=AT)
        assert answer["pdus"] == []
        assert len(asked) == 100

    def test_gives_a_hundred_events_at_most(self) -> None:
        told = a_line(count=103)
        answer: Any = answer_backfill(
            "b.example", [told.events[-1].event_id], "999", told.history(), at=AT
        )
        assert len(answer["pdus"]) == 100


class TestAnswerMissingEvents:
    TOLD: Final = a_line(count=14)

    def asked(self, earliest: Any, latest: Any, **more: Any) -> list[Any]:
        body = {"earliest_events": earliest, "latest_events": latest, **more}
        return bodies(answer_missing_events("b.example", body, self.TOLD.history()), "events")

    def test_gives_what_lies_between_by_depth(self) -> None:
        names = ids(self.TOLD.events)
        assert self.asked([names[1]], [names[5]]) == ["2", "3", "4"]
        assert self.asked([names[1], names[3]], [names[5], "$unknown", 5]) == ["4"]
        assert self.asked([], [names[0]]) == []
        assert self.asked([], []) == []

    def test_gives_those_nearest_to_the_latest_first(self) -> None:
        names = ids(self.TOLD.events)
        assert self.asked([], [names[13]], limit=2) == ["11", "12"]
        assert self.asked([], [names[13]], limit=0) == []
        assert self.asked([], [names[13]], limit=99) == [str(number) for number in range(13)]

    @pytest.mark.parametrize("limit", [None, "5", -1, 1.5, True, []])
    def test_gives_ten_if_the_request_does_not_say(self, limit: Any) -> None:
        names = ids(self.TOLD.events)
        assert len(self.asked([], [names[13]], limit=limit)) == 10

    def test_leaves_out_what_lies_less_deep(self) -> None:
        names = ids(self.TOLD.events)
        assert self.asked([], [names[5]], min_depth=4) == ["3", "4"]

    def test_goes_back_on_all_branches_within_the_limit(self) -> None:
        told = a_line(count=1)
        root = told.events[0]
        for body in ("left", "right"):
            told = told.then("m.room.message", {"body": body}, root)
        told = told.then("m.room.message", {"body": "end"}, *told.events[1:])
        request: dict[str, Any] = {
            "earliest_events": [],
            "latest_events": [told.events[-1].event_id],
        }
        answers = [
            bodies(
                answer_missing_events("b.example", request | {"limit": limit}, told.history()),
                "events",
            )
            for limit in (1, 9)
        ]
        assert answers == [["left"], ["0", "left", "right"]]

    def test_redacts_what_the_server_may_not_see(self) -> None:
        told = a_line("joined")
        body = {"earliest_events": [], "latest_events": [told.events[-1].event_id]}
        answer = answer_missing_events("b.example", body, told.history())
        assert bodies(answer, "events") == [None, None, None]

    @pytest.mark.parametrize(
        "body",
        [
            None,
            [],
            {},
            {"earliest_events": []},
            {"latest_events": []},
            {"earliest_events": [], "latest_events": "$x"},
            {"earliest_events": ["$x"] * 101, "latest_events": []},
        ],
    )
    def test_refuses_another_body(self, body: Any) -> None:
        answer = answer_missing_events("b.example", body, self.TOLD.history())
        assert isinstance(answer, MatrixError)
        assert answer.errcode == "M_BAD_JSON"
