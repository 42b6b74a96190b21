"""The engines that are asked: each in a process of its own, one question and one answer a line."""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import attrs

__all__ = ["ENGINES", "Engine", "Peer", "at_hand"]

Question = Mapping[str, Any]
Answer = Mapping[str, Any]

WINDOW: Final = 200
"""Questions on their way at once: a peer that always has one waiting never idles."""
PATIENCE: Final = 20.0
"""Seconds that a peer may take for one answer; all take milliseconds."""


@attrs.frozen
class Engine:
    """Another implementation.

    Attributes:
        name: its name on the page.
        variable: the environment variable that names its program, or the Python that it is in.
        module: the module that this Python runs; empty for a program.
        version: its version.
    """

    name: str
    variable: str
    module: str
    version: str

    @property
    def command(self) -> list[str]:
        """The command that starts the peer; empty if there is no program."""
        program = os.environ.get(self.variable, "")
        if not program:
            return []
        return [program, "-m", self.module] if self.module else [program]


ENGINES: Final[Sequence[Engine]] = (
    Engine("Synapse", "SYNAPSE_PYTHON", "tests.observatory.by_synapse", "1.163.2"),
    Engine("ruma", "RUMA", "", "ruma-state-res 0.18.0, ruma-signatures 0.22.1"),
    Engine("gomatrixserverlib", "GOMATRIXSERVERLIB", "", "v0.0.0-20250815065806-6697d93cbcba"),
)


def at_hand() -> list[Engine]:
    """The engines whose programs were named."""
    return [engine for engine in ENGINES if engine.command]


class Peer:
    """One engine, running for as long as a `with` block lasts; it is started again where it ended."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._left = b""
        self._answers = False

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def ask(self, question: Question) -> Answer:
        """Return the answer to one question."""
        return next(iter(self.ask_many([question])))

    def ask_many(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """Yield the answers in the order of the questions."""
        source = iter(questions)
        waiting: deque[Question] = deque()
        while True:
            # A missing answer shows when answers are read.
            with suppress(BrokenPipeError):
                self._send([*self._taken(source, waiting)])
            if not waiting:
                return
            for _ in range(max(1, len(waiting) - WINDOW // 2)):
                yield self._answer(waiting)

    @staticmethod
    def _taken(source: Iterator[Question], waiting: deque[Question]) -> Iterator[Question]:
        while len(waiting) < WINDOW:
            question = next(source, None)
            if question is None:
                return
            waiting.append(question)
            yield question

    def _answer(self, waiting: deque[Question]) -> Answer:
        line = self._line()
        waiting.popleft()
        if line is not None:
            self._answers = True
            answer: Answer = json.loads(line)
            return answer
        # No line came: start the peer again, and ask it the questions that wait.
        if not self._answers:
            raise RuntimeError(f"{self.engine.name} does not run: {self.engine.command}")
        self._stop()
        self._start()
        self._send([*waiting])
        return {"fault": "no answer came"}

    def _start(self) -> None:
        self._left = b""
        self._process = subprocess.Popen(
            self.engine.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(["src", ".", "docs/examples"])},
        )

    def _stop(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _send(self, questions: Sequence[Question]) -> None:
        """Write without waiting for the peer to read. Keep the lines that it writes meanwhile."""
        text = memoryview("".join(f"{json.dumps(asked)}\n" for asked in questions).encode())
        assert self._process.stdin is not None
        to, come = self._process.stdin.fileno(), self._out()
        os.set_blocking(to, False)
        while text:
            readable, writable, _ = select.select([come], [to], [], PATIENCE)
            if not (readable or writable):
                return
            if readable:
                more = os.read(come, 1 << 20)
                if not more:
                    return
                self._left += more
            if writable:
                text = text[os.write(to, text) :]

    def _line(self) -> bytes | None:
        come = self._out()
        while b"\n" not in self._left:
            readable, _, __ = select.select([come], [], [], PATIENCE)
            more = os.read(come, 1 << 20) if readable else b""
            if not more:
                return None
            self._left += more
        line, _, self._left = self._left.partition(b"\n")
        return line

    def _out(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()
