"""The program of `tests/observatory/rust`: what ruma makes of a case."""

from __future__ import annotations

import json
import os
import subprocess
from types import TracebackType
from typing import Any, Final, Self

__all__ = ["PROGRAM", "Ruma"]

PROGRAM: Final = os.environ.get("RUMA", "")
"""The path of the program; empty where it was not built."""


class Ruma:
    """The program, running: a context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._process.__exit__(kind, error, None)

    def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        """Send one command, and return the answer; see `src/main.rs`."""
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        asked.write(f"{json.dumps({'command': command, **fields})}\n")
        asked.flush()
        answer: dict[str, Any] = json.loads(answers.readline())
        return answer
