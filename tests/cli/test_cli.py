"""The command line: what it reads, what it prints, and its exit codes."""

from __future__ import annotations

import io
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from matrix_membership.cli import main
from matrix_membership.membership import BAN
from matrix_membership.room_versions import KNOWN, V1, V10, V11
from tests.builders import ANA, BEN, Room, a_room
from tests.captures import VERSIONS, captures

Write = Callable[[str, Any], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a value as a JSON file, and give the file's name."""

    def as_json(name: str, value: Any) -> str:
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
        return str(path)

    return as_json


def pdus(room: Room) -> list[Any]:
    """The state of a room as PDUs."""
    return [event.to_pdu() for event in room.events]


def client_events(room: Room) -> list[Any]:
    """The state of a room as its members get it."""
    return [event.to_client_event() for event in room.events]


class TestExitCode:
    def test_is_0_for_what_is_allowed(self, write: Write) -> None:
        room = a_room(V11).with_join_rule("public")
        event = write("e", room.join(BEN).to_client_event())
        assert main(["explain", write("s", client_events(room)), event]) == 0

    def test_is_1_for_what_is_rejected(self, write: Write) -> None:
        room = a_room(V11)
        event = write("e", room.join(BEN).to_client_event())
        assert main(["explain", write("s", client_events(room)), event]) == 1

    def test_is_1_for_what_a_partial_state_leaves_open(self, write: Write) -> None:
        room = a_room(V11).with_join_rule("public")
        event = write("e", room.join(BEN).to_client_event())
        assert main(["explain", "--partial", write("s", client_events(room)), event]) == 1

    @pytest.mark.parametrize(
        ("state", "told"),
        [
            ("[", "JSON"),
            (7, "expected a list of state events, got 7"),
            ({"x": 1}, "expected a list of state events, got ['x']"),
            ([7], "s: state: expected a create event, or --room-version, got 'neither'"),
            ([], "state: expected a create event, or --room-version, got 'neither'"),
            ([{"type": "m.room.create", "content": {"room_version": "x"}}], "got 'x'"),
            ([{"type": "m.room.create", "content": 7}], "got 7"),
            ({"state": 7}, "s: state: expected a list of state events, got 7"),
            ({"rooms": {"join": {"!r:a": {"timeline": 7}}}}, "expected a list of state events"),
            (
                {"rooms": {"join": {"!r:a": {"timeline": {"events": 7}}}}},
                "s: rooms.join.!r:a: timeline.events: expected a list of state events, got 7",
            ),
        ],
    )
    def test_is_2_for_a_state_that_is_none(
        self, write: Write, capsys: pytest.CaptureFixture[str], state: Any, told: str
    ) -> None:
        event = write("e", a_room(V11).join(BEN).to_client_event())
        assert main(["explain", write("s", state), event]) == 2
        assert told in capsys.readouterr().err

    def test_is_2_for_an_event_that_is_malformed(
        self, write: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        event = write("e", {"type": "m.room.member"})
        assert main(["explain", write("s", client_events(a_room(V11))), event]) == 2
        assert capsys.readouterr().err == f"{event}: sender: expected a user ID, got None\n"

    def test_is_2_for_an_event_that_is_none(self, write: Write) -> None:
        assert main(["explain", write("s", client_events(a_room(V11))), write("e", [])]) == 2

    def test_is_2_for_a_file_that_is_not_there(self, tmp_path: Path, write: Write) -> None:
        assert main(["explain", str(tmp_path / "absent"), write("e", {})]) == 2

    def test_is_2_for_words_that_it_does_not_know(self) -> None:
        with pytest.raises(SystemExit) as raised:
            main(["explain"])
        assert raised.value.code == 2

    def test_is_2_for_two_documents_on_standard_input(self) -> None:
        assert main(["explain", "-", "-"]) == 2


class TestState:
    @pytest.mark.parametrize(
        "within",
        [
            lambda events: {"pdus": events, "auth_chain": []},
            lambda events: {"state": events, "event": {}},
            lambda events: {"state": {"events": events}, "timeline": {}},
        ],
    )
    def test_may_be_the_answer_of_a_server(self, write: Write, within: Any) -> None:
        room = a_room(V11).with_join_rule("public")
        event = write("e", room.join(BEN).to_client_event())
        assert main(["explain", write("s", within(pdus(room))), event]) == 0

    @pytest.mark.parametrize("version", KNOWN.values(), ids=str)
    def test_says_the_room_version(
        self, write: Write, capsys: pytest.CaptureFixture[str], version: Any
    ) -> None:
        room = a_room(version).with_member(BEN, BAN)
        event = write("e", room.join(BEN).to_pdu())
        assert main(["explain", write("s", pdus(room)), event]) == 1
        assert f"of room version {version}: the sender is banned" in capsys.readouterr().out

    def test_without_a_version_is_of_version_1(
        self, write: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        room = Room(V1).with_content("m.room.create", {"creator": ANA})
        event = write("e", room.message(ANA).to_client_event())
        assert main(["explain", write("s", client_events(room)), event]) == 1
        assert "of room version 1:" in capsys.readouterr().out

    def test_without_a_create_event_needs_a_version(self, write: Write) -> None:
        room = a_room(V11)
        event = write("e", room.join(BEN).to_client_event())
        assert main(["explain", "--room-version", "11", write("s", []), event]) == 1

    def test_may_come_on_standard_input(
        self, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        room = a_room(V11).with_join_rule("public")
        text = json.dumps(pdus(room)).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        assert main(["explain", "-", write("e", room.join(BEN).to_pdu())]) == 0


class TestSignatures:
    def joins_restricted(self, write: Write, event: Any) -> int:
        room = a_room(V10).with_join_rule("restricted")
        return main(["explain", write("s", pdus(room)), write("e", event)])

    def test_of_a_pdu_are_those_it_names(self, write: Write) -> None:
        event = a_room(V10).join(BEN, join_authorised_via_users_server=ANA).to_pdu()
        assert self.joins_restricted(write, event) == 1
        assert self.joins_restricted(write, {**event, "signatures": {"a.example": {}}}) == 0

    def test_of_a_pdu_may_be_of_a_wrong_kind(self, write: Write) -> None:
        event = a_room(V10).join(BEN, join_authorised_via_users_server=ANA).to_pdu()
        assert self.joins_restricted(write, {**event, "signatures": 7}) == 2

    def test_of_a_client_event_are_taken_for_granted(self, write: Write) -> None:
        event = a_room(V10).join(BEN, join_authorised_via_users_server=ANA).to_client_event()
        assert self.joins_restricted(write, event) == 0


class TestOutput:
    def test_is_a_page(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        room = a_room(V11)
        event = write("e", room.join(BEN).to_client_event())
        main(["explain", write("s", client_events(room)), event])
        out = capsys.readouterr().out
        assert out.startswith("rejected by rule 4.3.7 of room version 11: ")
        assert f"invite {BEN} (by {ANA})" in out
        assert "Signatures are not checked" in out

    def test_is_json_on_demand(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        room = a_room(V11)
        event = write("e", room.join(BEN).to_client_event())
        main(["explain", "--json", write("s", client_events(room)), event])
        assert json.loads(capsys.readouterr().out)["number"] == "4.3.7"

    def test_comes_from_the_module_too(
        self, write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        room = a_room(V11)
        event = write("e", room.message(ANA).to_client_event())
        arguments = ["explain", write("s", client_events(room)), event]
        monkeypatch.setattr(sys, "argv", ["matrix_membership", *arguments])
        monkeypatch.delitem(sys.modules, "matrix_membership.__main__", raising=False)
        with pytest.raises(SystemExit) as raised:
            runpy.run_module("matrix_membership", run_name="__main__")
        assert raised.value.code == 0
        assert capsys.readouterr().out.startswith("allowed by rule 10 of room version 11: ")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_join_that_a_real_server_accepted_is_allowed_where_all_members_are_told(
    write: Write, version: str
) -> None:
    answers = [
        capture
        for capture in captures(version)
        if "send_join" in capture.path and capture.status == 200 and capture.method == "PUT"
    ]
    assert answers
    for capture in answers:
        answer = capture.response[1] if "v1" in capture.path else capture.response
        join = answer.get("event") or capture.request
        files = write("s", answer), write("e", join)
        if answer.get("members_omitted"):  # it leaves open whether the user is banned
            assert main(["explain", "--partial", *files]) == 1
        else:
            assert main(["explain", *files]) == 0
