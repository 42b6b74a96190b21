"""The command `whatif`: what events would do to a room."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from matrix_membership.advice.pages import page_of
from matrix_membership.advice.what_if import what_if
from matrix_membership.cli import main
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, a_levelled_room
from tests.cli.test_whocan import written

ROOM = a_levelled_room(V11).with_join_rule("public")
NAME = ROOM.event("m.room.name", ANA, {"name": "x"}, "")
JOIN = ROOM.join(BEN)


@pytest.fixture
def state(tmp_path: Path) -> str:
    return written(tmp_path, [event.to_pdu() for event in ROOM.events])


class TestWhatif:
    def test_prints_verdicts_and_differences(
        self, state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        join = written(tmp_path, JOIN.to_client_event(), "join.json")
        assert main(["whatif", state, join]) == 0
        found = what_if(ROOM.state, [JOIN])
        assert capsys.readouterr().out.startswith(f"{found}\n\nSignatures are not checked: ")

    def test_takes_events_of_several_files_in_order(
        self, state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ban = ROOM.ban(ANA, BEN).to_client_event()
        lines = f"{json.dumps(NAME.to_client_event())}\n{json.dumps(ban)}\n"
        files = [
            written(tmp_path, lines, "lines"),
            written(tmp_path, [JOIN.to_client_event()], "join.json"),
        ]
        assert main(["whatif", state, "--json", *files]) == 1
        told = json.loads(capsys.readouterr().out)["steps"]
        assert [step["decision"]["allowed"] for step in told] == [True, True, False]

    def test_writes_a_page(self, state: str, tmp_path: Path) -> None:
        file = tmp_path / "page.html"
        name = written(tmp_path, NAME.to_client_event(), "name.json")
        assert main(["whatif", state, name, "--html", str(file)]) == 0
        told = file.read_text("utf-8")
        assert told.startswith(page_of(what_if(ROOM.state, [NAME])).partition("<details>")[0])

    @pytest.mark.parametrize(
        ("events", "where"),
        [
            ([{"type": 7}], "[0]: "),
            ([NAME.to_client_event(), 7], "[1]: expected an event, got 7"),
            (f"{json.dumps(NAME.to_client_event())}\n7", ":2: expected an event, got 7"),
            ({**NAME.to_client_event(), "room_id": "!other:a.example"}, ": room_id: expected "),
        ],
        ids=["a bad event", "a number", "a line", "another room"],
    )
    def test_names_the_place_of_an_error(
        self,
        state: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        events: object,
        where: str,
    ) -> None:
        file = written(tmp_path, events, "events")
        assert main(["whatif", state, file]) == 2
        assert capsys.readouterr().err.startswith(f"{file}{where}")

    def test_reads_standard_input_once(self) -> None:
        assert main(["whatif", "-", "-"]) == 2
