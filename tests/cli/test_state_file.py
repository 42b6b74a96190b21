"""The file of a state: lines, captures of a browser, the answers of servers and of their administration."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from matrix_membership.cli import main
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, a_room

OPEN = a_room(V11).with_join_rule("public").with_levels({ANA: 100})
EVENTS = [event.to_client_event() for event in OPEN.events]
CLOSED = [event for event in EVENTS if event["type"] != "m.room.join_rules"]
CLIENT = "https://a.example/_matrix/client/v3"
FEDERATION = "https://a.example/_matrix/federation"


def asked(folder: Path, state: str, *options: str) -> int:
    """The exit code of the question whether Ben may join."""
    file = folder / "state"
    file.write_text(state, "utf-8")
    return main(["explain", str(file), "--join", BEN, *options])


def entry(url: str, answer: Any, *, status: int = 200, encoded: bool = False) -> dict[str, Any]:
    """An entry of a capture."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    content: dict[str, Any] = {"mimeType": "application/json", "text": text}
    if encoded:
        content |= {"text": base64.b64encode(text.encode()).decode(), "encoding": "base64"}
    return {"request": {"url": url}, "response": {"status": status, "content": content}}


def har(*entries: Any) -> str:
    return json.dumps({"log": {"version": "1.2", "entries": entries}})


class TestLines:
    def test_are_an_event_each(self, tmp_path: Path) -> None:
        assert asked(tmp_path, "\n".join(map(json.dumps, EVENTS)) + "\n\n") == 0

    def test_are_named_by_their_number(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert asked(tmp_path, "\n".join([json.dumps(EVENTS[0]), "{"])) == 2
        assert capsys.readouterr().err.startswith(f"{tmp_path / 'state'}:2: expected JSON, got ")

    @pytest.mark.parametrize(
        ("broken", "reason"),
        [
            ("[\n  {},\n", "Expecting value"),
            ('[\n  {"content": NaN}\n]\n', "NaN"),
            ('[\n  {"content": "\\ud800"}\n]\n', "Unicode scalar values"),
            ('{\n  "state": [\n    "\x00"\n  ]\n}\n', "control character at: line 3"),
        ],
    )
    def test_are_not_those_of_an_indented_document(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str, reason: str
    ) -> None:
        assert asked(tmp_path, broken) == 2
        told = capsys.readouterr().err
        assert told.startswith(f"{tmp_path / 'state'}: expected JSON, got ")
        assert reason in told

    def test_may_come_on_standard_input(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lines = b'{"type": "m.room.create"}\n{'
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
        assert main(["whocan", "-"]) == 2
        assert capsys.readouterr().err.startswith("standard input:2: ")


class TestAnswer:
    def test_of_the_first_send_join_is_a_pair(self, tmp_path: Path) -> None:
        answer = [200, {"state": EVENTS, "auth_chain": []}]
        assert asked(tmp_path, json.dumps(answer)) == 0

    def test_of_an_administrators_interface_is_read(self, tmp_path: Path) -> None:
        rows = [{**event, "age": 7, "user_id": event["sender"]} for event in EVENTS]
        assert asked(tmp_path, json.dumps({"state": rows})) == 0


ROOM = quote(OPEN.room_id, safe="")
PAIR = [200, {"state": EVENTS}]
SYNC = {"rooms": {"join": {OPEN.room_id: {"state": {"events": EVENTS}}}}}


class TestCapture:
    @pytest.mark.parametrize(
        ("url", "answer"),
        [
            (f"{CLIENT}/rooms/{ROOM}/state", EVENTS),
            (f"https://a.example/_synapse/admin/v1/rooms/{ROOM}/state", {"state": EVENTS}),
            (f"{CLIENT}/sync?timeout=0", SYNC),
            (f"{FEDERATION}/v1/send_join/{ROOM}/$e", PAIR),
            (f"{FEDERATION}/v2/send_join/{ROOM}/$e?omit_members=false", {"state": EVENTS}),
            (f"{FEDERATION}/v1/state/{ROOM}?event_id=$e", {"pdus": EVENTS}),
        ],
    )
    def test_has_the_state_in_an_answer(self, tmp_path: Path, url: str, answer: Any) -> None:
        assert asked(tmp_path, har(entry(url, answer))) == 0
        assert asked(tmp_path, har(entry(url, answer, encoded=True)), "--room", OPEN.room_id) == 0

    def test_is_read_from_its_end(self, tmp_path: Path) -> None:
        url = f"{CLIENT}/rooms/{ROOM}/state"
        assert asked(tmp_path, har(entry(url, EVENTS), entry(url, CLOSED))) == 1
        assert asked(tmp_path, har(entry(url, CLOSED), entry(url, EVENTS))) == 0

    @pytest.mark.parametrize(
        "other",
        [
            7,
            {},
            {"request": {"url": 7}, "response": None},
            {"request": {"url": "https://[x/state"}, "response": {}},
            entry(f"{CLIENT}/rooms/{ROOM}/state/m.room.name", {"name": "x"}),
            entry(f"{CLIENT}/rooms/{ROOM}/state", {}, status=403),
            entry(f"{CLIENT}/rooms/!other:a.example/state", CLOSED),
            {"request": {"url": f"{CLIENT}/sync"}, "response": {"status": 200}},
        ],
        ids=range(8),
    )
    def test_may_have_other_entries(self, tmp_path: Path, other: Any) -> None:
        state = har(entry(f"{CLIENT}/rooms/{ROOM}/state", EVENTS), other)
        assert asked(tmp_path, state, "--room", OPEN.room_id) == 0

    @pytest.mark.parametrize("log", [{}, {"entries": 7}, {"entries": []}], ids=str)
    def test_without_a_state_is_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], log: Any
    ) -> None:
        assert asked(tmp_path, json.dumps({"log": log})) == 2
        assert "state: expected an answer to /state, /sync or" in capsys.readouterr().err

    def test_names_the_entry_that_it_cannot_read(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert asked(tmp_path, har(entry(f"{CLIENT}/sync", "{"))) == 2
        assert f"{tmp_path / 'state'}: log.entries[0]: " in capsys.readouterr().err
