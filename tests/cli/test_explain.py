"""`explain`: questions without an event's JSON, states as they are found, and what is told of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from matrix_membership import __version__, auth, may, read_state
from matrix_membership.__main__ import run
from matrix_membership.cli import main
from matrix_membership.membership import BAN, INVITE, JOIN
from matrix_membership.room_versions import V11, V12
from tests.builders import ANA, BEN, CAY, Room, a_room

Write = Callable[[str, Any], str]
Asked = Callable[..., tuple[int, str, str]]

OPEN = a_room(V11).with_join_rule("public").with_levels({ANA: 100}).with_member(BEN, JOIN)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a value as a JSON file, and give the file's name."""

    def as_json(name: str, value: Any) -> str:
        path = tmp_path / name
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        path.write_bytes(data)
        return str(path)

    return as_json


@pytest.fixture
def asked(write: Write, capsys: pytest.CaptureFixture[str]) -> Asked:
    """Run `explain` on a state, and give the exit code and what it printed."""

    def explained(state: Any, *arguments: str) -> tuple[int, str, str]:
        code = main(["explain", write("state.json", state), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return explained


def told(room: Room = OPEN) -> list[dict[str, Any]]:
    """The state of a room as its members get it."""
    return [event.to_client_event() for event in room.events]


def by_hand(room: Room = OPEN) -> list[dict[str, Any]]:
    """The state of a room without IDs."""
    return [event.to_stripped() for event in room.events]


class TestQuestion:
    @pytest.mark.parametrize(
        ("arguments", "code", "verdict"),
        [
            (["--join", CAY], 0, "allowed by rule 4.3.6"),
            (["--knock", CAY], 1, "rejected by rule 4.7.1"),
            (["--leave", BEN], 0, "allowed by rule 4.5.1"),
            (["--invite", CAY, "--by", ANA], 0, "allowed by rule 4.4.4"),
            (["--kick", BEN, "--by", ANA], 0, "allowed by rule 4.5.4"),
            (["--ban", BEN, "--by", ANA], 0, "allowed by rule 4.6.2"),
            (["--ban", ANA, "--by", BEN], 1, "rejected by rule 4.6.3"),
        ],
    )
    def test_needs_no_json(
        self, asked: Asked, arguments: list[str], code: int, verdict: str
    ) -> None:
        found, out, _ = asked(told(), *arguments)
        assert (found, out.startswith(verdict)) == (code, True)

    def test_may_be_about_an_unban(self, asked: Asked) -> None:
        room = OPEN.with_member(CAY, BAN)
        assert asked(told(room), "--unban", CAY, "--by", ANA)[0] == 0

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["event.json", "--join", CAY],
            ["--join", CAY, "--by", ANA],
            ["--kick", CAY],
            ["--join", CAY, "--leave", CAY],
            ["event.json", "another.json"],
            ["--unknown"],
        ],
    )
    def test_is_one_of_its_kind(self, asked: Asked, arguments: list[str]) -> None:
        with pytest.raises(SystemExit) as raised:
            asked(told(), *arguments)
        assert raised.value.code == 2

    @pytest.mark.parametrize(
        ("arguments", "where"),
        [(["--join", "cay"], "--join"), (["--kick", CAY, "--by", "ana"], "--kick and --by")],
    )
    def test_names_users(self, asked: Asked, arguments: list[str], where: str) -> None:
        code, _, err = asked(told(), *arguments)
        assert (code, err.startswith(f"{where}: ")) == (2, True)

    @pytest.mark.parametrize("options", [[], ["--partial"], ["--stripped"], ["--complete"]])
    @pytest.mark.parametrize("events", [told(), by_hand(), told()[1:], by_hand()[1:]])
    def test_has_the_answer_of_may(self, asked: Asked, events: Any, options: list[str]) -> None:
        complete = {"--stripped": False, "--complete": True}.get(" ".join(options))
        state = read_state(
            events, room_version=V11, partial=options == ["--partial"], complete=complete
        )
        arguments = ["--json", "--room-version", "11", *options]
        for question, by_may in (
            (["--join", CAY], may(CAY, state).join()),
            (["--kick", BEN, "--by", ANA], may(ANA, state).kick(BEN)),
        ):
            code, out, _ = asked(events, *arguments, *question)
            assert code == (0 if by_may else 1)
            assert json.loads(out)["answer"] == str(by_may)
            explanation = auth.explain(by_may.event, state)
            assert json.loads(out)["number"] == explanation.decision.number


class TestState:
    def test_of_stripped_events_is_a_part(self, asked: Asked) -> None:
        room = a_room(V11).with_member(BEN, INVITE)
        code, out, _ = asked(by_hand(room), "--kick", BEN, "--by", ANA)
        assert code == 1
        assert out.startswith("unknown: the state that is at hand leaves out m.room.power_levels")
        assert "add --complete" in out

    def test_without_ids_may_be_called_complete(self, asked: Asked) -> None:
        room = a_room(V11).with_member(BEN, INVITE)
        code, out, _ = asked(by_hand(room), "--kick", BEN, "--by", ANA, "--complete")
        assert (code, "add --complete" in out) == (0, False)

    def test_with_short_ids_is_whole(self, asked: Asked) -> None:
        events = [{**event, "event_id": f"${n}"} for n, event in enumerate(by_hand())]
        assert asked(events, "--kick", BEN, "--by", ANA)[0] == 0

    def test_of_which_a_member_is_unknown_needs_no_hint(self, asked: Asked) -> None:
        code, out, _ = asked(told(), "--invite", CAY, "--by", ANA, "--partial")
        assert (code, "add --complete" in out) == (1, False)

    def test_with_a_malformed_event_names_it(self, asked: Asked) -> None:
        bad = {"type": "m.room.topic", "sender": ANA, "state_key": "", "content": 7}
        code, out, _ = asked([*told(), bad], "--join", CAY)
        assert code == 0
        assert "entry 5 (m.room.topic ''): content: expected an object, got 7" in out

    def test_that_omits_members_says_so(self, asked: Asked) -> None:
        answer = {"state": told(), "members_omitted": True}
        assert asked(answer, "--invite", CAY, "--by", ANA)[0] == 1
        assert asked({**answer, "members_omitted": False}, "--invite", CAY, "--by", ANA)[0] == 0

    def test_of_an_invite_is_stripped(self, asked: Asked) -> None:
        answer = {"invite_state": {"events": told()}}
        code, out, _ = asked(answer, "--join", CAY)
        assert (code, out.startswith("unknown: ")) == (1, True)
        assert asked(answer, "--complete", "--join", CAY)[0] == 0

    def test_may_begin_with_a_mark(self, write: Write) -> None:
        text = json.dumps(told())
        for data in (text.encode("utf-8-sig"), text.encode("utf-16")):
            assert main(["explain", write("s", data), "--join", CAY]) == 0

    def test_of_two_rooms_is_refused(self, asked: Asked) -> None:
        events = told()
        events[2]["room_id"] = "!other:a.example"
        code, _, err = asked(events, "--join", CAY)
        assert code == 2
        assert err.endswith(
            f"state.json[2]: room_id: expected {OPEN.room_id}, as before, got '!other:a.example'\n"
        )

    def test_of_another_version_than_named_is_refused(self, asked: Asked) -> None:
        code, _, err = asked(told(), "--join", CAY, "--room-version", "10")
        assert code == 2
        assert "expected 10, the room version that the caller names, got '11'" in err

    def test_of_an_unknown_version_is_refused(self, asked: Asked) -> None:
        code, _, err = asked(told(), "--join", CAY, "--room-version", "x")
        assert (code, err.startswith("--room-version: room version: ")) == (2, True)

    def test_of_a_create_event_alone_may_be_empty(self, asked: Asked, write: Write) -> None:
        create = {**told()[0], "prev_events": []}
        code, out, _ = asked([], write("e", create))
        assert (code, out.startswith("allowed by rule 1.")) == (0, True)


class TestEvent:
    def test_of_another_room_is_refused(self, asked: Asked, write: Write) -> None:
        event = {**OPEN.join(CAY).to_client_event(), "room_id": "!other:a.example"}
        code, _, err = asked(told(), write("e", event))
        assert code == 2
        expected = f"expected {OPEN.room_id}, the room of the state, got '!other:a.example'"
        assert err.endswith(f"e: room_id: {expected}\n")

    @pytest.mark.parametrize("ids", [{}, {"event_id": "$1"}, {"event_id": "$1", "room_id": "!r"}])
    def test_may_be_made_by_hand(self, asked: Asked, write: Write, ids: dict[str, str]) -> None:
        event = {**OPEN.join(CAY).to_stripped(), **ids}
        room = "room_id" in ids
        assert asked(by_hand() if room else told(), "--complete", write("e", event))[0] == 0


class TestSync:
    def room(self, **more: Any) -> dict[str, Any]:
        change = OPEN.event("m.room.join_rules", ANA, {"join_rule": "invite"}, "")
        message = OPEN.message(ANA)
        timeline = [message.to_client_event(), change.to_client_event(), 7]
        return {"state": {"events": told()}, "timeline": {"events": timeline}, **more}

    def test_is_read_with_its_timeline(self, asked: Asked) -> None:
        assert asked({"rooms": {"join": {OPEN.room_id: self.room()}}}, "--join", CAY)[0] == 1
        assert asked(self.room(), "--join", CAY)[0] == 1
        assert asked({"state": {"events": told()}}, "--join", CAY)[0] == 0

    def test_may_have_the_state_after_its_timeline(self, asked: Asked) -> None:
        room = self.room(state_after={"events": told()})
        assert asked({"rooms": {"join": {OPEN.room_id: room}}}, "--join", CAY)[0] == 0

    def test_of_several_rooms_asks_which(self, asked: Asked) -> None:
        invited = {"invite_state": {"events": by_hand()}}
        rooms = {"join": {"!a:a": self.room()}, "invite": {"!b:a": invited}, "other": 7}
        code, _, err = asked({"rooms": rooms}, "--join", CAY)
        assert (code, "expected --room with one of !a:a, !b:a, got None" in err) == (2, True)
        assert asked({"rooms": rooms}, "--join", CAY, "--room", "!a:a")[0] == 1
        assert asked({"rooms": rooms}, "--join", BEN, "--room", "!b:a")[0] == 0
        assert asked({"rooms": rooms}, "--join", CAY, "--room", "!c:a")[0] == 2


class TestPage:
    @pytest.fixture
    def terminal(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)

    @pytest.mark.usefixtures("terminal")
    def test_is_coloured_on_a_terminal(self, asked: Asked) -> None:
        out = asked(told(), "--join", CAY)[1]
        assert out.startswith("\x1b[32mallowed by rule 4.3.6")
        assert "\n\x1b[1mRules tried\x1b[0m\n" in out

    @pytest.mark.usefixtures("terminal")
    def test_is_plain_without_colours(self, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        assert "\x1b" not in asked(told(), "--join", CAY)[1]

    def test_is_plain_in_a_pipe(self, asked: Asked) -> None:
        assert "\x1b" not in asked(told(), "--join", CAY)[1]

    @pytest.mark.usefixtures("terminal")
    def test_lets_nobody_steer_the_terminal(self, asked: Asked) -> None:
        bad = {"type": "\x1b[2Jx", "sender": ANA, "state_key": "", "content": 7}
        assert "(\\x1b[2Jx '')" in asked([*told(), bad], "--join", CAY)[1]


class TestHtml:
    NAME = "@<script>alert(1)</script>\u202e:b.example"

    @pytest.mark.parametrize(
        ("options", "shown"),
        [
            (["--ban", ANA, "--by", BEN], "<h2>Levels that fell short</h2>"),
            (["--join", CAY], '<p class="says">allowed by rule'),
            (["--knock", NAME], "&lt;script&gt;"),
            (["--knock", CAY], "<h2>Rules tried</h2>"),
        ],
        ids=["rejected", "allowed", "hostile", "rules"],
    )
    def test_shows_why(self, asked: Asked, tmp_path: Path, options: list[str], shown: str) -> None:
        file = tmp_path / "page.html"
        asked(told(), *options, "--html", str(file))
        page = file.read_text("utf-8")
        assert shown in page
        assert "https://spec.matrix.org/" in page
        assert "<script" not in page
        assert "\u202e" not in page


class TestProcess:
    def test_tells_its_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as raised:
            main(["--version"])
        assert raised.value.code == 0
        assert capsys.readouterr().out == f"matrix-membership {__version__}\n"

    def test_ends_quietly_when_nobody_reads_on(self, write: Write) -> None:
        state = write("s", told(OPEN.with_levels({f"@u{n}:a.example": n for n in range(9)})))
        arguments = [sys.executable, "-m", "matrix_membership", "explain", state, "--join", CAY]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait()) == (b"", 141)
        process.stderr.close()

    def test_closes_what_nobody_reads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(text: str) -> None:
            raise BrokenPipeError

        copied: list[tuple[int, int]] = []
        monkeypatch.setattr("matrix_membership.cli._page.print_page", broken)
        monkeypatch.setattr("os.dup2", lambda *ends: copied.append(ends))
        monkeypatch.setattr("sys.stdout", SimpleNamespace(fileno=lambda: 7))
        state = "docs/examples/refused-join/state.json"
        monkeypatch.setattr("sys.argv", ["matrix-membership", "explain", state, "--join", CAY])
        assert run() == 141
        assert [end for _, end in copied] == [7]

    def test_tells_what_could_not_be_printed(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def full() -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("matrix_membership.__main__.main", lambda: 0)
        monkeypatch.setattr("os.dup2", lambda *ends: None)
        monkeypatch.setattr("sys.stdout", SimpleNamespace(fileno=lambda: 7, flush=full))
        assert run() == 2
        assert capsys.readouterr().err == "[Errno 28] No space left on device\n"

    @pytest.mark.parametrize("streams", [("stdout",), ("stderr",), ("stdout", "stderr")])
    def test_answers_by_its_exit_code_where_output_is_closed(
        self, streams: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in streams:
            monkeypatch.setattr(sys, name, None)
        state = "docs/examples/refused-join/state.json"
        for arguments, code in ((("lint", state), 0), (("explain", state, "--join", BEN), 1)):
            monkeypatch.setattr("sys.argv", ["matrix-membership", *arguments])
            assert run() == code

    def test_tells_that_standard_input_is_closed(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "stdin", None)
        assert main(["lint", "-"]) == 2
        assert capsys.readouterr().err == "standard input: closed\n"

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
    def test_tells_that_the_disk_is_full(self) -> None:
        state = "docs/examples/refused-join/state.json"
        arguments = [sys.executable, "-m", "matrix_membership", "lint", state]
        with Path("/dev/full").open("w", encoding="utf-8") as full:
            done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, check=False)
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)

    def test_takes_version_12(self, asked: Asked) -> None:
        room = a_room(V12).with_join_rule("public")
        assert asked(told(room), "--join", CAY)[0] == 0
