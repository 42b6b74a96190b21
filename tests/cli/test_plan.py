"""The command `plan`: the events of a change, and their effects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from matrix_membership.advice import plans
from matrix_membership.advice.pages import page_of
from matrix_membership.cli import main
from matrix_membership.client.planning import plan_upgrade
from matrix_membership.membership import JOIN
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, CAY, a_levelled_room
from tests.cli.test_whocan import written

ROOM = a_levelled_room(V11, users={ANA: 100}).with_member(BEN, JOIN).with_join_rule("public")


@pytest.fixture
def state(tmp_path: Path) -> str:
    return written(tmp_path, [event.to_pdu() for event in ROOM.events])


class TestPlan:
    @pytest.mark.parametrize(
        ("arguments", "plan"),
        [
            (["hand-over", "--to", BEN], plans.hand_over(ROOM.state, BEN)),
            (
                ["hand-over", "--to", BEN, "--by", ANA, "--keep", "50"],
                plans.hand_over(ROOM.state, BEN, by=ANA, keep=50),
            ),
            (["close", "--withdraw"], plans.close(ROOM.state, withdraw=True)),
            (["open", "--to", "!s:a.example"], plans.open_to(ROOM.state, ["!s:a.example"])),
            (
                ["lock-out", "--server", "b.example", "--server", "x"],
                plans.lock_out(ROOM.state, ["b.example", "x"]),
            ),
        ],
        ids=["hand-over", "with options", "close", "open", "lock-out"],
    )
    def test_prints_what_the_function_gives(
        self,
        state: str,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        plan: plans.Plan,
    ) -> None:
        kind, *options = arguments
        assert main(["plan", kind, state, *options]) == 0
        assert capsys.readouterr().out == f"{plan}\n"

    def test_prints_json(self, state: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["plan", "close", state, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert [event["type"] for event in told["events"]] == [
            "m.room.join_rules",
            "m.room.power_levels",
        ]

    def test_writes_a_page(self, state: str, tmp_path: Path) -> None:
        file = tmp_path / "page.html"
        assert main(["plan", "close", state, "--html", str(file)]) == 0
        told = page_of(plans.close(ROOM.state)).partition("<details>")[0]
        assert file.read_text("utf-8").startswith(told)


class TestExitCode:
    def test_is_1_if_nobody_stays_in_charge_unless_told_so(self, state: str) -> None:
        arguments = ["plan", "hand-over", state, "--to", CAY]
        assert main(arguments) == 1
        assert main([*arguments, "--anyway"]) == 0

    def test_is_1_if_the_rules_reject_it_even_if_told_so(self, state: str) -> None:
        assert main(["plan", "close", state, "--by", BEN, "--anyway"]) == 1

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (
                ["hand-over", "--to", "ben"],
                "user ID: expected @localpart:server of at most 255 bytes, got 'ben'",
            ),
            (
                ["close", "--by", "ana"],
                "user ID: expected @localpart:server of at most 255 bytes, got 'ana'",
            ),
            (["open", "--to", "#a:a"], "room ID: "),
            (["lock-out", "--server", "https://x"], "server: expected a server name, "),
        ],
        ids=["to", "by", "room", "server"],
    )
    def test_is_2_for_names_of_a_wrong_form(
        self, state: str, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
    ) -> None:
        kind, *options = arguments
        assert main(["plan", kind, state, *options]) == 2
        assert capsys.readouterr().err.startswith(told)

    def test_is_2_for_a_state_without_its_levels(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = written(tmp_path, [ROOM.events[0].to_stripped()])
        assert main(["plan", "close", file]) == 2
        assert capsys.readouterr().err.startswith(f"{file}: ")


class TestUpgrade:
    def test_prints_what_the_function_gives(
        self, state: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = ["--to", "12", "--creator", BEN, "--lacking", "b.example"]
        assert main(["plan", "upgrade", state, *options]) == 0
        plan = plan_upgrade(ROOM.state, "12", additional_creators=[BEN], lacking=["b.example"])
        assert (
            capsys.readouterr().out.partition("The server")[0]
            == str(plan).partition("The server")[0]
        )

    def test_of_an_unknown_version_is_unreadable(
        self, state: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["plan", "upgrade", state, "--to", "13"]) == 2
        assert capsys.readouterr().err.startswith("room version: expected one that is known here")
