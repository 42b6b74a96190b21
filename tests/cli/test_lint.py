"""The command `lint`: what hurts in a room."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from matrix_membership import lint
from matrix_membership.advice.pages import page_of_findings
from matrix_membership.cli import main
from matrix_membership.membership import JOIN, LEAVE
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, Room, a_levelled_room
from tests.cli.test_whocan import written

ROOM = a_levelled_room(V11, ban=60, users={ANA: 100}).with_member(BEN, JOIN)
BROKEN = ROOM.with_member(ANA, LEAVE).with_content("m.room.server_acl", {"allow": ["<script>"]})


def state(folder: Path, room: Room) -> str:
    return written(folder, [event.to_pdu() for event in room.events])


class TestLint:
    def test_prints_the_findings(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["lint", state(tmp_path, BROKEN)]) == 1
        findings = lint(BROKEN.state)
        assert capsys.readouterr().out == "\n".join(map(str, findings)) + "\n"

    def test_of_a_sound_room_finds_nothing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["lint", state(tmp_path, ROOM)]) == 0
        assert capsys.readouterr().out == "nothing hurts\n"

    def test_prints_json(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["lint", state(tmp_path, BROKEN), "--json"]) == 1
        kinds = [finding["kind"] for finding in json.loads(capsys.readouterr().out)]
        assert kinds == [finding.kind for finding in lint(BROKEN.state)]

    def test_writes_a_page(self, tmp_path: Path) -> None:
        file = tmp_path / "page.html"
        assert main(["lint", state(tmp_path, BROKEN), "--html", str(file)]) == 1
        page = file.read_text("utf-8")
        assert (
            page.partition("<details>")[0]
            == page_of_findings(lint(BROKEN.state)).partition("<details>")[0]
        )
        assert "<h2>It hurts</h2>" in page
        assert "<h2>It may hurt</h2>" in page
        assert "<script" not in page
        assert "Nothing hurts" in page_of_findings(())
