"""The command `doctor`: records in, a diagnosis and an exit code out."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from matrix_membership.cli import main
from matrix_membership.federation.handshake import JOINING
from matrix_membership.room_versions import V11
from tests.builders import SIGNER_A, SIGNER_B
from tests.captures import FOLDER
from tests.federation.diagnosis.transcripts import Json, Play, played, with_user
from tests.federation.signed_rooms import a_signed_room, with_state

Write = Callable[[str, Any], str]
PUBLIC = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": "public"})
GOOD = played(Play(JOINING, PUBLIC))
BANNED = played(Play(JOINING, with_user(PUBLIC, "ban")))
KEYS = {signer.server_name: {signer.key_id: signer.verify_key} for signer in (SIGNER_A, SIGNER_B)}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a value as a JSON file, or text as it is, and give the file's name."""

    def written(name: str, value: Any) -> str:
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
        return str(path)

    return written


def pdus(room: Any) -> list[Json]:
    return [event.to_pdu() for event in room.state.events]


class TestExitCode:
    def test_is_0_for_what_went_well(
        self, write: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["doctor", write("c", GOOD), "--keys", write("k", KEYS)]) == 0
        assert capsys.readouterr().out.startswith("succeeded: join of @ben:b.example")

    def test_is_1_for_what_failed(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        state = write("s", pdus(with_user(PUBLIC, "ban")))
        assert main(["doctor", write("c", BANNED), "--state", state]) == 1
        out = capsys.readouterr().out
        assert "at fault: nobody: the rules forbid it" in out
        assert "unban @ben:b.example" in out

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("[", "expected JSON"),
            ('{"log": {}}', "log.entries: expected a list"),
            ('{"x": 1}', "expected an exchange, or an answer of make_join or send_join"),
            ("[]", "expected a request of a join, knock, leave or invite"),
            ('{"uri": "/x"}\n{"uri": 7}', ":2.uri: expected text, got 7"),
            ('{"uri": "/x"}\n{', ":2: expected JSON"),
        ],
    )
    def test_is_2_for_what_cannot_be_read(
        self, write: Write, capsys: pytest.CaptureFixture[str], text: str, told: str
    ) -> None:
        file = write("c", text)
        assert main(["doctor", file]) == 2
        error = capsys.readouterr().err
        assert error.startswith(file)
        assert told in error

    def test_is_2_for_keys_that_cannot_be_read(
        self, write: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        keys = write("k", {"a.example": 7})
        assert main(["doctor", write("c", GOOD), "--keys", keys]) == 2
        assert capsys.readouterr().err.startswith(keys)

    def test_is_2_for_two_files_on_standard_input(self) -> None:
        assert main(["doctor", "-", "--state", "-"]) == 2


class TestInput:
    def test_may_be_lines(self, write: Write) -> None:
        lines = "\n".join(map(json.dumps, GOOD))
        assert main(["doctor", write("c", lines), "--keys", write("k", KEYS)]) == 0

    def test_may_be_bare_answers_in_several_files(
        self, write: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        files = [write(f"{index}", record["response"]) for index, record in enumerate(GOOD)]
        assert main(["doctor", *files, "--keys", write("k", KEYS)]) == 0
        assert "the event that was sent" in capsys.readouterr().out

    def test_may_be_a_bare_template_and_an_error(
        self, write: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        files = [write("m", GOOD[0]["response"]), write("s", {"errcode": "M_FORBIDDEN"})]
        assert main(["doctor", *files]) == 1
        assert "send_join, not recorded" in capsys.readouterr().out

    def test_may_come_on_standard_input(
        self, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = io.BytesIO(json.dumps(GOOD).encode())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
        assert main(["doctor", "-", "--keys", write("k", KEYS)]) == 0

    def test_may_be_what_a_real_server_said(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["doctor", "--json", str(FOLDER / "11.jsonl")]) == 1
        found = json.loads(capsys.readouterr().out)
        assert len(found) > 10
        assert {entry["fault"] for entry in found} >= {"the asking server", "nobody", "unknown"}

    def test_takes_the_state_one_event_a_line(
        self, write: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        state = json.loads(Path("docs/examples/refused-join/state.json").read_text("utf-8"))
        refused = "docs/examples/failed-join/refused.json"
        lines = write("s", "\n".join(map(json.dumps, state)))
        assert main(["doctor", refused, "--state", lines]) == 1
        assert "rejected by rule 4.3.3" in capsys.readouterr().out

    def test_takes_a_room_version(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        _, send = GOOD
        refused = {**send, "status": 403, "response": {"errcode": "M_FORBIDDEN"}}
        assert main(["doctor", write("c", refused), "--room-version", "11", "--json"]) == 1
        assert '"the room version"' not in capsys.readouterr().out


class TestOutput:
    def test_is_json_on_demand(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        main(["doctor", write("c", BANNED), "--json"])
        [found] = json.loads(capsys.readouterr().out)
        assert (found["cause"], found["fault"]) == ("forbidden", "unknown")

    def test_is_a_page_on_demand(self, write: Write, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        main(["doctor", write("c", BANNED), "--html", str(page)])
        assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
