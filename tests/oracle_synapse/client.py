"""Asks Synapse, in a process and an environment of its own, how it judges events."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeAlias, TypedDict

from tests.interop.synapse import synapse_python

__all__ = ["Answer", "Case", "OracleFailed", "SynapseOracle"]

Case: TypeAlias = Mapping[str, Any]
"""What is asked, as the docstring of `driver.py` says; all of it is JSON."""

DRIVER = Path(__file__).with_name("driver.py")


class Answer(TypedDict, total=False):
    """What Synapse says: `dropped`, or the three fields before it; of a state DAG `selected` too."""

    id: Any
    allowed: bool
    error: str | None
    undecided: str | None
    dropped: str
    selected: list[list[Any]] | None


class OracleFailed(Exception):
    """The driver ended, or did not understand a case."""


class SynapseOracle:
    """Synapse's authorisation rules for as long as a `with` block lasts.

    Args:
        python: Interpreter of Synapse's environment; by default `SYNAPSE_PYTHON`.
        batch: How many cases travel together.
    """

    def __init__(self, python: str | None = None, *, batch: int = 250) -> None:
        self._python = python or synapse_python()
        self._batch = batch

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [self._python, "-I", str(DRIVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        return self

    def __exit__(self, *_: object) -> None:
        # Between two batches the driver only reads, so nothing is lost by not asking it to end.
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def judge(self, case: Case) -> Answer:
        """Returns Synapse's answer to one case."""
        return next(self.judge_many([case]))

    def judge_many(self, cases: Iterable[Case]) -> Iterator[Answer]:
        """Yields Synapse's answers in the order of the cases.

        Cases are taken a batch ahead of the answers, so that they are made while Synapse judges.

        Args:
            cases: What to ask; a case without `id` is given its place.

        Yields:
            One answer for each case, with its `id`.

        Raises:
            OracleFailed: The driver ended, or did not understand a case.
        """
        source = iter({"id": place} | dict(case) for place, case in enumerate(cases))
        batch = list(islice(source, self._batch))
        while batch:
            self._ask(batch)
            try:
                following = list(islice(source, self._batch))
            finally:  # what was asked is read even when there is no next case
                lines = [self._line() for _ in batch]
            yield from map(_checked, batch, lines)
            batch = following

    def _ask(self, batch: list[dict[str, Any]]) -> None:
        lines = "".join(f"{json.dumps(case)}\n" for case in batch)
        try:
            self._to.write(f"{lines}\n".encode())
            self._to.flush()
        except BrokenPipeError as end:
            raise self._ended() from end

    def _line(self) -> bytes:
        line = self._from.readline()
        if not line:
            raise self._ended()
        return line

    def _ended(self) -> OracleFailed:
        code = self._process.wait()
        self._errors.seek(0)
        return OracleFailed(f"the driver ended with {code}\n{self._errors.read().decode()[-4000:]}")


def _checked(case: Case, line: bytes) -> Answer:
    answer: Answer = json.loads(line)
    if "fault" in answer or answer["id"] != case["id"]:
        raise OracleFailed(f"case {case!r} was answered with {answer!r}")
    return answer
