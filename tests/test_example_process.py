"""The example homeserver as a process: two of them, and every command of the page that tells how to talk to them."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPConnection
from string import Template
from typing import Any, Final, Self
from urllib.parse import urlsplit

import pytest

from homeserver.__main__ import Options, seed_of
from matrix_membership import KeyRing, Signer
from tests.sources import ROOT, SOURCE
from tests.test_docs import FENCE

PAGE: Final = ROOT / "docs" / "howto" / "run-the-example-homeserver.md"
EXAMPLES: Final = ROOT / "docs" / "examples"
SECONDS: Final = 60
"""How long a page's story, or what one server tells the other, may take."""


class Process:
    """An example homeserver that listens."""

    def __init__(self, *options: str) -> None:
        paths = os.pathsep.join([str(SOURCE.parent), str(EXAMPLES)])
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "homeserver", *options],
            cwd=EXAMPLES,
            env={**os.environ, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.says = self.process.stdout.readline().rstrip()
        assert " listens on http://127.0.0.1:" in self.says, self.says + self.process.stdout.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    @property
    def address(self) -> str:
        """Where it listens."""
        return self.says.rpartition("//")[2]

    def end(self) -> tuple[int, str]:
        """Its exit status once it was told to end, and all that it said after the first line."""
        self.process.terminate()
        said, _ = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, said


def asked(method: str, url: str, headers: dict[str, str], body: str | None) -> Any:
    """The parsed answer to a request."""
    split = urlsplit(url)
    connection = HTTPConnection(split.netloc, timeout=SECONDS)
    try:
        path = split.path + (f"?{split.query}" if split.query else "")
        connection.request(method, path, body, headers)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


class Shell:
    """Runs the commands of the page, and no others.

    Args:
        ports: for each port that the page names, the one to take.
    """

    def __init__(self, ports: dict[str, str]) -> None:
        self.ports = ports
        self.variables: dict[str, str] = {}
        self.jobs: list[Process] = []
        self.again: Callable[[], Any] | None = None
        self.printed: Any = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for job in self.jobs:
            job.__exit__()

    def run(self, line: str) -> None:
        """Run a line; what printed an error that the page does not show is one."""
        assert "errcode" not in self.printed
        for port, taken in self.ports.items():
            line = line.replace(port, taken)
        match shlex.split(line):
            case ["pip", "install", ".[examples]"] | ["cd", "docs/examples"]:
                pass
            case ["python", "-m", "homeserver", *options, "&"]:
                self.jobs.append(Process(*options))
            case ["kill", job]:
                assert self.jobs[int(job.removeprefix("%")) - 1].end()[0] == 0
            case ["curl", "-s", *arguments]:
                self.curl([Template(text).substitute(self.variables) for text in arguments])
            case [assignment]:
                name, _, value = assignment.partition("=")
                self.variables[name] = value
            case words:
                raise AssertionError(words)

    def curl(self, arguments: list[str]) -> None:
        """Make a request, as curl would."""
        header, (url, *data) = arguments[1], arguments[2:]
        assert arguments[0] == "-H"
        assert data[:1] in ([], ["-d"])
        name, _, value = header.partition(": ")
        method, body = ("POST", data[1]) if data else ("GET", None)
        ask = partial(asked, method, url, {name: value}, body)
        self.printed, self.again = ask(), None if data else ask
        for name in ("room_id", "replacement_room"):
            if name in self.printed:
                self.variables["ROOM"] = self.printed[name]

    def prints(self, expected: Any) -> None:
        """Compare what the last command printed.

        What one server tells the other may take a moment, so a question is put again.
        """
        if expected.keys() <= {"room_id", "replacement_room"}:
            expected = dict.fromkeys(expected, self.variables["ROOM"])
        until = time.monotonic() + SECONDS
        while self.printed != expected and self.again is not None and time.monotonic() < until:
            time.sleep(0.1)
            self.printed = self.again()
        assert self.printed == expected
        self.printed = {}


class TestPage:
    def test_tells_what_happens(self) -> None:
        a, b = map(str, free_ports(2))
        with Shell({"8008": a, "8009": b}) as shell:
            for block in FENCE.finditer(PAGE.read_text("utf-8")):
                if block["language"] == "json":
                    shell.prints(json.loads(block["code"]))
                else:
                    for line in block["code"].splitlines():
                        shell.run(line)
            assert len(shell.jobs) == 2


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    with Process("--port", "0") as running:
        yield running


class TestProcess:
    def test_is_named_by_its_address(self, process: Process) -> None:
        document = asked("GET", f"http://{process.address}/_matrix/key/v2/server", {}, None)
        assert document["server_name"] == process.address
        ring = KeyRing.from_documents([document], expected=process.address, at=0)
        assert set(ring.servers) == {process.address}

    def test_has_the_key_that_it_is_given(self) -> None:
        seed = "S" * 42 + "A"
        with Process("--port", "0", "--name", "a.example", "--seed", seed) as running:
            document = asked("GET", f"http://{running.address}/_matrix/key/v2/server", {}, None)
        key = Signer.from_seed("a.example", "ed25519:1", seed).verify_key
        assert document["verify_keys"] == {"ed25519:1": {"key": key}}

    def test_says_what_it_asks_of_others(self, process: Process) -> None:
        with Process("--port", "0", "--peer", f"a.example={process.address}") as other:
            path = "_matrix/client/v3/join/%23none:a.example"
            asked("POST", f"http://{other.address}/{path}", {"Authorization": "Bearer ben"}, "{}")
            status, said = other.end()
        # The other server is not called so, which the signature of the request tells it.
        assert (status, said) == (
            0,
            "to a.example: GET /_matrix/federation/v1/query/directory -> 401\n",
        )


class TestOptions:
    def test_are_few_by_default(self) -> None:
        assert Options.read([]) == Options(None, 8008, None, {}, frozenset())

    def test_name_other_servers(self) -> None:
        read = Options.read(["--peer", "b.example=127.0.0.1:1", "--peer", "c.example=[::1]:2"])
        assert read.peers == {"b.example": "127.0.0.1:1", "c.example": "[::1]:2"}

    def test_name_identity_servers(self) -> None:
        read = Options.read(["--identity-server", "id.example", "--identity-server", "[::1]:2"])
        assert read.identity_servers == {"id.example", "[::1]:2"}

    @pytest.mark.parametrize(
        "wrong",
        [
            ["--name", "not a name"],
            ["--seed", "short"],
            ["--peer", "b.example"],
            ["--peer", "=127.0.0.1:1"],
            ["--port", "many"],
        ],
    )
    def test_that_make_no_sense_are_refused(
        self, wrong: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            Options.read(wrong)
        assert caught.value.code == 2
        assert f"argument {wrong[0]}" in capsys.readouterr().err


class TestSeedOf:
    def test_differs_by_name_alone(self) -> None:
        assert seed_of("a.example") == seed_of("a.example") != seed_of("b.example")
        assert Signer.from_seed("a.example", "ed25519:1", seed_of("a.example"))
