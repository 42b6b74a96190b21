"""The commands `resolve` and `resets`: what they read, what they print, and what they say of bad files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from matrix_membership.cli import main
from matrix_membership.room_versions import V2, V11
from tests.builders import ANA, BEN, CAY
from tests.resolution.forks import Fork, a_fork

Write = Callable[[str, Any], str]
Error = Callable[[list[str]], str]

TOPIC = ("m.room.topic", "")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a text, or a value as JSON, in a file of the working directory, and give its name."""
    monkeypatch.chdir(tmp_path)

    def as_json(name: str, value: Any) -> str:
        Path(name).write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
        return name

    return as_json


@pytest.fixture
def error(capsys: pytest.CaptureFixture[str]) -> Error:
    """Run the command line on bad input, and give the line that it prints."""

    def line(arguments: list[str]) -> str:
        assert main(arguments) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        return printed.err.rstrip("\n")

    return line


def forked(*, lost: bool = True) -> tuple[Fork, Fork]:
    """Two branches: on one Ben sets the topic, which the other one may not let stand. IDs are hashes."""
    room = a_fork(V2)
    late = room.branch()
    if lost:
        late.levels(ANA, {BEN: 0, CAY: 50})
    room.add("m.room.topic", BEN, {"topic": "cats"})
    return room, late


def pdus(room: Fork) -> list[Any]:
    """All events."""
    return [event.to_pdu() for event in room.events.values()]


def state(fork: Fork) -> list[Any]:
    """The events of a state."""
    return [fork.events[name].to_pdu() for name in fork.state.values()]


class TestResolve:
    def test_tells_the_story_and_what_was_reset(
        self, write: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        room, late = forked()
        states = write("states", [state(room), state(late)])
        assert main(["resolve", states, write("events", pdus(room))]) == 1
        printed = capsys.readouterr().out
        assert printed.startswith("state resolution 2, room version 2: places in dispute: 2\n")
        assert (
            "reset, as state 0 had it: m.room.topic: went from $e7:a.example to nothing" in printed
        )
        assert "caused by $e6:a.example (states: 1)" in printed

    def test_exits_with_0_when_nothing_was_reset(self, write: Write) -> None:
        room, late = forked(lost=False)
        states = write("states", [state(room), state(late)])
        assert main(["resolve", states, write("events", pdus(room))]) == 0

    @pytest.mark.parametrize(
        ("as_states", "as_events"),
        [
            (lambda one, two: [one, two], lambda events: events),
            (lambda one, two: f"{json.dumps(one)}\n\n{json.dumps(two)}\n", lambda events: events),
            (lambda one, two: [{"pdus": one}, {"state": two}], lambda events: {"pdus": events}),
            (lambda one, two: [{"events": one}, two], lambda events: [events]),
            (
                lambda one, two: [{"pdus": one, "auth_chain": one}, two],
                lambda events: "\n".join(map(json.dumps, events)),
            ),
            (
                lambda one, two: [
                    {"pdu_ids": [e["event_id"] for e in one]},
                    [e["event_id"] for e in two],
                ],
                lambda events: {"auth_chain": events},
            ),
        ],
    )
    def test_reads_what_servers_answer(
        self,
        as_states: Callable[[Any, Any], Any],
        as_events: Callable[[Any], Any],
        write: Write,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        room, late = forked()
        states = write("states", as_states(state(room), state(late)))
        assert main(["resolve", states, write("events", as_events(pdus(room))), "--json"]) == 1
        document = json.loads(capsys.readouterr().out)
        expected = {place: name for place, name in room.state.items() if place != TOPIC}
        expected["m.room.power_levels", ""] = late.state["m.room.power_levels", ""]
        assert {(kind, key): name for kind, key, name in document["state"]} == expected
        assert [len(found) for found in document["resets"]] == [1, 0]
        assert document["missing"] == []
        assert document["story"]["algorithm"] == "2"

    def test_reads_one_state(self, write: Write) -> None:
        room, _ = forked()
        states = write("states", {"pdus": state(room)})
        assert main(["resolve", states, write("events", pdus(room))]) == 0

    def test_reads_standard_input(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        room, late = forked()
        data = json.dumps(pdus(room)).encode()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert main(["resolve", write("states", [state(room), state(late)]), "-"]) == 1

    def test_writes_a_page(self, write: Write) -> None:
        room, late = forked()
        states = write("states", [state(room), state(late)])
        events = write("events", pdus(room))
        assert main(["resolve", states, events, "--html", "page.html"]) == 1
        page = Path("page.html").read_text("utf-8")
        assert page.startswith("<!DOCTYPE html>")
        assert "reset, as state 0 had it" in page

    def test_takes_algorithm_and_rejected_events(
        self, write: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        room, late = forked()
        states = write("states", [state(room), state(late)])
        events = write("events", pdus(room))
        options = ["--algorithm", "2.1", "--rejected", "$e6:a.example", "--json"]
        assert main(["resolve", states, events, *options]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["story"]["algorithm"] == "2.1"
        assert [*TOPIC, room.state[TOPIC]] in document["state"]

    def test_takes_the_room_version(self, write: Write) -> None:
        room = a_fork(V11)
        later = [room.events[name].to_pdu() for name in room.state.values()][1:]
        states = write("states", [later])
        assert main(["resolve", states, write("events", later), "--room-version", "11"]) == 0


class TestBadFiles:
    def test_both_on_standard_input(self, error: Error) -> None:
        assert error(["resolve", "-", "-"]) == (
            "STATES and EVENTS: expected at most one of them on standard input, got '-'"
        )

    def test_a_missing_file(self, write: Write, error: Error) -> None:
        assert "'gone'" in error(["resolve", write("states", []), "gone"])

    @pytest.mark.parametrize(
        ("states", "start"),
        [
            ("{", "states: expected JSON, got"),
            ("[]\n{\n", "states:2: expected JSON, got"),
            ("7", "states: expected a list or an object, got 7"),
            ([7], "states[0]: expected an event, got 7"),
            ([{}], "states[0]: expected a list of events or of event IDs, got"),
            ([{"pdus": 7}], "states[0].pdus: expected a list, got 7"),
            ([["$gone"]], "states[0][0]: expected the ID of an event in EVENTS, got '$gone'"),
            ([[7]], "states[0][0]: expected an event, got 7"),
            ([{"pdus": [{}]}], "states[0].pdus[0]: expected an event of room version 2, got"),
        ],
    )
    def test_states(self, states: Any, start: str, write: Write, error: Error) -> None:
        events = write("events", pdus(forked()[0]))
        assert error(["resolve", write("states", states), events]).startswith(start)

    def test_events(self, write: Write, error: Error) -> None:
        events = [*pdus(forked()[0]), {"type": "m.room.topic"}]
        line = error(["resolve", write("states", []), write("events", events)])
        assert line.startswith(
            f"events[{len(events) - 1}]: expected an event of room version 2, got"
        )

    def test_a_state_with_a_message(self, write: Write, error: Error) -> None:
        room, _ = forked()
        events = write("events", pdus(room))
        message = room.make("m.room.message", ANA, {}).to_pdu()
        del message["state_key"]
        assert error(["resolve", write("states", [[message]]), events]) == (
            "states[0][0]: expected a state event, got 'm.room.message'"
        )

    def test_a_state_with_two_events_in_one_place(self, write: Write, error: Error) -> None:
        room, _ = forked()
        second = room.make("m.room.topic", ANA, {}).event_id
        states = write("states", [[room.state[TOPIC], second]])
        assert error(["resolve", states, write("events", pdus(room))]) == (
            "states[0][1]: expected one event for each type and state key, got 'm.room.topic'"
        )

    def test_an_event_without_a_type(self, write: Write, error: Error) -> None:
        line = error(["resolve", write("states", []), write("events", [{"sender": ANA}])])
        assert line.startswith("events[0]: expected an event, which has a type, or a list of")

    def test_no_room_version(self, write: Write, error: Error) -> None:
        states, events = write("states", []), write("events", [])
        start = "expected a create event, or --room-version, got 'neither'"
        assert error(["resolve", states, events]) == f"events and states: {start}"
        assert error(["resets", write("rows", ""), events]) == f"events: {start}"

    @pytest.mark.parametrize("told", [None, 7, "99", ["2"]])
    def test_an_unknown_room_version(self, told: Any, write: Write, error: Error) -> None:
        create = {**pdus(forked()[0])[0], "content": {"room_version": told}}
        got = repr(tuple(told) if isinstance(told, list) else told)
        ending = f"room version: expected one that is known here, got {got}"
        events = write("events", [create])
        assert error(["resolve", write("states", []), events]) == f"events[0]: {ending}"
        states = write("states", [{"pdus": [create]}])
        assert error(["resolve", states, write("none", [])]) == f"states[0].pdus[0]: {ending}"

    def test_a_create_event_without_content(self, write: Write, error: Error) -> None:
        create = {**pdus(forked()[0])[0], "content": 7}
        line = error(["resolve", write("states", []), write("events", [create])])
        assert line == "events[0]: content: expected an object, got 7"

    def test_another_room_version_on_the_command_line(self, write: Write, error: Error) -> None:
        states, events = write("states", []), write("events", pdus(forked()[0]))
        assert error(["resolve", states, events, "--room-version", "11"]) == (
            "events[0]: m.room.create: room_version: expected 11, as --room-version says, got '2'"
        )
        assert error(["resolve", states, events, "--room-version", "x"]) == (
            "--room-version: room version: expected one that is known here, got 'x'"
        )

    def test_standard_input(
        self, write: Write, error: Error, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        events = write("events", pdus(forked()[0]))
        for arguments in (["resolve", "-", events], ["resets", "-"]):
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"7")))
            assert error(arguments).startswith("standard input")


class TestResets:
    @staticmethod
    def rows() -> str:
        topic = "$e7:a.example"
        rows = [(1, *TOPIC, topic, None), (2, *TOPIC, None, topic)]
        return "\n".join(map(json.dumps, rows))

    def test_are_told(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["resets", write("rows", self.rows())]) == 1
        assert capsys.readouterr().out.startswith(
            "m.room.topic: went from $e7:a.example to nothing at 2"
        )

    def test_are_told_with_events(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        room, late = forked()
        steps = (room.state, {**room.state, **late.state})
        rows = [[1, *place, name, None] for place, name in steps[0].items()]
        rows += [[2, *TOPIC, None, room.state[TOPIC]]]
        levels = ("m.room.power_levels", "")
        rows += [[2, *levels, late.state[levels], room.state[levels]]]
        lines = "\n".join(map(json.dumps, rows))
        assert main(["resets", write("rows", lines), write("events", pdus(room)), "--json"]) == 1
        (reset,) = json.loads(capsys.readouterr().out)
        assert reset["cause"] == late.state[levels]

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_are_read_behind_a_byte_order_mark(
        self, encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """PowerShell writes one, and so do some editors."""
        monkeypatch.chdir(tmp_path)
        room, _ = forked()
        Path("rows").write_bytes(self.rows().encode(encoding))
        Path("events").write_bytes(json.dumps(pdus(room)).encode(encoding))
        assert main(["resets", "rows", "events"]) == 1

    def test_may_be_none(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["resets", write("rows", "")]) == 0
        assert capsys.readouterr().out == "nothing was reset\n"

    def test_name_a_bad_row(self, write: Write, error: Error) -> None:
        assert error(["resets", write("rows", "\n7")]).startswith("rows, line 2: expected 5 values")

    def test_take_standard_input_once(self, error: Error) -> None:
        assert error(["resets", "-", "-"]).startswith("CHANGES and EVENTS: expected at most one")
