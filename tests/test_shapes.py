"""The library's answers have the shapes of the specification's OpenAPI files."""

from __future__ import annotations

from typing import Any, Final

import pytest

from matrix_membership.canonical_json import freeze
from matrix_membership.federation.history import answer_event
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.transactions import Transaction
from matrix_membership.identifiers import EventID
from matrix_membership.membership import JOIN
from matrix_membership.room_versions import V1, V11, V12
from matrix_membership.visibility import client_timeline, list_members, readable_state
from tests import shapes
from tests.builders import BEN, a_room
from tests.federation.conversation import signed
from tests.federation.test_answer_sign import asked as asked_to_sign
from tests.federation.test_history import a_line, asked_all
from tests.federation.test_policy_server import policed
from tests.federation.test_transactions import read, says

EVENT: Final[Any] = {
    "event_id": "$e",
    "type": "x",
    "sender": BEN,
    "origin_server_ts": 1,
    "content": {},
    "room_id": "!r",
}


class TestMisfits:
    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({}, []),
            ({"x": 5, "unsigned": {"membership": "join"}}, []),
            ({"event_id": "e"}, ["document.event_id"]),
            ({"origin_server_ts": True}, ["document.origin_server_ts"]),
            ({"content": []}, ["document.content"]),
            ({"unsigned": {"membership": "unknown"}}, ["document.unsigned.membership"]),
            ({"unsigned": {"membership": []}}, ["document.unsigned.membership"]),
        ],
    )
    def test_are_named_by_their_place(self, change: Any, told: list[str]) -> None:
        found = shapes.misfits({**EVENT, **change}, shapes.CLIENT_EVENT)
        assert [text.partition(":")[0] for text in found] == told

    def test_are_missing_keys_too(self) -> None:
        for key in EVENT:
            less = {name: value for name, value in EVENT.items() if name != key}
            assert shapes.misfits(less, shapes.CLIENT_EVENT)
            assert shapes.misfits({"start": "x", "chunk": [less]}, shapes.MESSAGES)
            assert shapes.misfits([{**EVENT, "state_key": ""}, less], shapes.STATE_EVENTS)
        assert shapes.misfits([EVENT], shapes.STATE_EVENTS)
        assert shapes.misfits(5, shapes.STATE_EVENTS)


@pytest.mark.parametrize("version", [V1, V11, V12], ids=str)
class TestAnswersToServers:
    def test_of_history(self, version: Any) -> None:
        answers = asked_all(a_line(version=version))
        for name, shape in (
            ("state", shapes.STATE),
            ("state_ids", shapes.STATE_IDS),
            ("event_auth", shapes.EVENT_AUTH),
            ("backfill", shapes.BACKFILL),
            ("get_missing_events", shapes.MISSING_EVENTS),
        ):
            assert shapes.misfits(answers[name], shape) == []

    def test_of_an_event(self, version: Any) -> None:
        line = a_line(version=version)
        event_id = line.events[0].event_id
        answer: Any = answer_event("b.example", event_id, [line.history()], at=5)
        assert shapes.misfits(answer, shapes.BACKFILL) == []
        assert len(answer["pdus"]) == 1

    def test_of_a_transaction(self, version: Any) -> None:
        room = a_room(version)
        transaction = read({"pdus": [says(room, 1), {"room_id": room.room_id}, 5]}, room)
        assert isinstance(transaction, Transaction)
        event_id = transaction.pdus[0].event.event_id
        results: tuple[dict[EventID, str | None], ...] = ({}, {event_id: None}, {event_id: "why"})
        for result in results:
            assert shapes.misfits(transaction.answer(result), shapes.SEND_RESULTS) == []

    def test_of_a_policy_server(self, version: Any) -> None:
        room = policed(version)
        answer = asked_to_sign(room, signed(room).event.document)
        shape: Any = {"a.example": {"ed25519:policy_server": str}}
        assert shapes.misfits(answer, shape) == []
        refused = asked_to_sign(room, {})
        assert isinstance(refused, MatrixError)
        assert shapes.misfits(refused.to_json(), shapes.ERROR) == []


@pytest.mark.parametrize("version", [V1, V11, V12], ids=str)
class TestAnswersToUsers:
    def test_of_a_timeline(self, version: Any) -> None:
        line = a_line(version=version).then("m.room.topic", {"topic": "x"}, key="")
        told = client_timeline(BEN, line.steps, line.room.state)
        assert len(told) == 5
        assert shapes.misfits(freeze({"start": "", "chunk": told}), shapes.MESSAGES) == []

    def test_of_state_and_members(self, version: Any) -> None:
        state = readable_state(BEN, a_line(version=version).room.state)
        assert state is not None
        told = [event.to_client_event() for event in state.events]
        assert shapes.misfits(told, shapes.STATE_EVENTS) == []
        members = [event.to_client_event() for event in list_members(state, membership=JOIN)]
        assert shapes.misfits({"chunk": members}, shapes.MEMBERS) == []
        assert len(members) == 2
